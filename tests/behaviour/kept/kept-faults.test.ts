import { existsSync } from "node:fs";
import { join } from "node:path";
import { type AsyncResult, connect, type Fabric, range } from "heddle";
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from "vitest";
import { Gate } from "../../harness/gate.ts";
import { ProcessCluster } from "../../harness/process-cluster.ts";
import { Program } from "../../harness/program.ts";
import { eventually } from "../../harness/waiting.ts";
import * as tasks from "./kept-tasks.ts";

vi.setConfig({ testTimeout: 120_000, hookTimeout: 60_000 }); // many processes start on a machine that may be busy

const squares = (count: number): number[] => Array.from({ length: count }, (_, n) => n * n);
const numbers = (count: number): number[] => Array.from({ length: count }, (_, n) => n);

/** Items that may be with workers, or answered and not on disk, when a coordinator is killed. */
const UNDER_WAY_MAX = 16;

let cluster: ProcessCluster;
let fabric: Fabric;
let files = 0;

beforeAll(async () => {
  cluster = await ProcessCluster.start({ slots: 2, unavailableTimeoutMs: 60_000 });
  fabric = await cluster.fabric();
});
afterAll(() => cluster[Symbol.asyncDispose]());

/** Submits squares of which each run is noted. */
function submit(count: number, { on = fabric, ...more }: { readonly on?: Fabric; readonly gate?: string } = {}) {
  const runs = join(cluster.directory, `runs-${++files}`);
  const items = tasks.itemsOf(count, { runs, ms: 20, ...more });
  const result = on.pool().mapAsync(tasks.counted, items, { detach: true, chunkSize: 2 });
  return {
    runs,
    result,
    ran: (least: number) => eventually(`${least} runs`, () => tasks.runsIn(runs).length >= least || undefined),
  };
}

/** Each item ran, and no more of them again than can have been under way so often. */
function expectFewAgain(runs: readonly number[], count: number, kills: number): void {
  expect(new Set(runs)).toEqual(new Set(numbers(count)));
  expect(runs.length).toBeLessThanOrEqual(count + kills * UNDER_WAY_MAX);
}

describe("a coordinator that is killed (-9) and started again", () => {
  test("goes on with a detached job that nobody listens to: what was answered is not run again", async () => {
    const { result, runs, ran } = submit(200);
    await result.accepted();
    for (const least of [30, 100]) {
      await ran(least);
      await cluster.replaceCoordinator();
    }
    expect(await cluster.drive(fabric.attach<number[]>(result.jobId).get())).toEqual(squares(200));
    expectFewAgain(tasks.runsIn(runs), 200, 2);
  });

  test("tells those who listen what they have not, and nothing twice", async () => {
    const { result, runs } = submit(200);
    await result.accepted();
    const listeners: AsyncResult<number[]>[] = [result, fabric.attach<number[]>(result.jobId)];
    const all = Promise.all(listeners.map((one) => one.get()));
    for (const done of [30, 100]) {
      await eventually(`${done} are done`, () => listeners.every(({ progress }) => progress.done >= done) || undefined);
      await cluster.replaceCoordinator();
    }
    expect(await cluster.drive(all)).toEqual([squares(200), squares(200)]);
    for (const { progress } of listeners) expect(progress).toMatchObject({ done: 200, failed: 0, total: 200 });
    expectFewAgain(tasks.runsIn(runs), 200, 2);
  });

  test("takes the rest of a job that was being submitted, whose inputs are read once", async () => {
    let read = 0;
    async function* inputs() {
      for (; read < 3_000; read++) {
        if (read % 1_000 === 500) await cluster.replaceCoordinator();
        yield read;
      }
    }
    const result = fabric.pool().mapAsync((n: number) => n * n, inputs(), { detach: true, chunkSize: 50 });
    await cluster.drive(result.accepted());
    expect(read).toBe(3_000);
    expect(await cluster.drive(result.get())).toEqual(squares(3_000));
  });

  test("has the results of a job that has ended, and runs nothing of it for whoever submits it again", async () => {
    const { result, runs } = submit(10);
    expect(await cluster.drive(result.get())).toEqual(squares(10));
    await cluster.replaceCoordinator();
    expect(await cluster.drive(fabric.attach<number[]>(result.jobId).get())).toEqual(squares(10));
    const again = fabric.pool().mapAsync(tasks.counted, tasks.itemsOf(10, { runs, ms: 20 }), {
      ...{ jobId: result.jobId, detach: true, chunkSize: 2 },
    });
    expect(await cluster.drive(again.get())).toEqual(squares(10));
    expect(tasks.runsIn(runs)).toHaveLength(10);
  });

  test("F07: lists the jobs that had ended, kept or not, with how", async () => {
    const pool = fabric.pool();
    const awaited = pool.mapAsync((n: number) => n, range(20), { name: "awaited" });
    await cluster.drive(awaited.get());
    const failed = pool.applyAsync(
      () => {
        throw new RangeError("not one of them");
      },
      [],
      { jobId: "fails", name: "failing" },
    );
    await expect(cluster.drive(failed.get())).rejects.toThrow("not one of them");
    const seen = async () => {
      const ran = new Program(["get", "jobs", "-o", "json", "--address", cluster.address]);
      onTestFinished(() => ran[Symbol.asyncDispose]());
      expect(await ran.code(), ran.said).toBe(0);
      const jobs: { jobId: string }[] = JSON.parse(ran.said);
      return [awaited.jobId, "fails"].map((id) => jobs.find(({ jobId }) => jobId === id));
    };
    const expected = [
      { name: "awaited", state: "done", itemsDone: 20, itemsOffered: 20, kept: false },
      { name: "failing", state: "failed", itemsDone: 0, kept: true, failure: "RangeError: not one of them" },
    ];
    await cluster.replaceCoordinator(); // what ended before a kept job is on disk when that has
    expect(await seen()).toMatchObject(expected);
  });
});

test("an agent that is killed under a detached job costs what it had under way", async () => {
  const { result, runs, ran } = submit(100);
  await result.accepted();
  await ran(20);
  cluster.killAgent(0);
  cluster.startAgent(0);
  expect(await cluster.drive(fabric.attach<number[]>(result.jobId).get())).toEqual(squares(100));
  expectFewAgain(tasks.runsIn(runs), 100, 1);
});

test("a coordinator and its jobs are in their data directory, which only their user can read", async () => {
  const gate = new Gate();
  onTestFinished(() => gate[Symbol.dispose]());
  const { result } = submit(2, { gate: gate.path });
  await result.accepted();
  expect(existsSync(join(cluster.directory, "coordinator", "jobs"))).toBe(true);
  gate.open();
  expect(await cluster.drive(result.get())).toEqual([0, 1]);
});

test("a coordinator that is stopped in order leaves a detached job to the next", async () => {
  await using own = await connect(cluster.address); // whose token it finds by itself: each coordinator that is started in order makes one
  const { result, runs, ran } = submit(100, { on: own });
  const got = result.get();
  await ran(20);
  await cluster.stopCoordinator();
  await cluster.startCoordinator();
  expect(await cluster.drive(got)).toEqual(squares(100));
  expectFewAgain(tasks.runsIn(runs), 100, 1);
});
