import { LimitError } from "@heddle/kernel";
import { decodeValue, ValueEncoder } from "@heddle/wire";
import { describe, expect, test } from "vitest";
import { encodeKey, type Key, keyText } from "./keys.ts";

const encoder = new ValueEncoder("value");
const bytesOf = (key: unknown): number[] => [...encodeKey(key, encoder)];

describe("keys", () => {
  test("are the same bytes when they are the same key, and others when not", () => {
    const shared = [1];
    const same: [unknown, unknown][] = [
      [-0, 0],
      [[-0], [0]],
      [
        [shared, shared],
        [[1], [1]],
      ],
      ["a", String("a")],
    ];
    for (const [one, other] of same) expect(bytesOf(one)).toEqual(bytesOf(other));
    const others: Key[] = [0, "0", 0n, false, [0], [[0]], [], ["0"], "", 1, 1.5, true];
    expect(new Set(others.map((key) => keyText(encodeKey(key, encoder)))).size).toBe(others.length);
  });

  test("come back as they were", () => {
    const keys: Key[] = ["text", "\ud800", 2 ** 40, -1, 10n ** 30n, true, [1, ["a", [2n, [false]]]], []];
    for (const key of keys) expect(decodeValue(encodeKey(key, encoder))).toEqual(key);
  });

  test("are no NaN, no objects, no holes, at any depth", () => {
    const sparse: unknown[] = [1];
    sparse[2] = 1;
    for (const key of [Number.NaN, [Number.NaN], null, undefined, {}, [{}], Symbol.iterator, () => 1, sparse, [[null]]])
      expect(() => encodeKey(key, encoder)).toThrow(TypeError);
  });

  test("have 1 KiB and four arrays inside each other at most, cyclic ones included", () => {
    expect(bytesOf([[[["deep"]]]])).toHaveLength(9);
    const cyclic: unknown[] = [];
    cyclic.push(cyclic);
    for (const key of [[[[[[1]]]]], cyclic]) expect(() => encodeKey(key, encoder)).toThrow(/4 deep at most/);
    expect(encodeKey("x".repeat(1_021), encoder)).toHaveLength(1_024);
    for (const key of ["x".repeat(1_022), "ä".repeat(600), Array(2_000).fill(1), 2n ** 10_000n])
      expect(() => encodeKey(key, encoder)).toThrow(LimitError);
  });
});
