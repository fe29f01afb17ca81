import { runInNewContext } from "node:vm";
import { expect, test } from "vitest";
import { described } from "./describe.ts";

class RLock {}

test("what a value is, is said with its article, and of an instance its class", () => {
  const said = [null, undefined, [], 1, 1n, "", () => 1, {}, Object.create(null), runInNewContext("({})")].map(
    described,
  );
  const plain = ["an object", "an object", "an object"];
  expect(said).toEqual(["null", "undefined", "an array", "a number", "a bigint", "a string", "a function", ...plain]);
  expect([new Map(), new RLock(), new Error(), new (class {})()].map(described)).toEqual([
    "a Map",
    "an RLock",
    "an Error",
    "an instance of a class",
  ]);
});
