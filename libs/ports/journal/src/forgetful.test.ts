import { ClosedError } from "@heddle/kernel";
import { expect, test } from "vitest";
import { recovered } from "./contract.ts";
import { forgetfulJournal } from "./index.ts";

test("a forgetful journal counts what it is given, keeps none of it, and never wants a snapshot", async () => {
  const journal = forgetfulJournal();
  expect(await recovered(journal)).toEqual([]);
  await journal.append([Uint8Array.of(1), Uint8Array.of(2)]);
  expect([journal.position, journal.bytesSinceSnapshot]).toEqual([2, 0]);
  await journal.saveSnapshot(2, []);
  expect(await recovered(journal)).toEqual([]);
  await journal[Symbol.asyncDispose]();
  await expect(journal.append([])).rejects.toThrow(ClosedError);
  await expect(journal.saveSnapshot(2, [])).rejects.toThrow(ClosedError);
});
