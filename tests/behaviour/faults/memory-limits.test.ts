import { readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { LimitError, WorkerLostError } from "heddle";
import { expect, onTestFinished, test, vi } from "vitest";
import { makeCgroup, whyNoCgroup } from "../../chaos/run-directory.ts";
import { ProcessCluster } from "../../harness/process-cluster.ts";
import { eventually } from "../../harness/waiting.ts";

vi.setConfig({ testTimeout: 150_000 });

const MIB = 1024 * 1024;
/** "Progress or a clear error": within so long. */
const WITHIN_MS = 60_000;
const why = whyNoCgroup("memory");

/** Two agents that may have so much memory together, with a worker each, and how often they wanted more. */
async function smallAgents(limitBytes: number) {
  const cgroup = makeCgroup("memory", `small-${process.hrtime.bigint()}`);
  onTestFinished(async () => void (await eventually("nobody is in the cgroup", () => removed(cgroup))));
  writeFileSync(join(cgroup, "memory.limit_in_bytes"), String(limitBytes));
  const joining = ["sh", "-c", 'echo $$ > "$0/cgroup.procs" && exec "$@"', cgroup];
  const cluster = await ProcessCluster.start({ agentsWithin: joining, leaseMs: 5_000 });
  return { cluster, wantedMore: () => Number(readFileSync(join(cgroup, "memory.failcnt"), "utf8")) };
}

function removed(directory: string): true | undefined {
  try {
    rmdirSync(directory);
    return true;
  } catch {
    return undefined; // who was killed in it leaves it a moment later
  }
}

function filled({ bytes, n }: { readonly bytes: number; readonly n: number }): Uint8Array {
  return new Uint8Array(bytes).fill(n);
}

interface Ask {
  readonly bytes: number;
  readonly n: number;
}

/** Each result is right, or an error of this class says why there is none. Gives those that have none. */
async function ask(
  cluster: ProcessCluster,
  asks: readonly Ask[],
  expected: new (...args: never[]) => Error,
): Promise<Ask[]> {
  const fabric = await cluster.fabric();
  const sinceMs = performance.now();
  const settled = await cluster.drive(fabric.pool().map(filled, asks, { chunkSize: 1, onError: "collect" }));
  expect(performance.now() - sinceMs).toBeLessThan(WITHIN_MS);
  return asks.filter(({ bytes, n }, at) => {
    const one = settled[at];
    if (one?.status !== "fulfilled") expect(one?.reason).toBeInstanceOf(expected);
    else expect([one.value.length, one.value[0], one.value.at(-1)]).toEqual([bytes, n, n]);
    return one?.status !== "fulfilled";
  });
}

function large(count: number, bytes: number): Ask[] {
  return Array.from({ length: count }, (_, n) => ({ bytes, n }));
}

/** Workers died at most, never agents, and those who live do their work. */
async function expectToServe(cluster: ProcessCluster): Promise<void> {
  const fabric = await cluster.fabric();
  expect((await fabric.nodes()).map(({ incarnation }) => incarnation)).toEqual([1, 1]);
  expect(await cluster.drive(fabric.pool().map(cluster.tasks.square, [1, 2, 3]))).toEqual([1, 4, 9]);
}

test("F18 large results where all agents have enough for one at a time: some come whenever they are asked for, at last all", async (context) => {
  if (why !== undefined) return context.skip(why);
  const { cluster, wantedMore } = await smallAgents(512 * MIB);
  await using _cluster = cluster;
  for (let asks = large(8, 60_000_000); asks.length > 0; ) {
    const unanswered = await ask(cluster, asks, WorkerLostError);
    expect(unanswered.length).toBeLessThan(asks.length);
    asks = unanswered;
  }
  expect(wantedMore()).toBeGreaterThan(0); // else nothing was tested
  await expectToServe(cluster);
});

test("F18 large results where all agents have too little for one with what runs beside it: what cannot be has killed its worker, and says so", async (context) => {
  if (why !== undefined) return context.skip(why);
  const { cluster, wantedMore } = await smallAgents(220 * MIB);
  await using _cluster = cluster;
  await ask(cluster, large(6, 60_000_000), WorkerLostError);
  expect(wantedMore()).toBeGreaterThan(0); // else nothing was tested
  await expectToServe(cluster);
});

test("F18 large results that no call may give: the limit is named, whatever memory there is", async (context) => {
  if (why !== undefined) return context.skip(why);
  const { cluster } = await smallAgents(512 * MIB);
  await using _cluster = cluster;
  const asks = large(6, 100_000_000);
  expect(await ask(cluster, asks, LimitError)).toEqual(asks);
  await expectToServe(cluster);
});
