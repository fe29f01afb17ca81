import { StateError } from "@heddle/kernel";
import type { AnyFunction } from "@heddle/port-shipper";
import { describe, expect, test } from "vitest";
import { HandleRegistry } from "./handles.ts";
import { createShipper } from "./shipper.ts";
import { Project } from "./testing.ts";

describe("what no export is ships with what it closes over:", () => {
  const closures: readonly {
    what: string;
    text: string;
    fn: (module: Record<string, AnyFunction>) => unknown;
    expected: unknown;
  }[] = [
    { what: "an inline function", text: "", fn: () => (n: number) => n, expected: 20 },
    {
      what: "a function that is not exported",
      text: "function f() { return 1; } export const get = () => f;",
      fn: (m) => m.get?.(),
      expected: 1,
    },
    {
      what: "an inner function of an exported one's name",
      text: "export function f() { return function f() { return 2; }; }",
      fn: (m) => m.f?.(),
      expected: 2,
    },
    {
      what: "a name that was given another function",
      text: "export let f = () => 1; f = () => 2;",
      fn: (m) => m.f,
      expected: 2,
    },
    {
      what: "a name that a pattern gave another function",
      text: "export let f = () => 1; [f] = [() => 2];",
      fn: (m) => m.f,
      expected: 2,
    },
    { what: "the default of a pattern", text: "export const { f = () => 1 } = {};", fn: (m) => m.f, expected: 1 },
    {
      what: "a function of a factory",
      text: "const make = (by: number) => (n: number) => n * by; export const f = make(3);",
      fn: (m) => m.f,
      expected: 60,
    },
    {
      what: "an argument of a call",
      text: "function same<T>(it: T) { return it; } export const f = same(function f() { return 4; });",
      fn: (m) => m.f,
      expected: 4,
    },
    {
      what: "a static method",
      text: "export class C { static m() { return 5; } }",
      fn: (m) => Reflect.get(m.C ?? {}, "m"),
      expected: 5,
    },
    {
      what: "a method of instances",
      text: "export class C { m() { return 6; } } export const c = () => new C().m;",
      fn: (m) => m.c?.(),
      expected: 6,
    },
    {
      what: "a method of an object",
      text: "export const o = { async m() { return 7; } };",
      fn: (m) => Reflect.get(m.o ?? {}, "m"),
      expected: 7,
    },
    {
      what: "a method of a made up name",
      text: "const key = Symbol(); export const o = { *[key]() { yield 1; } }; export const get = () => { const m = o[key]; return () => [...m()]; };",
      fn: (m) => m.get?.(),
      expected: [1],
    },
    {
      what: "a function in an object",
      text: "export default { f: () => 8 };",
      fn: (m) => Reflect.get(m.default ?? {}, "f"),
      expected: 8,
    },
    { what: "a function of the language", text: "", fn: () => Math.sqrt, expected: Math.sqrt(20) },
    { what: "evaluated code", text: "", fn: () => new Function("n", "return n + 1"), expected: 21 },
    {
      what: "a class that captured values define",
      text: "const unit = { n: 2 }; class C { static twice = unit.n; m(n: number) { return n * C.twice; } } export const get = () => { const c = C; return (n: number) => new c().m(n); };",
      fn: (m) => m.get?.(),
      expected: 40,
    },
  ];

  test.each(closures)("$what", async ({ text, fn, expected }) => {
    using project = new Project({ "tasks.ts": text });
    await using shipper = createShipper();
    const module = await project.import<Record<string, AnyFunction>>("tasks.ts");
    const loaded = await project.load(await shipper.ship(fn(module) as AnyFunction));
    expect(await loaded(20)).toEqual(expected);
  });

  test("whose script Node.js was started with, without running that again, and with its own lines in stacks", async () => {
    using project = new Project({
      "loads.ts": `
        import { createFunctionLoader } from ${JSON.stringify(new URL("./loader.ts", import.meta.url).href)};
        import { decodeValue } from ${JSON.stringify(import.meta.resolve("@heddle/wire"))};
        const { artifact, exportName, captured } = JSON.parse(process.argv[2] ?? "");
        const make = await createFunctionLoader().load(artifact, artifact.slice(-68, -4), exportName) as Function;
        const fn = make(() => decodeValue(new Uint8Array(captured)));
        try { console.log(fn(1)); fn(2); } catch (error) { console.log((error as Error).stack); }`,
      "main.ts": `
        import { execFileSync } from "node:child_process";
        import { writeFileSync } from "node:fs";
        import { createShipper } from ${JSON.stringify(new URL("./index.ts", import.meta.url).href)};
        console.log("top level of", process.pid === Number(process.env.FIRST ??= String(process.pid)) ? "main" : "another");
        const k: number = 20;
        interface Unused { a: 1 }
        const f = (n: number): number => {
          if (n > 1) throw new RangeError("too much");
          return n + k;
        };
        await using shipper = createShipper();
        const { artifact, exportName, captured } = await shipper.ship(f);
        const path = import.meta.dirname + "/" + artifact.hash + ".mjs";
        writeFileSync(path, artifact.bytes);
        const told = JSON.stringify({ artifact: path, exportName, captured: [...(captured as Uint8Array)] });
        const options = ["--enable-source-maps", "--conditions=@heddle/source", import.meta.dirname + "/loads.ts", told];
        console.log(shipper.localStack(String(execFileSync(process.execPath, options))));`,
    });
    const printed = await project.run("main.ts");
    expect(printed).toContain("top level of main\n21\nRangeError: too much\n");
    expect(printed).toContain(`at f (${project.path("main.ts")}:9:28)`);
    expect(printed.match(/top level/g)).toHaveLength(1);
  });

  test("with the values of each call, and code that is sent once", async () => {
    using project = new Project({});
    await using shipper = createShipper();
    let by = 2;
    const list = [1];
    const fn = (n: number): number[] => [...list, n * by];
    const first = await shipper.ship(fn);
    by = 3;
    list.push(2);
    const second = await shipper.ship(fn);
    expect(second.artifact.hash).toBe(first.artifact.hash);
    expect((await project.load(first))(10)).toEqual([1, 20]);
    expect((await project.load(second))(10)).toEqual([1, 2, 30]);
  });

  test("with large captured values as an artifact of their own", async () => {
    using project = new Project({});
    await using shipper = createShipper();
    const table = Array.from({ length: 1_000 }, (_, at) => at * at);
    const shipped = await shipper.ship((n: number) => table[n]);
    expect(shipped.captured).toMatchObject({ hash: expect.stringMatching(/^[0-9a-f]{64}$/) });
    expect((await project.load(shipped))(20)).toBe(400);
  });

  test("with nothing of where the checkout is in its code", async () => {
    const text = "const k = 2; export const get = () => (n: number) => { throw new Error(String(n * k)); };";
    const hashes = new Set<string>();
    for (let copy = 0; copy < 2; copy++) {
      using project = new Project({ "package.json": '{"name": "app"}', "src/tasks.ts": text });
      await using shipper = createShipper();
      const { get } = await project.import<{ get: AnyFunction }>("src/tasks.ts");
      const { artifact } = await shipper.ship(get() as AnyFunction);
      expect(new TextDecoder().decode(artifact.bytes)).not.toContain(project.root);
      hashes.add(artifact.hash);
    }
    expect(hashes.size).toBe(1);
  });

  test("a stand-in for a module's export ships that module, captured or not, and cannot be called", async () => {
    using project = new Project({ "tasks.ts": "export const double = (n: number) => 2 * n;" });
    await using shipper = createShipper();
    const url = new URL(`file://${project.path("tasks.ts")}`);
    const double = shipper.handle(url, "double");
    expect(() => double(1)).toThrow(StateError);
    expect((await project.load(await shipper.ship(double)))(20)).toBe(40);
    expect((await project.load(await shipper.ship((n: number) => (double(n) as number) + 1)))(20)).toBe(41);
    await expect(shipper.ship(shipper.handle(url, "triple"))).rejects.toThrow(/triple .*is not an export of/);
    expect(() => shipper.handle(new URL("./nowhere.ts", url), "f")).toThrow(/there is no such file/);
  });

  test("a stand-in for a module gives stand-ins for its exports, and ships as the module where it is captured", async () => {
    using project = new Project({ "tasks.ts": "export const double = (n: number) => 2 * n; export const then = 1;" });
    await using shipper = createShipper();
    const url = new URL(`file://${project.path("tasks.ts")}`);
    const tasks = shipper.handle(url, "*") as unknown as Record<"double" | "triple", AnyFunction>;
    expect(await tasks).toBe(tasks); // it is no promise, whatever the module exports
    expect(tasks.double).toBe(tasks.double);
    expect(() => tasks.double(1)).toThrow(StateError);
    expect((await project.load(await shipper.ship(tasks.double)))(20)).toBe(40);
    expect((await project.load(await shipper.ship((n: number) => tasks.double(n))))(20)).toBe(40);
    const inside = { tasks };
    expect((await project.load(await shipper.ship((n: number) => inside.tasks.double(n))))(20)).toBe(40);
    await expect(shipper.ship(tasks.triple)).rejects.toThrow(/triple .*is not an export of/);
    await expect(shipper.ship(tasks as unknown as AnyFunction)).rejects.toThrow(/is a module, which cannot be called/);
  });

  test("an object that was registered for a module ships as that module", async () => {
    using project = new Project({ "tasks.ts": "export const double = (n: number) => 2 * n;" });
    const handles = new HandleRegistry();
    await using shipper = createShipper({ handles });
    const tasks = { double: (n: number): number => n };
    handles.register(tasks, { file: project.path("tasks.ts"), exportName: "*" });
    expect((await project.load(await shipper.ship((n: number) => tasks.double(n))))(20)).toBe(40);
  });

  test("with a name that a tool gave it later", async () => {
    using project = new Project({});
    await using shipper = createShipper();
    const fn = Object.defineProperty(function made() {}, "name", { value: "given", configurable: true });
    const sent = await shipper.ship(fn);
    expect(sent.displayName).toBe("given");
    expect(await project.load(sent)).toHaveProperty("name", "given");
  });
});
