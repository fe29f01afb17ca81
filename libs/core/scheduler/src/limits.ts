import type { BackoffPolicy, Millis } from "@heddle/kernel";

/** Bounds and delays of the scheduler. Each says what happens there. */
export interface SchedulerLimits {
  /** Delay before the first retry of an item after its own error; doubles with each further failure, jitter +-50 %. */
  readonly retryFirstMs: Millis;
  /** A retry is never delayed longer, before jitter. */
  readonly retryMaxMs: Millis;
  /** How long a node gets nothing that cannot start workers, or where items die again that died there before. */
  readonly hold: BackoffPolicy;
  /** Faults in a row, no chunk of the pool finishing in between, after which the pool's open jobs end as failed. */
  readonly poolFaultsMax: number;
  /** Failures of a pool's initializer in a row, no chunk of the pool having been run in between, after which its open jobs end as failed. */
  readonly poolInitFailuresMax: number;
  /** Deaths with one item alone, or without a mark, after which the item is quarantined or the span is halved. */
  readonly deathsMax: number;
  /** From this many nodes lost with a span on, each loss counts as a death without mark. */
  readonly lossesMax: number;
  /** A node that fails so many different chunks by its own doing, within `causeAgeMs`, is excluded; one is enough for a node on probation. */
  readonly exclusionCauses: number;
  /** How long a cause counts. Rates are of the last half to whole of this. */
  readonly causeAgeMs: Millis;
  /** Nor is a node excluded that fails less than so many times the median share of the other nodes, ... */
  readonly exclusionRateFactor: number;
  /** ... or less than this share of what it is given. */
  readonly exclusionRateMin: number;
  /** How long a node is excluded: the first time, and at most. It doubles with each time that is not forgiven. */
  readonly exclusion: BackoffPolicy;
  /** After so long without a cause it is forgiven that it was excluded. */
  readonly forgivenAfterMs: Millis;
  /** Of the nodes that would take work, this share always does, rounded up: nodes beyond it are not excluded, or come back early. */
  readonly keptShareMin: number;
  /** Items that have run for so much longer elsewhere than where a worker died under them have not killed it. */
  readonly survivalMs: Millis;
  /**
   * A job fails for which, in all of this time, there were nodes and none of them could run it, were it empty. 0: it waits for ever. Nodes
   * that get nothing now could all the same, unless their agent ends.
   */
  readonly unschedulableMs: Millis;
  /**
   * What a chunk is taken to last, on a node that ends, of a job of which none has run. What is expected to take no longer is not asked back before the node leaves, should it not
   * have begun in time.
   */
  readonly lifetimeMinMs: Millis;
  /** What one chunk is charged at least in the fair queue, however short it ran. */
  readonly costMinMs: Millis;
  /** A chunk that waits at a full node is left there for so long before it is asked back for an idle slot elsewhere. */
  readonly handBackAfterMs: Millis;
  /** No span that has run for less is backed up: sending its input and starting a worker cost more. */
  readonly backupMinMs: Millis;
  /** A span is a straggler that has run for so many times what the median of the job's items took, for each of its items, ... */
  readonly backupMedianFactor: number;
  /** ... and for so many times what 95 % of them took less than, when there are `backupTailAnswers` answers to tell. */
  readonly backupTailFactor: number;
  readonly backupTailAnswers: number;
  /** With fewer answers of a job nothing is said of how long its items take. */
  readonly backupAnswersMin: number;
  /** Most of the slots of nodes that take work that run backups at a time, but one slot always may. */
  readonly backupShareMax: number;
  /** Stragglers are looked for so often, ... */
  readonly backupEveryMs: Millis;
  /** ... and at least so often while slots idle. */
  readonly backupLookMaxMs: Millis;
}

/**
 * What the coordinator runs with. What makes a straggler is as in Spark (spark.speculation.multiplier 3, of the median; .interval 100 ms), but for
 * the tail: where items take very different times by themselves, 3 medians are nothing unusual. How many slots: LATE (Zaharia and others, OSDI 2008)
 * found a tenth enough; ours run only what nobody else wants to use, and end when somebody does.
 */
export const SCHEDULER_LIMITS: SchedulerLimits = {
  retryFirstMs: 100,
  retryMaxMs: 30_000,
  hold: { firstMs: 50, maxMs: 10_000 },
  poolFaultsMax: 5,
  poolInitFailuresMax: 3,
  deathsMax: 2,
  lossesMax: 3,
  exclusionCauses: 3,
  causeAgeMs: 600_000,
  exclusionRateFactor: 5,
  exclusionRateMin: 0.05,
  exclusion: { firstMs: 300_000, maxMs: 3_600_000 },
  forgivenAfterMs: 1_800_000,
  keptShareMin: 1 / 3,
  survivalMs: 10_000,
  unschedulableMs: 30_000,
  lifetimeMinMs: 5_000,
  costMinMs: 0.05,
  handBackAfterMs: 20,
  backupMinMs: 1_000,
  backupMedianFactor: 3,
  backupTailFactor: 2,
  backupTailAnswers: 20,
  backupAnswersMin: 3,
  backupShareMax: 0.25,
  backupEveryMs: 100,
  backupLookMaxMs: 1_000,
};
