import { appendFileSync, cpSync, readFileSync, rmSync, statSync, truncateSync } from "node:fs";
import { join } from "node:path";
import { JobId, seededRandom, silentLogger } from "@heddle/kernel";
import { type JobStore, JobStoreDamagedError, JobStoreFailedError } from "@heddle/port-job-store";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { DatabaseFile } from "./database-file.ts";
import { sqliteJobStore } from "./index.ts";
import { JOB_STORE } from "./job-rows.ts";
import { LOCK_WAIT_MS } from "./limits.ts";
import { flip, refusedFlips } from "./testing/flips.ts";
import { copyAsKilled } from "./testing/image.ts";
import { checkSteps, stepOf } from "./testing/jobs.ts";
import { recordAt } from "./testing/records.ts";
import { keptLog, scratchDirectory } from "./testing/scratch.ts";

const scratch = scratchDirectory();
afterAll(() => scratch[Symbol.dispose]());

const seed = Number(process.env.SEED ?? Date.now() % 1_000_000);
const FILE = "job-store.db";
const LOG = `${FILE}-wal`;
const LANES = 2;
const STEPS = 55;
/** So few that the log has all of them. */
const SHORT_STEPS = 15;

/** Job stores as a kill leaves them, with writes in the log, and as closing them does. Copied, never opened. */
const originals = { killed: scratch.fresh(), closed: scratch.fresh(), short: scratch.fresh() };

async function step(store: JobStore, lane: number, from: number, to: number): Promise<void> {
  for (let steps = from; steps < to; steps++) await store.write(stepOf(lane, steps));
}

async function fill(directory: string, killed: string, lanes: number, steps: number): Promise<void> {
  await using store = await sqliteJobStore(directory, { log: silentLogger });
  await store.recover();
  for (let lane = 0; lane < lanes; lane++) await step(store, lane, 0, steps);
  copyAsKilled(directory, killed);
}

beforeAll(async () => {
  await fill(originals.closed, originals.killed, LANES, STEPS);
  await fill(scratch.fresh(), originals.short, 1, SHORT_STEPS);
});

const WHOLE = String([...Array(LANES).keys()].map((lane) => [lane, STEPS]));

function copyOf(original: string): string {
  const directory = scratch.fresh();
  cpSync(original, directory, { recursive: true });
  return directory;
}

/** What comes of opening it and reading everything: the steps of the lanes, or the error. */
async function outcomeOf(directory: string, log = silentLogger): Promise<string | Error> {
  try {
    await using store = await sqliteJobStore(directory, { log });
    return String([...(await checkSteps(store))].sort(([one], [other]) => one - other));
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
}

/** Whether a store is refused, or the piece of it that is damaged. Throws when it was neither refused nor read right. */
async function isRefused(directory: string): Promise<boolean> {
  const outcome = await outcomeOf(directory);
  if (outcome instanceof JobStoreDamagedError || outcome instanceof JobStoreFailedError) return true;
  if (outcome !== WHOLE) throw new Error(`seed ${seed}: ${outcome}`);
  return false;
}

describe("one bit that flips in any file", () => {
  test.each([
    ["killed", 60],
    ["closed", 60],
  ] as const)(
    "of a job store (%s; %i times) is a refusal or makes no difference: never a wrong value, never a lost write",
    async (name, count) => {
      const original = originals[name];
      const random = seededRandom(seed, name);
      const refusals = await refusedFlips({ original, fresh: scratch.fresh, count, random, isRefused });
      console.log(`seed ${seed}, ${name}: ${refusals} of ${count} refused`);
      expect(refusals).toBeGreaterThan(0);
    },
    120_000,
  );
});

describe("the end of a job store's log", () => {
  test("that a crash left incomplete is cut and reported", async () => {
    const directory = copyOf(originals.short);
    appendFileSync(join(directory, LOG), new Uint8Array(100).fill(1));
    const kept = keptLog();
    expect(await outcomeOf(directory, kept)).toBe(`0,${SHORT_STEPS}`);
    expect(kept.lines).toEqual([
      { message: "the job store's end was incomplete and was cut", fields: { directory, bytes: 100 } },
    ]);
  });

  test("that was acknowledged and is gone is a refusal", async () => {
    const directory = copyOf(originals.short);
    truncateSync(join(directory, LOG), statSync(join(directory, LOG)).size - 1);
    const outcome = await outcomeOf(directory);
    expect(outcome).toBeInstanceOf(JobStoreDamagedError);
    expect(String(outcome)).toContain(`write ${SHORT_STEPS} was on disk`);
    expect(String(outcome)).toContain(join(directory, FILE));
  });
});

describe("damage to a job store", () => {
  test("of one piece's bytes is of that piece alone: it is not given, and the others are", async () => {
    const directory = copyOf(originals.closed);
    const database = join(directory, FILE);
    const [left, right] = [JobId("left-0"), JobId("right-0")];
    // the last thing that lane 0 wrote lies in three places: what an input, and two answers have
    const at = readFileSync(database).indexOf(recordAt(STEPS - 1));
    expect(at).toBeGreaterThan(0);
    flip(database, 8 * at);
    await using store = await sqliteJobStore(directory, { log: silentLogger });
    await store.recover();
    const last = (STEPS - 1) % 40;
    const settled = await Promise.allSettled([
      store.input(left, last),
      store.answer(left, last),
      store.answer(right, last),
    ]);
    const refused = settled.flatMap((one) => (one.status === "rejected" ? [one.reason] : []));
    expect(refused).toHaveLength(1);
    expect(refused[0]).toBeInstanceOf(JobStoreDamagedError);
    expect(String(refused[0])).toMatch(/(input|answer) 14 of job (left|right)-0 is not what was stored/);
    await step(store, 0, STEPS, STEPS + 1);
    expect(await store.answer(right, last + 1)).toEqual(recordAt(STEPS));
  });

  test("is not looked for in all of a large one when it is opened, which it says", () => {
    const kind = { ...JOB_STORE, checkBytesMax: 4_096 };
    const place = { directory: copyOf(originals.closed), bytesMax: undefined, lockWaitMs: LOCK_WAIT_MS };
    const file = new DatabaseFile(place, kind);
    expect(file.notes).toEqual([
      { message: expect.stringContaining("too large to be checked as a whole"), bytes: expect.any(Number) },
    ]);
    file.close();
  });

  test("by removing a file is a refusal", async () => {
    for (const file of [FILE, LOG]) {
      const directory = copyOf(originals.short);
      rmSync(join(directory, file));
      expect(await outcomeOf(directory)).toBeInstanceOf(JobStoreDamagedError);
    }
  });

  test("by another program's database in its place is a refusal that says so", async () => {
    const directory = copyOf(originals.closed);
    flip(join(directory, FILE), 8 * 68); // its application id
    const outcome = await outcomeOf(directory);
    expect(outcome).toBeInstanceOf(JobStoreDamagedError);
    expect(String(outcome)).toContain(`${join(directory, FILE)} is not a job store`);
  });
});
