import type { Millis } from "@heddle/kernel";
import type { Chunk, ChunkList } from "./chunk.ts";
import type { Credit } from "./credit.ts";
import type { Fleet } from "./fleet.ts";
import { LONG_HEAD_MS, REPORT_STARTED_MS, STOOD_STILL_MS, WORKERLESS_CREDIT_MAX } from "./limits.ts";
import type { Outbox } from "./outbox.ts";
import type { PoolRecord, Worker } from "./records.ts";
import { Recruiter } from "./recruiter.ts";

/**
 * Which chunk goes to which worker. Between pools: a free slot goes to one that runs nothing here, then to the one whose jobs are inside of
 * most tasks, then to the one that runs least, then to the one served longest ago. In a pool: first come first served; every startable
 * worker has a head before one gets a second chunk. What needs a fresh worker waits beside the queue: it takes its turn when there is a
 * blank worker, the others take theirs when there is none.
 */
export class Dispatcher {
  /** Pools with a queue, in no order. */
  readonly backlog: PoolRecord[] = [];
  /** Chunks in all queues. */
  queued = 0;
  readonly #fleet: Fleet;
  readonly #credit: Credit;
  readonly #out: Outbox;
  readonly #recruiter: Recruiter;
  #nextOrder = 1;
  #nextTurn = 1;
  /**
   * Busy workers that were found to have a long head since the last look; more than there are. 0 says that there is
   * none.
   */
  #longHeads = 0;

  constructor(fleet: Fleet, credit: Credit, out: Outbox) {
    this.#fleet = fleet;
    this.#credit = credit;
    this.#out = out;
    this.#recruiter = new Recruiter(fleet, this.backlog, out);
  }

  /** The chunk may run: at the end of its pool's queue, or in its old place when it was there before. */
  enqueue(chunk: Chunk): void {
    const pool = chunk.job.pool;
    const queue = queueOf(chunk);
    chunk.place = "queued";
    chunk.worker = undefined;
    chunk.skipAsked = false;
    if (chunk.order === 0) {
      chunk.order = this.#nextOrder++;
      queue.push(chunk);
    } else queue.insertInOrder(chunk);
    this.queued++;
    if (pool.servedTurn === 0 && pool.depth > 0) pool.servedTurn = this.#nextTurn++; // new ones must not go before the old for ever
    if (pool.backlogAt < 0) pool.backlogAt = this.backlog.push(pool) - 1;
  }

  /** Takes a queued chunk out. */
  dequeue(chunk: Chunk): void {
    const pool = chunk.job.pool;
    queueOf(chunk).remove(chunk);
    this.queued--;
    if (pool.queue.size + pool.suspects.size > 0) return;
    const last = this.backlog.pop();
    if (last !== undefined && last !== pool) {
      this.backlog[pool.backlogAt] = last;
      last.backlogAt = pool.backlogAt;
    }
    pool.backlogAt = -1;
  }

