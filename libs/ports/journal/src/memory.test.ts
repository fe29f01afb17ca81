import { describe, expect, test } from "vitest";
import { journalContract, recovered } from "./contract.ts";
import { JournalFailedError, MemoryJournalStore, memoryJournal } from "./index.ts";
import { TestDisk } from "./testing.ts";

journalContract("memory", async () => {
  const disk = new TestDisk();
  const store = new MemoryJournalStore(disk.write);
  return {
    open: async () => memoryJournal(store),
    kill: async () => store.kill(),
    setFull: (isFull) => {
      disk.isFull = isFull;
    },
    breakDisk: () => disk.failNext("failed-lost"),
    [Symbol.asyncDispose]: async () => undefined,
  };
});

const bytes = Uint8Array.of(65);

describe("a memory journal on a disk that the test holds", () => {
  test("what comes while a commit is under way leaves in the next one", async () => {
    const disk = new TestDisk();
    await using journal = memoryJournal(new MemoryJournalStore(disk.write));
    await recovered(journal);
    disk.hold();
    const first = journal.append([bytes, bytes]);
    await Promise.resolve();
    await Promise.resolve();
    const others = Array.from({ length: 10 }, () => journal.append([bytes]));
    disk.release();
    await Promise.all([first, ...others]);
    expect(disk.asked).toEqual([2, 10]);
  });

  test("a write under way when its owner is killed is lost, and its journal says nothing more", async () => {
    const disk = new TestDisk();
    const store = new MemoryJournalStore(disk.write);
    const killed = memoryJournal(store);
    await recovered(killed);
    disk.hold();
    let settled = false;
    const settle = (): void => {
      settled = true;
    };
    killed.append([bytes]).then(settle, settle);
    await Promise.resolve();
    await Promise.resolve();
    store.kill();
    disk.release();
    await using next = memoryJournal(store);
    expect(await recovered(next)).toEqual([]);
    await next.append([bytes]);
    expect(store.position).toBe(1);
    expect(settled).toBe(false);
    await killed[Symbol.asyncDispose]();
  });

  test("what a broken disk kept all the same is there after a restart", async () => {
    const disk = new TestDisk();
    const store = new MemoryJournalStore(disk.write);
    {
      await using journal = memoryJournal(store);
      await recovered(journal);
      disk.failNext("failed-kept");
      await expect(journal.append([bytes])).rejects.toThrow(JournalFailedError);
    }
    await using next = memoryJournal(store);
    expect(await recovered(next)).toEqual(["1=A"]);
  });
});
