import { appendFileSync, cpSync, readdirSync, readFileSync, rmSync, statSync, truncateSync } from "node:fs";
import { join } from "node:path";
import { seededRandom, silentLogger } from "@heddle/kernel";
import { type Journal, JournalDamagedError, JournalFailedError } from "@heddle/port-journal";
import { recovered } from "@heddle/port-journal/contract";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openSqliteJournal } from "./index.ts";
import { flip, refusedFlips } from "./testing/flips.ts";
import { copyAsKilled } from "./testing/image.ts";
import { checkRecords, recordAt } from "./testing/records.ts";
import { keptLog, scratchDirectory } from "./testing/scratch.ts";

const scratch = scratchDirectory();
afterAll(() => scratch[Symbol.dispose]());

const seed = Number(process.env.SEED ?? Date.now() % 1_000_000);
/** Records in every journal below, in commits of 1 to 40; snapshots are at 150 and 300. */
const RECORDS = 400;
const SNAPSHOTS = [150, 300];

/** Journals as a kill leaves them, with records in the log, and as closing them does. Copied, never opened. */
const originals = { killed: scratch.fresh(), closed: scratch.fresh(), withoutSnapshots: scratch.fresh() };

async function appendUpTo(journal: Journal, position: number): Promise<void> {
  while (journal.position < position) {
    const count = Math.min(1 + ((journal.position * 13) % 40), position - journal.position);
    await journal.append(Array.from({ length: count }, (_, at) => recordAt(journal.position + 1 + at)));
  }
}

async function fill(directory: string, killed: string, snapshots: readonly number[]): Promise<void> {
  await using journal = await openSqliteJournal({ directory, log: silentLogger });
  await checkRecords(journal);
  for (const position of snapshots) {
    await appendUpTo(journal, position);
    await journal.saveSnapshot(position, [new TextEncoder().encode(String(position))]);
  }
  await appendUpTo(journal, RECORDS);
  copyAsKilled(directory, killed);
}

beforeAll(async () => {
  await fill(originals.closed, originals.killed, SNAPSHOTS);
  await fill(scratch.fresh(), originals.withoutSnapshots, []);
});

function copyOf(original: string): string {
  const directory = scratch.fresh();
  cpSync(original, directory, { recursive: true });
  return directory;
}