  /** Places what can be placed and gets workers for what cannot. `favourite`: has just answered, is filled up first. */
  pump(favourite: Worker | undefined): void {
    const fleet = this.#fleet;
    if (this.backlog.length > 0 && fleet.running < fleet.slots) this.#placeHeads();
    if (this.backlog.length > 0) this.#deepen(favourite);
    this.#recruiter.recruit();
    if (this.#longHeads > 0 && fleet.running < fleet.slots) this.#takeBack();
  }

  /** A worker's first chunk is now another one, or can begin only now. */
  headChanged(worker: Worker, pool: PoolRecord): void {
    const head = worker.held.first;
    worker.headSinceMs = this.#out.nowMs;
    worker.longHead = false;
    if (head === undefined || worker.state !== "busy" || !worker.joined) return;
    this.watchItems(worker, head.job.itemTimeoutMs);
    const meanMs = pool.runTime.meanMs;
    if (!head.reported && (meanMs === undefined || meanMs > REPORT_STARTED_MS)) this.#report(head);
    this.#wakeForHead(worker, head);
  }

  /** An item of a worker could be overdue in so long, if none is before: its marks are read then. Undefined: none will be. */
  watchItems(worker: Worker, inMs: Millis | undefined): void {
    worker.markAsked = false;
    worker.watchAtMs = inMs === undefined ? Number.POSITIVE_INFINITY : this.#out.nowMs + inMs;
    this.#out.wakeAt(worker.watchAtMs);
  }

  /** Looks at what the heads have been doing since the last timer. */
  watchHeads(): void {
    const nowMs = this.#out.nowMs;
    for (const worker of this.#fleet.workers.values()) {
      const head = worker.held.first;
      if (worker.state !== "busy" || head === undefined || worker.pool === undefined || !worker.joined) continue;
      this.#readMarks(worker);
      if (!head.reported && worker.headSinceMs + REPORT_STARTED_MS <= nowMs) this.#report(head);
      if (worker.headSinceMs + LONG_HEAD_MS <= nowMs) this.#isLong(worker, head, worker.pool);
      this.#wakeForHead(worker, head);
    }
  }

  /** Chunks of pools from outside that wait for the first worker of their pool; for each pool rounded up to a power of two, so that it changes rarely. */
  get workerless(): number {
    if (!this.#fleet.isFull) return 0;
    let sum = 0;
    for (const { depth, busy, idle, queue, suspects } of this.backlog) {
      if (depth > 0 || busy.length + idle.length > 0) continue;
      sum += Math.min(WORKERLESS_CREDIT_MAX, 2 ** Math.ceil(Math.log2(queue.size + suspects.size)));
    }
    return sum;
  }

  /** The worker is asked to leave out a chunk that is not its head. */
  askToSkip(chunk: Chunk, worker: Worker): void {
    if (chunk.skipAsked) return;
    chunk.skipAsked = true;
    this.#out.emit({ type: "skip-chunk", worker: worker.key, assignment: chunk.assignment });
  }

  #placeHeads(): void {
    const fleet = this.#fleet;
    const started: Worker[] = [];
    while (fleet.running < fleet.slots) {
      const chunk = this.#nextHead();
      const pool = chunk?.job.pool;
      const worker = chunk === undefined ? undefined : fleet.freeFor(chunk);
      if (chunk === undefined || pool === undefined || worker === undefined) break;
      pool.servedTurn = this.#nextTurn++;
      fleet.occupy(worker, pool);
      this.#send(chunk, worker, pool);
      this.headChanged(worker, pool);
      started.push(worker);
    }
    // Whoever got a slot gets a helping with it, even when others wait: else each tiny chunk would cost a round trip.
    for (const worker of started)
      if (worker.pool !== undefined) this.#fill(worker, worker.pool, fairDepth(worker.pool));
  }

  /** The chunk that starts next: of those that can start now, the first one of the pool that is served next. */
  #nextHead(): Chunk | undefined {
    let next: Chunk | undefined;
    for (const pool of this.backlog) {
      if (pool.running >= pool.slotsMax || !this.#fleet.admits(pool.depth)) continue;
      const chunk = this.#startable(pool);
      if (chunk !== undefined && (next === undefined || comesBefore(pool, next.job.pool))) next = chunk;
    }
    return next;
  }

  /** The pool's first chunk that there is a free worker for. */
  #startable(pool: PoolRecord): Chunk | undefined {
    const isBlank = this.#fleet.blanks.length > 0;
    const suspect = isBlank ? pool.suspects.first : undefined;
    const other = isBlank || pool.idle.length > 0 ? pool.queue.first : undefined;
    if (suspect === undefined || other === undefined) return suspect ?? other;
    return suspect.order < other.order ? suspect : other;
  }

  /** Gives busy workers chunks behind their heads. */
  #deepen(favourite: Worker | undefined): void {
    for (let at = this.backlog.length - 1; at >= 0; at--) {
      const pool = this.backlog[at];
      if (pool === undefined || pool.held >= pool.busy.length * pool.runTime.depth || !this.#mayDeepen(pool)) continue;
      const depth = fairDepth(pool);
      if (favourite?.state === "busy" && favourite.pool === pool) this.#fill(favourite, pool, depth);
      if (pool.held < pool.busy.length * depth) this.#fillAll(pool, depth);
    }
  }

