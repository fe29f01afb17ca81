import { encodePayload, encodeRange, encodeRepeat } from "@heddle/wire";
import { describe, expect, test } from "vitest";
import { ArraySink, checkInto, type ResultSink, SettledSink, TypedSink } from "./result-sinks.ts";

function put(sink: ResultSink, index: number, ...values: unknown[]): void {
  sink.values(index, values.length, encodePayload(values, "result"));
}

test("results go to their places in an array, in whatever order they come", () => {
  const sink = new ArraySink(4);
  put(sink, 2, "c", 4);
  put(sink, 0, 1, true);
  expect(sink.results).toEqual([1, true, "c", 4]);
});

test("an array grows with results whose number is not known", () => {
  const sink = new ArraySink(undefined);
  put(sink, 3, 4);
  put(sink, 0, 1, 2, 3);
  expect(sink.results).toEqual([1, 2, 3, 4]);
});

test("an array may grow to any number of results that an array can hold", () => {
  const many = 48_000_000;
  const sink = new ArraySink(undefined);
  const step = many / 16;
  for (let index = 0; index < many; index += step) sink.values(index, step, encodeRange(0, 1, step, index));
  expect([sink.results.length, sink.results[0], sink.results.at(-1)]).toEqual([many, 0, many - 1]);
});

test("settled results are the platform's, each in its place", () => {
  const sink = new SettledSink(undefined);
  const reason = new Error("no");
  sink.failed(1, reason);
  put(sink, 2, undefined);
  put(sink, 0, { a: 1 });
  expect(sink.results).toEqual([
    { status: "fulfilled", value: { a: 1 } },
    { status: "rejected", reason },
    { status: "fulfilled", value: undefined },
  ]);
});

describe("a typed array", () => {
  test("takes numbers of every encoding", () => {
    const sink = new TypedSink(Float64Array, 8);
    put(sink, 0, 1, 2);
    put(sink, 2, 0.5, -0);
    sink.values(4, 2, encodeRange(10, 5, 2));
    sink.values(6, 2, encodeRepeat(7.5, 2, "result"));
    expect([...sink.results]).toEqual([1, 2, 0.5, -0, 10, 15, 7.5, 7.5]);
  });

  test("converts numbers as it always does", () => {
    const sink = new TypedSink(Uint8ClampedArray, 3);
    put(sink, 0, -1, 300, 1.6);
    expect(sink.results).toEqual(Uint8ClampedArray.of(0, 255, 2));
  });

  test("takes bigints when it is of them", () => {
    const sink = new TypedSink(BigInt64Array, 2);
    put(sink, 0, 1n, -1n);
    expect(sink.results).toEqual(BigInt64Array.of(1n, -1n));
    expect(() => put(sink, 0, 1)).toThrow(
      new TypeError("result 0 is a number: into: BigInt64Array takes bigints only"),
    );
  });

  test.for([
    ["true", [1, true], "result 5 is a boolean"],
    ["booleans alone", [true, false], "result 4 is a boolean"],
    ["a bigint", [1n], "result 4 is a bigint"],
    ["a string", ["5"], "result 4 is a string"],
    ["nothing", [undefined], "result 4 is undefined"],
    ["an array", [0, [1]], "result 5 is an array"],
  ] as const)("of numbers refuses %s", ([, values, words]) => {
    const sink = new TypedSink(Int32Array, 8);
    expect(() => put(sink, 4, ...values)).toThrow(new TypeError(`${words}: into: Int32Array takes numbers only`));
  });

  test("grows with results whose number is not known, and has no more elements than those", () => {
    const sink = new TypedSink(Int16Array, undefined);
    put(sink, 1, 2, 3);
    put(sink, 3, 4);
    put(sink, 0, 1);
    expect(sink.results).toEqual(Int16Array.of(1, 2, 3, 4));
    put(sink, 4, 5);
    expect(sink.results).toEqual(Int16Array.of(1, 2, 3, 4, 5));
    expect(new TypedSink(Uint8Array, undefined).results).toEqual(new Uint8Array(0));
  });
});

test("into is a typed array's class and nothing else", () => {
  for (const good of [undefined, Float64Array, Uint8ClampedArray, BigUint64Array])
    expect(() => checkInto(good)).not.toThrow();
  for (const bad of [Array, DataView, ArrayBuffer, () => 1, new Float64Array(1), "Float64Array", null])
    expect(() => checkInto(bad)).toThrow(/^into must be a typed array's class, such as Float64Array, got /);
});
