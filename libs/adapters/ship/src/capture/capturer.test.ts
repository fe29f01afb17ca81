import type { AnyFunction } from "@heddle/port-shipper";
import { transformSync } from "esbuild";
import { describe, expect, test } from "vitest";
import { Project } from "../testing.ts";
import { cellsOf, loadNatively, testCapturer, valuesOf } from "./testing.ts";

/** What is around the module that a shape is in. */
const files = {
  "help.mjs": "export const help = (n) => n; export class Helper {} export default 1;",
  "help.cjs": "exports.help = (n) => n;",
};

interface Shape {
  readonly what: string;
  /** Its module, which gives the function by `get()`. */
  readonly text: string;
  readonly cells: readonly string[];
  readonly values?: readonly unknown[];
}

const shapes: readonly Shape[] = [
  { what: "nothing", text: "export const get = () => (n) => n;", cells: ["function "] },
  {
    what: "a constant, by value",
    text: "const k = 3; export const get = () => (n) => n * k;",
    cells: ["function  > k", "value k"],
    values: [3],
  },
  {
    what: "one constant twice, as one",
    text: "const k = { a: 1 }; const f = () => k; export const get = () => () => [f(), k];",
    cells: ["function  > f, k", "function f > k", "value k"],
    values: [{ a: 1 }],
  },
  {
    what: "names that the function declares, not at all",
    text: "const k = 1; export const get = () => (n, { k, l = n } = {}) => { const m = k; return [...[m, l]]; };",
    cells: ["function "],
  },
  {
    what: "a default parameter",
    text: "const k = 2; export const get = () => (n, m = k) => n + m;",
    cells: ["function  > k", "value k"],
    values: [2],
  },
  {
    what: "an import, by its declaration",
    text: 'import one, { help as h } from "./help.mjs"; import * as all from "./help.mjs"; export const get = () => () => [one, h, all];',
    cells: [
      "function  > one, h, all",
      "import default of ./help.mjs",
      "import help of ./help.mjs",
      "import * of ./help.mjs",
    ],
  },
  {
    what: "an export that came another way, by its module",
    text: 'import { help, Helper } from "./help.mjs"; const held = [help, Helper]; export const get = () => () => held;',
    cells: ["function  > held", "value held", "import help of help.mjs", "import Helper of help.mjs"],
    values: [["cell 2", "cell 3"]],
  },
  {
    what: "functions that call each other, once",
    text: "const a = (n) => n && b(n - 1); const b = (n) => n && a(n - 1); export const get = () => (n) => a(n) + b(n);",
    cells: ["function  > a, b", "function a > b", "function b > a"],
  },
  {
    what: "a class with what it extends",
    text: "class A {} class B extends A { #k = k; m() { return this.#k; } } const k = 1; export const get = () => () => new B();",
    cells: ["function  > B", "class B > A, k", "class A", "value k"],
    values: [1],
  },
  {
    what: "a class by what it extends in fact",
    text: "const mixin = (Of) => class Mixed extends Of {}; class A {} class B extends mixin(A) {} export const get = () => () => new B();",
    cells: ["function  > B", "class B > Mixed", "class Mixed > A", "class A"],
  },
  {
    what: "a class of the language to extend",
    text: "class Wrong extends RangeError {} export const get = () => () => new Wrong();",
    cells: ["function  > Wrong", "class Wrong"],
  },
  {
    what: "a method without its object",
    text: "const o = { m() { return 1; } }; const m = o.m; export const get = () => () => m();",
    cells: ["function  > m", "method m"],
  },
  {
    what: "functions inside values, with their own variables",
    text: "const k = 1; const o = { f: () => k }; export const get = () => () => o;",
    cells: ["function  > o", "value o", "function f > k", "value k"],
    values: [{ f: "cell 2" }, 1],
  },
  {
    what: "closures of one maker over different values",
    text: "const make = (k) => () => k; const [a, b] = [make(1), make(2)]; export const get = () => () => [a(), b()];",
    cells: ["function  > #1, #2", "function  > k", "function  > k", "value k", "value k"],
    values: [1, 2],
  },
  {
    what: "a variable that two closures share",
    text: "const make = () => { let n = 0; return [() => ++n, () => n]; }; const [a, b] = make(); export const get = () => () => [a(), b()];",
    cells: ["function  > #1, #2", "function  > n", "function  > n", "value n"],
    values: [0],
  },
  {
    what: "two closures of equal texts that share a variable",
    text: "const make = () => { let n = 0; return [() => ++n, () => ++n]; }; const [a, b] = make(); export const get = () => () => [a(), b()];",
    cells: ["function  > #1, #2", "function  > n", "function  > n", "value n"],
    values: [0],
  },
  {
    what: "a variable of its own for each of two blocks",
    text: "const fs = []; { const v = 1; fs.push(() => v); } { const v = 2; fs.push(() => v); } export const get = () => () => fs;",
    cells: ["function  > fs", "value fs", "function  > v", "function  > v", "value v", "value v"],
    values: [["cell 2", "cell 3"], 1, 2],
  },
  {
    what: "natives by their names",
    text: 'import { basename } from "node:path"; const held = [Math.max, Array.prototype.slice, basename]; export const get = () => () => held;',
    cells: [
      "function  > held",
      "value held",
      "native Math.max",
      "native Array.prototype.slice",
      "native basename of node:path",
    ],
    values: [["cell 2", "cell 3", "cell 4"]],
  },
  {
    what: "what is at hand everywhere, not at all",
    text: "export const get = () => () => [setTimeout, structuredClone, fetch, console, process, URL, Buffer, Math.max, undefined];",
    cells: ["function "],
  },
  {
    what: "own fields of a function",
    text: "const f = () => 1; f.note = 'n'; export const get = () => () => f.note;",
    cells: ["function  > f", "function f", "value f's own fields"],
    values: [{ note: "n" }],
  },
  {
    what: "text after unusual ends of lines",
    text: "const s = '\u2028';\r\nconst k = 1;\rexport const get = () => () => k;",
    cells: ["function  > k", "value k"],
    values: [1],
  },
  {
    what: "the function behind a getter, as a method",
    text: "const of = (o, k) => Object.getOwnPropertyDescriptor(o, k).get; const f = of({ get x() { return 1; } }, 'x'); const g = of(class { static get [['y'][0]]() { return 1; } }, 'y'); export const get = () => () => [f(), g()];",
    cells: ["function  > get x, get y", "method get x", "method get y"],
  },
  {
    what: "a constant beside an eval of somebody else, and a name that hides a global one",
    text:
      "export function unrelated(s) { return eval(s); } const k = 2; const parseInt = () => -1; " +
      "export const get = () => (x) => k * parseInt(x);",
    cells: ["function  > k, parseInt", "value k", "function parseInt"],
    values: [2],
  },
];

