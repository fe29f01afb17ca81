import type { Millis, Random } from "@heddle/kernel";

/**
 * What goes wrong in a run. Rates are events per virtual second over the whole world, unless said otherwise. 0 is never.
 * The fault model is that of ordered streams: a link delivers in order until it breaks, then an unknown suffix of each direction is lost.
 */
export interface FaultPlan {
  /** Travel time of a packet and of a process start: exponential above `min`, with this mean. */
  readonly delayMs: readonly [min: Millis, mean: Millis];
  /** One open link is reset. */
  readonly breakLink: number;
  /** One open link carries nothing in one or both directions for `outageMs`, then goes on or is reset. */
  readonly blackhole: number;
  /** Two machines cannot reach each other, or one not the other, for `outageMs`. */
  readonly partition: number;
  /** One machine dies, with or without a word to its peers, and boots again after `outageMs`. */
  readonly crash: number;
  /** One machine stands still for `outageMs`. */
  readonly pause: number;
  /** One worker process is killed. */
  readonly killWorker: number;
  /** Probability, of each dial and question. */
  readonly refuseDial: number;
  /** How long what is not instant lasts: exponential above `min`, with this mean. */
  readonly outageMs: readonly [min: Millis, mean: Millis];
  /** Bound of the error of each machine's clock rate, in millionths. */
  readonly clockDriftPpm: number;
}

/** Nothing goes wrong; packets take 1 to 2 ms. */
export const calmPlan: FaultPlan = {
  delayMs: [1, 2],
  breakLink: 0,
  blackhole: 0,
  partition: 0,
  crash: 0,
  pause: 0,
  killWorker: 0,
  refuseDial: 0,
  outageMs: [0, 0],
  clockDriftPpm: 0,
};

/** Everything goes wrong, often: for tests of the world itself. */
export const stormPlan: FaultPlan = {
  delayMs: [0, 20],
  breakLink: 1,
  blackhole: 0.5,
  partition: 0.5,
  crash: 0.3,
  pause: 0.5,
  killWorker: 0.5,
  refuseDial: 0.2,
  outageMs: [10, 2_000],
  clockDriftPpm: 200,
};

/**
 * A plan drawn for one run ("swarm testing", Groce et al. 2012): each kind of fault is off in half of the runs, so that the ones that are on
 * are not hidden by the others; what is on is rare in some runs and frequent in others.
 */
export function swarmPlan(random: Random): FaultPlan {
  const rate = (most: number): number => (random.int(2) === 0 ? 0 : (most * (1 + random.int(20))) / 20);
  return {
    delayMs: [random.int(3), [2, 10, 50, 200][random.int(4)] ?? 2],
    breakLink: rate(0.5),
    blackhole: rate(0.2),
    partition: rate(0.2),
    crash: rate(0.1),
    pause: rate(0.2),
    killWorker: rate(0.5),
    refuseDial: rate(0.2),
    outageMs: [1, [100, 2_000, 10_000, 40_000][random.int(4)] ?? 100],
    clockDriftPpm: random.int(2) * 200,
  };
}

/** Exponentially distributed above `min` with mean `mean`, whole milliseconds, at most ten times the spread. */
export function drawMs(random: Random, [min, mean]: readonly [min: Millis, mean: Millis]): Millis {
  const spread = Math.max(0, mean - min);
  return Math.round(min + Math.min(10, -Math.log(1 - random.float())) * spread);
}
