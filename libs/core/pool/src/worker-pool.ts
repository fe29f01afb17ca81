import { InvalidArgumentError, type Millis, unreachable } from "@heddle/kernel";
import type { Chunk } from "./chunk.ts";
import { Credit } from "./credit.ts";
import { Dispatcher } from "./dispatcher.ts";
import { Fleet } from "./fleet.ts";
import { Ledger } from "./ledger.ts";
import { LONG_HEAD_MS } from "./limits.ts";
import { Outbox } from "./outbox.ts";
import type { PoolRecord, Worker, WorkerState } from "./records.ts";
import type { Assignment, Effect, Input, ItemMark, JobNumber, PoolNumber, PoolOptions, WorkerKey } from "./types.ts";
import { validatePool } from "./validate.ts";

/** Numbers for operators; a snapshot. */
export interface PoolView {
  /** Live workers by state. */
  readonly workers: Readonly<Record<WorkerState, number>>;
  /** Unfinished chunks that no worker has: in queues, or waiting for their code. */
  readonly queued: number;
  /** Slots in use. */
  readonly running: number;
  /** The last grant. */
  readonly credit: number;
}

type WorkerExited = Extract<Input, { type: "worker-exited" }>;
type ChunkReturned = Extract<Input, { type: "chunk-returned" }>;
type ChunkAssigned = Extract<Input, { type: "chunk-assigned" }>;
type MarkSeen = Extract<Input, { type: "mark-seen" }>;

/**
 * The worker processes of one node and the chunks assigned to it: who runs what, and how each chunk ended.
 * STATES.md has the tables. Synchronous and deterministic: all it knows of the world comes in by `step`.
 */
export class WorkerPool {
  readonly #out = new Outbox();
  readonly #ledger: Ledger;
  readonly #fleet: Fleet;
  readonly #credit: Credit;
  readonly #dispatcher: Dispatcher;
  #phase: "new" | "open" | "draining" | "drained" = "new";

  /** Throws InvalidArgumentError unless the options are whole numbers from 1. */
  constructor(options: PoolOptions) {
    const chunksPerWorkerMax = options.chunksPerWorkerMax ?? Number.POSITIVE_INFINITY;
    if (!Number.isSafeInteger(options.slots) || options.slots < 1) {
      throw new InvalidArgumentError(`slots must be a whole number from 1, not ${options.slots}`);
    }
    if (!(chunksPerWorkerMax >= 1)) {
      throw new InvalidArgumentError(`chunksPerWorkerMax must be at least 1, not ${options.chunksPerWorkerMax}`);
    }
    this.#ledger = new Ledger(this.#out, chunksPerWorkerMax);
    this.#fleet = new Fleet(options.slots, this.#out);
    this.#credit = new Credit(options.slots, this.#ledger.pools, this.#out);
    this.#dispatcher = new Dispatcher(this.#fleet, this.#credit, this.#out);
  }

  /** Takes in one fact and returns what is to be done about it, in order. `nowMs` never falls. */
  step(nowMs: Millis, input: Input): readonly Effect[] {
    this.#out.begin(nowMs);
    this.#take(input);
    this.#credit.lend(this.#fleet.waitingOuter + this.#dispatcher.workerless);
    // Whatever happened may have made room or work. Who has just answered is filled up first.
    this.#dispatcher.pump(input.type === "chunk-returned" ? this.#fleet.workers.get(input.worker) : undefined);
    return this.#out.end();
  }

