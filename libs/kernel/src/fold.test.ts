import { expect, test } from "vitest";
import { FOLD_BLOCK_ITEMS as BLOCK, foldedCount } from "./fold.ts";

test.for([
  ["no whole block: one value for each item", 1, BLOCK - 1, BLOCK - 1],
  ["a block cut in two by the span's start", BLOCK / 2, BLOCK, BLOCK],
  ["one whole block", BLOCK, BLOCK, 1],
  ["two whole blocks between pieces of others", BLOCK - 3, 2 * BLOCK + 5, 3 + 2 + 2],
  ["nothing", 7, 0, 0],
] as const)("folded: %s", ([, first, count, values]) => {
  expect(foldedCount(first, count)).toBe(values);
});

test("a job that is cut anywhere has as many values as its pieces", () => {
  for (const cut of [1, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK])
    expect(foldedCount(0, cut) + foldedCount(cut, 4 * BLOCK - cut)).toBe(cut % BLOCK === 0 ? 4 : 3 + BLOCK);
});
