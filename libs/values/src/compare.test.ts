import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { compareValues, equalValues } from "./index.ts";

const values = fc.anything({
  withBigInt: true,
  withBoxedValues: true,
  withDate: true,
  withMap: true,
  withSet: true,
  withTypedArray: true,
  withSparseArray: true,
});

/** The language itself puts undefined last, whatever the comparer says. */
function sorted(unsorted: readonly unknown[]): unknown[] {
  return unsorted
    .map((value) => ({ value }))
    .sort((a, b) => compareValues(a.value, b.value))
    .map(({ value }) => value);
}

describe("the order of values", () => {
  test("is total: antisymmetric, transitive, and 0 exactly for equal ones", () => {
    fc.assert(
      fc.property(values, values, values, (a, b, c) => {
        expect(Math.sign(compareValues(a, b))).toBe(-Math.sign(compareValues(b, a)) + 0);
        expect(compareValues(a, b) === 0).toBe(equalValues(a, b));
        const [low, middle, high] = sorted([a, b, c]);
        expect(compareValues(low, middle)).toBeLessThanOrEqual(0);
        expect(compareValues(middle, high)).toBeLessThanOrEqual(0);
        expect(compareValues(low, high)).toBeLessThanOrEqual(0);
      }),
      { numRuns: 1_000 },
    );
  });

  test("is 0 for copies", () => {
    fc.assert(
      fc.property(values, (value) => {
        expect(compareValues(value, structuredClone(value))).toBe(0);
      }),
    );
  });

  test("goes by kind, then by content", () => {
    const values = [
      undefined,
      null,
      false,
      true,
      Number.NEGATIVE_INFINITY,
      -1,
      -0,
      0,
      1,
      Number.POSITIVE_INFINITY,
      Number.NaN,
      -5n,
      2n ** 70n,
      "",
      "a",
      "b",
      new Date(0),
      new Date(1),
      /a/,
      new ArrayBuffer(1),
      Int8Array.of(5),
      Uint8Array.of(1),
      Object(1),
      new Error("a"),
      new Error("b"),
      [],
      [1],
      [1, 2],
      new Set(),
      new Set([1]),
      new Map(),
      new Map([[1, 2]]),
      {},
      { a: 1 },
      { a: 1, b: 0 },
      { a: 2 },
    ];
    expect(sorted(values.toReversed()).map(String)).toEqual(values.map(String));
  });

  test("ignores the order of an object's fields", () => {
    expect(compareValues({ a: 1, b: 2 }, { b: 2, a: 1 })).toBe(0);
  });

  test("does not exist for functions, symbols and what is too deep", () => {
    expect(() => compareValues(() => 1, 2)).toThrow(TypeError);
    expect(() => compareValues(Symbol(), 2)).toThrow(TypeError);
    let [a, b]: unknown[] = [1, 2];
    for (let depth = 0; depth < 1_100; depth++) [a, b] = [[a], [b]];
    expect(() => compareValues(a, b)).toThrow(RangeError);
  });

  test("exists for whatever is at the deepest place where a value can be", () => {
    const bottoms: readonly (readonly [less: unknown, more: unknown])[] = [
      [1, 2],
      [Object("a"), Object("b")],
      [new Date(1), new Date(2)],
    ];
    for (let [a, b] of bottoms) {
      for (let depth = 0; depth < 1_000; depth++) [a, b] = [[a], [b]];
      expect(compareValues(a, b)).toBeLessThan(0);
    }
  });
});