  /** Throws InvariantViolation when the books do not agree. O(everything): for tests. */
  validate(): void {
    validatePool(this.#ledger, this.#fleet, this.#dispatcher);
  }

  view(): PoolView {
    const workers = { spawning: 0, blank: 0, idle: 0, busy: 0, stopping: 0 };
    for (const worker of this.#fleet.workers.values()) workers[worker.state]++;
    let queued = this.#dispatcher.queued;
    for (const job of this.#ledger.jobs.values()) queued += job.waiting.size;
    return { workers, queued, running: this.#fleet.running, credit: this.#credit.granted };
  }

  #take(input: Input): void {
    switch (input.type) {
      case "started":
        this.#started();
        return;
      case "job-described":
        this.#ledger.describeJob(input);
        return;
      case "job-ready":
        this.#jobReady(input.job);
        return;
      case "job-broken":
        this.#jobBroken(input.job, input.fault);
        return;
      case "job-forgotten":
        this.#ledger.forgetJob(input.job);
        return;
      case "chunk-assigned":
        this.#chunkAssigned(input);
        return;
      case "revoke-requested":
        this.#revokeRequested(input.assignment, input.stop);
        return;
      case "pool-retired":
        this.#poolRetired(input.pool);
        return;
      case "worker-ready":
        this.#workerReady(input.worker);
        return;
      case "worker-joined":
        this.#workerJoined(input.worker);
        return;
      case "init-failed":
        this.#initFailed(input.worker, input.assignment);
        return;
      case "mark-seen":
        this.#markSeen(input);
        return;
      case "task-waiting":
        this.#taskWaiting(input.worker, input.waiting);
        return;
      case "chunk-returned":
        this.#chunkReturned(input);
        return;
      case "worker-exited":
        this.#workerExited(input);
        return;
      case "coordinator-lost":
        this.#coordinatorLost();
        return;
      case "drain-requested":
        this.#drainRequested();
        return;
      case "timer-fired":
        this.#timerFired();
        return;
      default:
        unreachable(input);
    }
  }

  #started(): void {
    if (this.#phase !== "new") return;
    this.#phase = "open";
    this.#fleet.open();
    this.#credit.settle();
  }

  #jobReady(number: JobNumber): void {
    const job = this.#ledger.jobs.get(number);
    if (job === undefined || job.code.type === "ready") return;
    job.code = { type: "ready" };
    for (const chunk of job.waiting.takeAll()) this.#dispatcher.enqueue(chunk);
  }

  #jobBroken(number: JobNumber, fault: string): void {
    const job = this.#ledger.jobs.get(number);
    if (job === undefined) return;
    job.code = { type: "broken", fault };
    for (const chunk of [...job.waiting, ...job.pool.queue, ...job.pool.suspects]) {
      if (chunk.job === job) this.#giveUp(chunk, fault);
    }
  }

  #chunkAssigned({ assignment, job: number, poolSlots, fresh, grains = 1 }: ChunkAssigned): void {
    if (this.#ledger.knows(assignment)) return;
    const job = this.#ledger.jobs.get(number);
    if (this.#isDraining()) this.#ledger.refuse(assignment, undefined);
    else if (job === undefined) this.#ledger.refuse(assignment, `job ${number} was not described to this node`);
    else if (job.code.type === "broken") this.#ledger.refuse(assignment, job.code.fault);
    else {
      job.pool.slotsMax = Math.max(1, poolSlots);
      const chunk = this.#ledger.begin(assignment, job, fresh, Math.max(1, grains));
      if (job.code.type === "ready") this.#dispatcher.enqueue(chunk);
      else job.waiting.push(chunk);
    }
  }

  #revokeRequested(assignment: Assignment, stop: boolean): void {
    const chunk = this.#ledger.chunks.get(assignment);
    if (chunk === undefined) return;
    const { worker } = chunk;
    if (worker === undefined) {
      this.#giveUp(chunk, undefined);
      return;
    }
    if (stop) chunk.revocation = "stop";
    else if (chunk.revocation === "none") chunk.revocation = "unstarted";
    if (worker.state !== "busy") return;
    if (chunk === worker.held.first && stop) this.#stopHead(chunk, worker);
    else if (chunk !== worker.held.first || !worker.joined) this.#dispatcher.askToSkip(chunk, worker);
  }

  /** A head that was asked to be left out before it became one gets a moment to be so. */
  #stopHead(head: Chunk, worker: Worker): void {
    const patientUntilMs = worker.headSinceMs + LONG_HEAD_MS;
    if (worker.joined && head.skipAsked && patientUntilMs > this.#out.nowMs) this.#out.wakeAt(patientUntilMs);
    else this.#fleet.stop(worker, "asked");
  }

  #poolRetired(number: PoolNumber): void {
    const pool = this.#ledger.pools.get(number);
    if (pool === undefined) return;
    const waiting = [...this.#ledger.jobs.values()]
      .filter((job) => job.pool === pool)
      .flatMap((job) => [...job.waiting]);
    for (const chunk of [...pool.queue, ...pool.suspects, ...waiting]) this.#giveUp(chunk, undefined);
    for (const worker of [...pool.busy, ...pool.idle]) this.#fleet.stop(worker, "asked");
    this.#ledger.retirePool(pool);
    this.#credit.settle();
  }

  #workerReady(key: WorkerKey): void {
    const worker = this.#fleet.workers.get(key);
    if (worker?.state !== "spawning") return;
    this.#fleet.ready(worker);
  }