describe("a function is captured with", () => {
  test.each(shapes)("$what", ({ text, cells, values = [] }) => {
    using project = new Project({ ...files, "main.mjs": text });
    const fn = loadNatively(project.path("main.mjs")).get?.() as AnyFunction;
    const { graph } = testCapturer().capture(fn);
    expect(cellsOf(graph)).toEqual(cells);
    expect(valuesOf(graph, graph.values)).toEqual(values);
  });
});

/** One program as several tools give it to V8. */
const program =
  'import { help } from "./help"; const k = 2; export function own(n) { return n + k; } export const get = () => (n) => help(own(n));';

const asCommonJs = (options = {}): string =>
  transformSync(program.replace("./help", "./help.cjs"), { format: "cjs", target: "node24", ...options }).code;

const ways: readonly { what: string; file: string; text: string; cells: readonly string[] }[] = [
  {
    what: "TypeScript that Node.js strips of its types",
    file: "main.mts",
    text: program.replace("./help", "./help.mjs").replace("(n) => help", "(n: number): number => help"),
    cells: ["function  > help, own", "import help of ./help.mjs", "import own of main.mts"],
  },
  {
    what: "CommonJS written by hand",
    file: "main.cjs",
    text: 'const { help } = require("./help.cjs"); exports.own = (n) => n; exports.get = () => (n) => help(exports.own(n)) + __filename;',
    cells: [
      "function  > help, #2, __filename",
      'require help = require("./help.cjs")',
      "import own of main.cjs",
      "value __filename",
    ],
  },
  {
    what: "CommonJS as esbuild and tsx make it",
    file: "main.cjs",
    text: asCommonJs({ keepNames: true }),
    cells: ["function  > import_help, own", 'require import_help = require("./help.cjs")', "import own of main.cjs"],
  },
  {
    what: "CommonJS as tsc makes it",
    file: "main.cjs",
    text: 'var __importStar = (this && this.__importStar) || function (mod) { return mod; };\nconst help_1 = __importStar(require("./help.cjs")); exports.get = () => (n) => (0, help_1.help)(n);',
    cells: [
      "function  > help_1",
      "require __importStar = (this && this.__importStar) || function (mod) { return mod; }",
      'require help_1 = __importStar(require("./help.cjs"))',
    ],
  },
  {
    what: "an async function that a compiler made a generator",
    file: "main.cjs",
    text: "var __awaiter = (this && this.__awaiter) || function (a, b, c, g) { return g().next().value; };\nexports.get = () => function f(n) { return __awaiter(this, void 0, void 0, function* () { return n; }); };",
    cells: ["function f > #1", "function "],
  },
];

