import { existsSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { type AsyncResult, connect, type Fabric, range, UnavailableError } from "heddle";
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from "vitest";
import { ProcessCluster } from "../harness/process-cluster.ts";
import { Program } from "../harness/program.ts";
import { eventually } from "../harness/waiting.ts";
import * as tasks from "./restart-tasks.ts";

vi.setConfig({ testTimeout: 120_000, hookTimeout: 60_000 }); // many processes start on a machine that may be busy

const numbers = (count: number): number[] => Array.from({ length: count }, (_, n) => n);
const squares = (count: number): number[] => numbers(count).map((n) => n * n);

/** Resolves once so many items of a call have their answer. */
async function reaches(result: AsyncResult<unknown>, done: number): Promise<void> {
  await eventually(`${done} items`, () => {
    if (result.ready()) throw new Error("it was over before the coordinator could be killed");
    return result.progress.done >= done || undefined;
  });
}

describe("a coordinator that is killed (-9) and started again in the middle of", () => {
  let cluster: ProcessCluster;
  let fabric: Fabric;
  beforeAll(async () => {
    cluster = await ProcessCluster.start({ slots: 2, unavailableTimeoutMs: 60_000 });
    fabric = await cluster.fabric();
  });
  afterAll(() => cluster[Symbol.asyncDispose]());

  test("a map is not noticed", async () => {
    const map = fabric.pool().mapAsync(tasks.slowly, range(400), { chunkSize: 5 });
    await reaches(map, 40);
    await cluster.replaceCoordinator();
    expect(await cluster.drive(map.get())).toEqual(squares(400));
    const jobs = await fabric.jobs();
    expect(jobs.map(({ jobId, state }) => ({ jobId, state }))).toEqual([{ jobId: map.jobId, state: "done" }]);
    expect(jobs[0]?.itemsOffered).toBeLessThan(400);
  });

  test("a map, three times in a row, is not noticed", async () => {
    const map = fabric.pool().mapAsync(tasks.slowly, range(600), { chunkSize: 7 });
    for (const done of [40, 200, 400]) {
      await reaches(map, done);
      await cluster.replaceCoordinator();
    }
    expect(await cluster.drive(map.get())).toEqual(squares(600));
  });

  test("an imap with a slow reader and a generator as its inputs is not noticed: in order, each input read once", async () => {
    let read = 0;
    function* inputs() {
      while (read < 300) yield read++;
    }
    const seen: number[] = [];
    for await (const bytes of fabric.pool().imap(tasks.large, inputs(), { chunkSize: 2, bufferSize: 40 })) {
      expect([bytes.length, bytes[0], bytes.at(-1)]).toEqual([100_000, seen.length & 0xff, seen.length & 0xff]);
      seen.push(seen.length);
      expect(read).toBeLessThanOrEqual(seen.length + 42);
      if (seen.length === 60) await cluster.replaceCoordinator();
      await sleep(2);
    }
    expect([seen.length, read]).toEqual([300, 300]);
  });

  test("an imapUnordered is not noticed: each result once", async () => {
    const seen: number[] = [];
    for await (const n of fabric.pool().imapUnordered(tasks.slowly, range(300))) {
      seen.push(n);
      if (seen.length === 50) await cluster.replaceCoordinator();
    }
    expect(seen.sort((a, b) => a - b)).toEqual(squares(300));
  });

  test("a mapReduce is not noticed, not in the last bit", async () => {
    const count = 60_000;
    const pool = fabric.pool();
    const sum = () => pool.mapReduce(tasks.fraction, tasks.add, range(count), { chunkSize: 700 });
    const expected = await cluster.drive(sum());
    const again = sum();
    const { itemsDone = 0 } = await eventually("some of it is done", async () =>
      (await fabric.jobs()).find(({ state, itemsDone }) => state === "running" && itemsDone > 5_000),
    );
    expect(itemsDone).toBeLessThan(count);
    await cluster.replaceCoordinator();
    expect(await cluster.drive(again)).toBe(expected);
  });

  test("a map that collects is not noticed: each item has its result or its error", async () => {
    const map = fabric.pool().mapAsync(tasks.failAtSevens, range(300), { chunkSize: 10, onError: "collect" });
    await reaches(map, 30);
    await cluster.replaceCoordinator();
    const told = (await cluster.drive(map.get())).map((one) =>
      one.status === "fulfilled" ? one.value : String(one.reason),
    );
    expect(told).toEqual(numbers(300).map((n) => (n % 7 === 0 ? `RangeError: no ${n}` : n)));
  });

  test("a map with retries is not noticed", async () => {
    const { directory } = cluster;
    const inputs = numbers(200).map((n) => ({ directory, n }));
    const map = fabric.pool().mapAsync(tasks.failOnce, inputs, { chunkSize: 4, retries: 1 });
    await reaches(map, 20);
    await cluster.replaceCoordinator();
    expect(await cluster.drive(map.get())).toEqual(numbers(200));
    expect(existsSync(`${directory}/seen-199`)).toBe(true);
  });

  test("calls of apply, of which some wait, is not noticed", async () => {
    const pool = fabric.pool({ processes: 2 });
    const words = numbers(6).map((n) => `word ${n}`);
    const results = words.map((word) => pool.applyAsync(tasks.nap, [word]));
    await eventually("the first to run", async () => ((await fabric.status()).chunksPlaced > 0 ? true : undefined));
    await cluster.replaceCoordinator();
    expect(await cluster.drive(Promise.all(results))).toEqual(words);
  });

  test("one call of apply after the other is not noticed", async () => {
    const pool = fabric.pool();
    let replaced: Promise<void> | undefined;
    for (let n = 0; n < 300; n++) {
      if (n === 100) replaced = cluster.replaceCoordinator();
      expect(await cluster.drive(pool.apply(cluster.tasks.square, [n]))).toBe(n * n);
    }
    await replaced;
  });

  test("a map of a pool with an initializer is not noticed: each worker joins its pool before it runs anything", async () => {
    const pool = fabric.pool({ initializer: tasks.join, initArgs: ["heddle"] });
    const map = pool.mapAsync(tasks.joinedAs, range(200), { chunkSize: 4 });
    await reaches(map, 20);
    await cluster.replaceCoordinator();
    expect(await cluster.drive(map.get())).toEqual(numbers(200).map((n) => `heddle ${n}`));
  });

  test("a map whose items fail for good ends it with the error of the item", async () => {
    const map = fabric
      .pool()
      .mapAsync(tasks.failAtSevens, [...numbers(100).map((n) => 7 * n + 1), 700], { chunkSize: 1 });
    await reaches(map, 20);
    await cluster.replaceCoordinator();
    await expect(cluster.drive(map.get())).rejects.toMatchObject({ message: expect.stringContaining("no 700") });
  });
});

test("a coordinator that is killed and never started again is waited for as long as its clients are patient", async () => {
  await using cluster = await ProcessCluster.start({ unavailableTimeoutMs: 3_000 });
  const map = (await cluster.fabric()).pool().mapAsync(tasks.slowly, range(1_000), { chunkSize: 5 });
  await reaches(map, 20);
  await cluster.killCoordinator();
  const sinceMs = performance.now();
  await expect(map.get()).rejects.toThrow(UnavailableError);
  expect(performance.now() - sinceMs).toBeGreaterThan(2_500);
});

test("a coordinator that is stopped politely and started again is not noticed, though it refuses calls meanwhile", async () => {
  await using cluster = await ProcessCluster.start();
  await using fabric = await connect(cluster.address, { unavailableTimeoutMs: 60_000 }); // it finds each life's own token
  const pool = fabric.pool();
  const map = pool.mapAsync(tasks.slowly, range(400), { chunkSize: 5 });
  await reaches(map, 20);
  const stopped = cluster.stopCoordinator();
  const calls = numbers(20).map(async (n) => {
    await sleep(50 * n);
    return await pool.apply(tasks.slowly, [n]);
  });
  await stopped;
  await cluster.startCoordinator();
  expect(await cluster.drive(map.get())).toEqual(squares(400));
  expect(await cluster.drive(Promise.all(calls))).toEqual(squares(20));
});

test("a client whose clock stands still for longer than its lease goes on with its map when it is let go on", async () => {
  await using cluster = await ProcessCluster.start({ leaseMs: 1_000 });
  const script = fileURLToPath(new URL("scripts/sleeper.ts", import.meta.url));
  await using program = new Program(["run", script], { env: { HEDDLE_ADDRESS: cluster.address } });
  const pid = await eventually("its process id", () => /^pid (\d+)$/m.exec(program.said)?.[1]);
  await eventually("it to be under way", () => program.said.includes("under way") || undefined);
  process.kill(Number(pid), "SIGSTOP");
  onTestFinished(() => {
    if (!program.isOver) process.kill(Number(pid), "SIGCONT");
  });
  const fabric = await cluster.fabric();
  await eventually("its job to be given up", async () => {
    const states = (await fabric.jobs()).map(({ state }) => state);
    return states.every((state) => state === "cancelled") || undefined;
  });
  process.kill(Number(pid), "SIGCONT");
  await eventually("its end", () => program.isOver || undefined, 60_000);
  expect(program.said).toContain("all right");
  expect(await program.code()).toBe(0);
});
