import { join } from "node:path";
import type { Fabric } from "heddle";
import { afterAll, beforeAll, expect, onTestFinished, test, vi } from "vitest";
import { Gate } from "../../harness/gate.ts";
import { ProcessCluster } from "../../harness/process-cluster.ts";
import { eventually } from "../../harness/waiting.ts";
import * as tasks from "./kept-tasks.ts";

vi.setConfig({ testTimeout: 120_000, hookTimeout: 60_000 }); // many processes start on a machine that may be busy

let cluster: ProcessCluster;
let fabric: Fabric;
let files = 0;

beforeAll(async () => {
  cluster = await ProcessCluster.start({ nodes: 1, slots: 4, leaseMs: 6_000, unavailableTimeoutMs: 60_000 });
  fabric = await cluster.fabric();
});
afterAll(() => cluster[Symbol.asyncDispose]());

const runsFile = (): string => join(cluster.directory, `pool-runs-${++files}`);

/** Whether a process of this machine is there. */
function isThere(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

const gone = (pid: number): Promise<true> => eventually(`worker ${pid} is gone`, () => !isThere(pid) || undefined);

test("kept calls of one pool run in the same worker, one after the other; it goes when the pool is closed", async () => {
  const pool = fabric.pool({ processes: 1 });
  const pids = new Set<number>();
  for (let n = 0; n < 5; n++) pids.add(await cluster.drive(pool.applyAsync(tasks.where, [n], { detach: true }).get()));
  const [pid = 0, ...others] = pids;
  expect([others, isThere(pid)]).toEqual([[], true]);
  await pool.terminate();
  await gone(pid);
});

test("the processes of a pool bound all kept jobs of it together", async () => {
  await using pool = fabric.pool({ processes: 1 });
  const runs = runsFile();
  const calls = Array.from({ length: 6 }, () =>
    pool.mapAsync(tasks.noted, new Array(2).fill({ runs, ms: 10 }), { detach: true, chunkSize: 1 }),
  );
  const pids = await cluster.drive(Promise.all(calls.map((call) => call.get())));
  expect(new Set(pids.flat()).size).toBe(1);
  expect(tasks.linesIn(runs)).toEqual(new Array(12).fill(["begun", "over"]).flat());
});

test("the workers of a program that is gone stay for what it has detached, and go with the last of that", async () => {
  const gate = new Gate();
  onTestFinished(() => gate[Symbol.dispose]());
  const runs = runsFile();
  const pool = fabric.pool({ processes: 1 });
  const pid = await cluster.drive(pool.applyAsync(tasks.where, [0], { detach: true }).get());
  const call = pool.applyAsync(tasks.noted, [{ runs, ms: 1, gate: gate.path }], { detach: true });
  await call.accepted();
  await eventually("it runs", () => tasks.linesIn(runs).length > 0 || undefined);
  cluster.vanishClient();
  fabric = await cluster.fabric();
  await eventually("the coordinator takes it for gone", async () =>
    (await fabric.status()).clients === 1 ? true : undefined,
  );
  expect(isThere(pid)).toBe(true);
  gate.open();
  expect(await cluster.drive(fabric.attach<number>(call.jobId).get())).toBe(pid);
  await gone(pid);
});

test("what a coordinator that is started again finds runs in one pool, too, and its client goes on with that", async () => {
  const gate = new Gate();
  onTestFinished(() => gate[Symbol.dispose]());
  const runs = runsFile();
  const pool = fabric.pool({ processes: 1 });
  const item = { runs, ms: 1, gate: gate.path };
  const calls = [0, 1, 2].map(() => pool.applyAsync(tasks.noted, [item], { detach: true }));
  await Promise.all(calls.map((call) => call.accepted()));
  await cluster.replaceCoordinator();
  calls.push(pool.applyAsync(tasks.noted, [item], { detach: true }));
  await calls.at(-1)?.accepted();
  gate.open();
  const pids = await cluster.drive(Promise.all(calls.map((call) => call.get())));
  const [pid = 0] = pids;
  expect(pids).toEqual(new Array(4).fill(pid));
  await pool.terminate();
  await gone(pid);
});
