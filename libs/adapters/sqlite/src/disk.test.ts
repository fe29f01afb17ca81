import { readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { silentLogger } from "@heddle/kernel";
import { type Journal, JournalFailedError, JournalFullError } from "@heddle/port-journal";
import { afterAll, describe, expect, onTestFinished, test } from "vitest";
import { openSqliteJournal } from "./index.ts";
import { swapLog } from "./testing/broken-log.ts";
import { startChild } from "./testing/child.ts";
import { checkRecords, recordAt } from "./testing/records.ts";
import { scratchDirectory } from "./testing/scratch.ts";
import { smallDisk } from "./testing/small-disk.ts";
import { failingFlushes } from "./testing/strace.ts";

const scratch = scratchDirectory();
afterAll(() => scratch[Symbol.dispose]());

async function openReady(directory: string, bytesMax?: number): Promise<Journal> {
  const limits = bytesMax === undefined ? {} : { bytesMax };
  const journal = await openSqliteJournal({ directory, log: silentLogger, ...limits });
  await checkRecords(journal);
  return journal;
}

/** Appends one after the other until it is refused; gives the refusal. */
async function appendUntilRefused(journal: Journal): Promise<unknown> {
  for (let appended = 0; appended < 1_000_000; appended++) {
    try {
      await journal.append([recordAt(journal.position + 1)]);
    } catch (error) {
      return error;
    }
  }
  return undefined;
}

/** The last position that an appender printed, and the last line, which says how it ended. */
function endOf(lines: readonly string[]): [number, string] {
  return [Number(lines.findLast((line) => /^\d+$/.test(line)) ?? 0), lines.at(-1) ?? ""];
}

describe("a full disk", () => {
  test("refuses records, keeps those before, and takes more as soon as there is space", async (context) => {
    using disk = smallDisk(scratch.fresh());
    if (disk === undefined) return context.skip("a disk of 2 MiB takes the right to mount; the quota below stands in");
    const directory = join(disk.path, "journal");
    const filler = join(disk.path, "filler");
    writeFileSync(filler, new Uint8Array(500_000));
    {
      await using journal = await openReady(directory);
      expect(await appendUntilRefused(journal)).toBeInstanceOf(JournalFullError);
      const { position } = journal;
      expect(position).toBeGreaterThan(50);
      await expect(journal.append([recordAt(position + 1)])).rejects.toThrow(JournalFullError);
      await expect(journal.saveSnapshot(position, [new Uint8Array(10)])).rejects.toThrow(JournalFullError);
      expect(readdirSync(directory).filter((name) => name.startsWith("snapshot"))).toEqual([]);
      expect(journal.position).toBe(position);
      rmSync(filler);
      for (let more = 1; more <= 20; more++) {
        await journal.append([recordAt(position + more)]);
        expect(journal.position).toBe(position + more);
      }
    }
    await using journal = await openReady(directory);
    expect(journal.position).toBeGreaterThan(70);
  });

  test("that was full when its owner was killed opens again, with all that was acknowledged", async (context) => {
    using disk = smallDisk(scratch.fresh());
    if (disk === undefined) return context.skip("a disk of 2 MiB takes the right to mount");
    const directory = join(disk.path, "journal");
    const appender = startChild("appender", [directory, "count", "1000000"]);
    onTestFinished(() => appender[Symbol.asyncDispose]());
    const [acknowledged, last] = endOf(await appender.rest());
    expect(last).toMatch(/^error JournalFullError: /);
    await using journal = await openSqliteJournal({ directory, log: silentLogger });
    expect(await checkRecords(journal)).toBe(acknowledged);
  });

  test("a database at its own limit refuses records until a snapshot lets go of some", async () => {
    const directory = scratch.fresh();
    await using journal = await openReady(directory, 400_000);
    const positions: number[] = [];
    for (let round = 0; round < 3; round++) {
      expect(await appendUntilRefused(journal)).toBeInstanceOf(JournalFullError);
      positions.push(journal.position);
      const pieces = [new TextEncoder().encode(String(journal.position))];
      await journal.saveSnapshot(journal.position, pieces);
    }
    expect(positions[0]).toBeGreaterThan(1_000);
    expect(positions[2]).toBeGreaterThan(2_000);
  });
});

describe("a disk that fails", () => {
  test("ends the journal: the commit under way is unknown, and nothing after it is taken, though the disk be well again", async () => {
    const directory = scratch.fresh();
    const log = join(directory, "journal.db-wal");
    {
      await using journal = await openReady(directory);
      await journal.append([recordAt(1)]);
      swapLog(log, log, "r");
      await expect(journal.append([recordAt(2)])).rejects.toThrow(JournalFailedError);
      swapLog(log, log, "r+");
      await expect(journal.append([recordAt(2)])).rejects.toThrow(JournalFailedError);
      expect(journal.position).toBe(1);
    }
    await using next = await openSqliteJournal({ directory, log: silentLogger });
    expect(await checkRecords(next)).toBe(1);
  });

  test.for([8, 11, 20])(
    "that cannot flush (from call %i on) acknowledges nothing more, and loses nothing before",
    async (call, context) => {
      const inject = failingFlushes(call);
      if (inject === undefined)
        return context.skip("it takes strace (apt-get install strace); the test above breaks the disk without it");
      const directory = scratch.fresh();
      const appender = startChild("appender", [directory, "count", "100"], inject);
      onTestFinished(() => appender[Symbol.asyncDispose]());
      const [acknowledged, last] = endOf(await appender.rest());
      expect(last).toMatch(/^error JournalFailedError: /);
      await using journal = await openSqliteJournal({ directory, log: silentLogger });
      const found = await checkRecords(journal);
      expect([acknowledged, acknowledged + 1]).toContain(found);
    },
  );
});
