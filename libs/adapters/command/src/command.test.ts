import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { InvalidArgumentError, NotFoundError, TimeoutError, UnavailableError } from "@heddle/kernel";
import { afterAll, describe, expect, test } from "vitest";
import { removeAddressFile, writeAddressFile } from "./address-file.ts";
import { exitCodeOf, messageOf } from "./exit-codes.ts";
import { nearest } from "./nearest.ts";
import { packageVersion } from "./package-version.ts";

const scratch = mkdtempSync(join(tmpdir(), "command-test-"));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

test("an address file appears whole, replaces an older one and leaves nothing beside it", () => {
  const path = join(scratch, "a.json");
  writeAddressFile(path, { address: "127.0.0.1:1", pid: 1 });
  writeAddressFile(path, { address: "127.0.0.1:2", pid: 2 });
  expect(readFileSync(path, "utf8")).toBe('{"address":"127.0.0.1:2","pid":2}\n');
  expect(readdirSync(scratch)).toEqual(["a.json"]);
  removeAddressFile(path);
  removeAddressFile(path);
  expect(readdirSync(scratch)).toEqual([]);
});

test("an address file in a folder that is not there is an error", () => {
  expect(() => writeAddressFile(join(scratch, "none", "a.json"), {})).toThrow("ENOENT");
});

describe("exit codes", () => {
  test("errors that scripts tell apart have codes of their own", () => {
    const errors = [
      new InvalidArgumentError("x"),
      new NotFoundError("x"),
      new UnavailableError("x"),
      new TimeoutError("x"),
      new Error("x"),
      "x",
    ];
    expect(errors.map(exitCodeOf)).toEqual([2, 3, 5, 124, 1, 1]);
  });

  test("every error has words", () => {
    expect([new Error("why"), new RangeError(""), "text"].map(messageOf)).toEqual(["why", "RangeError", "text"]);
  });
});

test("the nearest word is the one a typing mistake away, and none when nothing is", () => {
  const words = ["nodes", "jobs", "listen"];
  expect(["node", "ndoes", "JOBS", "lisetn", "sausage", ""].map((word) => nearest(word, words))).toEqual([
    "nodes",
    "nodes",
    "jobs",
    "listen",
    undefined,
    undefined,
  ]);
});

test("a module knows the release of its package", () => {
  expect(packageVersion(import.meta.url)).toMatch(/^\d+\.\d+\.\d+$/);
});
