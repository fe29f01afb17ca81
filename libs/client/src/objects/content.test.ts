import { LimitError } from "@heddle/kernel";
import { expect, test } from "vitest";
import { CONTENT_BATCH_BYTES, OPERATION_BYTES_MAX } from "../limits.ts";
import { checkOperationBytes, contentOf } from "./content.ts";

const values = (count: number, bytes: number): Uint8Array[] =>
  Array.from({ length: count }, () => new Uint8Array(bytes));

test("content of an unnamed object is cut into operations of bounded bytes, in order, pairs kept together", () => {
  const pairs = values(41, 100_000).flatMap((value, n) => [Uint8Array.of(n), value]);
  const { first, rest } = contentOf(pairs, { verb: "dict-set", unit: 2, isNamed: false });
  expect([...first, ...rest.flatMap((more) => more.values)]).toEqual(pairs);
  for (const batch of [first, ...rest.map((more) => more.values)]) {
    expect(batch.length % 2).toBe(0);
    expect(batch.reduce((sum, { length }) => sum + length, 0)).toBeLessThan(CONTENT_BATCH_BYTES + 100_001);
  }
  expect(rest).toHaveLength(3);
  expect(contentOf([], { verb: "list-extend", unit: 1, isNamed: false })).toEqual({ first: [], rest: [] });
});

test("content of a named object travels whole, for it counts only when it creates the object", () => {
  const items = values(50, 100_000);
  expect(contentOf(items, { verb: "list-extend", unit: 1, isNamed: true })).toEqual({ first: items, rest: [] });
});

test("one operation has a bound", () => {
  const most = values(64, OPERATION_BYTES_MAX / 64);
  expect(checkOperationBytes(most)).toBe(most);
  expect(() => checkOperationBytes([...most, Uint8Array.of(0)])).toThrow(LimitError);
  expect(() => contentOf([...most, Uint8Array.of(0)], { verb: "list-extend", unit: 1, isNamed: true })).toThrow(
    LimitError,
  );
});
