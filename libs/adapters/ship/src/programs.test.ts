import type { AnyFunction } from "@heddle/port-shipper";
import { expect, test } from "vitest";
import { createShipper } from "./shipper.ts";
import { adder, type Call, Project } from "./testing.ts";

const library = {
  ...adder,
  "package.json": '{"name": "app"}',
  "src/scale.mjs": "export const scale = (n) => n * 10;\nexport default (n) => n + 5;\n",
  "src/old.cjs": "exports.minus = (n) => n - 1;",
  "src/table.json": '{"offset": 3}',
  "src/later.mjs": "export const half = (n) => n / 2;",
};

/** What every program defines, in the words of modules, with types only where `T` has them. */
const shapes = (T: (type: string) => string): string => `
console.log("the top level runs");
const k = 7;
class Base { #n; constructor(n${T("number")}) { this.#n = n; } get n() { return this.#n; } }
class Derived extends Base { static made = 0; twice() { Derived.made++; return this.n * 2; } }
const isEven = (n${T("number")})${T("boolean")} => (n === 0 ? true : isOdd(n - 1));
function isOdd(n${T("number")})${T("boolean")} { return n === 0 ? false : isEven(n - 1); }
let count = 0;
const next = () => ++count;
const peek = () => count;
export const functions = {
  value: (n${T("number")}) => n + k,
  classes: (n${T("number")}) => [new Derived(n).twice(), new Derived(n) instanceof Base, Derived.made],
  recursion: (n${T("number")}) => [isEven(n), isOdd(n)],
  counter: () => [next(), next(), peek()],
  imports: (n${T("number")}) => [scale(n), five(n), add(n), minus(n), basename("/a/b"), table.offset],
  dynamic: async (n${T("number")}) => [(await import("./later.mjs")).half(n), (await import("node:os")).EOL],
  fails: (n${T("number")}) => { throw new RangeError("no " + n + k); },
};
void send(functions);
`;

const esm = `
import { basename } from "node:path";
import add from "adder";
import { send } from "../kit.mjs";
import minusModule from "./old.cjs";
import five, { scale } from "./scale.mjs";
import table from "./table.json" with { type: "json" };
const { minus } = minusModule;
`;
const commonJs = `
const { basename } = require("node:path");
const add = require("adder");
const { send } = require("../kit.mjs");
const { minus } = require("./old.cjs");
const { default: five, scale } = require("./scale.mjs");
const table = require("./table.json");
`;

const programs: readonly (readonly [file: string, text: string])[] = [
  ["src/main.mts", `interface Unused {\n  a: 1;\n}${esm}${shapes((type) => `: ${type}`)}`],
  ["src/main.mjs", esm + shapes(() => "")],
  ["src/main.cjs", `${commonJs}${shapes(() => "").replace("export const functions", "const functions")}`],
];

test.each(programs)("functions of %s do in another process what they do here", async (file, text) => {
  using project = new Project({ ...library, [file]: text });
  const sent = await project.sent(file);
  const expected: Readonly<Record<string, readonly [args: readonly unknown[], result: unknown]>> = {
    value: [[1], 8],
    classes: [[4], [8, true, 1]],
    recursion: [[5], [false, true]],
    counter: [[], [1, 2, 2]],
    imports: [[6], [60, 11, 7, 5, "b", 3]],
    dynamic: [[8], [4, "\n"]],
    fails: [[1], expect.stringMatching(/^RangeError: no 17\n/)],
  };
  expect(Object.keys(sent)).toEqual(Object.keys(expected));
  const calls = Object.entries(sent).map(([name, told]): Call => [told, ...(expected[name]?.[0] ?? [])]);
  const results = await project.callElsewhere(calls);
  expect(results).toEqual(Object.values(expected).map(([, result]) => result));
  const line = text.split("\n").findIndex((at) => at.includes("throw new RangeError")) + 1;
  const column = (text.split("\n")[line - 1] ?? "").indexOf("new RangeError") + 1;
  expect(results.at(-1)).toContain(`\n    at fails (heddle:///app/${file}:${line}:${column})\n`);
});

test("functions of vitest's modules do in another process what they do here", async () => {
  using project = new Project({
    ...library,
    "src/tasks.ts":
      'import { scale } from "./scale.mjs";\nimport add from "adder";\nconst k = 2;\n' +
      "export const get = () => (n: number) => {\n  if (n < 0) throw new Error('negative');\n  return add(scale(n)) * k;\n};\n",
  });
  await using shipper = createShipper();
  const { get } = await project.import<{ get: AnyFunction }>("src/tasks.ts");
  const sent = project.describe(await shipper.ship(get() as AnyFunction));
  const [result, stack] = await project.callElsewhere([
    [sent, 4],
    [sent, -1],
  ]);
  expect(result).toBe(82);
  expect(shipper.localStack(String(stack))).toContain(`(${project.path("src/tasks.ts")}:5:20)`);
});

test("a new function of the same text ships a new artifact when a file that it imports changed, and else the old one", async () => {
  using project = new Project({
    "help.mjs": "export const help = (n) => n + 1;",
    "main.mjs": `
      import { writeFileSync } from "node:fs";
      import { help } from "./help.mjs";
      import { shipper } from "./kit.mjs";
      const make = (k) => (n) => help(n) * k;
      const hash = async (fn) => (await shipper.ship(fn)).artifact.hash;
      const hashes = [await hash(make(1)), await hash(make(2))];
      writeFileSync(new URL("./help.mjs", import.meta.url), "export const help = (n) => n + 1000;");
      const old = make(3);
      hashes.push(await hash(old), await hash(old));
      writeFileSync(new URL("./sent.json", import.meta.url), JSON.stringify(hashes));
      await shipper[Symbol.asyncDispose]();`,
  });
  const hashes = Object.values(await project.sent("main.mjs"));
  expect(hashes[1]).toBe(hashes[0]);
  expect(hashes[2]).not.toBe(hashes[0]);
  expect(hashes[3]).toBe(hashes[2]);
});

test("nothing is bundled, and no bundler loaded, for a function that imports nothing; its values are those of the call, the first one too", async () => {
  using project = new Project({
    "main.mjs": `
      import { registerHooks } from "node:module";
      let bundlers = 0;
      registerHooks({ load: (url, context, next) => {
        if (/node_modules\\/esbuild\\//.test(url)) bundlers++;
        return next(url, context);
      } });
      const { createShipper } = await import(${JSON.stringify(new URL("./index.ts", import.meta.url).href)});
      const { decodeValue } = await import(${JSON.stringify(import.meta.resolve("@heddle/wire"))});
      const shipper = createShipper();
      let k = 2;
      const list = [1];
      const shipping = shipper.ship((n) => n * k + list.length);
      k = 3;
      list.push(2);
      const { captured } = await shipping;
      console.log(JSON.stringify(decodeValue(captured)), bundlers);`,
  });
  expect(await project.run("main.mjs")).toBe("[2,[1]] 0\n");
});
