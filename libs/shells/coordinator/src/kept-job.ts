import { SettledSpans } from "@heddle/client";
import type { JobId, Millis } from "@heddle/kernel";
import type { FabricError, JobOutcome, JobStatus, Span } from "@heddle/wire";
import type { KeptListener } from "./kept-listener.ts";
import type { AnswerFacts, ChunkFacts, KeptSpec } from "./kept-records.ts";
import type { KeptRun } from "./kept-run.ts";
import type { KeptShare } from "./kept-shares.ts";
import type { KeptSubmission } from "./kept-submission.ts";
import type { ClientRecord, KeptFacts } from "./ledger.ts";

/** A chunk that is on disk, and what of it is answered. */
export interface KeptChunkRecord extends ChunkFacts {
  /** Items with an answer that is on disk, or on its way there. */
  itemsSettled: number;
  /** The same, which; undefined before the first and after the last. */
  settled: SettledSpans | undefined;
}

/** How a kept job ended, and when by this coordinator's clock. */
export interface KeptJobEnd {
  readonly outcome: JobOutcome;
  readonly error: FabricError | undefined;
  readonly endedMs: Millis;
}

/** A job that is kept: what is on disk of it, but for the bytes, and who has to do with it now. */
export class KeptJob implements KeptFacts {
  readonly spec: KeptSpec;
  readonly openedMs: Millis;
  /** Whose it is counts its bytes. */
  readonly share: KeptShare;
  /** On disk, by their numbers. Size <= KEPT_JOB_CHUNKS_MAX. */
  readonly chunks: KeptChunkRecord[] = [];
  /** On disk, in their order. */
  readonly answers: AnswerFacts[] = [];
  /** Hashes of the code on disk. */
  readonly code = new Set<string>();
  /** Those who listen, the newest last. */
  readonly listeners = new Set<KeptListener>();
  /** Clients that have submitted it in the session that they have, and not attached: they are taken for listening. */
  readonly submitters = new Set<ClientRecord>();
  /** Set while it is not all on disk. */
  submission: KeptSubmission | undefined;
  /** Set while it runs. */
  run: KeptRun | undefined;
  /** Set once all of it is on disk: what its client has called it. */
  digest: string | undefined;
  /** Set once its end is on disk. */
  end: KeptJobEnd | undefined;
  /** As operators saw it at its end, when that was not a run's in this life. */
  lastStatus: JobStatus | undefined;
  /** Items of its chunks. */
  items = 0;
  /** Of chunks that were answered before this life: they are not run. */
  itemsBefore = 0;
  chunksBefore = 0;
  /** Own numbers of the chunks that its run offers, by the numbers that they have there. */
  readonly runChunks: number[] = [];
  /** Ends it when nobody came back. */
  absence: Disposable | undefined;
  /** Ends it when its time is over. */
  deadline: Disposable | undefined;

  /** How many chunks there were before they were forgotten. */
  #chunksForgotten: number | undefined;
  #inputBytes = 0;
  #answerBytes = 0;
  #specBytes = 0;
  /** It goes: its bytes are not its share's any more. */
  #hasLeft = false;

  constructor(spec: KeptSpec, openedMs: Millis, share: KeptShare) {
    this.spec = spec;
    this.openedMs = openedMs;
    this.share = share;
  }

  get id(): JobId {
    return this.spec.id;
  }

  get isDetached(): boolean {
    return this.spec.opened.keep?.detached === true;
  }

  get timeoutMs(): Millis {
    return this.spec.opened.keep?.timeoutMs ?? 0;
  }

  get listenerCount(): number {
    return this.listeners.size + (this.submission?.client === undefined ? 0 : 1);
  }

  get chunkCount(): number {
    return this.#chunksForgotten ?? this.chunks.length;
  }

  /** It has ended: its chunks are gone, and had so many items. */
  forgetChunks(chunks: number, items: number): void {
    this.#chunksForgotten = chunks;
    this.items = items;
    this.chunks.length = 0;
  }

  /** Bytes in the store, or on their way there, of inputs and code. */
  get inputBytes(): number {
    return this.#inputBytes;
  }

  set inputBytes(bytes: number) {
    this.#changed(bytes - this.#inputBytes);
    this.#inputBytes = bytes;
  }

  /** The same of answers. */
  get answerBytes(): number {
    return this.#answerBytes;
  }

  set answerBytes(bytes: number) {
    this.#changed(bytes - this.#answerBytes);
    this.#answerBytes = bytes;
  }

  /** The same of what it was opened with. */
  get specBytes(): number {
    return this.#specBytes;
  }

  set specBytes(bytes: number) {
    this.#changed(bytes - this.#specBytes);
    this.#specBytes = bytes;
  }

  /** Bytes that go from the store with it. */
  get bytes(): number {
    return this.#specBytes + this.#inputBytes + this.#answerBytes;
  }

  /** It is to go, and makes room in its share by that. */
  leaveShare(): void {
    this.#changed(-this.bytes);
    this.#hasLeft = true;
  }

  #changed(bytes: number): void {
    if (!this.#hasLeft) this.share.changed(bytes);
  }

  addChunk(facts: ChunkFacts): void {
    this.chunks.push({ ...facts, itemsSettled: 0, settled: undefined });
    this.items += facts.count;
  }

  /** Items of a chunk have their answer. Those of them that had none before, counted from the chunk's first item. */
  settle(chunk: KeptChunkRecord, offset: number, count: number): Span[] {
    if (chunk.itemsSettled === chunk.count) return [];
    chunk.settled ??= new SettledSpans();
    const gaps = chunk.settled.add(offset, count);
    for (const gap of gaps) chunk.itemsSettled += gap.count;
    if (chunk.itemsSettled === chunk.count) chunk.settled = undefined;
    return gaps;
  }

  /** The chunk that an item belongs to; undefined for none. */
  chunkOf(index: number): KeptChunkRecord | undefined {
    return this.chunks[this.chunkNumberOf(index)];
  }

  /** Number of the chunk with this item. */
  chunkNumberOf(index: number): number {
    let [from, to] = [0, this.chunks.length];
    while (from < to) {
      const middle = (from + to) >> 1;
      const chunk = this.chunks[middle];
      if (chunk !== undefined && chunk.firstIndex + chunk.count <= index) from = middle + 1;
      else to = middle;
    }
    return from;
  }

  ownNumber(chunk: number): number {
    return this.runChunks[chunk] ?? chunk;
  }

  runNumber(chunk: number): number | undefined {
    const at = this.runChunks.indexOf(chunk);
    return at < 0 ? undefined : at;
  }

  /** Nothing ends it any more. */
  stopTimers(): void {
    this.absence?.[Symbol.dispose]();
    this.deadline?.[Symbol.dispose]();
    this.absence = undefined;
    this.deadline = undefined;
  }
}