/** What comes of opening it: the position of the last record, or the error. Everything recovered was compared. */
async function outcomeOf(directory: string, log = silentLogger): Promise<number | Error> {
  try {
    await using journal = await openSqliteJournal({ directory, log });
    return await checkRecords(journal);
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
}

const LOG_HEADER_BYTES = 32;
const FRAME_BYTES = 24 + 4_096;
const LOG = "journal.db-wal";
const framesIn = (directory: string): number =>
  Math.floor((statSync(join(directory, LOG)).size - LOG_HEADER_BYTES) / FRAME_BYTES);

/** Whether a journal is refused. Throws when it was neither refused nor read right. */
async function isRefused(directory: string): Promise<boolean> {
  const outcome = await outcomeOf(directory);
  if (outcome instanceof JournalDamagedError || outcome instanceof JournalFailedError) return true;
  if (outcome !== RECORDS) throw new Error(`seed ${seed}: ${outcome}`);
  return false;
}

describe("one bit that flips in any file", () => {
  test.each([
    ["killed", 200],
    ["closed", 60],
  ] as const)(
    "of a journal (%s; %i times) is a refusal or makes no difference: never a wrong value, never a lost record",
    async (name, count) => {
      const random = seededRandom(seed, name);
      const original = originals[name];
      const refusals = await refusedFlips({ original, fresh: scratch.fresh, count, random, isRefused });
      console.log(`seed ${seed}, ${name}: ${refusals} of ${count} refused`);
      expect(refusals).toBeGreaterThan(0);
    },
    120_000,
  );
});

describe("the end of the log", () => {
  test("that a crash left incomplete is cut and reported", async () => {
    const directory = copyOf(originals.killed);
    const log = join(directory, LOG);
    // what was begun and never acknowledged: a frame of this log without a good checksum
    const frames = readFileSync(log);
    const torn = Buffer.from(frames.subarray(LOG_HEADER_BYTES, LOG_HEADER_BYTES + FRAME_BYTES));
    torn.fill(0, 100);
    appendFileSync(log, torn);
    const kept = keptLog();
    expect(await outcomeOf(directory, kept)).toBe(RECORDS);
    expect(kept.lines).toEqual([
      { message: expect.stringContaining("incomplete and was cut"), fields: { directory, bytes: FRAME_BYTES } },
    ]);
  });

  test("that was acknowledged and is gone is a refusal", async () => {
    const directory = copyOf(originals.killed);
    truncateSync(join(directory, LOG), statSync(join(directory, LOG)).size - 1);
    const outcome = await outcomeOf(directory);
    expect(outcome).toBeInstanceOf(JournalDamagedError);
    expect(String(outcome)).toContain(`record ${RECORDS}`);
    expect(String(outcome)).toContain(join(directory, "journal.db"));
  });

  test("may be missing where nothing says that it was acknowledged, as after a power cut", async () => {
    const directory = copyOf(originals.killed);
    rmSync(join(directory, "acknowledged"));
    truncateSync(join(directory, LOG), statSync(join(directory, LOG)).size - 1);
    const kept = keptLog();
    const outcome = await outcomeOf(directory, kept);
    expect(outcome).toBeLessThan(RECORDS);
    expect(outcome).toBeGreaterThanOrEqual(RECORDS - 40);
    expect(kept.lines.map(({ message }) => message)).toEqual([
      expect.stringContaining("incomplete and was cut"),
      expect.stringContaining("nothing says where the journal should end"),
    ]);
  });
});

describe("damage", () => {
  test("in the middle of the log is a refusal, whatever else is known, and names the file", async () => {
    const frames = framesIn(originals.killed);
    for (const frame of [0, 1, Math.floor(frames / 2)]) {
      const directory = copyOf(originals.killed);
      rmSync(join(directory, "acknowledged"));
      flip(join(directory, LOG), 8 * (LOG_HEADER_BYTES + frame * FRAME_BYTES + 2_000));
      const outcome = await outcomeOf(directory);
      expect(outcome).toBeInstanceOf(JournalDamagedError);
      expect(String(outcome)).toContain(`frame ${frame + 1} of ${join(directory, LOG)}`);
    }
  });

  test("of the log's head is a refusal", async () => {
    for (const byte of [0, 9, 17, 25]) {
      const directory = copyOf(originals.killed);
      rmSync(join(directory, "acknowledged"));
      flip(join(directory, LOG), 8 * byte);
      expect(await outcomeOf(directory)).toBeInstanceOf(JournalDamagedError);
    }
  });

  test("of a record is a refusal, and names the record and the file", async () => {
    const directory = copyOf(originals.closed);
    const database = join(directory, "journal.db");
    const at = readFileSync(database).indexOf(recordAt(350));
    expect(at).toBeGreaterThan(0);
    flip(database, 8 * at);
    const outcome = await outcomeOf(directory);
    expect(outcome).toBeInstanceOf(JournalDamagedError);
    expect(String(outcome)).toContain("record 350 is not what was stored");
    expect(String(outcome)).toContain(database);
  });

  test("of the newest snapshot falls back to the older one and the records since", async () => {
    const directory = copyOf(originals.killed);
    flip(join(directory, "snapshot-0000000000000300"), 8 * 50);
    const kept = keptLog();
    await using journal = await openSqliteJournal({ directory, log: kept });
    const all = await recovered(journal);
    expect(all[0]).toBe("150:150");
    expect(all.at(-1)).toBe(`${RECORDS}=${new TextDecoder().decode(recordAt(RECORDS))}`);
    expect(all).toHaveLength(1 + RECORDS - 150);
    expect(kept.lines).toEqual([
      { message: expect.stringContaining("a snapshot is damaged"), fields: expect.anything() },
    ]);
  });

  test("of a snapshot is forgotten with the next one", async () => {
    const directory = copyOf(originals.killed);
    flip(join(directory, "snapshot-0000000000000300"), 8 * 50);
    {
      await using journal = await openSqliteJournal({ directory, log: silentLogger });
      await checkRecords(journal);
      await journal.saveSnapshot(300, [new TextEncoder().encode("300")]);
      await journal.saveSnapshot(RECORDS, [new TextEncoder().encode(String(RECORDS))]);
    }
    expect(readdirSync(directory).filter((name) => name.startsWith("snapshot"))).toEqual([
      "snapshot-0000000000000300",
      "snapshot-0000000000000400",
    ]);
    flip(join(directory, "snapshot-0000000000000400"), 8 * 50);
    expect(await outcomeOf(directory)).toBe(RECORDS);
  });

  test("of both snapshots is a refusal, for the records before them are gone", async () => {
    const directory = copyOf(originals.killed);
    for (const position of SNAPSHOTS) flip(join(directory, `snapshot-0000000000000${position}`), 8 * 50);
    const outcome = await outcomeOf(directory);
    expect(outcome).toBeInstanceOf(JournalDamagedError);
    expect(String(outcome)).toContain("records 1 to ");
  });

  test("of the only snapshot falls back to all records, for they are kept until there are two", async () => {
    const directory = copyOf(originals.withoutSnapshots);
    {
      await using journal = await openSqliteJournal({ directory, log: silentLogger });
      await checkRecords(journal);
      await journal.saveSnapshot(200, [new TextEncoder().encode("200")]);
    }
    flip(join(directory, "snapshot-0000000000000200"), 8 * 50);
    expect(await outcomeOf(directory)).toBe(RECORDS);
  });

  test("by removing a file is a refusal", async () => {
    for (const file of ["journal.db", LOG]) {
      const directory = copyOf(originals.killed);
      rmSync(join(directory, file));
      expect(await outcomeOf(directory)).toBeInstanceOf(JournalDamagedError);
    }
  });
});
