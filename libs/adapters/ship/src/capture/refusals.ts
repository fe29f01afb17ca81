import { CaptureError, type SerializationError } from "@heddle/kernel";
import type { AnyFunction } from "@heddle/port-shipper";
import type { Code } from "./code.ts";
import type { Position, TextRange } from "./graph.ts";
import { positionOf } from "./position.ts";
import type { Bond } from "./shape.ts";

/** Who uses what, for the words of a refusal. */
export interface Use {
  readonly fn: AnyFunction;
  readonly code: Code;
  readonly at: TextRange;
}

const NOWHERE: Position = { file: "", line: 0 };

/** A function that has no text to send. */
export function noTextError(fn: AnyFunction, user: Use | undefined): CaptureError {
  const name = nameOf(fn);
  const isBound = fn.name.startsWith("bound ");
  const reason = isBound
    ? `is bound to values that cannot be seen: write an arrow that calls it, as in (x) => ${fn.name.slice(6) || "f"}(x)`
    : "is native code, so there is nothing to send: write an arrow that calls it";
  return refusal(`the function ${name}${place(user)} ${reason}`, fn.name || "(anonymous)", user);
}

/** A function that uses `this` and the like of what is around it. */
export function bondError(use: Use, bond: Bond, isMethod: boolean): CaptureError {
  const name = nameOf(use.fn);
  const at = { ...use, at: bond };
  if (bond.kind === "private") {
    const words = `uses the private name ${bond.what} of a class that does not go with it: write a function beside the class`;
    return refusal(`the function ${name}${place(at)} ${words}`, use.fn.name || "(anonymous)", at);
  }
  const advice = isMethod
    ? `wrap it, as in (x) => object.${use.fn.name || "method"}(x), and make the object inside`
    : "put what it needs in a constant before, as in const { field } = this";
  const words = `uses ${bond.what} of what is around it, which does not travel: ${advice}`;
  return refusal(`the function ${name}${place(at)} ${words}`, bond.what, at);
}

/** `arguments` of a function around it. */
export function argumentsError(use: Use): CaptureError {
  const words = "uses arguments of the function around it, which does not travel: use a rest parameter";
  return refusal(`the function ${nameOf(use.fn)}${place(use)} ${words}`, "arguments", use);
}

/** A variable that V8 does not show. */
export function unseenError(use: Use, variable: string): CaptureError {
  const words =
    `uses ${variable}, which cannot be seen from outside: it is a function expression's own name inside itself, ` +
    "or nothing but a definition uses it. Give it a constant, and use that inside the function";
  return refusal(`the function ${nameOf(use.fn)}${place(use)} ${words}`, variable, use);
}

/** A variable whose declaration was not reached. */
export function earlyError(use: Use, variable: string): CaptureError {
  const words = `uses ${variable}, which has no value yet: declare it before the function is sent`;
  return refusal(`the function ${nameOf(use.fn)}${place(use)} ${words}`, variable, use);
}

/** `eval` called by its name: what its text names cannot be known. */
export function evalError(use: Use): CaptureError {
  const words =
    "calls eval, whose text may name any variable around it, and those do not travel unseen: " +
    "write (0, eval)(text), which sees globals only, or new Function(...) with parameters";
  return refusal(`the function ${nameOf(use.fn)}${place(use)} ${words}`, "eval", use);
}

/** Text that a tool made and that cannot be found again in the user's file. */
export function unmatchedError(use: Use, what: string): CaptureError {
  const words = `uses ${what} and cannot be found in its file as it is on disk now: export it from a module of its own`;
  return refusal(`the function ${nameOf(use.fn)}${place(use)} ${words}`, use.fn.name || "(anonymous)", use);
}

/** A class where a function is needed. */
export function classError(use: Use): CaptureError {
  const name = nameOf(use.fn);
  return refusal(
    `${name}${place(use)} is a class, and a class cannot be called: write (x) => new ${name}(x)`,
    use.fn.name || "(anonymous)",
    use,
  );
}

/** A variable that cannot be told apart from another of the same text. */
export function ambiguousError(use: Use, variable: string): CaptureError {
  const words =
    `the variable ${variable}${place(use)} is changed by functions that were made more than once by the same text; ` +
    "whether they share one variable cannot be told: keep it in an object, as in const state = { n: 0 }";
  return refusal(words, variable, use);
}

/** A function or class that was changed after it was made. */
export function changedError(use: Use, change: string): CaptureError {
  const words = `${change}, which does not travel: write it as a class`;
  return refusal(`the function ${nameOf(use.fn)}${place(use)} ${words}`, use.fn.name || "(anonymous)", use);
}

/** `require` of what is known only when it runs. */
export function requireError(use: Use): CaptureError {
  const words = "calls require with a name that is no literal, so what it needs cannot be sent: write the name itself";
  return refusal(`the function ${nameOf(use.fn)}${place(use)} ${words}`, "require", use);
}

/** A class that is needed inside values before it can be made. */
export function orderError(name: string): CaptureError {
  const words = `the class ${name} needs captured values when it is made, and is itself inside them: make the values inside the function`;
  return new CaptureError(words, { variable: name, path: "$", ...NOWHERE });
}

/** A captured value that cannot travel. `path` begins at the variable. */
export function valueError(use: Use, variable: string, path: string, cause: SerializationError): CaptureError {
  const what = cause.message.replace(/^.*? cannot travel: (it is )?/s, "");
  const inside = path === "$" ? "" : `, whose ${path.slice(1).replace(/^\./, "")}`;
  const words = `the function ${nameOf(use.fn)} uses ${variable}${place(use)}${inside} is ${what}, and cannot be sent: ${advice(what)}`;
  return new CaptureError(
    inside === "" ? words.replace(`${place(use)} is `, `${place(use)}, which is `) : words,
    { variable, path, ...positionOf(use.code.source, use.at.start) },
    { cause },
  );
}

function advice(what: string): string {
  if (what.includes("Promise")) return "await it before the call";
  if (/class (Fabric)?Pool\b/.test(what)) return "inside a task, new Pool() is a pool of the same fabric";
  if (what.includes("symbol")) return "use a string, or make the symbol inside the function";
  if (what.includes("function")) return "write an arrow that calls it";
  return "make it inside the function, or capture the plain data it is made of";
}

function refusal(words: string, variable: string, use: Use | undefined): CaptureError {
  const at = use === undefined ? NOWHERE : positionOf(use.code.source, use.at.start);
  return new CaptureError(words, { variable, path: "$", ...at });
}

function place(use: Use | undefined): string {
  if (use === undefined) return "";
  const { file, line } = positionOf(use.code.source, use.at.start);
  return file === "" ? "" : ` (${file}${line > 0 ? `:${line}` : ""})`;
}

function nameOf(fn: AnyFunction): string {
  return fn.name === "" ? "(anonymous)" : fn.name;
}
