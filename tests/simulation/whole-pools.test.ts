import { FOLD_BLOCK_ITEMS, type Random, seededRandom } from "@heddle/kernel";
import { swarmPlan } from "@heddle/sim";
import { ItemTimeoutError, range, UnavailableError, WorkerLostError } from "heddle";
import { describe, expect, test } from "vitest";
import { SimulatedCluster } from "../harness/simulated-cluster.ts";

const SEEDS = Number(process.env.HEDDLE_SIM_SEEDS ?? 40);
const FIRST = Number(process.env.HEDDLE_SIM_FIRST ?? 1);
const ONLY = process.env.HEDDLE_SIM_SEED;

type Pool = ReturnType<Awaited<ReturnType<SimulatedCluster["fabric"]>>["pool"]>;

/** What a call is run on. */
interface Stage {
  readonly cluster: SimulatedCluster;
  readonly pool: Pool;
  readonly random: Random;
  /** The function, which refuses to run in a worker that has not joined its pool. */
  readonly joined: <R>(fn: (n: number) => R) => (n: number) => R;
}

/**
 * Pools with everything that they can be asked for, with the real shells, sessions and codecs, through whatever the seed draws. Once all is
 * healed each call must have settled with just what it promises, or with an error of the system that names what happened.
 */
describe("pools with all that they can be asked for, through what their seed draws", () => {
  test(`settle every call of ${SEEDS} seeds rightly`, async () => {
    const seeds = ONLY === undefined ? Array.from({ length: SEEDS }, (_, at) => FIRST + at) : [Number(ONLY)];
    let kept = 0;
    for (const seed of seeds) {
      kept += await run(seed).catch((cause: unknown) => {
        throw new Error(`seed ${seed} failed; HEDDLE_SIM_SEED=${seed} replays it`, { cause });
      });
    }
    if (ONLY === undefined) expect(kept).toBeGreaterThan(SEEDS * 2);
  });
});

/** How many calls gave what they promise; the others were ended by the system. */
async function run(seed: number): Promise<number> {
  const random = seededRandom(seed, "whole pools");
  const nodes = 1 + random.int(3);
  await using cluster = new SimulatedCluster({ seed, nodes, slots: 1 + random.int(3), plan: swarmPlan(random) });
  const fabric = await cluster.drive(cluster.fabric());
  const initMs = [0, 5, 500][random.int(3)] ?? 0;
  const maxTasksPerChild = random.int(2) === 0 ? undefined : 1 + random.int(20);
  const hasInitializer = random.int(2) === 0;
  const joinedPids = new Set<number>();
  const initializer = async (): Promise<void> => {
    const { pid, sleep } = cluster.world.processes.here();
    await sleep(initMs);
    joinedPids.add(pid);
  };
  await using pool = fabric.pool({
    ...(hasInitializer ? { initializer } : {}),
    ...(maxTasksPerChild === undefined ? {} : { maxTasksPerChild }),
  });
  const joined: Stage["joined"] = (fn) => (n) => {
    if (hasInitializer && !joinedPids.has(cluster.world.processes.here().pid)) throw new Error("not joined");
    return fn(n);
  };
  const stage: Stage = { cluster, pool, random, joined };
  const calls = [packed, folded, collected, sideBySide, overdue, streamed].filter(() => random.int(2) === 0);
  const settled = Promise.allSettled(calls.map((call) => call(stage)));
  await cluster.drive(Promise.race([settled, passed(cluster, random.int(60_000))]));
  cluster.heal();
  let kept = 0;
  for (const outcome of await cluster.drive(settled)) {
    if (outcome.status === "fulfilled") kept++;
    else if (!(outcome.reason instanceof UnavailableError || outcome.reason instanceof WorkerLostError))
      throw outcome.reason;
  }
  await cluster.drive(cluster.settled());
  return kept;
}

/** Small chunks that travel as one, some items of which fail at first. */
async function packed({ cluster, pool, random, joined }: Stage): Promise<void> {
  const count = 500 + random.int(3_000);
  const every = 2 + random.int(200);
  const failed = new Set<number>();
  const task = (n: number): number | Promise<number> => {
    if (n % every === 0 && !failed.has(n)) {
      failed.add(n);
      throw new RangeError(`no ${n}`);
    }
    return n % 101 === 0 ? cluster.tasks.slowSquare(20)(n) : n * n;
  };
  const results = await pool.map(joined(task), range(count), { chunkSize: 1 + random.int(3), retries: 1 });
  expect(results).toEqual(Array.from({ length: count }, (_, n) => n * n));
}

