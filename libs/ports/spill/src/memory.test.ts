import { StorageFailedError, StorageFullError, type WriteOutcome } from "@heddle/kernel";
import { expect, test } from "vitest";
import { spillContract } from "./contract.ts";
import { memorySpill } from "./memory.ts";

spillContract("memory", async () => memorySpill());

test("a disk in memory that is full, or broken, says so as a real one does", async () => {
  let outcome: WriteOutcome = "kept";
  const file = await memorySpill(() => outcome).open();
  await file.write(0, [Uint8Array.of(1)]);
  outcome = "full";
  await expect(file.write(1, [Uint8Array.of(2)])).rejects.toThrow(StorageFullError);
  expect(await file.read(0, 1)).toEqual(Uint8Array.of(1));
  outcome = "failed-lost";
  await expect(file.write(1, [Uint8Array.of(2)])).rejects.toThrow(StorageFailedError);
  await expect(file.read(0, 1)).rejects.toThrow(StorageFailedError);
});
