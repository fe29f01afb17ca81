import type { AnyFunction } from "@heddle/port-shipper";
import { shipperContract } from "@heddle/port-shipper/contract";
import { describe, expect, test } from "vitest";
import { createFunctionLoader } from "./loader.ts";
import { createShipper } from "./shipper.ts";
import { adder, Project } from "./testing.ts";

const tasks = `
export function double(n: number): number { return 2 * n; }
export const fail = (): never => { throw new TypeError("as told"); };
`;

shipperContract("the shipper of modules, with the loader of files,", async () => {
  const project = new Project({ "tasks.ts": tasks });
  const shipper = createShipper();
  const { double, fail } = await project.import<{ double: AnyFunction; fail: AnyFunction }>("tasks.ts");
  return {
    shipper,
    loader: createFunctionLoader(),
    store: async (artifact) => project.store(artifact),
    functions: { double, fail },
    [Symbol.asyncDispose]: async () => {
      await shipper[Symbol.asyncDispose]();
      project[Symbol.dispose]();
    },
  };
});

/** What main.mjs of a project prints: what each export of its modules becomes after shipping and loading. */
const main = (modules: readonly string[]): string => `
import { writeFileSync } from "node:fs";
import { createFunctionLoader, createShipper } from ${JSON.stringify(new URL("./index.ts", import.meta.url).href)};
await using shipper = createShipper();
const loader = createFunctionLoader();
const report = {};
for (const name of ${JSON.stringify(modules)}) {
  for (const [exported, fn] of Object.entries(await import(name))) {
    const { artifact, exportName } = await shipper.ship(fn);
    const location = new URL("./" + artifact.hash + ".mjs", import.meta.url).pathname;
    writeFileSync(location, artifact.bytes);
    report[name + " " + exported] = [exportName, await (await loader.load(location, artifact.hash, exportName))(20)];
  }
}
console.log(JSON.stringify(report));
`;

const forms: readonly { form: string; text: string; name: string; expected: unknown }[] = [
  { form: "a declaration", text: "export function f(n: number) { return n + 1; }", name: "f", expected: 21 },
  { form: "an async one", text: "export async function f(n: number) { return n + 1; }", name: "f", expected: 21 },
  { form: "an arrow function", text: "export const f = (n: number) => n + 1;", name: "f", expected: 21 },
  {
    form: "a function expression",
    text: "export const f = function g(n: number) { return n + 1; };",
    name: "f",
    expected: 21,
  },
  { form: "a let that stays", text: "export let f = (n: number) => n + 1;", name: "f", expected: 21 },
  {
    form: "a destructured one",
    text: "export const { g: f } = { g(n: number) { return n + 1; }, h: 1 };",
    name: "f",
    expected: 21,
  },
  { form: "one of several constants", text: "export const a = 1, f = (n: number) => n + a;", name: "f", expected: 21 },
  {
    form: "a default declaration",
    text: "export default function f(n: number) { return n + 1; }",
    name: "default",
    expected: 21,
  },
  { form: "a nameless default", text: "export default (n: number) => n + 1;", name: "default", expected: 21 },
  {
    form: "a default by name",
    text: "const f = (n: number) => n + 1; export default f;",
    name: "default",
    expected: 21,
  },
  {
    form: "one exported by another name",
    text: "function f(n: number) { return n + 1; } export { f as g };",
    name: "g",
    expected: 21,
  },
  {
    form: "one of two that swap their names",
    text: "function f(n: number) { return n + 1; } function g() { return 0; } export { f as g, g as f };",
    name: "g",
    expected: 21,
  },
  {
    form: "one that uses its module",
    text: "const one = 1; export const f = (n: number) => n + one;",
    name: "f",
    expected: 21,
  },
  {
    form: "one that uses another module",
    text: 'import { add } from "./add.ts"; export const f = (n: number) => add(n);',
    name: "f",
    expected: 21,
  },
  {
    form: "one that uses a package",
    text: 'import add from "adder"; export const f = (n: number): number => add(n);',
    name: "f",
    expected: 21,
  },
  {
    form: "one whose module declares require and __dirname itself",
    text: `import { createRequire } from "node:module"; import add from "adder";
      const require = createRequire(import.meta.url); const __dirname: string = import.meta.dirname;
      export const f = (n: number): number => add(n) + require("node:path").basename(__dirname).length * 0;`,
    name: "f",
    expected: 21,
  },
  {
    form: "one whose module knows heddle by type only",
    text: 'import type { Pool } from "heddle"; export const f = (n: number, _?: Pool) => n + 1;',
    name: "f",
    expected: 21,
  },
  {
    form: "one with types and defaults",
    text: "export const f = <T,>(n: T, one = (() => 1)()): number => Number(n) + one;",
    name: "f",
    expected: 21,
  },
];

