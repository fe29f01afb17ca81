import { CaptureError } from "@heddle/kernel";
import type { AnyFunction } from "@heddle/port-shipper";
import { describe, expect, test } from "vitest";
import { createShipper } from "./shipper.ts";
import { adder, Project } from "./testing.ts";

describe("what cannot travel is refused in words:", () => {
  const refusals: readonly {
    what: string;
    text: string;
    fn: (module: Record<string, AnyFunction>) => unknown;
    words: RegExp;
  }[] = [
    {
      what: "a class",
      text: "export class C {}",
      fn: (m) => m.C,
      words: /C .*is a class, and a class cannot be called: write \(x\) => new C\(x\)/,
    },
    {
      what: "a class with a constructor",
      text: "export class C { constructor(_n: number) {} }",
      fn: (m) => m.C,
      words: /C .*is a class, and a class cannot be called: write \(x\) => new C\(x\)/,
    },
    {
      what: "a bound function",
      text: "export function f() {}",
      fn: (m) => m.f?.bind(null),
      words: /bound f is bound to values that cannot be seen/,
    },
    {
      what: "a native addon",
      text: 'export const f = () => require("./build/addon.node");',
      fn: (m) => m.f,
      words: /native addon \.\/build\/addon\.node/,
    },
    {
      what: "the native addon of a package",
      text: 'import native from "native"; export const f = () => native;',
      fn: (m) => m.f,
      words: /native addon of the package native, loaded by bindings: .*\(imported at .*tasks\.ts:1\)/,
    },
    {
      what: "a package that is not there",
      text: 'export const f = () => import("nowhere");',
      fn: (m) => m.f,
      words: /cannot be bundled: .*"nowhere"/s,
    },
  ];

  test.each(refusals)("$what", async ({ text, fn, words }) => {
    using project = new Project({
      ...adder,
      "tasks.ts": text,
      "node_modules/native/package.json": '{"name": "native", "main": "index.js"}',
      "node_modules/native/index.js": 'module.exports = () => require("bindings")("addon");',
      "node_modules/bindings/package.json": '{"name": "bindings", "main": "index.js"}',
      "node_modules/bindings/index.js": "module.exports = (name) => name;",
    });
    await using shipper = createShipper();
    const shipped = shipper.ship(fn(await project.import<Record<string, AnyFunction>>("tasks.ts")) as AnyFunction);
    await expect(shipped).rejects.toThrow(CaptureError);
    await expect(shipped).rejects.toThrow(words);
  });

  test("modules that import the entry script, whose own functions ship as closures", async () => {
    using project = new Project({
      "entry.ts": "export const f = () => 1;",
      "tasks.ts": 'import { f } from "./entry.ts"; export const g = () => f();',
    });
    const { f } = await project.import<{ f: AnyFunction }>("entry.ts");
    const { g } = await project.import<{ g: AnyFunction }>("tasks.ts");
    await using shipper = createShipper({ entryFiles: [project.path("entry.ts")] });
    expect((await project.load(await shipper.ship(f)))()).toBe(1);
    await expect(shipper.ship(g)).rejects.toThrow(/imports the entry script .*entry\.ts/);
  });

  test("a refusal says where: variable, file and line", async () => {
    using project = new Project({
      "tasks.ts": 'export const a = 1;\nexport const f = () => require("./addon.node");',
    });
    const { f } = await project.import<{ f: AnyFunction }>("tasks.ts");
    await using shipper = createShipper();
    await expect(shipper.ship(f)).rejects.toMatchObject({
      variable: "f",
      path: "./addon.node",
      file: project.path("tasks.ts"),
      line: 2,
    });
  });
});
