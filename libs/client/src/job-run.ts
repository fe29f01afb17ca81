import { HeddleError, type JobId, LimitError, PAYLOAD_BYTES_MAX, ProtocolError } from "@heddle/kernel";
import {
  type EncodedPayload,
  Encoding,
  type FabricError,
  type Failure,
  type ItemFailed,
  type JobEnded,
  JobOutcome,
  type SpanDone,
} from "@heddle/wire";
import type { ItemCounts } from "./async-result.ts";
import { fabricErrorOf, failureError } from "./failure.ts";
import { type InputChunk, OpenChunks, type RepeatedChunk } from "./open-chunks.ts";
import type { Reader, Reading } from "./readers.ts";
import type { ResultSink } from "./result-sinks.ts";
import type { ChunkSizer } from "./sizing.ts";

/** Whether there is a chunk to offer: `wait` until something wakes the run, `end` when all were taken. */
export type Readiness = "ready" | "wait" | "end";

/** What becomes of one item's error: the call fails with the one of the lowest index, or the item's place has it and the call goes on. */
export type OnItemError = "fail" | "keep";

/** How a call is read, and where its results go. */
export interface JobParts {
  readonly reader: Reader;
  readonly sizer: ChunkSizer;
  readonly sink: ResultSink;
  readonly onItemError: OnItemError;
  /** Values are folded over aligned blocks. */
  readonly isFolded?: boolean;
  /** Its one item has no value. */
  readonly isPrime?: boolean;
  /** Items that may be offered and not consumed now; none for no bound. */
  readonly windowItems?: () => number;
  /** Bytes of results that came and were not consumed: told when a session begins anew. 0 unless given. */
  readonly unreadBytes?: () => number;
  /** The inputs' own iterator threw, after so many items. Unless given the call fails with that at once. */
  readonly inputsBroke?: (error: unknown) => void;
  /** The call fails with this: told at once, before anybody who waits for its outcome. */
  readonly failed?: (error: unknown) => void;
  /** Something of the counts changed. */
  readonly changed?: () => void;
  /** Of a call whose items' writes count once: no run of an item that is answered by an error comes to count any more. Resolves to its value, encoded, where one does already. */
  readonly writeOff?: (index: number) => Promise<Uint8Array | undefined>;
  /** Names the files in a worker's stack as they are called here. */
  readonly localStack?: (stack: string) => string;
}

/** One job as its client sees it: hands out its chunks as far as they are wanted, passes the answers on, and settles once. */
export class JobRun {
  readonly isKept = false;
  /** The number on the session's stream; set when it is opened. */
  number = 0;
  readonly id: JobId;
  /** Resolves when every item has its result; rejects with the error of the lowest index seen, or why it ended. */
  readonly outcome: Promise<void>;
  /** What the sums of its connection have of these two. */
  readonly counted = { chunks: 0, bytes: 0 };
  /** Resolves when it is open at a coordinator that has answered. */
  readonly opened: Promise<void>;
  /** To be called then; again in each session. */
  readonly markOpened: () => void;
  /** Told when a run that had to wait may have something to offer. */
  onWake: () => void = () => undefined;
  readonly #parts: JobParts;
  readonly #open: OpenChunks;
  readonly #resolve: () => void;
  readonly #reject: (error: unknown) => void;
  #next: Omit<InputChunk, "chunk"> | undefined;
  /** Index behind the last result so far. */
  #furthest = 0;
  /** Items that were read, those that cannot travel included. */
  #items = 0;
  #consumed = 0;
  /** The window was full, and not enough of it was consumed since. */
  #isFull = false;
  /** Number of inputs, once they were read to their end. */
  #total: number | undefined;
  #exhausted = false;
  #done = 0;
  #failed = 0;
  /** Of failed items: they are being written off. */
  #judged = 0;
  /** What is to be done when none is any more. */
  #afterJudging: (() => void) | undefined;
  #settled = false;
  #lowest: { readonly index: number; readonly error: unknown } | undefined;

  constructor(id: JobId, parts: JobParts) {
    this.id = id;
    this.#parts = parts;
    this.#open = new OpenChunks(id, parts.isPrime ? "none" : parts.isFolded ? "folded" : "plain");
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.outcome = promise;
    this.#resolve = resolve;
    this.#reject = reject;
    promise.catch(() => undefined); // whoever wants it asks for it: see AsyncResult
    const opened = Promise.withResolvers<void>();
    this.opened = opened.promise;
    this.markOpened = opened.resolve;
  }

  get openChunks(): number {
    return this.#open.size;
  }

  /** Bytes that are offered and unanswered. */
  get openBytes(): number {
    return this.#open.bytes;
  }

