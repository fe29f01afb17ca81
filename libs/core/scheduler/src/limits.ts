import type { BackoffPolicy, Millis } from "@heddle/kernel";

/** Bounds and delays of the scheduler. Each says what happens there. */
export interface SchedulerLimits {
  /** Delay before the first retry of an item after its own error; doubles with each further failure, jitter +-50 %. */
  readonly retryFirstMs: Millis;
  /** A retry is never delayed longer, before jitter. */
  readonly retryMaxMs: Millis;
  /** How long a node that cannot start workers gets nothing. */
  readonly hold: BackoffPolicy;
  /** Faults in a row, no chunk of the pool finishing in between, after which the pool's open jobs end as failed. */
  readonly poolFaultsMax: number;
  /** Failures of a pool's initializer in a row, no chunk of the pool having been run in between, after which its open jobs end as failed. */
  readonly poolInitFailuresMax: number;
  /** Deaths with one item alone, or without a mark, after which the item is quarantined or the span is halved. */
  readonly deathsMax: number;
  /** From this many nodes lost with a span on, each loss counts as a death without mark. */
  readonly lossesMax: number;
  /** What one chunk is charged at least in the fair queue, however short it ran. */
  readonly costMinMs: Millis;
  /** A chunk that waits at a full node is left there for so long before it is asked back for an idle slot elsewhere. */
  readonly handBackAfterMs: Millis;
}

/** What the coordinator runs with. */
export const SCHEDULER_LIMITS: SchedulerLimits = {
  retryFirstMs: 100,
  retryMaxMs: 30_000,
  hold: { firstMs: 50, maxMs: 10_000 },
  poolFaultsMax: 5,
  poolInitFailuresMax: 3,
  deathsMax: 2,
  lossesMax: 3,
  costMinMs: 0.05,
  handBackAfterMs: 20,
};
