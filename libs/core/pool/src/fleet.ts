import { assert, type Millis, NESTING_DEPTH_MAX } from "@heddle/kernel";
import type { Chunk } from "./chunk.ts";
import {
  IN_USE_MS,
  KILL_GRACE_MS,
  SPAWN_READY_MS,
  TENURE_MAX_MS,
  TENURE_MIN_MS,
  TENURE_PER_START,
  WAITING_PER_SLOT_AND_LEVEL,
  WORKERS_PER_SLOT_MAX,
} from "./limits.ts";
import type { Outbox } from "./outbox.ts";
import { type Ending, type PoolRecord, Worker } from "./records.ts";
import { SpawnGate } from "./spawn-gate.ts";
import type { WorkerKey } from "./types.ts";

/** The worker processes: how many there are, in which state, and for whom. Knows nothing of queues. */
export class Fleet {
  readonly slots: number;
  /** Every live worker by key, oldest first. Those not busy or stopping are at most WORKERS_PER_SLOT_MAX * slots. */
  readonly workers = new Map<WorkerKey, Worker>();
  /** Workers in state "blank", the longest ready first. */
  readonly blanks: Worker[] = [];
  readonly gate = new SpawnGate();
  /** Workers that occupy a slot. Rises only below `slots`, or when a task goes on that had lent its slot. */
  running = 0;
  /** Busy workers whose task waits: their slots are lent. At most WAITING_PER_SLOT_MAX * slots, as `admits` sees to. */
  waiting = 0;
  /** Those of them that are inside of no task. */
  waitingOuter = 0;
  /** Workers in state "spawning". */
  spawning = 0;
  /** Workers in state "stopping". */
  stopping = 0;
  /** Those of them that are recycled. */
  recycling = 0;
  readonly #out: Outbox;
  #nextKey = 1;
  #open = false;
  /** How long a worker that is bound now is not evicted. */
  #tenureMs = TENURE_MIN_MS;

  constructor(slots: number, out: Outbox) {
    this.slots = slots;
    this.#out = out;
  }

  /** Workers may be started from now on. */
  open(): void {
    this.#open = true;
  }

  /** Nothing is started any more. */
  close(): void {
    this.#open = false;
  }