  /** Its first chunk begins only now. */
  #workerJoined(key: WorkerKey): void {
    const worker = this.#fleet.workers.get(key);
    if (worker?.pool === undefined || worker.joined) return;
    worker.joined = true;
    this.#dispatcher.headChanged(worker, worker.pool);
  }

  /** It is replaced, and whatever it held runs elsewhere. */
  #initFailed(key: WorkerKey, assignment: Assignment): void {
    const worker = this.#fleet.workers.get(key);
    const chunk = this.#ledger.chunks.get(assignment);
    if (worker === undefined || worker.joined || chunk === undefined || chunk.worker !== worker) return;
    this.#fleet.stop(worker, "recycled");
    for (const held of worker.held.takeAll()) {
      if (held === chunk) this.#ledger.finishInitFailure(held, key);
      else this.#comesBack(held);
    }
    this.#fleet.vacate(worker);
  }

  /** Stops the worker if the item that runs is overdue, else looks again when it will be. */
  #markSeen({ worker: key, mark }: MarkSeen): void {
    const worker = this.#fleet.workers.get(key);
    const head = worker?.held.first;
    if (worker === undefined || head === undefined || !worker.markAsked) return;
    const marked = mark === null ? undefined : this.#ledger.chunks.get(mark.assignment);
    const timeoutMs = marked?.worker === worker ? marked.job.itemTimeoutMs : undefined;
    const forMs = (mark?.forMs ?? 0) - worker.stillMs;
    if (mark === null || timeoutMs === undefined) this.#dispatcher.watchItems(worker, head.job.itemTimeoutMs);
    else if (forMs < timeoutMs) this.#dispatcher.watchItems(worker, timeoutMs - forMs);
    else {
      this.#fleet.stop(worker, "asked");
      worker.overdue = { assignment: mark.assignment, offset: mark.offset };
    }
  }

  /** What waits behind a task that waits could be what it waits for: it comes back at once. */
  #taskWaiting(key: WorkerKey, waiting: boolean): void {
    const worker = this.#fleet.workers.get(key);
    if (worker === undefined || !(waiting ? this.#fleet.lend(worker) : this.#fleet.resume(worker))) return;
    if (waiting) this.#takeBackFrom(worker);
  }

  /** What waits behind the head comes back. */
  #takeBackFrom(worker: Worker): void {
    for (const chunk of worker.held) if (chunk !== worker.held.first) this.#dispatcher.askToSkip(chunk, worker);
  }

  #chunkReturned({ worker: key, assignment, skipped, runMs, share, grains, rssBytes = 0 }: ChunkReturned): void {
    const chunk = this.#ledger.chunks.get(assignment);
    const worker = chunk?.worker;
    if (chunk === undefined || worker?.key !== key || worker.pool === undefined) return;
    if (worker.overdue?.assignment === assignment) return; // it comes too late: how the chunk ends is settled
    const pool = worker.pool;
    const wasHead = worker.held.first === chunk;
    if (wasHead) this.#fleet.resume(worker);
    worker.held.remove(chunk);
    if (worker.state === "busy") pool.held--;
    if (skipped) {
      worker.chunksTaken -= chunk.grains;
      this.#comesBack(chunk);
    } else {
      worker.chunksTaken -= chunk.grains - grainsRun(chunk, grains);
      worker.worn ||= rssBytes > pool.rssBytesPerWorkerMax;
      this.#ledger.finishReturned(chunk, key);
      this.#credit.sample(pool, runMs, share);
    }
    if (worker.held.size === 0) this.#ranDry(worker, pool);
    else {
      if (wasHead) this.#dispatcher.headChanged(worker, pool);
      if (worker.worn && worker.state === "busy") this.#takeBackFrom(worker);
    }
  }

  #ranDry(worker: Worker, pool: PoolRecord): void {
    if (worker.state === "stopping") {
      this.#fleet.vacate(worker);
      return;
    }
    this.#fleet.idle(worker, pool);
    if (this.#isDraining()) this.#fleet.stop(worker, "asked");
    else if (worker.worn || worker.chunksTaken >= pool.chunksPerWorkerMax) this.#fleet.stop(worker, "recycled");
  }

  #workerExited({ worker: key, mark, fault }: WorkerExited): void {
    const worker = this.#fleet.workers.get(key);
    if (worker === undefined) return;
    const asked = worker.state === "stopping";
    this.#fleet.gone(worker);
    const held = worker.held.takeAll();
    const blamed = worker.overdue ?? (worker.joined ? mark : null);
    const begun = held.find((chunk) => chunk.assignment === blamed?.assignment) ?? held[0];
    for (const chunk of held) {
      if (chunk === begun) this.#diesWith(chunk, worker, asked, blamed);
      else this.#comesBack(chunk);
    }
    // A late one was counted when it was late.
    const { gate } = this.#fleet;
    const failed = asked ? worker.ending === "late" : held.length === 0 && gate.failed(this.#out.nowMs, worker.wave);
    if (failed && gate.hopeless) this.#giveUpHopeless(fault ?? "workers end before they are ready");
    if (this.#phase === "draining" && this.#fleet.workers.size === 0) this.#drained();
  }

  /** The chunk had begun when its worker ended. `asked`: it was told to. */
  #diesWith(chunk: Chunk, worker: Worker, asked: boolean, blamed: ItemMark | null): void {
    const { key, overdue } = worker;
    const offset = blamed?.assignment === chunk.assignment ? blamed.offset : undefined;
    if (chunk.revocation === "stop" || (asked && chunk.job.pool.retired)) this.#ledger.finishStopped(chunk, key);
    else if (overdue?.assignment === chunk.assignment) this.#ledger.finishOverdue(chunk, key, overdue.offset);
    else if (asked) this.#comesBack(chunk);
    else if (!worker.joined) this.#ledger.finishInitFailure(chunk, key);
    else this.#ledger.finishDeath(chunk, key, offset);
  }

  /** Workers cannot be started: chunks of pools that have none do not wait for one, nor do those that need a fresh one. */
  #giveUpHopeless(fault: string): void {
    if (this.#fleet.blanks.length > 0) return;
    for (const pool of [...this.#dispatcher.backlog]) {
      const hasWorkers = pool.busy.length + pool.idle.length > 0;
      for (const chunk of [...(hasWorkers ? [] : pool.queue), ...pool.suspects]) this.#giveUp(chunk, fault);
    }
  }

  #coordinatorLost(): void {
    for (const chunk of this.#ledger.chunks.values()) if (chunk.place === "queued") this.#dispatcher.dequeue(chunk);
    for (const worker of this.#fleet.workers.values()) {
      if (worker.pool === undefined) continue;
      this.#fleet.stop(worker, "asked");
      worker.held.takeAll();
    }
    this.#ledger.clear();
    if (this.#phase !== "new") this.#credit.retell();
  }

  #drainRequested(): void {
    if (this.#isDraining()) return;
    this.#phase = "draining";
    this.#fleet.close();
    this.#credit.close();
    for (const chunk of this.#ledger.chunks.values()) {
      if (chunk.worker === undefined) this.#giveUp(chunk, undefined);
      else this.#revokeRequested(chunk.assignment, false);
    }
    for (const worker of this.#fleet.workers.values()) if (worker.state !== "busy") this.#fleet.stop(worker, "asked");
    if (this.#fleet.workers.size === 0) this.#drained();
  }

  #drained(): void {
    this.#phase = "drained";
    this.#out.emit({ type: "drained" });
  }

  #timerFired(): void {
    this.#out.timerSpent();
    this.#fleet.enforceDeadlines();
    this.#dispatcher.watchHeads();
  }

  /** A chunk that no worker has is finished as not started. */
  #giveUp(chunk: Chunk, fault: string | undefined): void {
    if (chunk.place === "queued") this.#dispatcher.dequeue(chunk);
    else chunk.job.waiting.remove(chunk);
    this.#ledger.finishNotStarted(chunk, fault);
  }

  /**
   * A chunk that was sent has not been run, or not to its end for a reason that is not its own: it runs later, if it
   * still shall.
   */
  #comesBack(chunk: Chunk): void {
    const { code, pool } = chunk.job;
    const isWanted = chunk.revocation === "none" && !pool.retired && !this.#isDraining();
    if (isWanted && code.type === "ready") this.#dispatcher.enqueue(chunk);
    else this.#ledger.finishNotStarted(chunk, isWanted && code.type === "broken" ? code.fault : undefined);
  }

  #isDraining(): boolean {
    return this.#phase === "draining" || this.#phase === "drained";
  }
}

/** Grains of the chunk that ran: workers are user code and may claim anything. */
function grainsRun(chunk: Chunk, claimed: number | undefined): number {
  return claimed !== undefined && claimed >= 1 && claimed <= chunk.grains ? claimed : chunk.grains;
}