describe("an exported function ships, as vitest runs it:", () => {
  test.each(forms)("$form", async ({ text, name, expected }) => {
    using project = new Project({ ...adder, "tasks.ts": text });
    const module = await project.import<Record<string, AnyFunction>>("tasks.ts");
    const fn = module[name] as AnyFunction;
    await using shipper = createShipper();
    const { artifact, exportName } = await shipper.ship(fn);
    expect(exportName).toBe(name);
    const loaded = await createFunctionLoader().load(project.store(artifact), artifact.hash, exportName);
    expect(await loaded(20)).toBe(expected);
  });
});

test("an exported function ships, as Node.js runs it from TypeScript", async () => {
  const files = forms.map(({ text }, at) => [`tasks${at}.ts`, text] as const);
  // one module with one function each: what else is exported there is not shipped
  const only = files.filter(([, text]) => !/export const a|swap|f as g, g as f/.test(text));
  const modules = only.map(([name]) => `./${name}`);
  using project = new Project({ ...adder, ...Object.fromEntries(files), "main.mjs": main(modules) });
  const report = JSON.parse(await project.run("main.mjs")) as Record<string, unknown>;
  const expected = only.map(([name]) => {
    const form = forms[files.findIndex(([file]) => file === name)];
    return [`./${name} ${form?.name}`, [form?.name, form?.expected]];
  });
  expect(report).toEqual(Object.fromEntries(expected));
});

test("what tsx makes of a module ships: names kept by a helper, exports at the end", async () => {
  using project = new Project({
    "tasks.mjs": `var __defProp = Object.defineProperty;
var __name = (target, value) => __defProp(target, "name", { value, configurable: true });
const arrow = /* @__PURE__ */ __name((n) => n + 1, "arrow");
function declared(n) { return n + 2; }
__name(declared, "declared");
var tasks_default = /* @__PURE__ */ __name((n) => n + 3, "default");
export { arrow, declared as renamed, tasks_default as default };`,
    "main.mjs": main(["./tasks.mjs"]),
  });
  expect(JSON.parse(await project.run("main.mjs"))).toEqual({
    "./tasks.mjs arrow": ["arrow", 21],
    "./tasks.mjs renamed": ["renamed", 22],
    "./tasks.mjs default": ["default", 23],
  });
});

test("JavaScript modules, CommonJS and modules with a query ship as well", async () => {
  using project = new Project({
    ...adder,
    "plain.mjs": "export const f = (n) => n + 1;",
    "again.ts": "export const f = (n: number) => n + 1;",
    "old.cjs":
      'const path = require("node:path"); exports.f = (n) => n + path.sep.length; exports["odd name"] = (n) => n + 2;',
    "single.cjs": "module.exports = function f(n) { return n + 1; };",
    "main.mjs": main(["./plain.mjs", "./again.ts?tsx-namespace=1", "./again.ts?2"]),
    "old.mjs":
      'import old from "./old.cjs"; import single from "./single.cjs"; const { f } = old; export { f, single }; export const odd = old["odd name"];',
    "common.mjs": main(["./old.mjs"]),
  });
  expect(JSON.parse(await project.run("main.mjs"))).toEqual({
    "./plain.mjs f": ["f", 21],
    "./again.ts?tsx-namespace=1 f": ["f", 21],
    "./again.ts?2 f": ["f", 21],
  });
  expect(JSON.parse(await project.run("common.mjs"))).toEqual({
    "./old.mjs f": ["f", 21],
    "./old.mjs odd": ["odd name", 22],
    "./old.mjs single": ["default", 21],
  });
});
