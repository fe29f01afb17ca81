import { CAPTURED_INLINE_BYTES_MAX, ProtocolError } from "@heddle/kernel";
import type { AnyFunction, FunctionMaker } from "@heddle/port-shipper";
import { type EncodedPayload, encodePayload, encodeRepeat, encodeValue } from "@heddle/wire";
import { describe, expect, test } from "vitest";
import { ARGUMENT_FUNCTIONS_MAX } from "./limits.ts";
import { type Answer, Bench } from "./testing.ts";

const hash = "f".repeat(64);
/** What the worker asked its agent for. */
const wanted = (bench: Bench): string[] => bench.said("wantArtifact").map((want) => want.hash);
const captured = (...values: unknown[]): Uint8Array => encodeValue(values, "value");
/** Functions of makers among captured values travel as their index. */
const indexOf = (functions: readonly AnyFunction[]) => ({
  reduceFunction: (fn: unknown) => functions.indexOf(fn as AnyFunction),
});

describe("a job that is a closure", () => {
  test("runs what its maker makes of the captured values, made once", async () => {
    const bench = new Bench();
    let made = 0;
    const maker: FunctionMaker = (values) => {
      made++;
      const [by, { more }] = values([]) as [number, { more: Map<string, number> }];
      return (x: number) => x * by + (more.get("x") ?? 0);
    };
    bench.closure(1, maker, captured(10, { more: new Map([["x", 1]]) }));
    expect(await bench.run(1, [1, 2])).toMatchObject({ done: [11, 21] });
    expect(await bench.run(1, [3])).toMatchObject({ done: [31] });
    expect(made).toBe(1);
  });

  test("finds the maker's own functions among the captured values", async () => {
    const bench = new Bench();
    const twice = (x: number) => 2 * x;
    const maker: FunctionMaker = (values) => {
      const [{ table }] = values([Math.abs, twice]) as [{ table: ((x: number) => number)[] }];
      return (x: number) => table.map((fn) => fn(x));
    };
    bench.closure(1, maker, encodeValue([{ table: [twice, twice] }], "value", indexOf([Math.abs, twice])));
    expect(await bench.run(1, [3])).toMatchObject({ done: [[6, 6]] });
  });

  test("reads captured values that are an artifact of their own, and asks again where they are when they have moved", async () => {
    const bench = new Bench();
    bench.values.set(hash, captured("large"));
    const maker: FunctionMaker = (values) => () => values([])[0];
    const own = { capturedArtifact: hash, captured: new Uint8Array(0) };
    bench.closure(1, maker, own.captured, { ...own, capturedLocation: "/a" });
    expect(await bench.run(1, [0])).toMatchObject({ done: ["large"] });
    expect(wanted(bench)).toEqual([]);
    bench.missingAt = "/evicted";
    bench.closure(2, maker, own.captured, { ...own, capturedLocation: "/evicted" });
    expect(await bench.run(2, [0])).toMatchObject({ done: ["large"] });
    expect(wanted(bench)).toEqual([hash]);
  });

  test.each([
    ["are no values at all", Uint8Array.of(0xc1), /captured values are broken/],
    ["are cut short", captured("some text").subarray(0, 5), /captured values are broken/],
    ["are no array", encodeValue({ 0: 1 }, "value"), /captured values are no array/],
    ["name a function that there is not", encodeValue([Math.abs], "value", { reduceFunction: () => 7 }), /function 7/],
  ])("whose captured values %s is the fabric's failure in words", async (_what, bytes, summary) => {
    const bench = new Bench();
    bench.closure(1, (values) => () => values([Math.abs]), bytes);
    const made: FunctionMaker = (values) => {
      values([Math.abs]);
      return () => 0;
    };
    bench.closure(2, made, bytes);
    expect(await bench.run(2, [0])).toMatchObject({
      completed: 0,
      refused: { code: "protocol" },
      summary: expect.stringMatching(summary),
    });
  });

  test("whose maker throws has that error, which is the user's own", async () => {
    const bench = new Bench();
    bench.closure(
      1,
      () => {
        throw new RangeError("in a static block");
      },
      captured(),
    );
    const answer = (await bench.run(1, [0], { span: { offset: 0, count: 1 } })) as { error: unknown };
    expect(answer).toMatchObject({ completed: 0, offset: 0, summary: "RangeError: in a static block" });
    expect(answer.error).toBeInstanceOf(RangeError);
  });
});

/** Says how each function travels. */
function withFunctions(items: readonly unknown[], described: ReadonlyMap<unknown, object>): EncodedPayload {
  return encodePayload(items, "argument", { reduceFunction: (fn) => described.get(fn) });
}

/** A function among arguments, which the bench knows as an export. */
function argument(bench: Bench, exportName: string, fn: unknown, more: object = {}): [AnyFunction, object] {
  bench.functions.set(exportName, fn);
  return [() => "only its description travels", { artifact: hash, exportName, name: exportName, ...more }];
}

const call = (item: unknown): unknown => (typeof item === "function" ? item(3) : item);

