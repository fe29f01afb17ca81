import type { Random } from "@heddle/kernel";

/** One run: probabilities are per occasion; half of the kinds of trouble are off in any run. */
export interface PoolPlan {
  readonly slots: number;
  readonly chunksPerWorkerMax: number | undefined;
  readonly pools: number;
  readonly chunks: number;
  readonly spawnMs: number;
  readonly pipeMs: number;
  readonly marks: boolean;
  /** Workers answer a skip at once, before their head. */
  readonly eagerSkips: boolean;
  readonly endsByDrain: boolean;
  readonly spawnFailure: number;
  readonly spawnHang: number;
  readonly crash: number;
  readonly idleCrash: number;
  readonly hang: number;
  readonly ignoreTerm: number;
  readonly lostTail: number;
  readonly revoke: number;
  readonly retire: number;
  readonly coordinatorLoss: number;
  readonly earlyDrain: number;
  readonly brokenCode: number;
  readonly repeat: number;
  readonly fresh: number;
  /** Of each chunk: its task waits for the fabric in the middle, once or more. */
  readonly waits: number;
  /** Of each turn: somebody says that some worker's task waits, or goes on. */
  readonly lies: number;
  /** Jobs are inside of up to so many tasks. */
  readonly depth: number;
  /** Every second pool has an initializer. */
  readonly initializers: boolean;
  /** Of each worker of such a pool: it does not get through it. */
  readonly initFailure: number;
  /** Of each job: its items have a longest run. */
  readonly itemTimeout: number;
  /** Of each chunk: it is several grains. */
  readonly grains: number;
  /** Of each answer: the worker has grown too large for its pool. */
  readonly heavy: number;
}

/** Mild or severe, from the seed. */
export function drawPlan(random: Random): PoolPlan {
  const maybe = (most: number): number => (random.int(2) === 0 ? 0 : random.float() * most);
  return {
    slots: 1 + random.int(4),
    chunksPerWorkerMax: random.int(3) === 0 ? 1 + random.int(12) : undefined,
    pools: 1 + random.int(4),
    chunks: 20 + random.int(160),
    spawnMs: 1 + random.int(60),
    pipeMs: random.int(3) * 0.2,
    marks: random.int(2) === 0,
    eagerSkips: random.int(2) === 0,
    endsByDrain: random.int(2) === 0,
    spawnFailure: maybe(0.7),
    spawnHang: maybe(0.05),
    crash: maybe(0.1),
    idleCrash: maybe(0.1),
    hang: maybe(0.04),
    ignoreTerm: maybe(0.5),
    lostTail: maybe(0.8),
    revoke: maybe(0.3),
    retire: maybe(0.02),
    coordinatorLoss: maybe(0.01),
    earlyDrain: maybe(0.005),
    brokenCode: maybe(0.2),
    repeat: maybe(0.3),
    fresh: maybe(0.5),
    waits: maybe(1),
    lies: maybe(0.5),
    depth: random.int(2) * random.int(4),
    initializers: random.int(2) === 0,
    initFailure: maybe(0.4),
    itemTimeout: maybe(1),
    grains: maybe(1),
    heavy: maybe(0.1),
  };
}
