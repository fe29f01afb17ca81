import { equalValues } from "@heddle/values";
import fc from "fast-check";
import { expect, test } from "vitest";
import { fingerprint } from "./fingerprint.ts";

const value = fc.anything({
  withBigInt: true,
  withDate: true,
  withMap: true,
  withSet: true,
  withTypedArray: true,
  maxDepth: 3,
  maxKeys: 3,
});

test("values have the same fingerprint exactly when they are equal in structure", () => {
  const property = fc.property(value, value, (a, b) => {
    expect(fingerprint(structuredClone(a))).toBe(fingerprint(a));
    expect(fingerprint(a) === fingerprint(b)).toBe(equalValues(a, b));
  });
  fc.assert(property, { numRuns: 2_000, seed: 1 });
});

test("lists and words that are nearly the same have fingerprints of their own", () => {
  const near: unknown[] = [
    [],
    [[]],
    [0],
    [-0],
    ["0"],
    [0n],
    [false],
    [null],
    [undefined],
    ["", ""],
    [""],
    {},
    { a: 1 },
    [["a", 1]],
  ];
  for (let size = 0; size < 40; size++) {
    for (let first = 0; first < 40; first++)
      near.push(Array.from({ length: size + 2 }, (_, at) => (at === size ? first : at)));
  }
  const prints = new Map(near.map((each) => [fingerprint(each), each]));
  for (const each of near) expect(prints.get(fingerprint(each))).toEqual(each);
  expect(fingerprint({ a: 1, b: 2 })).toBe(fingerprint({ b: 2, a: 1 }));
  expect(fingerprint([])).toMatch(/^[0-9a-f]{16}$/);
});

test("what is no value has none", () => {
  expect(() => fingerprint([() => 1])).toThrow(new TypeError("a function is no value"));
});