/** Sums of fractions, which have the same bits however they were cut. */
async function folded({ pool, random, joined }: Stage): Promise<void> {
  const count = 3 * FOLD_BLOCK_ITEMS + random.int(3 * FOLD_BLOCK_ITEMS);
  const task = (n: number): number => (n % 7) * 0.1;
  const add = (a: number, b: number): number => a + b;
  const chunkSize = [undefined, 1_000 + random.int(1_000), FOLD_BLOCK_ITEMS][random.int(3)];
  const sum = await pool.mapReduce(joined(task), add, range(count), chunkSize === undefined ? {} : { chunkSize });
  const values = Array.from({ length: count }, (_, n) => task(n));
  const blocks = Array.from({ length: Math.ceil(count / FOLD_BLOCK_ITEMS) }, (_, at) =>
    values.slice(at * FOLD_BLOCK_ITEMS, (at + 1) * FOLD_BLOCK_ITEMS).reduce(add),
  );
  expect(sum).toBe(blocks.reduce(add));
}

/** Every item is settled, whatever its neighbours do. */
async function collected({ pool, random, joined }: Stage): Promise<void> {
  const count = 50 + random.int(300);
  const every = 2 + random.int(20);
  const task = (n: number): number => {
    if (n % every === 0) throw new RangeError(`no ${n}`);
    return n;
  };
  const how = { chunkSize: 1 + random.int(30), onError: "collect" } as const;
  const results = await pool.map(joined(task), range(count), how);
  const told = results.map((result) => (result.status === "fulfilled" ? result.value : String(result.reason)));
  // who killed workers by chance is not told from who kills them always
  const expected = Array.from({ length: count }, (_, n) => (n % every === 0 ? `RangeError: no ${n}` : n));
  expect(told.map((it, n) => (/^WorkerLostError/.test(String(it)) ? expected[n] : it))).toEqual(expected);
}

/** Async items side by side. */
async function sideBySide({ cluster, pool, random, joined }: Stage): Promise<void> {
  const count = 20 + random.int(100);
  const task = joined(cluster.tasks.slowSquare(1 + random.int(50)));
  const concurrency = 2 + random.int(20);
  const how = { concurrency, chunkSize: concurrency + random.int(30) };
  const results = await pool.map(task, range(count), how);
  expect(results).toEqual(Array.from({ length: count }, (_, n) => n * n));
}

/** One item never ends; the others are well within their time. */
async function overdue({ cluster, pool, random }: Stage): Promise<void> {
  const count = 10 + random.int(30);
  const bad = random.int(count);
  const quick = cluster.tasks.slowSquare(10);
  const task = (n: number): number | Promise<number> => (n === bad ? cluster.tasks.never(n) : quick(n));
  const concurrency = 1 + random.int(4);
  const how = {
    itemTimeoutMs: 1_000,
    onError: "collect",
    chunkSize: concurrency + random.int(10),
    concurrency,
  } as const;
  const results = await pool.map(task, range(count), how);
  for (const [n, result] of results.entries()) {
    if (result.status === "fulfilled") expect(result.value).toBe(n * n);
    else if (!(result.reason instanceof WorkerLostError)) {
      expect(result.reason).toBeInstanceOf(ItemTimeoutError);
      expect(n).toBe(bad);
    }
  }
}

/** Read in order by a consumer who takes its time. */
async function streamed({ cluster, pool, random }: Stage): Promise<void> {
  const count = 50 + random.int(200);
  const sizes = [1, 1_000, 200_000];
  const bytes = sizes[random.int(3)] ?? 1;
  const task = (n: number): Uint8Array => new Uint8Array(bytes).fill(n);
  let next = 0;
  for await (const value of pool.imap(task, range(count), { chunkSize: 1 + random.int(4) })) {
    expect([value.length, value[0]]).toEqual([bytes, next++ & 0xff]);
    if (next % 20 === 0) await passed(cluster, random.int(200));
  }
  expect(next).toBe(count);
}

function passed(cluster: SimulatedCluster, ms: number): Promise<void> {
  const { clock } = cluster.world;
  return new Promise((resolve) => clock.setTimer(clock.nowMs() + ms, resolve));
}
