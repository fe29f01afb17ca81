import type { SchedulerLimits } from "@heddle/core-scheduler";
import { type Millis, seededRandom } from "@heddle/kernel";

/**
 * What one simulated run of the scheduler is made of, drawn from its seed. Probabilities are per opportunity; many runs have whole columns
 * at zero, so that a fault is also seen without the others.
 */
export interface SwarmOptions {
  /** stream: links are ordered and lossless until they break. hostile: single messages are dropped, delayed, doubled and reordered. */
  readonly model: "stream" | "hostile";
  readonly nodes: number;
  readonly slotsMax: number;
  readonly prefetchMax: number;
  readonly clients: number;
  readonly jobs: number;
  readonly chunksMax: number;
  readonly itemsMax: number;
  readonly retriesMax: number;
  readonly itemMsMax: Millis;
  readonly delayMsMax: Millis;
  /** Faults happen before, everything heals then. */
  readonly faultsUntilMs: Millis;
  readonly leaseMs: Millis;
  /** Mean time between trouble on one node (break of its link, crash, drain, cordon, fault, its leaving). */
  readonly troubleEveryMs: Millis;
  /** Weight of each kind of trouble; all 0 for none. */
  readonly breaks: number;
  readonly crashes: number;
  readonly drains: number;
  readonly cordons: number;
  readonly startFaults: number;
  /** Model hostile: of each message. */
  readonly drop: number;
  readonly duplicate: number;
  readonly reorder: number;
  /** Of each run of a span. */
  readonly kills: number;
  /** Of each death of a worker that marked: the mark did not arrive. */
  readonly markLoss: number;
  /** Of each item: kills its worker, always. */
  readonly poison: number;
  /** Of each item: throws once or twice. */
  readonly flaky: number;
  /** Of each item: throws always. */
  readonly broken: number;
  /** Of each job: cancelled meanwhile, or its pool closed, or its client leaves. */
  readonly cancels: number;
  /** Of each pool: bounded. */
  readonly bounded: number;
  /** Of each client and second: throttled for a while. */
  readonly throttles: number;
  /** Of each job: called by a task, up to three deep. */
  readonly nested: number;
  /** Of each job: goes on behind items that failed for good. */
  readonly collects: number;
  /** Of each chunk: made of small ones that travel together. */
  readonly grains: number;
  /** Of each run of a span: given back in part. */
  readonly parts: number;
  /** Of each error of an item: it is overdue instead. */
  readonly overdues: number;
  /** Of each run of a span: the pool's initializer failed. */
  readonly initFailures: number;
  /** Of each job: its results have a small bound of unread bytes. */
  readonly unreads: number;
  /** Of each job and pool: needs what not every node has. */
  readonly needs: number;
  /** Nodes whose workers always die. */
  readonly sickNodes: number;
  /** How long a job waits for a node that could run it, where there are others. */
  readonly unschedulableMs: Millis;
  /** Weight of nodes that leave by themselves, among the kinds of trouble. */
  readonly leaves: number;
  /** Of each job: it was open in a session before. */
  readonly resumes: number;
  /** Of each job: its stragglers are backed up. */
  readonly speculates: number;
  /** Of each run of a span: it takes seconds longer. */
  readonly stragglers: number;
  /** Of each node that joins while faults happen: it says when it ends, leaves then, and is gone soon after. */
  readonly mortals: number;
}

/** A run lasts for seconds: so do exclusions, and stragglers are looked for often. */
export const RUN_LIMITS: Partial<SchedulerLimits> = {
  causeAgeMs: 5_000,
  exclusion: { firstMs: 500, maxMs: 4_000 },
  forgivenAfterMs: 5_000,
  survivalMs: 200,
  lifetimeMinMs: 40,
  backupMinMs: 100,
  backupEveryMs: 20,
  backupLookMaxMs: 200,
};

/** The options of a seed. */
export function swarm(seed: number): SwarmOptions {
  const random = seededRandom(seed, "swarm");
  const upTo = (bound: number): number => 1 + random.int(bound);
  const sometimes = (most: number): number => (random.float() < 0.5 ? 0 : random.float() * most);
  const hostile = random.float() < 0.4;
  return {
    model: hostile ? "hostile" : "stream",
    nodes: upTo(5),
    slotsMax: upTo(4),
    prefetchMax: random.int(4),
    clients: upTo(2),
    jobs: upTo(6),
    chunksMax: upTo(60),
    itemsMax: upTo(8),
    retriesMax: random.int(3),
    itemMsMax: upTo(80),
    delayMsMax: upTo(20),
    faultsUntilMs: 1_000 + random.int(6_000),
    leaseMs: 50 + random.int(300),
    troubleEveryMs: 40 + random.int(600),
    breaks: sometimes(1),
    crashes: sometimes(1),
    drains: sometimes(0.5),
    cordons: sometimes(0.5),
    startFaults: sometimes(0.5),
    drop: hostile ? sometimes(0.1) : 0,
    duplicate: hostile ? sometimes(0.3) : 0,
    reorder: hostile ? sometimes(0.3) : 0,
    kills: sometimes(0.3),
    markLoss: sometimes(0.5),
    poison: sometimes(0.01),
    flaky: sometimes(0.1),
    broken: sometimes(0.005),
    cancels: sometimes(0.4),
    bounded: sometimes(1),
    throttles: sometimes(0.5),
    nested: sometimes(1),
    collects: sometimes(1),
    grains: sometimes(1),
    parts: sometimes(0.4),
    overdues: sometimes(1),
    initFailures: sometimes(0.3),
    unreads: sometimes(1),
    needs: sometimes(0.7),
    leaves: sometimes(0.5),
    sickNodes: random.float() < 0.2 ? 1 : 0,
    unschedulableMs: random.float() < 0.5 ? 60_000 : 50 + random.int(3_000),
    resumes: sometimes(1),
    speculates: sometimes(1),
    stragglers: sometimes(0.05),
    mortals: sometimes(1),
  };
}

/** The kinds of trouble that a node has. */
export type Trouble = "break" | "crash" | "drain" | "cordon" | "start-fault" | "leave";

/** Draws a trouble by weight, or undefined when this run has none. */
export function drawTrouble(options: SwarmOptions, draw: number): Trouble | undefined {
  const weights: readonly (readonly [Trouble, number])[] = [
    ["break", options.breaks],
    ["crash", options.crashes],
    ["drain", options.drains],
    ["cordon", options.cordons],
    ["start-fault", options.startFaults],
    ["leave", options.leaves],
  ];
  let left = draw * weights.reduce((sum, [, weight]) => sum + weight, 0);
  for (const [trouble, weight] of weights) {
    if (weight > 0 && left < weight) return trouble;
    left -= weight;
  }
  return undefined;
}
