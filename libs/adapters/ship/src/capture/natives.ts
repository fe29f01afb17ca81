import { builtinModules } from "node:module";
import type { NativeCell } from "./graph.ts";

type Names = Map<unknown, Pick<NativeCell, "expression" | "module">>;

let ofLanguage: Names | undefined;
/** What Node.js has loaded of itself, as "NativeModule path". */
interface Loads {
  readonly moduleLoadList?: readonly string[];
}

/** With the number of modules that were loaded then. */
let ofNode: { readonly names: Names; readonly loaded: number } | undefined;

/** How a function or class of the language or of Node.js is called everywhere; undefined for others. */
export function nativeName(value: unknown): Pick<NativeCell, "expression" | "module"> | undefined {
  ofLanguage ??= namesOfLanguage();
  const known = ofLanguage.get(value);
  if (known !== undefined) return known;
  const { moduleLoadList = [] } = process as Loads;
  if (ofNode?.loaded !== moduleLoadList.length) {
    ofNode = { names: namesOfNode(new Set(moduleLoadList)), loaded: moduleLoadList.length };
  }
  return ofNode.names.get(value);
}

/** The value is code of the language or of Node.js itself, whatever it is called. */
export function isNativeText(fn: unknown): boolean {
  return typeof fn === "function" && /\{\s*\[native code\]\s*\}$/.test(Function.prototype.toString.call(fn));
}

/** `Math.sqrt`, `parseInt`, `Array.prototype.slice`. */
function namesOfLanguage(): Names {
  const names: Names = new Map();
  for (const name of Object.getOwnPropertyNames(globalThis)) {
    const value = ownValue(globalThis, name);
    if (!isBag(value) || value === globalThis) continue;
    if (typeof value === "function") note(names, value, name);
    noteMembers(names, value, name);
    const prototype = typeof value === "function" ? ownValue(value, "prototype") : undefined;
    if (isBag(prototype)) noteMembers(names, prototype, `${name}.prototype`);
  }
  return names;
}

/** `basename` of `node:path`. Of modules that are loaded: a function that somebody holds is of one of them. */
function namesOfNode(loaded: ReadonlySet<string>): Names {
  const names: Names = new Map();
  for (const id of builtinModules) {
    if (id.startsWith("_") || !loaded.has(`NativeModule ${id}`)) continue;
    const exports: unknown = process.getBuiltinModule(id);
    if (!isBag(exports)) continue;
    const module = id.startsWith("node:") ? id : `node:${id}`;
    if (typeof exports === "function") note(names, exports, "default", module);
    for (const name of Object.keys(exports)) {
      const value = ownValue(exports, name);
      if (typeof value === "function" && isIdentifier(name)) note(names, value, name, module);
    }
  }
  return names;
}

function noteMembers(names: Names, bag: object, path: string): void {
  for (const member of Object.getOwnPropertyNames(bag)) {
    const value = ownValue(bag, member);
    if (typeof value === "function" && member !== "constructor" && isIdentifier(member))
      note(names, value, `${path}.${member}`);
  }
}

/** The first name stays: `parseInt`, not `Number.parseInt`. */
function note(names: Names, value: unknown, expression: string, module?: string): void {
  if (!names.has(value)) names.set(value, { expression, module });
}

/** Without calling getters: some of them warn, or load what nobody asked for. */
function ownValue(bag: object, name: string): unknown {
  return Object.getOwnPropertyDescriptor(bag, name)?.value;
}

function isBag(value: unknown): value is object {
  return typeof value === "function" || (typeof value === "object" && value !== null);
}

function isIdentifier(name: string): boolean {
  return /^[\p{ID_Start}$_][\p{ID_Continue}$]*$/u.test(name);
}
