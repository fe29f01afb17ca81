import { decodePayload } from "@heddle/wire";
import { expect, test } from "vitest";
import { range } from "./range.ts";
import { RangeReader } from "./readers.ts";
import { readAll } from "./testing.ts";

test.each([
  [[5], [0, 1, 2, 3, 4]],
  [[0], []],
  [[-3], []],
  [
    [2, 5],
    [2, 3, 4],
  ],
  [[5, 2], []],
  [
    [5, 2, -1],
    [5, 4, 3],
  ],
  [
    [5, 0, -2],
    [5, 3, 1],
  ],
  [
    [0, 1, 0.25],
    [0, 0.25, 0.5, 0.75],
  ],
  [[0, 7, 7], [0]],
  [
    [0, 8, 7],
    [0, 7],
  ],
  [[1, 1, -1], []],
] as [[number, number?, number?], number[]][])("range(%j) is %j", ([start, stop, step], expected) => {
  const numbers = stop === undefined ? range(start) : range(start, stop, step);
  expect([...numbers]).toEqual(expected);
  expect(numbers.length).toBe(expected.length);
});

test("range refuses step 0, what is no finite number, and more numbers than can be counted", () => {
  expect(() => range(0, 5, 0)).toThrow(RangeError);
  for (const bad of ["5", null, Number.NaN, Number.POSITIVE_INFINITY, 5n]) {
    expect(() => range(bad as never)).toThrow(TypeError);
    expect(() => range(0, 5, bad as never)).toThrow(TypeError);
  }
  expect(() => range(-Number.MAX_VALUE, Number.MAX_VALUE)).toThrow(RangeError);
});

test("at counts from either end, as arrays do", () => {
  const numbers = range(10, 0, -3);
  const same = [...numbers];
  for (const index of [0, 1, 3, 4, -1, -4, -5, 1.7, -1.7, Number.NaN]) expect(numbers.at(index)).toBe(same.at(index));
});

test("fractions cut by chunks have the same bits as uncut", () => {
  const numbers = range(-1, 1, 0.1);
  for (const count of [1, 3, 7, 100]) {
    const values = readAll(new RangeReader(numbers), { count }).flatMap((reading) =>
      reading.type === "chunk" ? decodePayload(reading.payload) : [reading],
    );
    expect(values).toEqual([...numbers]);
  }
  expect([...numbers].every((value, index) => Object.is(value, -1 + index * 0.1))).toBe(true);
});
