import { ArtifactHash, Fifo, type HeddleError, ProtocolError } from "@heddle/kernel";
import { PIECE_BYTES_MAX } from "@heddle/port-job-store";
import { type FabricError, flowBytes, JobOutcome, type OfferChunk, type PayloadFlow } from "@heddle/wire";
import type { Office } from "./desk.ts";
import type { KeptJob } from "./kept-job.ts";
import { type ChunkFacts, chunkBytes, codeNames, noteBytes, specBytes } from "./kept-records.ts";
import { refusal, roomRefusal, tooLargeChunk, tooManyChunks } from "./kept-refusals.ts";
import type { KeptSpace } from "./kept-space.ts";
import { KeptWriter } from "./kept-writer.ts";
import type { ClientRecord } from "./ledger.ts";
import { KEPT_JOB_CHUNKS_MAX } from "./limits.ts";
import { fabricError, sendJobEnded } from "./results.ts";

/** What a submission needs. */
export interface KeptSubmissionOptions {
  readonly office: Office;
  readonly space: KeptSpace;
  readonly job: KeptJob;
  /** The spec is on disk already: the job was found there. */
  readonly isStored: boolean;
  /** When another job of the same id is gone from the disk; undefined when there was none. */
  readonly after: Promise<void> | undefined;
  /** All of it is on disk. */
  readonly accepted: (job: KeptJob, by: ClientRecord | undefined) => void;
  /** It is not kept: it cannot be, or nobody wants it any more. */
  readonly dropped: (job: KeptJob, outcome: JobOutcome, error: FabricError) => void;
}

/** A chunk whose bytes come, or wait for those before it. */
interface Coming {
  readonly facts: ChunkFacts;
  readonly flow: PayloadFlow;
  /** Of the session in which it came. */
  readonly client: ClientRecord;
}

/** A kept job on its way to the disk: takes what its client offers, and tells it what is there. */
export class KeptSubmission {
  readonly type = "submission";
  readonly job: KeptJob;
  /** Whoever submits it, in the session that it has; undefined while it has none. */
  client: ClientRecord | undefined;
  /** That one's number for it. */
  number = 0;
  readonly #options: KeptSubmissionOptions;
  #writer: KeptWriter;
  /** In the order of their numbers, behind those given to the writer. */
  readonly #coming = new Fifo<Coming>();
  /** Chunks that are given to the writer, and their items. */
  #given: number;
  #itemsGiven: number;
  /** Of inputs and code. */
  #bytesOnDisk: number;
  /** Chunks and items that were given to the writer or come. */
  #due: number;
  #itemsDue: number;
  readonly #fetching = new Set<string>();
  #seal: { readonly chunks: number; readonly digest: string } | undefined;
  #isStored: boolean;
  #isNoted = false;
  /** What was told last is not true any more. */
  #isNews = false;
  #isOver = false;