  get settled(): boolean {
    return this.#settled;
  }

  /** An item failed for good and with it the call: what is still offered would be dropped. */
  get isLost(): boolean {
    return this.#lowest !== undefined;
  }

  get counts(): ItemCounts {
    const total = this.#total ?? this.#parts.reader.total;
    return { done: this.#done, failed: this.#failed, ...(total === undefined ? {} : { total }) };
  }

  /** Chunks taken so far, in this session. */
  get chunkCount(): number {
    return this.#open.count;
  }

  /** What a coordinator that does not know the job must hear of it beside its chunks. `isOrdered`: its results are consumed in order. */
  progress(isOrdered: boolean): { readonly unreadBytes: number; readonly gapChunks: number } {
    const gapChunks = isOrdered ? this.#open.before(this.#furthest) : 0;
    return { unreadBytes: this.#parts.unreadBytes?.() ?? 0, gapChunks };
  }

  /** Bytes of the next chunk, when `poll` said that there is one. */
  get nextBytes(): number {
    return this.#next?.payload.bytes.byteLength ?? 0;
  }

  /**
   * Reads the next chunk when it is wanted now: that runs code of the user, who may end the call in it. Throws what encoding an input throws where one
   * refused input ends the call, LimitError for a chunk that is too large, what the inputs' iterator throws, and UnshippedFunctions.
   */
  poll(): Readiness {
    if (this.#next !== undefined) return "ready";
    while (!this.#exhausted) {
      const room = this.#room();
      if (room < 1 || this.#open.size >= this.#parts.sizer.openChunksMax) return "wait";
      const { count, grain, bytesTarget } = this.#parts.sizer.next(this.#items, room);
      const { isEager } = this.#parts.sizer;
      const reading = this.#parts.reader.read({ count, bytesTarget, isEager });
      if (this.#settled) break; // from within the inputs: what was read is nobody's
      if (reading.type === "later") return "wait";
      this.#take(reading, grain);
      if (this.#next !== undefined) return "ready";
    }
    return "end";
  }

  /** Takes the chunk that `poll` announced. */
  take(): InputChunk {
    const next = this.#next;
    if (next === undefined) throw new ProtocolError("no chunk is left to take");
    this.#next = undefined;
    return this.#open.add(next);
  }

  /**
   * The session is over in which it was open, and its coordinator knows nothing of it any more: what is not answered is to be offered again. False: nothing
   * of it is left to be run, and it is settled.
   */
  restart(): boolean {
    if (this.#lowest !== undefined) this.fail(this.#lowest.error);
    else if (this.#isWhole) this.#whenJudged(() => this.#settle(() => this.#resolve()));
    if (this.#settled || this.#afterJudging !== undefined) return false;
    this.#open.restart();
    return true;
  }

  /** The next chunk that is to be offered again; undefined when all are. `tellsSettled`: the coordinator knows what settled items are. */
  takeAgain(tellsSettled: boolean): RepeatedChunk | undefined {
    return this.#open.next(tellsSettled);
  }

  /** The consumer took so many items. */
  consumed(items: number): void {
    this.#consumed += items;
    this.onWake();
  }

  /** Values of consecutive items. An answer that fits no open chunk is the coordinator's fault: ProtocolError. */
  spanDone(done: SpanDone, values: EncodedPayload): void {
    const { count, news } = this.#open.values(done.chunk, done.span, values);
    const { sizer, sink, isPrime = false } = this.#parts;
    sizer.observe(count, done.runMicros / 1_000, values.bytes.byteLength);
    for (const part of news) {
      this.#furthest = Math.max(this.#furthest, part.index + part.count);
      if (!isPrime) sink.values(part.index, part.count, part.values);
      this.#done += part.count;
      if (this.#settled) return; // by what the sink called of the user
    }
    this.#answered();
  }

  /** An item failed for good. */
  itemFailed(failed: ItemFailed & { readonly failure: Failure }, userError: Uint8Array | undefined): void {
    const index = this.#open.failed(failed.chunk, failed.failure.offset ?? 0);
    if (index === undefined) return; // it had its answer in a session before
    const { localStack = unchanged } = this.#parts;
    const isNews = this.#parts.onItemError === "keep" || this.#lowest === undefined || index < this.#lowest.index;
    this.#furthest = Math.max(this.#furthest, index + 1);
    if (isNews) {
      const context = { jobId: this.id, chunk: failed.chunk, index, localStack };
      const error = failureError(failed.failure, userError, context);
      const { writeOff, onItemError } = this.#parts;
      if (writeOff !== undefined && onItemError === "keep") void this.#judge(index, error, writeOff(index));
      else this.#itemError(index, error);
    }
    this.#failed++;
    this.#answered();
  }

  /** An item that failed may have come to count before, when nobody could tell of it any more: then it has its value. */
  async #judge(index: number, error: unknown, writtenOff: Promise<Uint8Array | undefined>): Promise<void> {
    this.#judged++;
    const bytes = await writtenOff.catch(() => undefined); // whether it counts is not known then, and the error is all there is
    this.#judged--;
    if (this.#settled) return;
    if (bytes === undefined) this.#itemError(index, error);
    else {
      this.#parts.sink.values(index, 1, { encoding: Encoding.MSGPACK, count: 1, bytes });
      this.#failed--;
      this.#done++;
    }
    this.#answered();
    if (this.#judged === 0) this.#afterJudging?.();
  }

  #whenJudged(act: () => void): void {
    if (this.#judged === 0) act();
    else this.#afterJudging = act;
  }

  /** The coordinator's last word. */
  ended(end: JobEnded): void {
    if (end.outcome === JobOutcome.DONE && this.#isWhole) this.#whenJudged(() => this.#settle(() => this.#resolve()));
    else this.fail(this.#lowest === undefined ? endError(this.id, end.outcome, end.error) : this.#lowest.error);
  }

  /** The call is over without a job: its inputs are closed. Nothing when it is settled. */
  abandon(): void {
    this.#settle(() => this.#resolve());
  }

  /** Settles it from this side. Answers that still come are ignored. */
  fail(error: unknown): void {
    this.#settle(() => {
      this.#parts.failed?.(error);
      this.#reject(error);
    });
  }

  /** Every item has its answer. */
  get #isWhole(): boolean {
    return this.#exhausted && this.#next === undefined && this.#done + this.#failed === this.#items;
  }

  /** Items that may be read now. The last word is the window's, but that nothing unread always lets one chunk through. */
  #room(): number {
    const { windowItems, sizer } = this.#parts;
    if (windowItems === undefined) return Number.POSITIVE_INFINITY;
    const unread = this.#items - this.#consumed;
    const window = windowItems();
    const room = window - unread;
    const worth = this.#isFull ? Math.max(sizer.unit, window * ROOM_SHARE_MIN) : sizer.unit;
    this.#isFull = unread > 0 && room < worth;
    return this.#isFull ? 0 : Math.max(room, sizer.unit);
  }

  #take(reading: Exclude<Reading, { type: "later" }>, grain: number): void {
    switch (reading.type) {
      case "chunk": {
        const { payload } = reading;
        const bytes = payload.bytes.byteLength;
        if (bytes > PAYLOAD_BYTES_MAX) throw new LimitError("PAYLOAD_BYTES_MAX", PAYLOAD_BYTES_MAX, bytes);
        this.#parts.sizer.encoded(payload.count, bytes);
        const isPacked = grain > 0 && payload.count > grain;
        this.#next = { firstIndex: this.#items, grain: isPacked ? grain : 0, payload };
        this.#items += payload.count;
        return;
      }
      case "refused": {
        if (this.#parts.onItemError === "fail") throw reading.error;
        this.#itemError(this.#items++, reading.error);
        this.#failed++;
        this.#parts.changed?.();
        return;
      }
      case "broken":
        this.#exhausted = true;
        if (this.#parts.inputsBroke === undefined) throw reading.error;
        return this.#parts.inputsBroke(reading.error);
      case "end":
        this.#exhausted = true;
        this.#total = this.#items;
    }
  }

  #itemError(index: number, error: unknown): void {
    if (this.#parts.onItemError === "keep") this.#parts.sink.failed(index, error);
    else this.#lowest = { index, error };
  }

  #settle(run: () => void): void {
    if (this.#settled) return;
    this.#settled = true;
    this.#exhausted = true;
    this.#next = undefined;
    this.#open.clear();
    this.#parts.reader.close();
    run();
  }

  #answered(): void {
    if (this.#settled) return; // by what the sink called of the user
    this.#parts.changed?.();
    this.onWake();
  }
}

/** A smaller part of a window that was full is not worth a chunk: what is consumed one by one would be sent one by one. */
const ROOM_SHARE_MIN = 0.25;

function unchanged(stack: string): string {
  return stack;
}

/** Why a job is over that has not all of its results. */
export function endError(id: JobId, outcome: JobOutcome, error: FabricError | undefined): Error {
  if (error !== undefined) return fabricErrorOf(error);
  if (outcome === JobOutcome.CANCELLED)
    return new HeddleError("cancelled", `job ${id} was cancelled by the coordinator`);
  return new ProtocolError(`job ${id} ended without all of its results`);
}
