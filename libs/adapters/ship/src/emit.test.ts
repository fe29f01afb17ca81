import { CaptureError } from "@heddle/kernel";
import { type AnyNode, parse } from "acorn";
import { describe, expect, test } from "vitest";
import type { CaptureGraph, Cell, CodeCell, ImportCell, RequireCell, Source, ValueCell } from "./capture/graph.ts";
import { emit } from "./emit.ts";
import { walk } from "./module-exports.ts";
import { Sources } from "./sources.ts";

const source = (text: string, rest: Partial<Source> = {}): Source => ({
  text,
  file: undefined,
  map: undefined,
  isModule: true,
  ...rest,
});

/** A function or class that is all of a text; `refs` says which cell each name in it means. */
function code(
  name: string,
  text: string,
  refs: Readonly<Record<string, number>> = {},
  rest: Partial<CodeCell> = {},
): CodeCell {
  const own = source(text);
  const references: CodeCell["references"][number][] = [];
  const program = parse(`(${text})`, { ecmaVersion: "latest", sourceType: "module" }) as AnyNode;
  const shorthands = new Set<number>();
  walk(program, (at) => {
    if (at.type === "Property" && at.shorthand) shorthands.add(at.start);
    const cell = at.type === "Identifier" ? refs[at.name] : undefined;
    if (cell === undefined || references.some(({ start }) => start === at.start - 1)) return true;
    references.push({ start: at.start - 1, end: at.end - 1, cell, shorthand: shorthands.has(at.start) });
    return true;
  });
  const [statement] = program.type === "Program" ? program.body : [];
  const node = statement?.type === "ExpressionStatement" ? statement.expression : program;
  return {
    kind: "code",
    name,
    source: own,
    node,
    text: { start: 0, end: text.length },
    form: text.startsWith("class") ? "class" : "function",
    key: undefined,
    references: references.sort((one, other) => one.start - other.start),
    specifiers: [],
    neededAtDefinition: [],
    properties: undefined,
    ...rest,
  };
}

const value = (name: string): ValueCell => ({ kind: "value", name });
const imported = (name: string, specifier: string, rest: Partial<ImportCell> = {}): ImportCell => ({
  kind: "import",
  name,
  specifier,
  importer: "/app/tasks.mjs",
  imported: name,
  attributes: {},
  ...rest,
});
const graph = (cells: readonly Cell[], functionsInValues: readonly number[] = []): CaptureGraph => ({
  cells,
  root: 0,
  functionsInValues,
  values: new Uint8Array(),
});
const emitted = (...given: Parameters<typeof graph>) => emit(graph(...given), new Sources());
const textOf = (...given: Parameters<typeof graph>): string => emitted(...given).text;

describe("a closure's module", () => {
  test("is a function that makes the function from its values", () => {
    expect(textOf([code("f", "(n) => n + k", { k: 1 }), value("k")])).toBe(
      "export default (values) => {\nconst f = ((n) => n + k);\nlet [k] = values([]);\nreturn f;\n};\n",
    );
  });

  test("imports first, then defines functions, classes, values and what needs them, and then what was put on functions", () => {
    const text = textOf(
      [
        code("root", "() => new Late(g, h)", { Late: 1, g: 3, h: 4 }),
        code("Late", "class Late extends Early { static x = k; }", { Early: 2, k: 5 }, { neededAtDefinition: [2, 5] }),
        code("Early", "class Early {}"),
        code("g", "function g() {}", {}, { properties: 6 }),
        imported("h", "node:path", { imported: "join" }),
        value("k"),
        value("g's own fields"),
      ],
      [3],
    );
    expect(text.split("\n")).toEqual([
      'import { join as h } from "node:path";',
      "export default (values) => {",
      "const root = (() => new Late(g, h));",
      "const g = (function g() {});",
      "const Early = (class Early {});",
      "let [k, g_s_own_fields] = values([g]);",
      "const Late = (class Late extends Early { static x = k; });",
      "Object.assign(g, g_s_own_fields);",
      "return root;",
      "};",
      "",
    ]);
  });

  test("gives equal names to no two things, and takes none that the code uses otherwise", () => {
    const text = textOf([
      code("f", "() => [k, other({ k }), typeof window]", { k: 1, other: 2 }),
      value("k"),
      code("other", "({ k: k$1 }) => k$1 + j", { j: 3 }),
      value("k"),
      value("window"),
      value("Map"),
    ]);
    expect(text).toContain("let [k, k$2, window$1, Map$1] = values([]);");
    expect(text).toContain("(({ k: k$1 }) => k$1 + k$2)");
  });

  test("writes out a property of which only the name stood there", () => {
    const text = textOf([code("f", "() => ({ k, z: k })", { k: 1 }), value("class")]);
    expect(text).toContain("(() => ({ k: class_$1, z: class_$1 }))");
  });

  const names: readonly (readonly [what: string, cell: CodeCell, name: string])[] = [
    ["an arrow that is assigned", code("double", "(n) => n"), "double"],
    ["an arrow without name", code("", "(n) => n"), ""],
    ["a name that is no identifier", code("a b", "(n) => n"), "a b"],
    ["a keyword", code("delete", "(n) => n"), "delete"],
    ["a function with a name of its own", code("own", "function own() {}"), "own"],
    ["a function that a tool renamed", code("given", "function made() {}"), "given"],
    ["a class", code("C", "class C {}"), "C"],
    ["a class without name", code("", "class {}"), ""],
  ];
  test.each(names)("keeps the name of %s", (_what, cell, name) => {
    expect(made(textOf([cell]))).toHaveProperty("name", name);
  });

  test("keeps the names of methods", () => {
    const node = parse("(() => 1)", { ecmaVersion: "latest" }) as AnyNode;
    const method = (name: string, text: string, start: number, end: number): CodeCell => ({
      ...code(name, "() => 1"),
      source: source(text),
      text: { start: 0, end: text.length },
      node,
      form: "method",
      key: { start, end },
    });
    expect(made(textOf([method("m", "async m() {}", 6, 7)]))).toHaveProperty("name", "m");
    expect(made(textOf([method("[s]", "*[s]() {}", 1, 4)]))).toHaveProperty("name", "[s]");
  });

  test("names modules as they are called everywhere, or asks for them by number with who wants them", () => {
    const inner = code(
      "f",
      "() => import('./x.mjs')",
      {},
      { specifiers: [{ start: 13, end: 22, specifier: "./x.mjs", how: "import" }] },
    );
    const { text, requests } = emitted([
      { ...inner, source: { ...inner.source, file: "/app/lib/f.mjs" } },
      imported("path", "path", { imported: "*" }),
      imported("task", "heddle"),
      imported("odd", "./odd.mjs", { imported: "an odd name" }),
      imported("table", "./table.json", { imported: "default", attributes: { type: "json" } }),
    ]);
    expect(text).toContain('import * as path from "node:path";\nimport { task as task } from "heddle";\n');
    expect(text).toContain('import { "an odd name" as odd } from "heddle-import:1";');
    expect(text).toContain('import { default as table } from "heddle-import:2" with { "type": "json" };');
    expect(text).toContain('import("heddle-import:0")');
    expect(requests).toEqual([
      { specifier: "./x.mjs", importer: "/app/lib/f.mjs", how: "dynamic-import" },
      { specifier: "./odd.mjs", importer: "/app/tasks.mjs", how: "import" },
      { specifier: "./table.json", importer: "/app/tasks.mjs", how: "import" },
    ]);
  });

  test("runs what required a module of Node.js as it stood there", () => {
    const text = '__toESM(require("path"), 1)';
    const cell: RequireCell = {
      kind: "require",
      name: "path",
      source: source(text, { isModule: false }),
      text: { start: 0, end: text.length },
      references: [{ start: 0, end: 7, cell: 2, shorthand: false }],
      specifiers: [{ start: 16, end: 22, specifier: "path", how: "require" }],
      member: "sep",
    };
    const helper = code("__toESM", "(it) => it");
    expect(textOf([code("f", "() => path", { path: 1 }), cell, helper])).toContain(
      'const path = (__toESM(require("node:path"), 1))["sep"];',
    );
  });
});

