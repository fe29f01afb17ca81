import { runInNewContext } from "node:vm";
import { expect, test } from "vitest";
import { described, objectText, shownKey, withArticle } from "./words.ts";

test("an object is named by its name, or by the beginning of its id", () => {
  expect(objectText("@ledger")).toBe('"ledger"');
  expect(objectText("@@x")).toBe('"@x"');
  expect(objectText("3c31df9a".repeat(4))).toBe("3c31df9a");
  expect(objectText(`@${"3c31df9a".repeat(4)}`)).toBe(`"${"3c31df9a".repeat(4)}"`);
  expect(objectText(`@${"x".repeat(300)}`)).toBe(`"${"x".repeat(100)}..."`);
});

test("articles are as they are spoken", () => {
  const nouns = ["array of 3 i32", "event", "rlock", "RLock", "Lock", "one-way pipe", "value of u8", "Uint8Array"];
  expect(nouns.map(withArticle).map((text) => text.split(" ", 1)[0])).toEqual("an an an an a a a a".split(" "));
});

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

test("keys are shown as they are written", () => {
  expect([1, 2n, true, "a", ["b", [3n]]].map(shownKey)).toEqual(["1", "2n", "true", '"a"', '["b", [3n]]']);
});