describe("captured functions are found in", () => {
  test.each(ways)("$what", ({ file, text, cells }) => {
    using project = new Project({ ...files, [file]: text });
    const fn = loadNatively(project.path(file)).get?.() as AnyFunction;
    expect(cellsOf(testCapturer().capture(fn).graph)).toEqual(cells);
  });

  test("evaluated code, with what is around a direct eval", () => {
    const around = 3;
    void around;
    // biome-ignore lint/security/noGlobalEval: this is the shape
    const direct = eval("(n) => n + around") as AnyFunction;
    // biome-ignore lint/complexity/noCommaOperator: this is the shape
    // biome-ignore lint/security/noGlobalEval: this is the shape
    const indirect = (0, eval)("const q = 2; (n) => n * q") as AnyFunction;
    const made = new Function("n", "return n + 1") as AnyFunction;
    const cells = [direct, indirect, made].map((fn) => cellsOf(testCapturer().capture(fn).graph));
    expect(cells).toEqual([
      ["function  > around", "value around"],
      ["function  > q", "value q"],
      ["function anonymous"],
    ]);
  });

  const inVitest = {
    ...files,
    "plain.ts": 'import { help } from "./help.mjs";\nconst k: number = 1;\nexport const get = () => () => help(k);',
    "more.ts":
      'import { help } from "./help.mjs";\nenum E { A = 5 }\nexport const get = () => () => [help(E.A), import.meta.url];',
  };

  test("modules that vitest rewrites: as they were written", async () => {
    using project = new Project(inVitest);
    const { get } = await project.import("plain.ts");
    const { graph } = testCapturer().capture(get?.() as AnyFunction);
    expect(cellsOf(graph)).toEqual(["function  > help, k", "import help of ./help.mjs", "value k"]);
  });

  test("modules that vitest rewrites and that cannot be read as they were written: through its own names", async () => {
    using project = new Project(inVitest);
    const { get } = await project.import("more.ts");
    const { graph } = testCapturer().capture(get?.() as AnyFunction);
    const [line, imported, ...others] = cellsOf(graph);
    expect(line).toMatch(/^function {2}> __vite_ssr_import_0__, E, import\.meta$/);
    expect([imported, ...others]).toEqual(["import * of help.mjs", "value E", "value import.meta"]);
    expect(valuesOf(graph, graph.values)).toMatchObject([{ A: 5 }, { filename: project.path("more.ts") }]);
  });
});

describe("what is captured belongs to its place:", () => {
  test("files of equal text import what is beside each", () => {
    using project = new Project({ "a/main.mjs": shapes[5]?.text ?? "", "b/main.mjs": shapes[5]?.text ?? "" });
    for (const at of ["a", "b"]) project.write(`${at}/help.mjs`, files["help.mjs"]);
    const capturer = testCapturer();
    const importers = ["a/main.mjs", "b/main.mjs"].map((name) => {
      const fn = loadNatively(project.path(name)).get?.() as AnyFunction;
      return capturer.capture(fn).graph.cells.flatMap((cell) => (cell.kind === "import" ? [cell.importer] : []))[0];
    });
    expect(importers).toEqual([project.path("a/main.mjs"), project.path("b/main.mjs")]);
  });

  test("what the entry script exports is captured, not imported", () => {
    using project = new Project({ "main.mjs": "export const own = () => 1; export const get = () => () => own();" });
    const fn = loadNatively(project.path("main.mjs")).get?.() as AnyFunction;
    const isEntry = (file: string): boolean => file === project.path("main.mjs");
    const other = testCapturer().capture(fn).graph;
    const entry = testCapturer({ isEntry }).capture(fn).graph;
    expect(cellsOf(other)).toEqual(["function  > own", "import own of main.mjs"]);
    expect(cellsOf(entry)).toEqual(["function  > own", "function own"]);
  });

  test("the same code gives the same cells wherever it is", () => {
    const told = new Set<string>();
    for (const { text } of shapes) {
      told.clear();
      for (const at of ["one", "two/three"]) {
        using project = new Project({ [`${at}/main.mjs`]: text, [`${at}/help.mjs`]: files["help.mjs"] });
        const fn = loadNatively(project.path(`${at}/main.mjs`)).get?.() as AnyFunction;
        const { graph } = testCapturer().capture(fn);
        told.add(JSON.stringify([cellsOf(graph), graph.functionsInValues, [...graph.values]]));
      }
      expect(told.size).toBe(1);
    }
  });
});
