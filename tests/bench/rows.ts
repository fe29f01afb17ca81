/** What is measured: the rows of the benchmark, the operations they are made of, and how large each is. */

export const rowTitles = {
  a: "no-op items, chunkSize 1, streamed; and as single calls",
  b: "round trips of one call, one at a time",
  c: "cubes of a range, as an array and as a Float64Array",
  d: "Monte Carlo integral of x^2, by sample and in 16 chunks",
  e: "primes below a bound, and how much of two workers is used",
  f: "the scheduler's core alone",
  g: "small objects mapped to small objects",
  h: "appends to a shared list by one client, 1,024 under way; and unawaited",
  i: "a key of a shared dict set, one at a time",
  j: "keys of a shared dict set by one client, 64 under way",
  k: "a key of a shared dict read, one at a time",
  l: "a lock acquired and released: by one client; by 64 clients with a lock each; by 64 flows of one client",
  m: "primes below a bound, found by a map that appends them to a shared list",
  n: "what mutual TLS costs: no-op items, chunkSize 1, streamed; and round trips of one call, one at a time",
} as const;

export type RowId = keyof typeof rowTitles;

export const rowIds = Object.keys(rowTitles) as readonly RowId[];

/** What a contender is asked to do and is timed at, in the order in which it is done. */
export const operationRows = {
  noops: "a",
  apply: "b",
  cubes: "c",
  typedCubes: "c",
  samples: "d",
  sampleChunks: "d",
  serialPrimes: "e",
  primes: "e",
  objects: "g",
  calls: "a",
  unpackedNoops: "a",
  appends: "h",
  unawaitedAppends: "h",
  sets: "i",
  syncs: "i",
  manySets: "j",
  gets: "k",
  lockPairs: "l",
  manyLockPairs: "l",
  flowLockPairs: "l",
  collectedPrimes: "m",
  securedNoops: "n",
  securedApply: "n",
} as const satisfies Record<string, RowId>;

export type OperationId = keyof typeof operationRows;

export const operationIds = Object.keys(operationRows) as readonly OperationId[];

/** Items, calls or samples of each operation. */
export type Sizes = Readonly<Record<OperationId, number>>;

const fullSizes: Sizes = {
  noops: 100_000,
  apply: 2_000,
  cubes: 10_000_000,
  typedCubes: 10_000_000,
  samples: 10_000_000,
  sampleChunks: 10_000_000,
  serialPrimes: 1_000_000,
  primes: 1_000_000,
  objects: 1_000_000,
  calls: 20_000,
  unpackedNoops: 100_000,
  appends: 200_000,
  unawaitedAppends: 200_000,
  sets: 2_000,
  syncs: 2_000,
  manySets: 20_000,
  gets: 2_000,
  lockPairs: 1_000,
  manyLockPairs: 6_400,
  flowLockPairs: 6_400,
  collectedPrimes: 100_000,
  securedNoops: 100_000,
  securedApply: 2_000,
};
const QUICK_SHARE = 0.05;

/** Of the scheduler's core. */
export interface SchedulerSizes {
  readonly nodes: number;
  readonly chunks: number;
  /** Of each node. */
  readonly slots: number;
}

export const sizesOf = (quick: boolean): Sizes => (quick ? shareOf(fullSizes, QUICK_SHARE) : fullSizes);

export const schedulerSizesOf = (quick: boolean): SchedulerSizes =>
  quick ? { nodes: 500, chunks: 50_000, slots: 2 } : { nodes: 10_000, chunks: 1_000_000, slots: 2 };

/** At least one of each. */
export function shareOf(sizes: Sizes, share: number): Sizes {
  return Object.fromEntries(
    operationIds.map((id) => [id, Math.max(1, Math.round(sizes[id] * share))]),
  ) as unknown as Sizes;
}

/** One operation of a plan: what a contender's process gets as JSON, whatever language it is written in. */
export interface PlannedOperation {
  readonly id: OperationId;
  readonly count: number;
  /** The same for everyone: so many runs of so many items come before the one that is timed. */
  readonly warmUps: number;
  readonly warmUpCount: number;
  /** Timed call by call: `laps` of them. */
  readonly isCalls: boolean;
  /** Timed runs, of which the median counts. */
  readonly laps: number;
}

/** What takes a tenth of a second is timed more often: somebody else's tenth would double it. */
const lapsOf: Partial<Record<OperationId, number>> = {
  samples: 3,
  sampleChunks: 3,
  serialPrimes: 3,
  primes: 3,
  appends: 3,
  unawaitedAppends: 3,
  manySets: 3,
  manyLockPairs: 3,
  flowLockPairs: 3,
  collectedPrimes: 3,
  securedNoops: 9, // a ratio of two figures is as uncertain as both
};
const calls: ReadonlySet<OperationId> = new Set(["apply", "sets", "syncs", "gets", "lockPairs", "securedApply"]);

/** Servers and workers live for long: what is measured is neither how they start nor how their code is compiled. */
export const WARM_UPS = 2;
export const WARM_UP_SHARE = 0.5;
/** A call alone goes through all code once: V8 has compiled most of it for good after some thousand calls, not after one. */
const CALL_WARM_UP_SHARE = 2;

export function planOf(rows: readonly RowId[], sizes: Sizes): PlannedOperation[] {
  const warmUpSizes = shareOf(sizes, WARM_UP_SHARE);
  return operationIds
    .filter((id) => rows.includes(operationRows[id]))
    .map((id) => ({
      id,
      count: sizes[id],
      warmUps: WARM_UPS,
      warmUpCount: calls.has(id) ? Math.round(sizes[id] * CALL_WARM_UP_SHARE) : warmUpSizes[id],
      isCalls: calls.has(id),
      laps: calls.has(id) ? sizes[id] : (lapsOf[id] ?? 1),
    }));
}

/** Workers of every contender. */
export const WORKERS = 2;
/** Chunks of a map where a contender does not cut it by itself: four for each worker, as Python and Heddle do by default. */
export const CHUNKS = 4 * WORKERS;
export const SAMPLE_CHUNKS = 16;
/** Calls under way at a time in pools that stream by single calls, and appends to a shared list. */
export const IN_FLIGHT = 1_024;
/** Sets under way at a time, and clients or flows that have a lock each. */
export const CONCURRENT = 64;
/** Keys of shared dicts: calls go through them again and again. */
export const KEYS = 1_000;
