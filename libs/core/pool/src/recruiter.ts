import type { Millis } from "@heddle/kernel";
import type { Fleet } from "./fleet.ts";
import type { Outbox } from "./outbox.ts";
import type { PoolRecord, Worker } from "./records.ts";

/**
 * Gets workers for chunks that have none. A worker serves one pool for ever, so a pool that shall run needs workers of
 * its own, before a slot is free for it: else whoever has workers would take every slot again.
 */
export class Recruiter {
  readonly #fleet: Fleet;
  /** Pools with a queue. */
  readonly #backlog: readonly PoolRecord[];
  readonly #out: Outbox;
  /** Workers wanted beyond those there are. */
  #lacking = 0;
  /** Those of them that pools want that have less than their share of the slots. */
  #forShares = 0;
  /** Workers of the worst off of the pools that want more. */
  #fewest = 0;

  constructor(fleet: Fleet, backlog: readonly PoolRecord[], out: Outbox) {
    this.#fleet = fleet;
    this.#backlog = backlog;
    this.#out = out;
  }

  /** Starts workers, or has idle ones of other pools end when there are as many as may be. */
  recruit(): void {
    while (this.#fleet.excess > 0) {
      const spare = this.#spare();
      if (spare === undefined) break;
      this.#fleet.stop(spare, "asked");
    }
    this.#assess();
    const lacking = this.#fleet.replenish(this.#lacking);
    const forShares = this.#forShares - (this.#lacking - lacking); // what is on its way is for shares first
    for (let at = 0; at < lacking; at++) {
      const victim = this.#victim(at < forShares);
      if (victim === undefined) return;
      this.#fleet.stop(victim, "asked");
    }
  }

  /**
   * Each pool wants its share of the slots, and together they want every free slot. Who has a chunk that needs a fresh
   * worker wants a blank one in any case: idle ones are of no use to it, and its slot is taken again when it has waited.
   */
  #assess(): void {
    this.#lacking = 0;
    this.#fewest = Number.POSITIVE_INFINITY;
    const { slots, running, blanks } = this.#fleet;
    const share = Math.max(1, Math.floor(slots / this.#backlog.length));
    let fairly = 0;
    let greedily = 0;
    for (const pool of this.#backlog) {
      if (!this.#fleet.admits(pool.depth)) continue;
      const idle = pool.idle.length;
      const useful = Math.min(pool.queue.size, pool.slotsMax - pool.running);
      const own = Math.min(useful, share - pool.running) - idle;
      if (own > 0) fairly += own;
      if (useful > idle) greedily += useful - idle;
      if (pool.suspects.size > 0) {
        const room = pool.slotsMax - pool.running;
        fairly += Math.min(pool.suspects.size, Math.max(1, Math.min(room, share - pool.running)));
        greedily += Math.min(pool.suspects.size, Math.max(1, room));
        if (idle === 0 && pool.running < this.#fewest) this.#fewest = pool.running;
      }
      if (useful > idle && pool.running + idle < this.#fewest) this.#fewest = pool.running + idle;
    }
    this.#forShares = fairly - blanks.length;
    this.#lacking = Math.min(slots, Math.max(fairly, Math.min(greedily, slots - running))) - blanks.length;
  }

  /** A worker that nothing is lost with: blank, or else the longest idle. */
  #spare(): Worker | undefined {
    let spare = this.#fleet.blanks.at(-1);
    if (spare !== undefined) return spare;
    for (const worker of this.#fleet.workers.values()) {
      if (worker.state === "idle" && (spare === undefined || worker.idleTurn < spare.idleTurn)) spare = worker;
    }
    return spare;
  }

  /**
   * The longest idle worker: one that is not needed, or else of a pool that has more workers than the worst off. None that has a tenure: then it
   * is looked again when the first of them ends.
   */
  #victim(isForShare: boolean): Worker | undefined {
    let victim: Worker | undefined;
    let keptUntilMs: Millis = Number.POSITIVE_INFINITY;
    for (const worker of this.#fleet.workers.values()) {
      const pool = worker.pool;
      if (worker.state !== "idle" || pool === undefined) continue;
      if (isNeeded(pool) && pool.running + pool.idle.length <= this.#fewest) continue;
      const untilMs = pool.suspects.size > 0 ? 0 : this.#fleet.keptUntilMs(worker, isForShare);
      if (untilMs > this.#out.nowMs) {
        keptUntilMs = Math.min(keptUntilMs, untilMs);
        continue;
      }
      if (victim === undefined || goesBefore(worker, victim)) victim = worker;
    }
    if (victim === undefined) this.#out.wakeAt(keptUntilMs);
    return victim;
  }
}

function goesBefore(worker: Worker, other: Worker): boolean {
  const isOtherNeeded = isNeeded(other.pool);
  return isNeeded(worker.pool) === isOtherNeeded ? worker.idleTurn < other.idleTurn : isOtherNeeded;
}

/** Whether the pool's idle workers have something to run. One that needs a fresh worker makes room for it itself. */
function isNeeded(pool: PoolRecord | undefined): boolean {
  return pool !== undefined && pool.queue.size > 0 && pool.suspects.size === 0;
}
