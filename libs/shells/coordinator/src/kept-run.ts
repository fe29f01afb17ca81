import { CHUNK_SETTLED_SPANS_MAX, HeddleError } from "@heddle/kernel";
import { sha256Hex } from "@heddle/port-blobs";
import {
  type EncodedPayload,
  type FabricError,
  type Failure,
  type JobEnded,
  JobOutcome,
  type JobStatus,
  type Output,
  type SpanDone,
} from "@heddle/wire";
import { endedStatus } from "./admin.ts";
import type { Office } from "./desk.ts";
import { KeptAnswers } from "./kept-answers.ts";
import type { KeptCloser } from "./kept-closer.ts";
import type { KeptChunkRecord, KeptJob } from "./kept-job.ts";
import type { KeptPool, KeptPoolRun } from "./kept-pool.ts";
import type { KeptPools } from "./kept-pools.ts";
import type { AnswerFacts } from "./kept-records.ts";
import { refusal } from "./kept-refusals.ts";
import type { KeptSpace } from "./kept-space.ts";
import { KeptWriteOffs } from "./kept-write-offs.ts";
import { KeptWriter } from "./kept-writer.ts";
import type { JobRecord } from "./ledger.ts";
import { KEPT_RUN_BYTES_MAX, KEPT_RUN_CHUNKS_MAX, REASON_LENGTH_MAX } from "./limits.ts";
import { plainLine } from "./plain.ts";
import { fabricError } from "./results.ts";

/** What the runs of all kept jobs share. */
export interface KeptRunsOptions {
  readonly office: Office;
  readonly space: KeptSpace;
  /** Writes items off at the manager whose writes are to count once; undefined without a manager. */
  readonly closer: KeptCloser | undefined;
  /** Where they run. */
  readonly pools: KeptPools;
  /** Whether the inputs of all runs that are in memory leave room for so many bytes. If not, the run is woken when some are released. */
  readonly mayHold: (run: KeptRun, bytes: number) => boolean;
  /** Some of those are not in memory any more. */
  readonly released: () => void;
  /** An answer is on disk. */
  readonly answered: (job: KeptJob, answer: AnswerFacts, bytes: Uint8Array) => void;
  /** What its tasks print. */
  readonly print: (job: KeptJob, output: Output) => void;
  /** Writes that it has ended, behind all of its answers. `status`: as operators see it. */
  readonly ended: (job: KeptJob, end: KeptRunEnd, writer: KeptWriter) => void;
}

/** How a run ended. */
export interface KeptRunEnd {
  readonly outcome: JobOutcome;
  readonly error: FabricError | undefined;
  readonly status: JobStatus | undefined;
}

/** Where a job runs, and its number there. */
interface Place {
  readonly pool: KeptPool;
  readonly number: number;
}

/**
 * Runs a kept job as its client: opens it in its pool as any client does, offers from the store what is not answered, a little at a time, and writes the answers
 * there. Its chunks count from 0 again, without those that are answered.
 */
export class KeptRun implements KeptPoolRun {
  readonly job: KeptJob;
  readonly #options: KeptRunsOptions;
  readonly #writer: KeptWriter;
  readonly #answers: KeptAnswers;
  #place: Place | undefined;
  /** Chunks to be offered, by their numbers on the session. */
  readonly #chunks: KeptChunkRecord[] = [];
  /** Undefined unless items that are answered by an error are to be written off. */
  readonly #writeOffs: KeptWriteOffs | undefined;
  /** How it ends once they are. */
  #lastWord: KeptRunEnd | undefined;
  #offered = 0;
  #isReading = false;
  #isOver = false;

  constructor(options: KeptRunsOptions, job: KeptJob) {
    this.#options = options;
    this.job = job;
    this.#writer = this.#newWriter();
    const { space, answered, closer } = options;
    const { effectsOnce, collect } = job.spec.opened;
    if (closer !== undefined && effectsOnce && collect) this.#writeOffs = new KeptWriteOffs(closer, job.id);
    const fail = (error: FabricError): void => this.fail(error);
    this.#answers = new KeptAnswers({ space, job, writer: this.#writer, answered, fail });
  }

