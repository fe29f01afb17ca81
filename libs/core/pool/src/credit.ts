import type { Millis } from "@heddle/kernel";
import { CREDIT_SHARE_MIN, CREDIT_WINDOW_MS } from "./limits.ts";
import type { Outbox } from "./outbox.ts";
import type { PoolRecord } from "./records.ts";
import { boundedRunMs } from "./run-time.ts";

/**
 * How many chunks this node asks for. One number for all pools: slots * (1 + level), where level is the smallest of
 * the levels of those pools that did at least CREDIT_SHARE_MIN of the recent work. The smallest, because whatever is
 * granted fills with the slowest chunks: they stay. A share, because a rare long chunk must not cost a busy pool of
 * tiny ones its prefetch. It rises at once and falls only when a whole window of work asked for less, so that one
 * pause of a worker moves nothing. On top comes one for each task from outside that waits, and for what waits for the first
 * worker of its pool: these hold chunks, but no slot, and else nobody would send another one. (What is inside of tasks is
 * not held against the credit.) These rise and fall at once: what would come for a slot that was taken back could run elsewhere.
 */
export class Credit {
  readonly #slots: number;
  readonly #pools: ReadonlyMap<unknown, PoolRecord>;
  readonly #out: Outbox;
  #usedMs = 0;
  #closed = false;
  #lent = 0;
  /** Last one told; -1 before the first. */
  #granted = -1;

  /** `pools`: those that are not retired. */
  constructor(slots: number, pools: ReadonlyMap<unknown, PoolRecord>, out: Outbox) {
    this.#slots = slots;
    this.#pools = pools;
    this.#out = out;
  }

  /** The last grant, 0 before the first. */
  get granted(): number {
    return Math.max(0, this.#granted);
  }

  /** A chunk of the pool took so long, or is seen to take at least so long; only this share of it, when the rest was given back. */
  sample(pool: PoolRecord, runMs: Millis, share = 1): void {
    const wholeMs = share > 0 && share < 1 ? runMs / share : runMs;
    const isHigher = pool.runTime.add(wholeMs) && pool.runTime.level > pool.levelPeak;
    if (isHigher) pool.levelPeak = pool.runTime.level;
    const usedMs = boundedRunMs(runMs);
    pool.useMs += usedMs;
    this.#usedMs += usedMs;
    if (this.#usedMs > CREDIT_WINDOW_MS * this.#slots) this.#endWindow();
    else if (isHigher && !this.#closed && this.#wanted() > this.#granted) this.settle();
  }

  /** So many tasks from outside, and chunks of pools without a worker, wait. */
  lend(count: number): void {
    if (count === this.#lent) return;
    this.#lent = count;
    if (this.#granted >= 0) this.settle();
  }

  /** Nothing is granted from now on. */
  close(): void {
    this.#closed = true;
    this.settle();
  }

  /** Whoever was told is gone, and so are the tasks that waited: the next one is told from the start. */
  retell(): void {
    this.#granted = -1;
    this.#lent = 0;
    this.settle();
  }

  /** Grants what is wanted now, if that is not what was granted. */
  settle(): void {
    const wanted = this.#closed ? 0 : this.#wanted();
    if (wanted === this.#granted) return;
    this.#granted = wanted;
    this.#out.emit({ type: "grant-credit", chunks: wanted });
  }

  #endWindow(): void {
    this.#usedMs = 0;
    for (const pool of this.#pools.values()) {
      pool.useMs /= 2;
      this.#usedMs += pool.useMs;
    }
    this.settle();
    for (const pool of this.#pools.values()) pool.levelPeak = pool.runTime.level;
    // A chunk of an hour fills many windows: what is left must not end one with every tiny chunk that follows.
    const scale = Math.min(1, (CREDIT_WINDOW_MS * this.#slots) / (2 * this.#usedMs || 1));
    for (const pool of this.#pools.values()) pool.useMs *= scale;
    this.#usedMs *= scale;
  }

  #wanted(): number {
    let usedMs = 0;
    for (const pool of this.#pools.values()) usedMs += pool.useMs;
    let level = Number.POSITIVE_INFINITY;
    for (const pool of this.#pools.values()) {
      if (pool.useMs > 0 && pool.useMs >= CREDIT_SHARE_MIN * usedMs) level = Math.min(level, pool.levelPeak);
    }
    return this.#slots * (1 + (level === Number.POSITIVE_INFINITY ? 0 : level)) + this.#lent;
  }
}
