import { CaptureError } from "@heddle/kernel";
import type { AnyFunction } from "@heddle/port-shipper";
import { describe, expect, test } from "vitest";
import { Project } from "../testing.ts";
import { loadNatively, testCapturer } from "./testing.ts";

interface Refusal {
  readonly what: string;
  /** A module whose `get()` gives the function. The fault is in its second line. */
  readonly text: string;
  readonly file?: string;
  readonly variable: string;
  readonly path?: string;
  /** Line of the error. Default: 2. */
  readonly line?: number;
  readonly words: RegExp;
}

/** A constant and a function that uses it in the second line. */
const captured = (value: string): string => `const it = ${value};\nexport const get = () => () => it;`;

const refusals: readonly Refusal[] = [
  {
    what: "an instance with methods",
    text: captured("new (class Loom { weave() {} })()"),
    variable: "it",
    words: /Loom.*make it inside the function/,
  },
  {
    what: "a socket deep inside",
    text: `import net from "node:net";${captured("[1, { open: new net.Socket() }]")}`,
    variable: "it",
    path: "[1].open",
    words: /whose \[1\]\.open is .*Socket/,
  },
  { what: "a WeakMap", text: captured("new WeakMap()"), variable: "it", words: /WeakMap/ },
  { what: "a promise", text: captured("Promise.resolve(1)"), variable: "it", words: /await it before the call/ },
  { what: "a symbol", text: captured("Symbol('s')"), variable: "it", words: /use a string/ },
  { what: "a running generator", text: captured("(function* () {})()"), variable: "it", words: /Generator/ },
  { what: "shared memory", text: captured("new SharedArrayBuffer(8)"), variable: "it", words: /SharedArrayBuffer/ },
  {
    what: "a bound function",
    text: `function f() {}${captured("f.bind(null)")}`,
    variable: "bound f",
    words: /as in \(x\) => f\(x\)/,
  },
  {
    what: "a proxy of a function",
    text: captured("new Proxy(() => 1, {})"),
    variable: "(anonymous)",
    words: /native code.*write an arrow/,
  },
  {
    what: "a method that uses this",
    text: "const o = { n: 1,\nm() { return this.n; } }; export const get = () => o.m;",
    variable: "this",
    words: /as in \(x\) => object\.m\(x\)/,
  },
  {
    what: "a function that calls eval by its name",
    text: "const k = 2;\nexport const get = () => (x) => eval('k * x');",
    variable: "eval",
    words: /\(0, eval\)/,
  },
  {
    what: "a method that uses super",
    text: "const o = { __proto__: { m() {} },\nm() { return super.m(); } }; export const get = () => o.m;",
    variable: "super",
    words: /uses super/,
  },
  {
    what: "a method that uses a private name",
    text: "class C { static #k = 1;\nstatic m() { return C.#k; } } export const get = () => C.m;",
    variable: "m",
    words: /private name #k/,
  },
  {
    what: "an arrow's this",
    text: "class C { k = 1; make() {\nreturn () => this.k; } } export const get = () => new C().make();",
    variable: "this",
    words: /const \{ field \} = this/,
  },
  {
    what: "an arrow's arguments",
    text: "function make() {\nreturn () => arguments.length; } export const get = () => make(1);",
    variable: "arguments",
    words: /rest parameter/,
  },
  {
    what: "an arrow's new.target",
    text: "function Make() {\nthis.f = () => new.target; } export const get = () => new Make().f;",
    variable: "new.target",
    words: /uses new\.target/,
  },
  {
    what: "a function's own this",
    text: "export const get = () => function () {\nreturn this.k; };",
    variable: "this",
    words: /uses this/,
  },
  { what: "a class", text: "\nclass C {} export const get = () => C;", variable: "C", words: /\(x\) => new C\(x\)/ },
  {
    what: "a prototype with members",
    text: "\nfunction Old() {} Old.prototype.m = () => 1; export const get = () => () => new Old();",
    variable: "Old",
    words: /member put on its prototype later \(m\).*class/,
  },
  {
    what: "the prototype of another",
    text: "function Base() {}\nfunction Old() {} Old.prototype = Object.create(Base.prototype); export const get = () => () => new Old();",
    variable: "Old",
    words: /prototype of another.*class/,
  },
  {
    what: "the inner name of a function expression",
    text: "const f = function g() {\nreturn () => g; }; export const get = () => f();",
    variable: "g",
    words: /cannot be seen from outside/,
  },
  {
    what: "a variable of which nobody knows whether it is shared",
    text: "const make = () => { let n = 0;\nreturn () => ++n; }; const [a, b] = [make(), make()]; export const get = () => () => [a(), b()];",
    variable: "n",
    words: /cannot be told.*const state/,
  },
  {
    what: "require of a computed name",
    file: "main.cjs",
    text: "exports.get = () => (name) =>\nrequire(name);",
    variable: "require",
    words: /no literal/,
  },
  {
    what: "require as a value",
    file: "main.cjs",
    text: "exports.get = () => () =>\n[require];",
    variable: "require",
    words: /no literal/,
  },
  {
    what: "this of a CommonJS module",
    file: "main.cjs",
    text: "exports.get = () => () =>\nthis;",
    variable: "this",
    words: /uses this/,
  },
  {
    what: "code without a file",
    text: "export const get = () => new Function('return () => 1; ').bind();",
    variable: "bound anonymous",
    line: 0,
    words: /bound/,
  },
];

describe("refused by variable, path, file and line is", () => {
  test.each(refusals)("$what", ({ text, file = "main.mjs", variable, path = "", line = 2, words }) => {
    using project = new Project({ [file]: text });
    const fn = loadNatively(project.path(file)).get?.() as AnyFunction;
    const error = refusalOf(fn);
    expect(error.message).toMatch(words);
    const told = { variable: error.variable, path: error.path, file: error.file, line: error.line };
    expect(told).toEqual({ variable, path: `$${path}`, file: line === 0 ? "" : project.path(file), line });
  });

  test("a variable whose declaration was not reached", () => {
    const error = refusalOf(() => later);
    expect(error).toMatchObject({
      variable: "later",
      message: expect.stringMatching(/no value yet: declare it before/),
    });
    const later = 1;
    expect(refusalOf.name + later).toBe("refusalOf1");
  });

  test("a private thing of vitest's rewriting, when what was written cannot be read", async () => {
    using project = new Project({
      "main.ts": 'enum E { A }\nexport const get = () => async () => [E.A, await import("./main.ts")];',
    });
    const { get } = await project.import("main.ts");
    const error = refusalOf(get?.() as AnyFunction);
    expect(error).toMatchObject({ line: 0, file: project.path("main.ts") });
    expect(error.message).toMatch(/export it from a module of its own/);
  });

  test("a value, at the line that the user wrote, by the source map", () => {
    const map = { version: 3, names: [], sources: ["written.ts"], mappings: ";;;AASA" }; // line 4 is line 10
    const link = `//# sourceMappingURL=data:application/json,${encodeURIComponent(JSON.stringify(map))}`;
    using project = new Project({
      "main.mjs": `const it = new WeakMap();\n\n\nexport const get = () => () => it;\n${link}`,
    });
    const fn = loadNatively(project.path("main.mjs")).get?.() as AnyFunction;
    expect(refusalOf(fn)).toMatchObject({ file: project.path("written.ts"), line: 10 });
  });
});

function refusalOf(fn: AnyFunction): CaptureError {
  try {
    testCapturer().capture(fn);
  } catch (error) {
    if (error instanceof CaptureError) return error;
    throw error;
  }
  throw new Error("nothing was refused");
}