  /** Opens it. */
  start(): void {
    const { job } = this;
    try {
      this.#open();
    } catch (error) {
      if (!(error instanceof HeddleError)) throw error; // what a build before this one took, and this one does not
      return this.#lost(fabricError(error.code, `this coordinator cannot run what was kept: ${error.message}`));
    }
    for (const [number, chunk] of job.chunks.entries()) {
      if (chunk.itemsSettled === chunk.count) continue;
      this.#chunks.push(chunk);
      job.runChunks.push(number);
    }
    job.chunksBefore = job.chunkCount - this.#chunks.length;
    job.itemsBefore = job.items - this.#chunks.reduce((sum, { count }) => sum + count, 0);
    this.#seal(); // there may be nothing left to run
    this.#pump();
  }

  #open(): void {
    const { code, spec } = this.job;
    const pool = this.#options.pools.of(spec);
    const number = pool.add(this);
    this.#place = { pool, number };
    pool.offerCode(this, code);
    const bounds = { unreadBytesMax: 0, unreadBytes: 0, gapChunks: 0, ordered: false, keep: undefined };
    pool.say({ $case: "openJob", value: { ...spec.opened, ...bounds, job: number } });
  }

  /** Bytes of its answers that wait for the disk. */
  get queuedBytes(): number {
    return this.#writer.queuedBytes;
  }

  /** The job as all see it; undefined when it is not open, or not any more. */
  get #record(): JobRecord | undefined {
    return this.#place?.pool.client.jobs.get(this.#place.number);
  }

  /** Its end is the caller's: cancelled, or out of time. False: it is over, but for the disk. */
  cancel(error: FabricError): boolean {
    return this.#stop("cancelled", error);
  }

  /** It cannot go on. What is answered so far stays. */
  fail(error: FabricError): void {
    this.#stop("failed", error);
  }

  #stop(outcome: "failed" | "cancelled", error: FabricError): boolean {
    const record = this.#record;
    if (record === undefined) return this.#stopWaiting(outcome, error);
    record.verdict ??= { outcome, error };
    this.#options.office.feed({ type: "job-cancel-requested", job: record.key });
    return true;
  }

  /** All of it has run, but the manager has not said what some items come to, and is not waited for any more. False: it was not. */
  #stopWaiting(outcome: "failed" | "cancelled", error: FabricError): boolean {
    if (this.#lastWord === undefined || this.#isOver) return false;
    const { status } = this.#lastWord;
    const last = status && { ...status, state: outcome, failure: plainLine(error.message, REASON_LENGTH_MAX) };
    this.#correctEnd(outcome);
    this.#over({ outcome: outcome === "failed" ? JobOutcome.FAILED : JobOutcome.CANCELLED, error, status: last });
    return true;
  }

  /** For operators, who were told that all of it had run. */
  #correctEnd(outcome: "failed" | "cancelled"): void {
    const { ended } = this.#options.office.ledger;
    const at = ended.findLastIndex(({ job: { id } }) => id === this.job.id);
    const end = ended[at];
    if (end !== undefined) ended[at] = { ...end, outcome };
  }

  /** Nothing is taken any more: the coordinator ends, and the job goes on with the next. */
  freeze(): void {
    this.#writeOffs?.end();
    this.#isOver = true;
  }

  /** What was taken is on disk. */
  flushed(): Promise<void> {
    return this.#writer.flushed();
  }

  /** Others have let go of memory. */
  wake(): void {
    this.#pump();
  }

  #newWriter(): KeptWriter {
    const { office, space } = this.#options;
    return new KeptWriter({
      ...{ env: office.env, space, job: this.job.id, waits: true },
      refused: (error) => this.#lost(refusal(error)),
      wrote: () => this.#place?.pool.progressed(),
    });
  }

  #pump(): void {
    if (!this.#isReading && !this.#isOver) void this.#offer();
  }

  async #offer(): Promise<void> {
    this.#isReading = true;
    while (!this.#isOver && this.#hasRoom) {
      const [chunk, stored] = [this.#chunks[this.#offered], this.job.runChunks[this.#offered]];
      if (chunk === undefined || stored === undefined) break;
      const { id } = this.job;
      const what = `chunk ${stored} of job ${id}`;
      const bytes = await this.#options.space.read(what, (store) => store.input(id, stored));
      if (this.#isOver || this.#record === undefined) break;
      if (bytes === undefined) {
        this.fail(fabricError("internal", `${what} cannot be read from the coordinator's store`));
        break;
      }
      this.#offerChunk(chunk, bytes);
    }
    this.#isReading = false;
  }

  get #hasRoom(): boolean {
    const next = this.#chunks[this.#offered];
    const record = this.#record;
    if (record === undefined || next === undefined || this.#writeOffs?.isFull === true) return false;
    const { heldBytes, chunks } = record;
    if (chunks.size === 0) return true;
    if (chunks.size >= KEPT_RUN_CHUNKS_MAX || heldBytes + next.size > KEPT_RUN_BYTES_MAX) return false;
    return this.#options.mayHold(this, next.size);
  }

  /** All of a chunk that is not answered; the last seals the job. */
  #offerChunk(chunk: KeptChunkRecord, bytes: Uint8Array): void {
    const { firstIndex, count, encoding, grain, settled } = chunk;
    const input = { encoding, count, size: bytes.byteLength, data: bytes, partStream: 0 };
    const known = [...(settled?.largest(CHUNK_SETTLED_SPANS_MAX) ?? [])];
    const offer = { chunk: this.#offered++, firstIndex, input, grain, settled: known };
    if (this.#place !== undefined)
      this.#place.pool.say({ $case: "offerChunk", value: { ...offer, job: this.#place.number } });
    this.#seal();
  }

  #seal(): void {
    if (this.#place === undefined || this.#offered !== this.#chunks.length || this.#record === undefined) return;
    this.#place.pool.say({ $case: "sealJob", value: { job: this.#place.number, chunkCount: this.#offered } });
  }

  spanDone(done: SpanDone, values: EncodedPayload): void {
    if (this.#isOver) return;
    const chunk = this.#chunks[done.chunk];
    if (chunk !== undefined) this.#answers.spanDone(chunk, done, values);
    this.#look();
  }

  itemFailed(number: number, failure: Failure, userError: EncodedPayload | undefined): void {
    if (this.#isOver) return;
    const chunk = this.#chunks[number];
    if (chunk !== undefined && this.#writeOffs === undefined) this.#answers.itemFailed(chunk, failure, userError);
    else if (chunk !== undefined) this.#writeOff(chunk, failure, userError);
    this.#look();
  }

  /** An item that failed may have come to count before, when nobody could tell of it any more: then it has its value. */
  #writeOff(chunk: KeptChunkRecord, failure: Failure, userError: EncodedPayload | undefined): void {
    const { offset = 0 } = failure;
    this.#writeOffs?.add(chunk.firstIndex + offset, (outcome) => {
      if (outcome === undefined) this.#answers.itemFailed(chunk, failure, userError);
      else this.#answers.itemCounts(chunk, offset, outcome);
      if (this.#lastWord !== undefined && this.#writeOffs?.size === 0) this.#over(this.#lastWord);
      this.#look();
    });
  }

  /** What it was held for is released once the scheduler has been told. */
  #look(): void {
    queueMicrotask(() => {
      this.#pump();
      this.#options.released();
    });
  }

  output(output: Output): void {
    if (!this.#isOver) this.#options.print(this.job, output);
  }

  async code(hash: string): Promise<Uint8Array | undefined> {
    const { id } = this.job;
    const what = `code ${hash} of job ${id}`;
    const bytes = await this.#options.space.read(what, (store) => store.code(id, hash));
    if (this.#isOver) return undefined;
    if (bytes !== undefined && sha256Hex(bytes) === hash) return bytes;
    const why = bytes === undefined ? "cannot be read from the store" : "was refused: it is not what was stored";
    this.fail(fabricError("internal", `${what} ${why}`));
    return undefined;
  }

  ended({ outcome, error }: JobEnded): void {
    const record = this.#record;
    const endedMs = this.#options.office.env.clock.nowMs();
    const status = record && endedStatus({ job: record, outcome: OUTCOMES[outcome], endedMs }, endedMs);
    this.#lastWord = { outcome, error, status };
    const isWaiting = outcome === JobOutcome.DONE && (this.#writeOffs?.size ?? 0) > 0;
    if (!isWaiting) this.#over(this.#lastWord);
  }

  /** It ends without the scheduler. */
  #lost(error: FabricError): void {
    if (this.#record !== undefined) return this.fail(error);
    this.#over({ outcome: JobOutcome.FAILED, error, status: undefined });
  }

  #over(end: KeptRunEnd): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#writeOffs?.end();
    this.#options.ended(this.job, end, this.#writer.isOver ? this.#newWriter() : this.#writer);
    queueMicrotask(() => {
      this.#place?.pool.remove(this.#place.number);
      this.#options.released();
    });
  }
}

const OUTCOMES: Readonly<Record<JobOutcome, "done" | "failed" | "cancelled">> = {
  [JobOutcome.UNSPECIFIED]: "failed",
  [JobOutcome.DONE]: "done",
  [JobOutcome.FAILED]: "failed",
  [JobOutcome.CANCELLED]: "cancelled",
};
