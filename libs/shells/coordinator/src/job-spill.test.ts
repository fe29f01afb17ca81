import { silentLogger, type WriteOutcome } from "@heddle/kernel";
import { memorySpill, type Spill } from "@heddle/port-spill";
import { expect, onTestFinished, test } from "vitest";
import { JobSpill, type SpilledBytes } from "./job-spill.ts";
import {
  JOB_SPILL_BYTES_MAX,
  JOB_SPILL_RESULTS_MAX,
  SPILL_FILES_MAX,
  SPILL_RESULTS_MAX,
  SPILL_UNWRITTEN_BYTES_MAX,
  SPILL_WRITING_BYTES_MAX,
} from "./limits.ts";
import { SpillSpace } from "./spill-space.ts";
import { settle } from "./testing.ts";

/** A disk that answers each write when the test says how, and, with `slowOpen`, each opening of a file. */
function openStage({ spill, slowOpen = false }: { readonly spill?: Spill; readonly slowOpen?: boolean } = {}) {
  const writes: ((outcome: WriteOutcome) => void)[] = [];
  const disk = (bytes: number): WriteOutcome | Promise<WriteOutcome> =>
    bytes === 0 && !slowOpen ? "kept" : new Promise((resolve) => writes.push(resolve));
  const space = new SpillSpace(spill ?? memorySpill(disk), 1e12, silentLogger);
  const job = new JobSpill(space, () => undefined);
  onTestFinished(() => job[Symbol.dispose]());
  const take = (first: number, size = 4): SpilledBytes => {
    const result = job.take(size);
    result.push(new Uint8Array(size).fill(first));
    return result;
  };
  const answer = async (outcome: WriteOutcome): Promise<void> => {
    for (const write of writes.splice(0)) write(outcome);
    await settle();
  };
  return { job, space, writes, take, answer };
}

async function bytesOf(result: SpilledBytes): Promise<number[]> {
  const bytes: number[] = [];
  for await (const piece of result.read()) bytes.push(...piece);
  return bytes;
}

test("what is not on disk yet is read from memory, what is there from the file, in the place of what was read before, too", async () => {
  const { take, answer, space } = openStage();
  const [one, two] = [take(1), take(2)];
  expect([await bytesOf(one), await bytesOf(two)]).toEqual([
    [1, 1, 1, 1],
    [2, 2, 2, 2],
  ]);
  await settle();
  one.release(); // its write is under way
  const three = take(3);
  await answer("kept");
  await answer("kept");
  expect([await bytesOf(two), await bytesOf(three), space.use.bytes]).toEqual([[2, 2, 2, 2], [3, 3, 3, 3], 8]);
});

test("what is read while a file is made is not written to it, and what stands behind it comes to its own place", async () => {
  const { take, answer } = openStage({ slowOpen: true });
  const one = take(1);
  await answer("kept"); // its file
  one.release(); // which is given back, amid the write
  const [two, three, four] = [take(2), take(3), take(4)];
  await answer("kept"); // that write: the next file is being made
  two.release();
  await answer("kept");
  await answer("kept");
  const reading = Promise.all([bytesOf(three), bytesOf(four)]);
  await settle();
  await answer("kept");
  expect(await reading).toEqual([
    [3, 3, 3, 3],
    [4, 4, 4, 4],
  ]);
});

test("a write that fails keeps in memory what was to be written, until all is read; then the disk is asked again", async () => {
  const { job, take, answer, writes, space } = openStage();
  const one = take(1);
  await settle();
  await answer("full");
  expect([job.hasRoomFor(1), await bytesOf(one)]).toEqual([false, [1, 1, 1, 1]]);
  one.release();
  expect([job.hasRoomFor(1), space.use.bytes]).toEqual([true, 0]);
  const two = take(2);
  await settle();
  expect(writes).toHaveLength(1);
  await answer("kept");
  expect(await bytesOf(two)).toEqual([2, 2, 2, 2]);
});