describe("functions among arguments", () => {
  test("are functions again, wherever in a chunk and an item, the same one each time", async () => {
    const bench = new Bench();
    const one = argument(bench, "one", (x: number) => x + 1);
    const two = argument(bench, "two", (values: Parameters<FunctionMaker>[0]) => (x: number) => [x, ...values([])], {
      captured: captured("c"),
    });
    const described = new Map([one, two]);
    bench.job(1, call);
    expect(await bench.run(1, withFunctions([1, one[0], "a", two[0], one[0]], described))).toMatchObject({
      done: [1, 4, "a", [3, "c"], 4],
    });
    const deep = (item: { f: unknown; m: Map<unknown, unknown>; g: unknown }) => [
      item.f === item.m.get("f"),
      call(item.g),
    ];
    bench.job(2, deep);
    const item = { f: one[0], m: new Map([["f", one[0]]]), g: two[0] };
    expect(await bench.run(2, withFunctions([item], described))).toMatchObject({ done: [[true, [3, "c"]]] });
    bench.job(3, (f: AnyFunction, x: number) => f(x), true);
    expect(await bench.run(3, withFunctions([[one[0], 7]], described))).toMatchObject({ done: [8] });
    bench.job(4, call);
    expect(await bench.run(4, encodeRepeat(one[0], 3, "argument", { reduceFunction: () => one[1] }))).toMatchObject({
      done: [4, 4, 4],
    });
  });

  test("are asked for once, whatever number of functions is in an artifact", async () => {
    const bench = new Bench();
    const described = new Map(["a", "b", "c"].map((name) => argument(bench, name, () => name)));
    bench.job(1, call);
    const items = [...described.keys()];
    expect(await bench.run(1, withFunctions([items[0], items[1], items[2], items[0]], described))).toMatchObject({
      done: ["a", "b", "c", "a"],
    });
    expect(wanted(bench)).toEqual([hash]);
    await bench.run(1, withFunctions(items, described));
    expect(wanted(bench)).toEqual([hash]);
  });

  test("differ by what they capture, inline or as an artifact", async () => {
    const bench = new Bench();
    bench.values.set("e".repeat(64), captured("large"));
    const maker: FunctionMaker = (values) => () => values([])[0];
    const described = new Map([
      argument(bench, "m", maker, { captured: captured(1) }),
      argument(bench, "m", maker, { captured: captured(2) }),
      argument(bench, "m", maker, { capturedArtifact: "e".repeat(64) }),
    ]);
    bench.job(1, call);
    expect(await bench.run(1, withFunctions([...described.keys()], described))).toMatchObject({
      done: [1, 2, "large"],
    });
  });

  test("of which one item has more than a worker keeps all come", async () => {
    const bench = new Bench();
    const maker: FunctionMaker = (values) => () => values([])[0];
    const count = ARGUMENT_FUNCTIONS_MAX + 500;
    const described = new Map(
      Array.from({ length: count }, (_, at) => argument(bench, "m", maker, { captured: captured(at) })),
    );
    bench.job(1, (all: AnyFunction[]) => all.map((one) => one()));
    const item = [...described.keys()];
    const expected = Array.from({ length: count }, (_, at) => at);
    const answer = bench.run(1, withFunctions([item, 0 as never, item].filter(Array.isArray), described));
    expect(await answer).toMatchObject({ done: [expected, expected] });
  });

  test("are fetched in their turn: items before run first, once, with their marks, index and values kept", async () => {
    const bench = new Bench();
    const seen: unknown[] = [];
    const one = argument(bench, "one", (x: number) => x);
    bench.job(1, async (item: unknown) => {
      seen.push([typeof item, bench.runtime.task()?.index, wanted(bench).length]);
      return call(item);
    });
    const payload = withFunctions([10, 20, one[0], 30], new Map([one]));
    const more = { marks: true, firstIndex: 100, span: { offset: 1, count: 3 } };
    expect(await bench.run(1, payload, more)).toMatchObject({ done: [20, 3, 30] });
    expect(seen).toEqual([
      ["number", 101, 0],
      ["function", 102, 1],
      ["number", 103, 1],
    ]);
    expect(bench.marks.map(([, offset]) => offset)).toEqual([1, 2, 3]);
  });

  test.each([
    ["cannot be had", "protocol", "cannot be had: nobody has it", (bench: Bench) => (bench.place = "")],
    [
      "are not in their artifact",
      "protocol",
      "no such export",
      (bench: Bench) => bench.functions.set("one", new ProtocolError("no such export")),
    ],
  ])("that %s fail their item in words", async (_what, code, words, spoil) => {
    const bench = new Bench();
    const one = argument(bench, "one", () => 0);
    spoil(bench);
    bench.job(1, call);
    expect(await bench.run(1, withFunctions([1, one[0], 2], new Map([one])))).toMatchObject({
      completed: 1,
      values: [1],
      offset: 1,
      refused: { code, message: expect.stringContaining(words) },
    });
  });

  test("whose module throws fail their item with its error", async () => {
    const bench = new Bench();
    const one = argument(bench, "one", new SyntaxError("unexpected"));
    bench.job(1, call);
    const answer = await bench.run(1, withFunctions([one[0]], new Map([one])));
    expect(answer).toMatchObject({ completed: 0, summary: "SyntaxError: unexpected", error: expect.any(SyntaxError) });
  });

  test.each([
    ["a number", 7],
    ["no artifact", { exportName: "one" }],
    ["captured values that are text", { artifact: hash, exportName: "one", captured: "c" }],
    [
      "too many captured values",
      { artifact: hash, exportName: "one", captured: new Uint8Array(CAPTURED_INLINE_BYTES_MAX + 1) },
    ],
  ])("described by %s are refused", async (_what, description) => {
    const bench = new Bench();
    bench.job(1, call);
    const payload = encodePayload([() => 0], "argument", { reduceFunction: () => description });
    expect(await bench.run(1, payload)).toMatchObject({ refused: { code: "serialization", side: "argument" } });
    expect(wanted(bench)).toEqual([]);
  });

  test("stop no other chunk when they fail", async () => {
    const bench = new Bench();
    const one = argument(bench, "one", () => 0);
    bench.place = "";
    bench.job(1, call);
    bench.tell(...bench.chunk(1, withFunctions([one[0]], new Map([one]))), ...bench.chunk(1, [5]));
    const answers: readonly Answer[] = await bench.answered(2);
    expect(answers[1]).toEqual({ assignment: 2, done: [5] });
  });
});
