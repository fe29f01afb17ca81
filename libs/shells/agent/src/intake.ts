import type { Assignment, Input, JobNumber, JobTerms, PoolNumber } from "@heddle/core-pool";
import { assert, ProtocolError } from "@heddle/kernel";
import type { AssignChunk, DescribeJob, PayloadInflow } from "@heddle/wire";
import type { Artifacts } from "./artifacts.ts";
import { artifactsOf } from "./prepare.ts";
import type { ChunkRecord, JobRecord } from "./records.ts";
import { grainsOf, itemsOf } from "./returned.ts";

/** What came of one session with the coordinator and is not finished: jobs, their chunks, and whether their code is here. */
export class Intake {
  readonly #artifacts: Artifacts;
  readonly #feed: (input: Input) => void;
  readonly #jobs = new Map<JobNumber, JobRecord>();
  readonly #chunks = new Map<Assignment, ChunkRecord>();
  /** Revoked before they arrived: revocations overtake assignments. */
  readonly #revokedEarly = new Map<number, boolean>();
  /** Number of the last assignment that arrived; they only grow, around 2^32. */
  #newest = 0;

  /** `feed`: tells the core. */
  constructor(artifacts: Artifacts, feed: (input: Input) => void) {
    this.#artifacts = artifacts;
    this.#feed = feed;
  }

  chunk(assignment: Assignment): ChunkRecord | undefined {
    return this.#chunks.get(assignment);
  }

  /** All that are here now. */
  chunks(): ChunkRecord[] {
    return [...this.#chunks.values()];
  }

  /** A chunk that the core names. */
  known(assignment: Assignment): ChunkRecord {
    const chunk = this.#chunks.get(assignment);
    assert(chunk !== undefined, "the core names chunks that are here");
    return chunk;
  }

  /** Of this session, and not forgotten. */
  has(job: JobRecord): boolean {
    return this.#jobs.get(job.number) === job;
  }

  assigned(assign: AssignChunk, inflow: PayloadInflow): void {
    const assignment = assign.assignment as Assignment;
    const job = this.#jobs.get(assign.job as JobNumber);
    if (job === undefined)
      throw new ProtocolError(`chunk ${assign.chunk} came before its job ${assign.job} was described`);
    this.#newest = assign.assignment;
    const input = inflow.open(assign.input, true);
    job.chunks++;
    const nothing = { worker: undefined, returned: undefined, isStopped: false, unsaid: undefined };
    const restored = assign.restored === undefined ? undefined : inflow.open(assign.restored.state, true);
    const chunk: ChunkRecord = { assignment, job, assign, input, restored, ...nothing };
    this.#chunks.set(assignment, chunk);
    const { poolSlots, fresh } = assign;
    const grains = grainsOf(chunk, itemsOf(chunk));
    this.#feed({ type: "chunk-assigned", assignment, job: job.number, poolSlots, fresh, grains });
    const stop = this.#revokedEarly.get(assignment);
    if (stop === undefined) return;
    this.#revokedEarly.delete(assignment);
    this.#revoke(chunk, stop);
  }

  revoked(number: number, stop: boolean): void {
    const chunk = this.#chunks.get(number as Assignment);
    if (chunk !== undefined) this.#revoke(chunk, stop);
    else if (((number - this.#newest) | 0) > 0) this.#revokedEarly.set(number, stop); // else it is finished: the two crossed
  }

  /** Its chunks may run once its code and its captured values are here. */
  described(description: DescribeJob): void {
    const number = description.job as JobNumber;
    const pool = description.pool as PoolNumber;
    const { depth } = description;
    const job: JobRecord = { number, pool, description, places: undefined, chunks: 0, forgotten: false };
    this.#jobs.set(number, job);
    this.#feed({ type: "job-described", job: number, pool, depth, terms: termsOf(description) });
    const hashes = artifactsOf(description);
    const places = new Map<string, string>();
    for (const hash of hashes) {
      const location = this.#artifacts.known(hash);
      if (location === undefined) return void this.#find(job, [...hashes]);
      places.set(hash, location);
    }
    this.#ready(job, places);
  }

  /** The coordinator sends no more of it. */
  forget(number: number): void {
    const job = this.#jobs.get(number as JobNumber);
    if (job === undefined) return;
    job.forgotten = true;
    this.#dropJob(job);
  }

  /** The chunk is finished. */
  drop(chunk: ChunkRecord): void {
    chunk.returned?.relay?.end(true);
    this.#chunks.delete(chunk.assignment);
    chunk.job.chunks--;
    this.#dropJob(chunk.job);
  }

  /** The session is over. The core hears of it as a whole. */
  clear(): void {
    this.#newest = 0;
    this.#revokedEarly.clear();
    this.#chunks.clear();
    this.#jobs.clear();
  }

  #revoke(chunk: ChunkRecord, stop: boolean): void {
    const { assignment } = chunk;
    chunk.isStopped ||= stop;
    this.#feed({ type: "revoke-requested", assignment, stop });
  }

  #dropJob(job: JobRecord): void {
    if (!job.forgotten || job.chunks > 0) return;
    this.#jobs.delete(job.number);
    this.#feed({ type: "job-forgotten", job: job.number });
  }

  async #find(job: JobRecord, hashes: readonly string[]): Promise<void> {
    let places: readonly (readonly [hash: string, location: string])[];
    try {
      places = await Promise.all(hashes.map(async (hash) => [hash, await this.#artifacts.locate(hash)] as const));
    } catch (error) {
      const fault = error instanceof Error ? error.message : String(error);
      if (this.has(job)) this.#feed({ type: "job-broken", job: job.number, fault });
      return;
    }
    this.#ready(job, new Map(places));
  }

  #ready(job: JobRecord, places: ReadonlyMap<string, string>): void {
    if (!this.has(job)) return;
    job.places = places;
    this.#feed({ type: "job-ready", job: job.number });
  }
}

/** 0 on the wire is no bound. */
function termsOf({ initializer, chunksPerWorker, rssBytesPerWorker, itemTimeoutMs }: DescribeJob): JobTerms {
  const bound = (value: number): number | undefined => (value > 0 ? value : undefined);
  return {
    hasInitializer: initializer !== undefined,
    chunksPerWorkerMax: bound(chunksPerWorker),
    rssBytesPerWorkerMax: bound(rssBytesPerWorker),
    itemTimeoutMs: bound(itemTimeoutMs),
  };
}
