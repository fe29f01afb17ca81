import { JobId } from "@heddle/kernel";
import { TestDisk } from "@heddle/kernel/testing";
import { describe, expect, test } from "vitest";
import { inWords, jobStoreContract } from "./contract.ts";
import { type JobChange, JobStoreFailedError, MemoryJobs, memoryJobStore } from "./index.ts";

jobStoreContract("memory", async () => {
  const disk = new TestDisk();
  const kept = new MemoryJobs(disk.write);
  return {
    open: async () => memoryJobStore(kept),
    kill: async () => kept.kill(),
    setFull: (isFull) => {
      disk.isFull = isFull;
    },
    breakDisk: () => disk.failNext("failed-lost"),
    [Symbol.asyncDispose]: async () => undefined,
  };
});

const job = JobId("j");
const spec = Uint8Array.of(65);
const added: JobChange = { type: "job-added", job, spec };

describe("a memory job store on a disk that the test holds", () => {
  test("what comes while a commit is under way leaves in the next one", async () => {
    const disk = new TestDisk();
    await using store = memoryJobStore(new MemoryJobs(disk.write));
    await store.recover();
    disk.hold();
    const first = store.write([added, { type: "job-noted", job, note: spec }]);
    await Promise.resolve();
    await Promise.resolve();
    const others = Array.from({ length: 10 }, () => store.write([{ type: "history-added", entry: spec }]));
    disk.release();
    await Promise.all([first, ...others]);
    expect(disk.asked).toEqual([2, 10]);
  });

  test("large writes leave in several commits", async () => {
    const disk = new TestDisk();
    await using store = memoryJobStore(new MemoryJobs(disk.write));
    await store.recover();
    const bytes = new Uint8Array(7 * 1024 * 1024);
    const write = (answer: number): Promise<void> =>
      store.write([{ type: "answer-added", job, answer, about: bytes.subarray(0, 0), bytes }]);
    await Promise.all([write(0), write(1), write(2), write(3), write(4)]);
    expect(disk.asked).toEqual([2 * bytes.byteLength, 2 * bytes.byteLength, bytes.byteLength]);
  });

  test("a write under way when its owner is killed is lost, and its store says nothing more", async () => {
    const disk = new TestDisk();
    const kept = new MemoryJobs(disk.write);
    const killed = memoryJobStore(kept);
    await killed.recover();
    disk.hold();
    let settled = false;
    const settle = (): void => {
      settled = true;
    };
    killed.write([added]).then(settle, settle);
    await Promise.resolve();
    await Promise.resolve();
    kept.kill();
    disk.release();
    await using next = memoryJobStore(kept);
    expect((await next.recover()).jobs).toEqual([]);
    await next.write([added]);
    killed.answer(job, 0).then(settle, settle);
    await killed[Symbol.asyncDispose]();
    expect(settled).toBe(false);
    expect(next.bytes).toBe(1);
  });

  test("what a broken disk kept all the same is there after a restart", async () => {
    const disk = new TestDisk();
    const kept = new MemoryJobs(disk.write);
    {
      await using store = memoryJobStore(kept);
      await store.recover();
      disk.failNext("failed-kept");
      await expect(store.write([added])).rejects.toThrow(JobStoreFailedError);
    }
    await using next = memoryJobStore(kept);
    expect((await next.recover()).jobs.map(inWords)).toMatchObject([{ id: "j", spec: "A" }]);
  });
});