  /** A spawning worker can take a chunk. */
  ready(worker: Worker): void {
    this.#leaveState(worker);
    worker.state = "blank";
    this.#tenureMs = Math.min(
      TENURE_MAX_MS,
      Math.max(TENURE_MIN_MS, TENURE_PER_START * (this.#out.nowMs - worker.spawnedMs)),
    );
    this.blanks.push(worker);
    this.gate.succeeded();
  }

  /**
   * A free worker for the chunk: its pool's own that was busy last, else a blank one; a blank one if it needs a fresh
   * one. It stays where it is until `occupy`.
   */
  freeFor({ fresh, job: { pool } }: Chunk): Worker | undefined {
    return (fresh ? undefined : pool.idle.at(-1)) ?? this.blanks[0];
  }

  /** A free worker gets its head: it is busy, and bound to the pool for ever. */
  occupy(worker: Worker, pool: PoolRecord): void {
    assert(worker.pool === undefined || worker.pool === pool, "a worker serves one pool");
    this.#leaveState(worker);
    worker.state = "busy";
    if (worker.pool === undefined) {
      worker.joined = !pool.hasInitializer;
      worker.tenureUntilMs = this.#out.nowMs + this.#tenureMs;
    }
    worker.pool = pool;
    worker.busyAt = pool.busy.push(worker) - 1;
    worker.occupiesSlot = true;
    this.running++;
    pool.running++;
  }

  /** A busy worker has no chunk left. */
  idle(worker: Worker, pool: PoolRecord): void {
    this.#leaveState(worker);
    this.vacate(worker);
    worker.state = "idle";
    worker.idleTurn = this.#out.turn;
    worker.idleSinceMs = this.#out.nowMs;
    pool.idle.push(worker);
  }

  /** Whether one more chunk of a pool that is `depth` tasks deep may start: enough may still wait for what it may wait for. */
  admits(depth: number): boolean {
    return (
      this.waiting === 0 ||
      this.waiting < (Math.min(depth, NESTING_DEPTH_MAX) + 1) * WAITING_PER_SLOT_AND_LEVEL * this.slots
    );
  }

  /** The task of a busy worker waits: its slot is free. False when nothing changes. */
  lend(worker: Worker): boolean {
    if (worker.state !== "busy" || worker.waiting) return false;
    worker.waiting = true;
    worker.waitsOutside = worker.pool?.depth === 0;
    this.waiting++;
    if (worker.waitsOutside) this.waitingOuter++;
    this.running--;
    return true;
  }

  /** It goes on, whether there is a slot for it or not. False when it did not wait. */
  resume(worker: Worker): boolean {
    if (!worker.waiting) return false;
    worker.waiting = false;
    this.waiting--;
    if (worker.waitsOutside) this.waitingOuter--;
    this.running++;
    return true;
  }

  /** The worker runs nothing any more. */
  vacate(worker: Worker): void {
    this.resume(worker);
    if (!worker.occupiesSlot) return;
    worker.occupiesSlot = false;
    this.running--;
    if (worker.pool !== undefined) worker.pool.running--;
  }

  /** Tells a worker to end: SIGTERM now, SIGKILL after KILL_GRACE_MS. Once. */
  stop(worker: Worker, ending: Ending): void {
    if (worker.state === "stopping") return;
    this.resume(worker);
    this.#leaveState(worker);
    worker.state = "stopping";
    worker.ending = ending;
    worker.deadlineMs = this.#out.nowMs + KILL_GRACE_MS;
    this.stopping++;
    if (ending === "recycled") this.recycling++;
    this.#out.emit({ type: "kill-worker", worker: worker.key, signal: "SIGTERM" });
    this.#out.wakeAt(worker.deadlineMs);
  }

  /** The process has ended. */
  gone(worker: Worker): void {
    this.#leaveState(worker);
    this.vacate(worker);
    this.workers.delete(worker.key);
  }

  /**
   * Until when an idle worker stays with its pool; in the past when it may go. For a pool that has its share already it goes only when it
   * has been idle for as long as a tenure: to start another one for its own pool costs as much as what is won.
   */
  keptUntilMs({ tenureUntilMs, idleSinceMs }: Worker, isForShare: boolean): Millis {
    return isForShare ? Math.min(tenureUntilMs, idleSinceMs + IN_USE_MS) : idleSinceMs + this.#tenureMs;
  }

  /** Who has no worker has to wait until one of another pool has ended. */
  get isFull(): boolean {
    return this.blanks.length === 0 && this.workers.size >= WORKERS_PER_SLOT_MAX * this.slots + this.waiting;
  }

  /** Live workers beyond those there may be: tasks that waited go on, and others were started in their place. */
  get excess(): number {
    return this.workers.size - this.stopping - WORKERS_PER_SLOT_MAX * this.slots - this.waiting;
  }

  /**
   * Brings the number of workers that do not wait back to `slots`, one more than that while some are ending, and starts more for a
   * `demand` of so many. Returns how many idle ones should end to make room for the rest of it: more than 0 only at
   * the bound of live workers.
   */
  replenish(demand: number): number {
    if (!this.#open) return 0;
    const workersMax = WORKERS_PER_SLOT_MAX * this.slots + this.waiting;
    const usual = this.slots + this.waiting;
    while (this.workers.size - this.stopping < usual && this.workers.size <= usual && this.#spawn());
    let lacking = demand - this.spawning - this.recycling;
    while (lacking > 0 && this.workers.size < workersMax && this.#spawn()) lacking--;
    if (this.gate.notBeforeMs > this.#out.nowMs) this.#out.wakeAt(this.gate.notBeforeMs);
    if (this.workers.size < workersMax || !this.#maySpawn()) return 0;
    return lacking - (this.stopping - this.recycling);
  }

  /** Kills what did not end in time, and what did not get ready in time. */
  enforceDeadlines(): void {
    for (const worker of this.workers.values()) {
      if (worker.deadlineMs <= this.#out.nowMs) this.#overdue(worker);
      this.#out.wakeAt(worker.deadlineMs);
    }
  }

  #overdue(worker: Worker): void {
    if (worker.state === "spawning") {
      this.gate.failed(this.#out.nowMs, worker.wave);
      this.stop(worker, "late");
      return;
    }
    worker.deadlineMs = Number.POSITIVE_INFINITY;
    this.#out.emit({ type: "kill-worker", worker: worker.key, signal: "SIGKILL" });
  }

  /** Starts a blank worker, unless the gate is shut. */
  #spawn(): boolean {
    if (!this.#maySpawn()) return false;
    const worker = new Worker(this.#nextKey++ as WorkerKey, this.gate.wave);
    worker.spawnedMs = this.#out.nowMs;
    worker.deadlineMs = this.#out.nowMs + SPAWN_READY_MS;
    this.workers.set(worker.key, worker);
    this.spawning++;
    this.#out.emit({ type: "spawn-worker", worker: worker.key });
    this.#out.wakeAt(worker.deadlineMs);
    return true;
  }

  #maySpawn(): boolean {
    return this.gate.allows(this.#out.nowMs, this.spawning);
  }

  #leaveState(worker: Worker): void {
    worker.deadlineMs = Number.POSITIVE_INFINITY;
    if (worker.state === "spawning") this.spawning--;
    else if (worker.state === "blank") removeFrom(this.blanks, worker);
    else if (worker.state === "idle" && worker.pool !== undefined) removeFrom(worker.pool.idle, worker);
    else if (worker.state === "busy" && worker.pool !== undefined) leaveBusy(worker, worker.pool);
    else if (worker.state === "stopping") {
      this.stopping--;
      if (worker.ending === "recycled") this.recycling--;
    }
  }
}

/** From the end, where it usually is. */
function removeFrom(workers: Worker[], worker: Worker): void {
  const at = workers.lastIndexOf(worker);
  assert(at >= 0, "a worker is in the list of its state");
  if (at === workers.length - 1) workers.pop();
  else workers.splice(at, 1);
}

/** The last one takes its place. */
function leaveBusy(worker: Worker, pool: PoolRecord): void {
  const last = pool.busy.pop();
  assert(last !== undefined, "a busy worker is in its pool's list");
  if (last !== worker) {
    pool.busy[worker.busyAt] = last;
    last.busyAt = worker.busyAt;
  }
  pool.held -= worker.held.size;
  worker.longHead = false;
  worker.watchAtMs = Number.POSITIVE_INFINITY;
  worker.markAsked = false;
}
