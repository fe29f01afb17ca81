import { Chunk } from "./chunk.ts";
import { FINISHED_REMEMBERED } from "./limits.ts";
import type { Outbox } from "./outbox.ts";
import { Job, PoolRecord } from "./records.ts";
import type { Assignment, Input, JobNumber, PoolNumber, WorkerKey } from "./types.ts";

type JobDescribed = Extract<Input, { type: "job-described" }>;

/**
 * What the coordinator has told: pools, jobs and unfinished chunks. The one place where chunks begin and finish, each
 * once.
 */
export class Ledger {
  /** Pools that are not retired. */
  readonly pools = new Map<PoolNumber, PoolRecord>();
  readonly jobs = new Map<JobNumber, Job>();
  /** Every unfinished chunk. */
  readonly chunks = new Map<Assignment, Chunk>();
  readonly #out: Outbox;
  readonly #chunksPerWorkerMax: number;
  /**
   * Finished assignments, each at its number modulo the size: one that comes again is a repetition, not a new chunk.
   */
  readonly #finished = new Float64Array(FINISHED_REMEMBERED).fill(Number.NaN);

  /** `chunksPerWorkerMax`: of pools that say nothing else; Infinity for never. */
  constructor(out: Outbox, chunksPerWorkerMax: number) {
    this.#out = out;
    this.#chunksPerWorkerMax = chunksPerWorkerMax;
  }

  describeJob({ job: number, pool: poolNumber, depth, terms }: JobDescribed): void {
    const known = this.jobs.get(number);
    if (known !== undefined) {
      known.forgotten = false;
      return;
    }
    let pool = this.pools.get(poolNumber);
    if (pool === undefined) {
      pool = new PoolRecord(poolNumber, this.#chunksPerWorkerMax);
      this.pools.set(poolNumber, pool);
    }
    pool.depth = Math.max(pool.depth, depth);
    if (terms !== undefined) pool.agree(terms);
    this.jobs.set(number, new Job(number, pool, terms?.itemTimeoutMs));
  }

  /** It goes once its chunks are finished. */
  forgetJob(number: JobNumber): void {
    const job = this.jobs.get(number);
    if (job === undefined) return;
    job.forgotten = true;
    if (job.unfinished === 0) this.jobs.delete(number);
  }

  /** Removes the pool and its jobs; what they still have keeps pointing at them. */
  retirePool(pool: PoolRecord): void {
    pool.retired = true;
    this.pools.delete(pool.number);
    for (const job of this.jobs.values()) if (job.pool === pool) this.jobs.delete(job.number);
  }

  /** Whether the assignment is held, or was finished not long ago. */
  knows(assignment: Assignment): boolean {
    return this.chunks.has(assignment) || this.#finished[slotOf(assignment)] === assignment;
  }

  /** A new chunk, in no list yet. */
  begin(assignment: Assignment, job: Job, fresh: boolean, grains: number): Chunk {
    const chunk = new Chunk(assignment, job, fresh, grains);
    this.chunks.set(assignment, chunk);
    job.unfinished++;
    return chunk;
  }

  finishReturned(chunk: Chunk, worker: WorkerKey): void {
    this.#end(chunk);
    this.#out.emit({ type: "finish-returned", assignment: chunk.assignment, worker });
  }

  finishDeath(chunk: Chunk, worker: WorkerKey, markedOffset: number | undefined): void {
    this.#end(chunk);
    this.#out.emit({ type: "finish-death", assignment: chunk.assignment, worker, markedOffset });
  }

  finishOverdue(chunk: Chunk, worker: WorkerKey, offset: number): void {
    this.#end(chunk);
    this.#out.emit({ type: "finish-overdue", assignment: chunk.assignment, worker, offset });
  }

  finishInitFailure(chunk: Chunk, worker: WorkerKey): void {
    this.#end(chunk);
    this.#out.emit({ type: "finish-init-failure", assignment: chunk.assignment, worker });
  }

  finishStopped(chunk: Chunk, worker: WorkerKey): void {
    this.#end(chunk);
    this.#out.emit({ type: "finish-stopped", assignment: chunk.assignment, worker });
  }

  finishNotStarted(chunk: Chunk, fault: string | undefined): void {
    this.#end(chunk);
    this.#out.emit({ type: "finish-not-started", assignment: chunk.assignment, fault });
  }

  /** Answers an assignment that never becomes a chunk. */
  refuse(assignment: Assignment, fault: string | undefined): void {
    this.#finished[slotOf(assignment)] = assignment;
    this.#out.emit({ type: "finish-not-started", assignment, fault });
  }

  /** Forgets everything without a word. */
  clear(): void {
    for (const pool of this.pools.values()) pool.retired = true;
    this.pools.clear();
    this.jobs.clear();
    this.chunks.clear();
    this.#finished.fill(Number.NaN);
  }

  #end(chunk: Chunk): void {
    const { assignment, job } = chunk;
    this.chunks.delete(assignment);
    this.#finished[slotOf(assignment)] = assignment;
    job.unfinished--;
    if (job.forgotten && job.unfinished === 0 && this.jobs.get(job.number) === job) this.jobs.delete(job.number);
  }
}

function slotOf(assignment: Assignment): number {
  return assignment & (FINISHED_REMEMBERED - 1);
}