describe("the order of classes", () => {
  const k = value("k");
  test("is that of what is extended, whatever the methods use", () => {
    const text = textOf(
      [
        code("f", "() => registry", { registry: 4 }),
        code("B", "class B extends A {}", { A: 2 }, { neededAtDefinition: [2] }),
        code("A", "class A { m() { return k; } }", { k: 3 }),
        k,
        value("registry"),
      ],
      [1],
    );
    expect(text).toMatch(/const A = [^;]*; \} \}\);\nconst B\$1 = .*\nlet \[k, registry\] = values\(\[B\$1\]\);/);
  });

  test("puts behind the values what runs code that uses them", () => {
    const text = textOf([
      code("f", "() => C", { C: 1 }),
      code("C", "class C { static t = compute(); }", { compute: 2 }, { neededAtDefinition: [2] }),
      code("compute", "() => k", { k: 3 }),
      k,
    ]);
    expect(text.indexOf("const C")).toBeGreaterThan(text.indexOf("values([])"));
  });

  test("is refused when a class is inside the values that it needs", () => {
    const cells = [
      code("f", "() => table", { table: 2 }),
      code("C", "class C { static t = table; }", { table: 2 }, { neededAtDefinition: [2] }),
      value("table"),
    ];
    expect(() => textOf(cells, [1])).toThrow(CaptureError);
    expect(() => textOf(cells, [1])).toThrow(
      /the class C needs captured values when it is made, and is itself inside them/,
    );
  });
});

test("code that no module may contain is refused with its line", () => {
  const old = source("var x;\nfunction f(a) { return a + 010; }", { isModule: false, file: "/app/old.cjs" });
  const cell = { ...code("f", "function f(a) {}"), source: old, text: { start: 7, end: old.text.length } };
  expect(() => textOf([cell])).toThrow(
    expect.objectContaining({
      variable: "f",
      file: "/app/old.cjs",
      line: 2,
      message: expect.stringMatching(/^the function f \(\/app\/old\.cjs:2\) is sent as strict code, which it is not: /),
    }),
  );
});

test("the map names files by package, through the maps that the sources have", () => {
  const inner = { version: 3, sources: ["tasks.ts"], sourceRoot: "written", names: [], mappings: "AAEA" };
  const cell = code("f", "(n) => n");
  const mapped = { ...cell, source: source(cell.source.text, { file: "/app/dist/f.js", map: JSON.stringify(inner) }) };
  const broken = { ...cell, source: source(cell.source.text, { file: "/app/dist/g.js", map: "{" }) };
  const sourcesOf = (of: Cell): unknown => JSON.parse(emitted([of]).map).sources;
  expect(sourcesOf(mapped)).toEqual(["heddle:///tasks.ts"]);
  expect(sourcesOf(broken)).toEqual(["heddle:///g.js"]);
  expect(sourcesOf(cell)).toEqual(["heddle:///anonymous"]);
});

/** What the module's maker makes, without values. */
function made(text: string): unknown {
  const body = text.replace("export default", "return");
  return new Function(body)()(() => []);
}
