import type { Fleet } from "./fleet.ts";
import type { PoolRecord, Worker } from "./records.ts";

/**
 * Gets workers for chunks that have none. A worker serves one pool for ever, so a pool that shall run needs workers of
 * its own, before a slot is free for it: else whoever has workers would take every slot again.
 */
export class Recruiter {
  readonly #fleet: Fleet;
  /** Pools with a queue. */
  readonly #backlog: readonly PoolRecord[];
  /** Workers wanted beyond those there are. */
  #lacking = 0;
  /** Workers of the worst off of the pools that want more. */
  #fewest = 0;

  constructor(fleet: Fleet, backlog: readonly PoolRecord[]) {
    this.#fleet = fleet;
    this.#backlog = backlog;
  }

  /** Starts workers, or has idle ones of other pools end when there are as many as may be. */
  recruit(): void {
    this.#assess();
    for (let lacking = this.#fleet.replenish(this.#lacking); lacking > 0; lacking--) {
      const victim = this.#victim();
      if (victim === undefined) return;
      this.#fleet.stop(victim, "asked");
    }
  }

  /** Each pool wants its share of the slots, and together they want every free slot. */
  #assess(): void {
    this.#lacking = 0;
    this.#fewest = Number.POSITIVE_INFINITY;
    const { slots, running, blanks } = this.#fleet;
    const share = Math.max(1, Math.floor(slots / this.#backlog.length));
    let fairly = 0;
    let greedily = 0;
    for (const pool of this.#backlog) {
      const idle = pool.idle.length;
      const useful = Math.min(pool.queue.size, pool.slotsMax - pool.running);
      const own = Math.min(useful, share - pool.running) - idle;
      if (own > 0) fairly += own;
      if (useful > idle) greedily += useful - idle;
      if (useful > idle && pool.running + idle < this.#fewest) this.#fewest = pool.running + idle;
    }
    this.#lacking = Math.min(slots, Math.max(fairly, Math.min(greedily, slots - running))) - blanks.length;
  }

  /** The longest idle worker: of a pool without a queue, or else of one that has more workers than the worst off. */
  #victim(): Worker | undefined {
    let victim: Worker | undefined;
    for (const worker of this.#fleet.workers.values()) {
      const pool = worker.pool;
      if (worker.state !== "idle" || pool === undefined) continue;
      if (pool.queue.size > 0 && pool.running + pool.idle.length <= this.#fewest) continue;
      if (victim === undefined || goesBefore(worker, victim)) victim = worker;
    }
    return victim;
  }
}

function goesBefore(worker: Worker, other: Worker): boolean {
  const isNeeded = (worker.pool?.queue.size ?? 0) > 0;
  const isOtherNeeded = (other.pool?.queue.size ?? 0) > 0;
  return isNeeded === isOtherNeeded ? worker.idleTurn < other.idleTurn : isOtherNeeded;
}
