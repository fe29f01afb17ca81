import { readdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { setTimeout as delay } from "node:timers/promises";
import { silentLogger } from "@heddle/kernel";
import type { Journal } from "@heddle/port-journal";
import { journalContract, recovered } from "@heddle/port-journal/contract";
import { afterAll, describe, expect, test } from "vitest";
import { openSqliteJournal } from "./index.ts";
import { CHECKPOINT_IDLE_MS } from "./limits.ts";
import { swapLog } from "./testing/broken-log.ts";
import { changed } from "./testing/changed.ts";
import { startChild } from "./testing/child.ts";
import { copyAsKilled } from "./testing/image.ts";
import { checkRecords } from "./testing/records.ts";
import { scratchDirectory } from "./testing/scratch.ts";

const scratch = scratchDirectory();
afterAll(() => scratch[Symbol.dispose]());
const bytes = (length: number, fill = 7): Uint8Array => new Uint8Array(length).fill(fill);

journalContract("SQLite", async () => {
  let directory = scratch.fresh();
  const opened: Journal[] = [];
  return {
    open: async () => {
      const journal = await openSqliteJournal({ directory, log: silentLogger });
      opened.push(journal);
      return journal;
    },
    kill: async () => {
      const next = scratch.fresh();
      copyAsKilled(directory, next);
      directory = next;
    },
    setFull: (isFull) => {
      const log = join(directory, "journal.db-wal");
      if (isFull) swapLog(log, "/dev/full", "w");
      else swapLog(log, log, "r+");
    },
    breakDisk: () => {
      const log = join(directory, "journal.db-wal");
      swapLog(log, log, "r");
    },
    [Symbol.asyncDispose]: async () => {
      await Promise.all(opened.map((journal) => journal[Symbol.asyncDispose]()));
    },
  };
});

async function openReady(directory: string): Promise<Journal> {
  const journal = await openSqliteJournal({ directory, log: silentLogger });
  await recovered(journal);
  return journal;
}

describe("a journal in SQLite", () => {
  test("only its user can enter the directory and read the files", async () => {
    const directory = scratch.fresh();
    await using journal = await openReady(directory);
    await journal.append([bytes(10)]);
    await journal.saveSnapshot(1, [bytes(10)]);
    expect(statSync(directory).mode & 0o777).toBe(0o700);
    const files = readdirSync(directory).sort();
    expect(files).toEqual(["acknowledged", "journal.db", "journal.db-wal", "owner.json", "snapshot-0000000000000001"]);
    for (const file of files) expect([file, statSync(join(directory, file)).mode & 0o777]).toEqual([file, 0o600]);
  });

  test("closed in order it is three files at most, and no process, thread or lock", async () => {
    const directory = scratch.fresh();
    {
      await using journal = await openReady(directory);
      await journal.append([bytes(10)]);
      await journal.saveSnapshot(1, []);
    }
    expect(readdirSync(directory).sort()).toEqual(["acknowledged", "journal.db", "snapshot-0000000000000001"]);
  });

  test("records of every size around a row's and a page's come back", async () => {
    const directory = scratch.fresh();
    const sizes = [0, 1, 4_050, 4_096, 262_128, 262_144, 262_145, 600_000, 1, 0];
    {
      await using journal = await openReady(directory);
      await journal.append(sizes.map((size, at) => bytes(size, at)));
      await Promise.all(sizes.map((size, at) => journal.append([bytes(size, at)])));
    }
    await using journal = await openSqliteJournal({ directory, log: silentLogger });
    let at = 0;
    for await (const one of journal.recover()) {
      const size = sizes[at % sizes.length] ?? -1;
      const isSame = one.type === "record" && Buffer.from(one.bytes).equals(bytes(size, at % sizes.length));
      expect([one.position, isSame]).toEqual([at + 1, true]);
      at++;
    }
    expect(at).toBe(2 * sizes.length);
  });

  test("a snapshot has pieces of every size, and as many as it likes", async () => {
    const directory = scratch.fresh();
    const sizes = [
      0,
      1,
      1_048_543,
      1_048_544,
      1_048_576,
      5_000_000,
      3,
      ...Array.from({ length: 50_000 }, (_, at) => at % 90),
    ];
    const pieces = sizes.map((size, at) => bytes(size, at));
    {
      await using journal = await openReady(directory);
      await journal.append([bytes(1)]);
      await journal.saveSnapshot(1, pieces);
    }
    await using journal = await openSqliteJournal({ directory, log: silentLogger });
    for await (const one of journal.recover()) {
      if (one.type === "record") throw new Error(`record ${one.position} is behind the snapshot`);
      expect(one.pieces).toHaveLength(pieces.length);
      expect(one.pieces.every((piece, at) => Buffer.from(piece).equals(pieces[at] ?? bytes(1)))).toBe(true);
    }
  });

  test("what comes while a commit is under way leaves in the next one", async () => {
    const directory = scratch.fresh();
    {
      await using journal = await openReady(directory);
      const first = journal.append([bytes(10)]);
      await Promise.resolve();
      await Promise.resolve(); // the first has left alone
      await Promise.all([first, ...Array.from({ length: 1_000 }, () => journal.append([bytes(10)]))]);
    }
    using database = new DatabaseSync(join(directory, "journal.db"), { readOnly: true });
    const rows = database.prepare("SELECT first, last FROM rows ORDER BY first").all();
    expect(rows.map((row) => ({ ...row }))).toEqual([
      { first: 1, last: 1 },
      { first: 2, last: 1_001 },
    ]);
  });

  test("the write-ahead log moves into the database when nothing comes, and does not grow while much does", async () => {
    const directory = scratch.fresh();
    const sizeOf = (file: string): number => statSync(join(directory, file)).size;
    await using journal = await openReady(directory);
    for (let commit = 0; commit < 15; commit++) await journal.append([bytes(100_000)]);
    await changed(directory, () => sizeOf("journal.db") > 1_500_000);
    for (let commit = 0; commit < 300; commit++) await journal.append([bytes(100_000)]);
    expect(sizeOf("journal.db")).toBeGreaterThan(25_000_000);
    expect(sizeOf("journal.db-wal")).toBeLessThan(8_000_000);
  });

  test("a process that has nothing else to do ends, though its journal was not closed, and nothing is lost", async () => {
    const directory = scratch.fresh();
    await using appender = startChild("appender", [directory, "count", "30"]);
    expect((await appender.rest()).at(-1)).toBe("30");
    expect(appender.process.exitCode).toBe(0);
    await using journal = await openSqliteJournal({ directory, log: silentLogger });
    expect(await checkRecords(journal)).toBe(30);
  });

  test("who reads again and takes long over it finds the journal well", async () => {
    await using journal = await openReady(scratch.fresh());
    for (let commit = 0; commit < 25; commit++) await journal.append([bytes(100_000)]);
    let read = 0;
    // nothing tells of a checkpoint that is not made: the pause gives it its chance, and no more depends on it
    for await (const _ of journal.recover()) if (++read === 1) await delay(3 * CHECKPOINT_IDLE_MS);
    expect(read).toBe(25);
    await journal.append([bytes(1)]);
    expect(journal.position).toBe(26);
  });

  test("snapshots let go of records: the database stops growing", async () => {
    const directory = scratch.fresh();
    const sizes: number[] = [];
    {
      await using journal = await openReady(directory);
      for (let round = 0; round < 8; round++) {
        for (let commit = 0; commit < 20; commit++) await journal.append([bytes(100_000)]);
        await journal.saveSnapshot(journal.position, [bytes(10)]);
        expect(readdirSync(directory).filter((name) => name.startsWith("snapshot-"))).toHaveLength(
          Math.min(round + 1, 2),
        );
        sizes.push(journal.bytesSinceSnapshot);
      }
    }
    expect(sizes).toEqual(sizes.map(() => 0));
    expect(statSync(join(directory, "journal.db")).size).toBeLessThan(8_000_000);
  });

  test("what was left of a snapshot that never became one is cleared away", async () => {
    const directory = scratch.fresh();
    {
      await using journal = await openReady(directory);
      await journal.append([bytes(1)]);
    }
    writeFileSync(join(directory, "snapshot-0000000000000001.tmp"), "half");
    await using journal = await openSqliteJournal({ directory, log: silentLogger });
    expect(await recovered(journal)).toHaveLength(1);
    expect(readdirSync(directory)).not.toContain("snapshot-0000000000000001.tmp");
  });
});
