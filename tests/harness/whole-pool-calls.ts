import { FOLD_BLOCK_ITEMS, type Random } from "@heddle/kernel";
import { ItemTimeoutError, range, WorkerLostError } from "heddle";
import { expect } from "vitest";
import type { SimulatedCluster } from "./simulated-cluster.ts";

type Pool = ReturnType<Awaited<ReturnType<SimulatedCluster["fabric"]>>["pool"]>;

/** What a call is run on. */
export interface Stage {
  readonly cluster: SimulatedCluster;
  readonly pool: Pool;
  readonly random: Random;
  /** The function, which refuses to run in a worker that has not joined its pool. */
  readonly joined: <R>(fn: (n: number) => R) => (n: number) => R;
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

/** Each result once, whatever its place. */
async function scattered({ cluster, pool, random, joined }: Stage): Promise<void> {
  const count = 50 + random.int(300);
  const task = joined(cluster.tasks.slowSquare(1 + random.int(100)));
  const seen: number[] = [];
  for await (const value of pool.imapUnordered(task, range(count), { chunkSize: 1 + random.int(6) })) seen.push(value);
  expect(seen.sort((a, b) => a - b)).toEqual(Array.from({ length: count }, (_, n) => n * n));
}

/** Inputs of a generator, which are read once, and no further ahead than the window. */
async function generated({ cluster, pool, random, joined }: Stage): Promise<void> {
  const count = 30 + random.int(200);
  const bufferSize = 1 + random.int(20);
  let [read, next] = [0, 0];
  function* inputs() {
    while (read < count) yield read++;
  }
  const task = joined(cluster.tasks.slowSquare(1 + random.int(50)));
  for await (const value of pool.imap(task, inputs(), { bufferSize })) {
    expect(value).toBe(next * next);
    next++;
    expect(read).toBeLessThanOrEqual(next + bufferSize);
  }
  expect([read, next]).toEqual([count, count]);
}

/** One call after the other. */
async function applied({ cluster, pool, random, joined }: Stage): Promise<void> {
  const task = joined(cluster.tasks.slowSquare(1 + random.int(200)));
  for (let n = 0; n < 30; n++) expect(await pool.apply(task, [n])).toBe(n * n);
}

/** The item that fails is told of by its index, not what lost it. */
async function failing({ cluster, pool, random, joined }: Stage): Promise<void> {
  const count = 30 + random.int(100);
  const bad = random.int(count);
  const slow = cluster.tasks.slowSquare(1 + random.int(100));
  const task = joined((n: number): number | Promise<number> => {
    if (n === bad) throw new RangeError(`no ${n}`);
    return slow(n);
  });
  const error = await pool.map(task, range(count), { chunkSize: 1 + random.int(4) }).catch((reason: unknown) => reason);
  if (!(error instanceof RangeError)) throw error;
  expect(error).toMatchObject({ message: expect.stringContaining(`no ${bad}`), remote: { index: bad } });
}

/** Resolves after so much virtual time. */
export function passed(cluster: SimulatedCluster, ms: number): Promise<void> {
  const { clock } = cluster.world;
  return new Promise((resolve) => clock.setTimer(clock.nowMs() + ms, resolve));
}

/** Calls of every kind: each resolves when it gave just what it promises, and rejects with what ended it. */
export const wholePoolCalls: readonly ((stage: Stage) => Promise<void>)[] = [
  packed,
  folded,
  collected,
  sideBySide,
  overdue,
  streamed,
];

/** More of them. */
export const moreCalls: readonly ((stage: Stage) => Promise<void>)[] = [scattered, generated, applied, failing];
