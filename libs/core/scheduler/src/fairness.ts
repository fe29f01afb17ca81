import type { Millis } from "@heddle/kernel";
import { Ranking } from "./ranking.ts";
import type { Job, Pool } from "./state.ts";

/** Weight of the newest observation in the mean run times. */
const MEAN_WEIGHT = 0.2;
/** Guess for a chunk before anything was ever run. */
const FIRST_GUESS_MS = 1;
/** Turns of jobs that enter begin here, far below those of jobs that were charged: of two with the same due time the one that enters is first. */
const FIRST_ENTRY = -(2 ** 52);

/**
 * Which job is served next: the one that was charged least. Each placed chunk charges its job the mean run time of the job's chunks, and
 * a job that enters starts where the queue is, so it is next and cannot save up. That is deficit round robin with the quantum cut to one
 * chunk: the same shares, without rounds in which a job of 10 s chunks is visited 10,000 times beside one of 1 ms chunks.
 *
 * How long a job waits, in time that others are charged before its next chunk is placed (by the slots there are, that is how long it takes). v is where
 * the queue is, each job i is due at d(i) and charged c(i) for a chunk:
 *
 * - One that enters is due at v: sum over the others that wait with d(i) < v of (v - d(i) + c(i)), and what entered before it and was not served. Beside jobs
 *   that stay, however many, that is nothing: it has the next slot that is free, so a job of one chunk waits about one mean chunk time by the number of
 *   slots. Where jobs of one chunk of cost c come one after the other beside n that stay, v is ahead of these by c / (n + 2) at most.
 * - One that is ahead by a, so due at v + a: (2 m + 2) (a + c) at most, with at most m others that wait at a time, and c the dearest chunk of theirs: of jobs
 *   that stay each has a and a chunk, and each c of jobs that come and leave brings v on by c / (m + 2).
 */
export class FairQueue {
  readonly #jobs = new Ranking<Job>((a, b) => a.dueMs < b.dueMs || (a.dueMs === b.dueMs && a.turn < b.turn));
  readonly #costMinMs: Millis;
  /** Where the queue is: the due time of the job served last, and its part of what those had that have left. Only grows. */
  #virtualMs = 0;
  #turns = 0;
  #entries = FIRST_ENTRY;
  /** Mean over the chunks of all jobs: the guess for a job of which none has finished. */
  #meanMs = FIRST_GUESS_MS;

  constructor(costMinMs: Millis) {
    this.#costMinMs = costMinMs;
  }

  /** The job to serve next, or undefined when none can be served. */
  peek(): Job | undefined {
    return this.#jobs.peek();
  }

  /** Brings the queue in line with what `job` has to be placed now. Call after any change of its pending spans, state or client. */
  refresh(job: Job): void {
    if (!hasPlaceable(job)) {
      this.#jobs.remove(job);
      if (job.pool.parked.size > 0) job.pool.parked.delete(job);
    } else if (job.rankAt < 0 && !job.pool.parked.has(job)) {
      job.dueMs = Math.max(job.dueMs, this.#virtualMs);
      job.turn = this.#entries++;
      this.#jobs.update(job);
    }
  }

  /** Charges `job` for one placed chunk and moves it back. */
  charge(job: Job): void {
    const costMs = Math.max(this.#costMinMs, job.meanMs ?? this.#meanMs);
    this.#virtualMs = Math.max(this.#virtualMs, job.dueMs);
    job.dueMs += costMs;
    job.turn = this.#turns++;
    if (hasPlaceable(job)) this.#jobs.update(job);
    else this.#leave(job, costMs);
  }

  /** Takes `job` out until `wake`: no node has room for its pool. */
  park(job: Job): void {
    this.#jobs.remove(job);
    job.pool.parked.add(job);
  }

  /**
   * What it had last counts as a turn of all who share the queue: those that wait, itself, and one that may come and is next before it is back. Otherwise new
   * jobs of one chunk each, one after the other, would keep out for ever who has had more.
   */
  #leave(job: Job, costMs: Millis): void {
    this.#jobs.remove(job);
    this.#virtualMs += costMs / (this.#jobs.size + 2);
  }

  /** Learns from a chunk that ran to its end. */
  observe(job: Job, runMs: Millis): void {
    const ms = Number.isFinite(runMs) ? Math.max(0, runMs) : 0;
    job.meanMs = job.meanMs === undefined ? ms : job.meanMs + MEAN_WEIGHT * (ms - job.meanMs);
    this.#meanMs += MEAN_WEIGHT * (ms - this.#meanMs);
  }

  /** Throws InvariantViolation when the order is broken. */
  validate(): void {
    this.#jobs.validate();
  }
}

/**
 * The jobs that could be placed: those from outside, and those of tasks. Each kind is served fairly in itself; they never compete, since
 * chunks of tasks have room of their own on the nodes.
 */
export class JobQueues {
  readonly outer: FairQueue;
  readonly nested: FairQueue;

  constructor(costMinMs: Millis) {
    this.outer = new FairQueue(costMinMs);
    this.nested = new FairQueue(costMinMs);
  }

  /** The queue that a job belongs to for ever. */
  of({ depth }: Job): FairQueue {
    return depth > 0 ? this.nested : this.outer;
  }

  /** As FairQueue.refresh. */
  refresh(job: Job): void {
    this.of(job).refresh(job);
  }

  /** As FairQueue.observe. */
  observe(job: Job, runMs: Millis): void {
    this.of(job).observe(job, runMs);
  }

  /** Puts the parked jobs of a pool back in. */
  wake(pool: Pool): void {
    const jobs = [...pool.parked];
    pool.parked.clear();
    for (const job of jobs) this.refresh(job);
  }

  /** Throws InvariantViolation when an order is broken. */
  validate(): void {
    this.outer.validate();
    this.nested.validate();
  }
}

/** Whether `job` has a span that may be placed, were there a node. */
export function hasPlaceable(job: Job): boolean {
  if (job.state !== "running") return false;
  if (job.again.size > 0) return true;
  return job.unbegun.size + job.fresh.size > 0 && !job.pool.client.throttled && hasResultCredit(job);
}

/**
 * Whether what was never begun may start, whatever is unread. A gap before a result that was delivered always may: an ordered reader needs just that to
 * take anything, and what stands behind it is all that is unread.
 */
function hasResultCredit(job: Job): boolean {
  if (!job.throttled && (job.unreadBytesMax === undefined || job.unreadBytes < job.unreadBytesMax)) return true;
  const next = job.unbegun.peek() ?? job.fresh.peek();
  if (!job.ordered || next === undefined) return false;
  const { chunk, offset } = job.furthest;
  return next.chunk.index < chunk || (next.chunk.index === chunk && next.offset < offset);
}