  constructor(options: KeptSubmissionOptions) {
    const { job, isStored, after } = options;
    this.#options = options;
    this.job = job;
    this.#given = job.chunkCount;
    this.#itemsGiven = job.items;
    this.#bytesOnDisk = job.inputBytes;
    this.#due = job.chunkCount;
    this.#itemsDue = job.items;
    this.#isStored = isStored;
    this.#writer = this.#newWriter(after);
    if (isStored) return;
    const spec = specBytes(job.spec);
    job.specBytes = spec.byteLength;
    this.#writer.push({ type: "job-added", job: job.id, spec }, spec.byteLength, () => {
      this.#isStored = true;
      this.#isNews = true;
    });
  }

  #newWriter(after?: Promise<void>): KeptWriter {
    const { office, space } = this.#options;
    return new KeptWriter({
      ...{ env: office.env, space, job: this.job.id, waits: false, after },
      refused: (error) => this.#refused(error),
      wrote: () => this.#tell(),
    });
  }

  /** A client submits it, or goes on with that. */
  begin(client: ClientRecord, number: number): void {
    this.client = client;
    this.number = number;
    client.kept.set(number, this);
    for (const hash of codeNames(this.job.spec.opened, this.job.spec.pool)) this.#fetch(hash);
    this.#isNews = this.#isStored;
    if (this.#writer.isIdle) this.#tell();
  }

  /** Its session is over: what has not come yet will not. */
  pause(): void {
    this.client = undefined;
    this.#dropComing();
    this.#due = this.#given;
    this.#itemsDue = this.#itemsGiven;
  }

  /** Something cannot be written. Without its client, who could be told, it stays as it is on disk until that comes back. */
  #refused(error: HeddleError): void {
    if (this.client !== undefined || !this.#isStored) return this.drop(JobOutcome.FAILED, refusal(error));
    const { job } = this;
    this.#writer = this.#newWriter();
    this.#fetching.clear();
    this.#isNoted = false;
    this.#given = job.chunkCount;
    this.#itemsGiven = job.items;
    job.inputBytes = this.#bytesOnDisk;
    this.pause();
  }

  /** Whether a chunk is new. One below the number that is due is on disk, or will be. Throws ProtocolError for one that cannot be. */
  isDue({ chunk }: OfferChunk): boolean {
    if (chunk > this.#due || (chunk === this.#due && this.#seal !== undefined))
      throw new ProtocolError(`chunk ${chunk} of job ${this.job.id} came where chunk ${this.#due} was due`);
    return chunk === this.#due;
  }

  /** Takes the chunk that is due. Throws ProtocolError when it is not what follows. */
  offer(client: ClientRecord, { firstIndex, grain, chunk }: OfferChunk, flow: PayloadFlow): void {
    const { encoding, count, size } = flow;
    if (firstIndex !== this.#itemsDue)
      throw new ProtocolError(
        `chunk ${chunk} of job ${this.job.id} begins at item ${firstIndex} where ${this.#itemsDue} was due`,
      );
    if (chunk >= KEPT_JOB_CHUNKS_MAX) return this.drop(JobOutcome.FAILED, tooManyChunks(chunk + 1));
    if (size > PIECE_BYTES_MAX) return this.drop(JobOutcome.FAILED, tooLargeChunk(chunk, size));
    const noRoom = roomRefusal(this.#options.space, this.job.share, size);
    if (noRoom !== undefined) return this.drop(JobOutcome.FAILED, noRoom);
    this.#due++;
    this.#itemsDue += count;
    client.heldChunks++;
    client.heldBytes += size;
    this.#options.space.changing(size);
    this.job.share.changed(size);
    this.#coming.push({ client, flow, facts: { firstIndex, count, encoding, grain, size } });
    flow.follow({ piece: () => undefined, end: (aborted) => void (aborted || this.#give()) });
  }

  /** All of it was offered. Throws ProtocolError when that cannot be. */
  seal(chunks: number, digest: string): void {
    if (chunks !== this.#due)
      throw new ProtocolError(`job ${this.job.id} is sealed with ${chunks} chunks, ${this.#due} were offered`);
    if (!/^[0-9a-f]{64}$/.test(digest)) throw new ProtocolError(`job ${this.job.id} is sealed without a digest`);
    this.#seal = { chunks, digest };
    this.#finish();
  }

  /** Nothing of it is kept. */
  drop(outcome: JobOutcome, error: FabricError): void {
    if (this.#isOver) return;
    this.#isOver = true;
    const { client } = this;
    this.#writer.abandon();
    this.#dropComing();
    client?.kept.delete(this.number);
    if (client !== undefined) sendJobEnded(client, this.number, outcome, error);
    this.#options.dropped(this.job, outcome, error);
  }

  /** Gives the writer what has come, up to the first that has not. */
  #give(): void {
    for (let next = this.#coming.peek(); next?.flow.state === "complete"; next = this.#coming.peek()) {
      this.#coming.shift();
      this.#write(next);
    }
    this.#finish();
  }

  #write(coming: Coming): void {
    const { facts, flow } = coming;
    const { job } = this;
    const chunk = this.#given++;
    this.#itemsGiven += facts.count;
    this.#counted(facts.size); // the job and the writer count it from here
    job.inputBytes += facts.size;
    const input = flowBytes(flow);
    const change = { type: "chunk-added", job: job.id, chunk, about: chunkBytes(facts), input } as const;
    this.#writer.push(change, facts.size, () => {
      job.addChunk(facts);
      this.#bytesOnDisk += facts.size;
      this.#release(coming);
      this.#isNews = true;
      this.#finish();
    });
  }

  #dropComing(): void {
    for (const coming of this.#coming) {
      this.#counted(coming.facts.size);
      this.#release(coming);
    }
    this.#coming.clear();
  }

  /** What has come, or will not, is not on its way any more. */
  #counted(bytes: number): void {
    this.#options.space.changed(bytes);
    this.job.share.changed(-bytes);
  }

  #release({ client, facts }: Coming): void {
    client.heldChunks--;
    client.heldBytes -= facts.size;
  }

  #fetch(hash: string): void {
    const { job } = this;
    if (job.code.has(hash) || this.#fetching.has(hash)) return;
    this.#fetching.add(hash);
    this.#options.office.artifacts.fetch(ArtifactHash(hash), (bytes, missing) => {
      if (this.#isOver) return;
      if (bytes !== undefined) return this.#keepCode(hash, bytes);
      this.#fetching.delete(hash);
      if (this.client !== undefined)
        this.drop(JobOutcome.FAILED, fabricError("state", `${missing}: its client withdrew it`));
    });
  }

  #keepCode(hash: string, bytes: Uint8Array): void {
    const { space } = this.#options;
    const { job } = this;
    const noRoom = roomRefusal(space, job.share, bytes.byteLength);
    if (noRoom !== undefined) return this.drop(JobOutcome.FAILED, noRoom);
    job.inputBytes += bytes.byteLength;
    this.#writer.push({ type: "code-added", job: job.id, hash, bytes }, bytes.byteLength, () => {
      this.#fetching.delete(hash);
      this.#bytesOnDisk += bytes.byteLength;
      job.code.add(hash);
      this.#finish();
    });
  }

  /** Notes that all of it is there, once it is. */
  #finish(): void {
    const { job } = this;
    if (this.#seal === undefined || this.#isNoted || this.#isOver) return;
    const { chunks, digest } = this.#seal;
    if (job.chunkCount !== chunks || !codeNames(job.spec.opened, job.spec.pool).every((it) => job.code.has(it))) return;
    this.#isNoted = true;
    const note = noteBytes({ digest, chunks, items: job.items, end: undefined });
    this.#writer.push({ type: "job-noted", job: job.id, note }, 0, () => {
      this.#isOver = true;
      job.digest = digest;
      const { client } = this;
      client?.kept.delete(this.number);
      client?.session.send({ kind: { $case: "jobKept", value: { job: this.number, chunks, digest } } }, 0);
      this.#options.accepted(job, client);
    });
  }

  #tell(): void {
    if (!this.#isNews || this.#isOver || this.client === undefined) return;
    this.#isNews = false;
    const value = { job: this.number, chunks: this.job.chunkCount, digest: "" };
    this.client.session.send({ kind: { $case: "jobKept", value } }, 0);
  }
}