test("a write that fails once nobody wants what it had changes nothing", async () => {
  const { job, take, answer } = openStage();
  const one = take(1);
  await settle();
  one.release();
  await answer("failed-lost");
  expect(job.hasRoomFor(1)).toBe(true);
});

test("its bounds are in bytes and in results; what waits for the disk it says", async () => {
  const bytes = openStage().job;
  const [half, other] = [bytes.take(JOB_SPILL_BYTES_MAX / 2), bytes.take(JOB_SPILL_BYTES_MAX / 2)];
  expect(bytes.hasRoomFor(1)).toBe(false);
  half.release();
  expect([bytes.hasRoomFor(JOB_SPILL_BYTES_MAX / 2), bytes.hasRoomFor(JOB_SPILL_BYTES_MAX / 2 + 1)]).toEqual([
    true,
    false,
  ]);
  other.release();

  const results = openStage().job;
  const all = Array.from({ length: JOB_SPILL_RESULTS_MAX }, () => results.take(1));
  expect(results.hasRoomFor(1)).toBe(false);
  all[0]?.release();
  expect(results.hasRoomFor(1)).toBe(true);

  const { job, take, answer } = openStage();
  take(1, SPILL_WRITING_BYTES_MAX);
  expect(job.lateness).toBe(1);
  await settle();
  await answer("kept");
  expect(job.lateness).toBe(0);
});

test("each file that is opened is closed, also one that is there only when nobody wants it any more", async () => {
  let [opened, closed] = [0, 0];
  const opening = Promise.withResolvers<void>();
  const spill: Spill = {
    open: async () => {
      opened++;
      await opening.promise;
      const file = await memorySpill().open();
      return { ...file, write: file.write.bind(file), read: file.read.bind(file), close: async () => void closed++ };
    },
  };
  const { job, take } = openStage({ spill });
  take(1);
  await settle();
  job[Symbol.dispose]();
  opening.resolve();
  await settle();
  expect([opened, closed]).toEqual([1, 1]);
});

test("all jobs together have bounds too: in results, in files, and in what waits for the disk", async () => {
  const { space, writes } = openStage();
  const jobs = Array.from({ length: SPILL_UNWRITTEN_BYTES_MAX / SPILL_WRITING_BYTES_MAX }, () => {
    const job = new JobSpill(space, () => undefined);
    job.take(SPILL_WRITING_BYTES_MAX).push(new Uint8Array(SPILL_WRITING_BYTES_MAX));
    return job;
  });
  expect(space.has(1, true)).toBe(false);
  await settle();
  for (const write of writes.splice(0)) write("kept");
  await settle();
  expect(space.has(1, true)).toBe(true);
  for (const job of jobs) job[Symbol.dispose]();

  const files = Array.from({ length: SPILL_FILES_MAX }, () => new JobSpill(space, () => undefined));
  for (const file of files) file.take(1);
  expect([space.has(1, true), space.has(1, false)]).toEqual([false, true]);
  for (const file of files) file[Symbol.dispose]();

  const crowd = Array.from(
    { length: SPILL_RESULTS_MAX / JOB_SPILL_RESULTS_MAX },
    () => new JobSpill(space, () => undefined),
  );
  for (const job of crowd) for (let at = 0; at < JOB_SPILL_RESULTS_MAX; at++) job.take(1);
  expect(space.has(1, false)).toBe(false);
  for (const job of crowd) job[Symbol.dispose]();
  expect(space.use).toEqual({ bytes: 0, files: 0, results: 0, unwrittenBytes: 0 });
});

test("while a disk fails one job no other asks it, until that one's results are read or one is written", async () => {
  const { space, take, answer } = openStage();
  const one = take(1);
  await settle();
  await answer("failed-lost");
  expect(space.has(1, true)).toBe(false);
  one.release();
  expect(space.has(1, true)).toBe(true);
});
