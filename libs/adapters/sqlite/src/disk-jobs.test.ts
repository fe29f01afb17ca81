import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { JobId, silentLogger } from "@heddle/kernel";
import { type JobStore, JobStoreFailedError, JobStoreFullError } from "@heddle/port-job-store";
import { afterAll, describe, expect, onTestFinished, test } from "vitest";
import { sqliteJobStore } from "./index.ts";
import { swapLog } from "./testing/broken-log.ts";
import { startChild } from "./testing/child.ts";
import { checkSteps, stepOf } from "./testing/jobs.ts";
import { scratchDirectory } from "./testing/scratch.ts";
import { smallDisk } from "./testing/small-disk.ts";
import { failingFlushes } from "./testing/strace.ts";

const scratch = scratchDirectory();
afterAll(() => scratch[Symbol.dispose]());

const log = silentLogger;
const BIG = JobId("big");

async function openReady(directory: string, bytesMax?: number): Promise<JobStore> {
  const store = await sqliteJobStore(directory, { log, ...(bytesMax === undefined ? {} : { bytesMax }) });
  await store.recover();
  return store;
}

/** Adds answers of 10 kB to a job until one is refused; gives the refusal, and how many were taken. */
async function fill(store: JobStore, from = 0): Promise<{ readonly why: unknown; readonly count: number }> {
  const about = new Uint8Array(3);
  for (let answer = from; answer < 1_000_000; answer++) {
    const bytes = new Uint8Array(10_000).fill(answer);
    try {
      await store.write([{ type: "answer-added", job: BIG, answer, about, bytes }]);
    } catch (why) {
      return { why, count: answer - from };
    }
  }
  return { why: undefined, count: 1_000_000 };
}

const addBig = (store: JobStore): Promise<void> =>
  store.write([{ type: "job-added", job: BIG, spec: new Uint8Array(1) }]);

/** The steps of lane 0 that a program printed, and its last line, which says how it ended. */
function endOf(lines: readonly string[]): [number, string] {
  return [Number(lines.findLast((line) => /^0 \d+$/.test(line))?.slice(2) ?? 0), lines.at(-1) ?? ""];
}

describe("a full disk", () => {
  test("refuses writes, gives what it has, and takes more as soon as there is space", async (context) => {
    using disk = smallDisk(scratch.fresh());
    if (disk === undefined) return context.skip("a disk of 2 MiB takes the right to mount; the limit below stands in");
    const directory = join(disk.path, "jobs");
    const filler = join(disk.path, "filler");
    writeFileSync(filler, new Uint8Array(500_000));
    {
      await using store = await openReady(directory);
      await addBig(store);
      const { why, count } = await fill(store);
      expect(why).toBeInstanceOf(JobStoreFullError);
      expect(count).toBeGreaterThan(20);
      expect(store.bytes).toBe(1 + 10_000 * count);
      expect((await store.answer(BIG, count - 1))?.at(0)).toBe(count - 1);
      expect(await store.answer(BIG, count)).toBeUndefined();
      rmSync(filler);
      for (let steps = 0; steps < 30; steps++) await store.write(stepOf(0, steps));
      await store.write([{ type: "job-dropped", job: BIG }]);
    }
    await using store = await sqliteJobStore(directory, { log });
    expect(await checkSteps(store)).toEqual(new Map([[0, 30]]));
  });

  test("that was full when its owner was killed opens again, with all that was acknowledged", async (context) => {
    using disk = smallDisk(scratch.fresh());
    if (disk === undefined) return context.skip("a disk of 2 MiB takes the right to mount");
    const directory = join(disk.path, "jobs");
    writeFileSync(join(disk.path, "filler"), new Uint8Array(1_900_000));
    const writer = startChild("job-writer", [directory, "count", "1000000"]);
    onTestFinished(() => writer[Symbol.asyncDispose]());
    const [acknowledged, last] = endOf(await writer.rest());
    expect(last).toMatch(/^error JobStoreFullError: /);
    await using store = await sqliteJobStore(directory, { log });
    expect(await checkSteps(store)).toEqual(new Map(acknowledged === 0 ? [] : [[0, acknowledged]]));
  });

  test("a database at its own limit refuses writes until a job is dropped, whose space serves the next at once", async () => {
    await using store = await openReady(scratch.fresh(), 1_000_000);
    const counts: number[] = [];
    for (let round = 0; round < 4; round++) {
      await addBig(store);
      expect((await fill(store)).why).toBeInstanceOf(JobStoreFullError);
      counts.push(store.bytes);
      await store.write([{ type: "job-dropped", job: BIG }]);
    }
    for (const bytes of counts) expect(bytes).toBeGreaterThan(700_000);
  });
});

describe("a disk that fails", () => {
  test("ends the store: the commit under way is unknown, and nothing after it is taken, though the disk be well again", async () => {
    const directory = scratch.fresh();
    const wal = join(directory, "job-store.db-wal");
    {
      await using store = await openReady(directory);
      await store.write(stepOf(0, 0));
      swapLog(wal, wal, "r");
      await expect(store.write(stepOf(0, 1))).rejects.toThrow(JobStoreFailedError);
      swapLog(wal, wal, "r+");
      await expect(store.write(stepOf(0, 1))).rejects.toThrow(JobStoreFailedError);
      await expect(store.answer(BIG, 0)).rejects.toThrow(JobStoreFailedError);
    }
    await using next = await sqliteJobStore(directory, { log });
    expect(await checkSteps(next)).toEqual(new Map([[0, 1]]));
  });

  test.for([8, 11, 20])(
    "that cannot flush (from call %i on) acknowledges nothing more, and loses nothing before",
    async (call, context) => {
      const inject = failingFlushes(call);
      if (inject === undefined)
        return context.skip("it takes strace (apt-get install strace); the test above breaks the disk without it");
      const directory = scratch.fresh();
      const writer = startChild("job-writer", [directory, "count", "100"], inject);
      onTestFinished(() => writer[Symbol.asyncDispose]());
      const [acknowledged, last] = endOf(await writer.rest());
      expect(last).toMatch(/^error JobStoreFailedError: /);
      await using store = await sqliteJobStore(directory, { log });
      expect([acknowledged, acknowledged + 1]).toContain((await checkSteps(store)).get(0) ?? 0);
    },
  );
});
