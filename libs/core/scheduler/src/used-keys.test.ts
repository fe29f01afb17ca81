import { expect, test } from "vitest";
import { UsedKeys } from "./used-keys.ts";

test("a key is new once, in whatever order keys come", () => {
  const keys = new UsedKeys();
  expect([7, 3, 7, 5, 3].map((key) => keys.claim(key))).toEqual([true, true, false, true, false]);
});

test("of many keys the lowest are forgotten, and count as used", () => {
  const keys = new UsedKeys();
  for (let key = 0; key < 100_000; key += 10) expect(keys.claim(key)).toBe(true);
  expect([0, 5, 50_000, 99_980, 99_985].map((key) => keys.claim(key))).toEqual([false, false, false, false, true]);
});
