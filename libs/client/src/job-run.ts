import { HeddleError, type JobId, LimitError, PAYLOAD_BYTES_MAX, ProtocolError } from "@heddle/kernel";
import {
  decodeInto,
  type EncodedPayload,
  type FabricError,
  type Failure,
  type ItemFailed,
  type JobEnded,
  JobOutcome,
  type SpanDone,
} from "@heddle/wire";
import type { Progress } from "./async-result.ts";
import type { ChunkSource, InputChunk } from "./chunks.ts";
import { fabricErrorOf, failureError } from "./failure.ts";

/** A chunk that was offered and is not answered in full. */
interface OpenChunk {
  readonly firstIndex: number;
  readonly count: number;
  readonly bytes: number;
  /** Items without an answer. */
  open: number;
}

/** One job as its client sees it: hands out its chunks, puts the answers in their places, and settles once. */
export class JobRun {
  /** The number on the session's stream; set when it is opened. */
  number = 0;
  readonly id: JobId;
  /** Resolves to the results in order of the inputs; rejects with the error of the lowest index seen, or why it ended. */
  readonly outcome: Promise<unknown[]>;
  /** Bytes that are offered and unanswered. */
  openBytes = 0;
  readonly #source: ChunkSource;
  readonly #localStack: (stack: string) => string;
  readonly #results: unknown[];
  readonly #open = new Map<number, OpenChunk>();
  readonly #resolve: (results: unknown[]) => void;
  readonly #reject: (error: unknown) => void;
  #next: InputChunk | undefined;
  #offered = 0;
  #exhausted = false;
  #done = 0;
  #failed = 0;
  #settled = false;
  #lowest: { readonly index: number; readonly error: unknown } | undefined;

  /** `localStack`: names the files in a worker's stack as they are called here. */
  constructor(id: JobId, source: ChunkSource, localStack: (stack: string) => string = (stack) => stack) {
    this.id = id;
    this.#source = source;
    this.#localStack = localStack;
    this.#results = new Array<unknown>(source.total);
    const { promise, resolve, reject } = Promise.withResolvers<unknown[]>();
    this.outcome = promise;
    this.#resolve = resolve;
    this.#reject = reject;
    promise.catch(() => undefined); // whoever wants it asks for it: see AsyncResult
  }

  get openChunks(): number {
    return this.#open.size;
  }

  get settled(): boolean {
    return this.#settled;
  }

  get progress(): Progress {
    return { done: this.#done, failed: this.#failed, total: this.#source.total };
  }

  /** Bytes of the next chunk, or undefined when all were taken. Throws what encoding an input throws, and LimitError for a chunk that is too large. */
  peekBytes(): number | undefined {
    if (this.#next === undefined && !this.#exhausted) {
      this.#next = this.#source.next();
      if (this.#next === undefined) this.#exhausted = true;
    }
    const bytes = this.#next?.payload.bytes.byteLength;
    if (bytes !== undefined && bytes > PAYLOAD_BYTES_MAX)
      throw new LimitError("PAYLOAD_BYTES_MAX", PAYLOAD_BYTES_MAX, bytes);
    return bytes;
  }

  /** Takes the chunk that was peeked at. */
  take(): InputChunk & { readonly chunk: number } {
    const next = this.#next;
    if (next === undefined) throw new ProtocolError("no chunk is left to take");
    this.#next = undefined;
    const chunk = this.#offered++;
    const { firstIndex, payload } = next;
    const bytes = payload.bytes.byteLength;
    this.#open.set(chunk, { firstIndex, count: payload.count, bytes, open: payload.count });
    this.openBytes += bytes;
    return { ...next, chunk };
  }

  get chunkCount(): number {
    return this.#offered;
  }

  /** Values of consecutive items. An answer that fits no open chunk is the coordinator's fault: ProtocolError. */
  spanDone(done: SpanDone, values: EncodedPayload): void {
    const chunk = this.#chunk(done.chunk);
    const offset = done.span?.offset ?? 0;
    const count = done.span?.count ?? chunk.count;
    if (values.count !== count || offset + count > chunk.count || count > chunk.open)
      throw new ProtocolError(
        `job ${this.id}: ${values.count} values came for items ${offset}+${count} of chunk ${done.chunk}`,
      );
    decodeInto(values, this.#results, chunk.firstIndex + offset);
    this.#done += count;
    this.#answered(done.chunk, chunk, count);
  }

  /** An item failed for good. */
  itemFailed(failed: ItemFailed & { readonly failure: Failure }, userError: Uint8Array | undefined): void {
    const chunk = this.#chunk(failed.chunk);
    const index = chunk.firstIndex + (failed.failure.offset ?? 0);
    this.#failed++;
    this.#answered(failed.chunk, chunk, 1);
    if (this.#lowest !== undefined && this.#lowest.index <= index) return;
    const error = failureError(failed.failure, userError, {
      jobId: this.id,
      chunk: failed.chunk,
      index,
      localStack: this.#localStack,
    });
    this.#lowest = { index, error };
  }

  /** The coordinator's last word. */
  ended(end: JobEnded): void {
    if (end.outcome === JobOutcome.DONE && this.#done === this.#source.total)
      this.#settle(() => this.#resolve(this.#results));
    else this.fail(this.#lowest === undefined ? endError(this.id, end.outcome, end.error) : this.#lowest.error);
  }

  /** Settles it from this side. Answers that still come are ignored. */
  fail(error: unknown): void {
    this.#settle(() => this.#reject(error));
  }

  #settle(run: () => void): void {
    if (this.#settled) return;
    this.#settled = true;
    this.#exhausted = true;
    this.#next = undefined;
    this.#open.clear();
    this.openBytes = 0;
    run();
  }

  #chunk(number: number): OpenChunk {
    const chunk = this.#open.get(number);
    if (chunk === undefined)
      throw new ProtocolError(`job ${this.id}: an answer came for chunk ${number}, which is not open`);
    return chunk;
  }

  #answered(number: number, chunk: OpenChunk, count: number): void {
    chunk.open -= count;
    if (chunk.open > 0) return;
    this.#open.delete(number);
    this.openBytes -= chunk.bytes;
  }
}

function endError(id: JobId, outcome: JobOutcome, error: FabricError | undefined): Error {
  if (error !== undefined) return fabricErrorOf(error);
  if (outcome === JobOutcome.CANCELLED)
    return new HeddleError("cancelled", `job ${id} was cancelled by the coordinator`);
  return new ProtocolError(`job ${id} ended without all of its results`);
}
