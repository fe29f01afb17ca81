import type { Millis } from "@heddle/kernel";
import { hasPlaceable } from "./fairness.ts";
import type { SchedulerLimits } from "./limits.ts";
import type { Assignment, Job, Node, Pool, State } from "./state.ts";

/**
 * Which nodes last long enough for what, and which pools wait because none with room does. That is no matter of room: with time it gets only worse, unless a
 * job's chunks turn out to be shorter, other nodes come, or other jobs of the pool end.
 */
export class Lifetimes {
  /** Of the step that runs. */
  nowMs: Millis = Number.NEGATIVE_INFINITY;
  /** Since it was last set to false some node was passed over because it does not last. */
  isShort = false;
  readonly #unknownMs: Millis;
  readonly #waiting = new Set<Pool>();

  /** `unknownMs`: what a chunk is taken to last of a job of which none has run. */
  constructor(unknownMs: Millis) {
    this.#unknownMs = unknownMs;
  }

  /** Whether a chunk of the job that began now would be over before the node tells what runs there to end. */
  lasts(node: Node, job: Job): boolean {
    return node.stopsAtMs === undefined || this.nowMs + (job.meanMs ?? this.#unknownMs) < node.stopsAtMs;
  }

  /** The same, and takes note. */
  fits(node: Node, job: Job): boolean {
    if (this.lasts(node, job)) return true;
    this.isShort = true;
    return false;
  }

  /** Whether it lasts for any job of the pool that has something to run there. O(jobs), but for nodes without an end. */
  lastsForAny(node: Node, pool: Pool): boolean {
    return node.stopsAtMs === undefined || pool.jobs.values().some((job) => isBusy(job) && this.lasts(node, job));
  }

  /** A job of the pool is parked, and nodes were passed over. */
  awaitTime(pool: Pool): void {
    if (this.isShort) this.#waiting.add(pool);
  }

  get isAwaitedByAny(): boolean {
    return this.#waiting.size > 0;
  }

  /** Whether a job of the pool was parked so. */
  isAwaited(pool: Pool): boolean {
    return this.#waiting.has(pool);
  }

  /** No job of the pool is parked so any more; whether one was. */
  forget(pool: Pool): boolean {
    return this.#waiting.delete(pool);
  }

  /** The same of all. */
  clear(): void {
    this.#waiting.clear();
  }
}

/** Whether anything of the job is placed or may be: of one that only stays open, no slot is of use anywhere. */
export function isBusy(job: Job): boolean {
  return job.spansPlaced > 0 || hasPlaceable(job);
}

/** How long a chunk of the job runs, as far as is known. */
export function expectedMs(job: Job, limits: SchedulerLimits): Millis {
  return job.meanMs ?? limits.lifetimeMinMs;
}

/**
 * A chunk was placed on a node that ends: if it takes long, it is asked back should it not have begun in time. Shorter ones come back when the node leaves.
 * A node has one alarm, for the chunk that has to begin first: one for each would hold what is over for as long as the node lives.
 */
export function watchStart({ timers, limits }: State, { node, job }: Assignment): void {
  const neededMs = expectedMs(job, limits);
  if (node.stopsAtMs === undefined || neededMs <= limits.lifetimeMinMs) return;
  const atMs = node.stopsAtMs - neededMs;
  if (node.startBy === undefined) node.startBy = timers.add(atMs, { type: "start-by", node });
  else if (atMs < node.startBy.atMs) timers.move(node.startBy, atMs);
}

/** The node is lost: nothing begins there. */
export function forgetStarts({ timers }: State, node: Node): void {
  if (node.startBy !== undefined) timers.remove(node.startBy);
  node.startBy = undefined;
}

/** What is lost with a node whose time was over, or that left, was to be: it blames nobody. */
export function wasToEnd({ nowMs }: State, { leaving, stopsAtMs }: Node): boolean {
  return leaving || (stopsAtMs !== undefined && nowMs >= stopsAtMs);
}
