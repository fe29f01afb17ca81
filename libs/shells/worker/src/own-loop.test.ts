import { type EncodedPayload, encodePayload, encodeRange } from "@heddle/wire";
import { describe, expect, test } from "vitest";
import { OWN_LOOP_ITEMS } from "./limits.ts";
import { Bench } from "./testing.ts";

const COUNT = 3 * OWN_LOOP_ITEMS;
const indices = Array.from({ length: COUNT }, (_, at) => at);

/** Inputs that loops are made for, as numbers and as they travel. */
const inputs: readonly (readonly [string, readonly number[], EncodedPayload])[] = [
  ["whole numbers of a range", indices.map((at) => 7 - 2 * at), encodeRange(7, -2, COUNT)],
  [
    "whole numbers of a range that leaves 32 bits",
    indices.map((at) => 2 ** 31 - COUNT + 10 + at),
    encodeRange(2 ** 31 - COUNT + 10, 1, COUNT),
  ],
  ["other numbers of a range", indices.map((at) => 0.1 + at * 0.3), encodeRange(0.1, 0.3, COUNT)],
  [
    "listed whole numbers",
    indices.map((at) => (at * 7919) % 1_009),
    encodePayload(
      indices.map((at) => (at * 7919) % 1_009),
      "argument",
    ),
  ],
  [
    "listed other numbers",
    indices.map((at) => at / 3),
    encodePayload(
      indices.map((at) => at / 3),
      "argument",
    ),
  ],
];

const functions: readonly (readonly [string, (x: number) => unknown])[] = [
  ["whole numbers", (x) => Math.trunc(x) + 1],
  ["fractions", (x) => x / 7],
  ["zeros of both signs", (x) => (x > 50 ? 0 : -0)],
  ["booleans", (x) => x > 100],
  ["texts", (x) => `${x}`],
  ["numbers, and late something else", (x) => (x > 2_900 ? null : x)],
];

describe("a function that has run thousands of items", () => {
  for (const [inputName, values, payload] of inputs) {
    for (const [resultName, fn] of functions) {
      test(`gives ${resultName} of ${inputName} as before`, async () => {
        const bench = new Bench();
        bench.job(1, fn);
        const expected = values.map(fn);
        expect((await bench.run(1, payload)) as unknown).toMatchObject({ done: expected });
        const span = { offset: OWN_LOOP_ITEMS - 3, count: OWN_LOOP_ITEMS + 7 };
        const part = expected.slice(span.offset, span.offset + span.count);
        expect((await bench.run(1, payload, { span })) as unknown).toMatchObject({ done: part });
      });
    }
  }

  test("fails at the item that throws, and knows its index", async () => {
    const bench = new Bench();
    let index = -1;
    bench.job(1, (x: number) => {
      if (x !== COUNT - 10) return x;
      index = bench.runtime.task()?.index ?? -1;
      throw new Error("late");
    });
    const answer = await bench.run(1, encodeRange(0, 1, COUNT), { firstIndex: 1_000 });
    expect(answer).toMatchObject({ completed: COUNT - 10, offset: COUNT - 10, summary: "Error: late" });
    expect(answer).toMatchObject({ values: indices.slice(0, COUNT - 10) });
    expect(index).toBe(1_000 + COUNT - 10);
  });

  test("may give a promise at last, and goes on after it", async () => {
    const bench = new Bench();
    bench.job(1, (x: number) => (x === COUNT - 10 ? Promise.resolve("late") : x));
    const answer = await bench.run(1, encodeRange(0, 1, COUNT));
    expect(answer).toMatchObject({ done: indices.map((x) => (x === COUNT - 10 ? "late" : x)) });
  });

  test("gives a part of a chunk of many grains when one of them takes long", async () => {
    const bench = new Bench();
    bench.job(1, (x: number) => {
      if (x === COUNT - 100) bench.nowMs += 3;
      return x;
    });
    const completed = Math.ceil((COUNT - 99) / 7) * 7;
    expect(await bench.run(1, encodeRange(0, 1, COUNT), { grain: 7 })).toMatchObject({ completed });
  });

  test("is the same for all closures of one text, each with its own captured values", async () => {
    const bench = new Bench();
    const adder = (by: number) => (x: number) => x + by;
    for (const by of [1, 2, 3]) {
      bench.job(by, adder(by));
      expect(await bench.run(by, encodeRange(0, 1, COUNT))).toMatchObject({ done: indices.map((x) => x + by) });
    }
  });
});