  #fillAll(pool: PoolRecord, depth: number): void {
    for (let looked = 0; looked < pool.busy.length && pool.queue.size > 0; looked++) {
      if (pool.cursor >= pool.busy.length) pool.cursor = 0;
      const worker = pool.busy[pool.cursor++];
      if (worker !== undefined) this.#fill(worker, pool, depth);
    }
  }

  #fill(worker: Worker, pool: PoolRecord, depth: number): void {
    if (depth === 1 || !takesMore(worker)) return;
    const most = depth - worker.held.size;
    for (let count = 0; count < most; count++) {
      const chunk = pool.queue.first;
      if (chunk === undefined || worker.chunksTaken + chunk.grains > pool.chunksPerWorkerMax) return;
      this.#send(chunk, worker, pool);
    }
  }

  /**
   * A pool with more than its share of the slots lets its workers run dry while another one waits for a slot; so does
   * any while a chunk of it, or of a pool that runs less, has a blank worker and waits for a slot: else full workers
   * would never leave it one.
   */
  #mayDeepen(pool: PoolRecord): boolean {
    if (pool.running > pool.slotsMax) return false;
    if (this.#fleet.blanks.length > 0 && this.backlog.some((rival) => isOwedSlot(rival, pool))) return false;
    const fleet = this.#fleet;
    if (this.backlog.length === 1 || fleet.running < fleet.slots) return true;
    const rivals = this.backlog.filter((rival) => rival !== pool && isRival(rival, pool));
    return rivals.length === 0 || pool.running <= Math.floor(fleet.slots / (rivals.length + 1));
  }

  #send(chunk: Chunk, worker: Worker, pool: PoolRecord): void {
    this.dequeue(chunk);
    chunk.place = "sent";
    chunk.worker = worker;
    worker.held.push(chunk);
    worker.chunksTaken += chunk.grains;
    pool.held++;
    this.#out.emit({ type: "run-chunk", worker: worker.key, assignment: chunk.assignment });
    if (worker.held.size === 2) this.#out.wakeAt(worker.headSinceMs + LONG_HEAD_MS);
  }

  /** What waits behind long heads comes back when there is a slot for it. */
  #takeBack(): void {
    this.#longHeads = 0;
    for (const worker of this.#fleet.workers.values()) {
      const pool = worker.pool;
      if (worker.state !== "busy" || !worker.longHead || pool === undefined) continue;
      this.#longHeads++;
      if (pool.running >= pool.slotsMax || pool.queue.size > 0) continue;
      for (const chunk of worker.held) if (chunk !== worker.held.first) this.askToSkip(chunk, worker);
    }
  }

  #isLong(worker: Worker, head: Chunk, pool: PoolRecord): void {
    if (head.revocation === "stop") {
      // It was asked to leave it out when it was not the head, and had the time to say so.
      this.#fleet.stop(worker, "asked");
      return;
    }
    if (worker.longHead) return;
    worker.longHead = true;
    this.#longHeads++;
    this.#credit.sample(pool, this.#out.nowMs - worker.headSinceMs);
  }

  #readMarks(worker: Worker): void {
    if (worker.watchAtMs > this.#out.nowMs) {
      this.#out.wakeAt(worker.watchAtMs);
      return;
    }
    const lateMs = this.#out.nowMs - worker.watchAtMs;
    worker.stillMs = lateMs > STOOD_STILL_MS ? lateMs : 0;
    worker.watchAtMs = Number.POSITIVE_INFINITY;
    worker.markAsked = true;
    this.#out.emit({ type: "read-mark", worker: worker.key });
  }

  #report(head: Chunk): void {
    head.reported = true;
    this.#out.emit({ type: "report-started", assignment: head.assignment });
  }

  #wakeForHead(worker: Worker, head: Chunk): void {
    if (worker.state !== "busy") return;
    if (!head.reported) this.#out.wakeAt(worker.headSinceMs + REPORT_STARTED_MS);
    if (!worker.longHead && this.#mustWatch(worker, head)) this.#out.wakeAt(worker.headSinceMs + LONG_HEAD_MS);
  }

  /** Whether it matters that the head turns out to be long. */
  #mustWatch(worker: Worker, head: Chunk): boolean {
    const meanMs = worker.pool?.runTime.meanMs;
    return worker.held.size > 1 || head.revocation === "stop" || (meanMs !== undefined && meanMs < LONG_HEAD_MS);
  }
}

/** Whether something may wait behind the worker's head. */
function takesMore({ longHead, waiting, joined, worn, held }: Worker): boolean {
  return !longHead && !waiting && joined && !worn && held.first?.fresh !== true;
}

/** Whether a suspect of `rival` may take a slot of the pool's. */
function isOwedSlot(rival: PoolRecord, pool: PoolRecord): boolean {
  if (rival.suspects.size === 0) return false;
  return rival === pool || rival.running < Math.min(rival.slotsMax, pool.running);
}

/** Where it waits for a worker. */
function queueOf(chunk: Chunk): ChunkList {
  return chunk.fresh ? chunk.job.pool.suspects : chunk.job.pool.queue;
}

/** Chunks that each busy worker of the pool may hold: its depth, or less when there are too few to fill all. */
function fairDepth(pool: PoolRecord): number {
  return Math.min(pool.runTime.depth, Math.ceil((pool.queue.size + pool.held) / pool.busy.length));
}

/** Whether `rival` may get a slot that the pool gives up. */
function isRival(rival: PoolRecord, pool: PoolRecord): boolean {
  const isServedLater = rival.depth < pool.depth && rival.running > 0;
  return rival.running < rival.slotsMax && !isServedLater;
}

/**
 * Each pool gets its first slot in turn, so that no flood keeps another out. Beyond that deeper ones go first: what tasks wait for before
 * what would only make more tasks that wait.
 */
function comesBefore(pool: PoolRecord, other: PoolRecord): boolean {
  if (pool.depth !== other.depth && pool.running > 0 && other.running > 0) return pool.depth > other.depth;
  if (pool.running !== other.running) return pool.running < other.running;
  return pool.servedTurn < other.servedTurn;
}
