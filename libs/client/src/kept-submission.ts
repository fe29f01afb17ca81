import {
  ConflictError,
  type JobId,
  LimitError,
  PAYLOAD_BYTES_MAX,
  ProtocolError,
  UnavailableError,
} from "@heddle/kernel";
import type { JobEnded, JobKept } from "@heddle/wire";
import { endError, type Readiness } from "./job-run.ts";
import { KeptDigest } from "./kept-digest.ts";
import { UNKEPT_CHUNKS_MAX } from "./limits.ts";
import type { InputChunk, RepeatedChunk } from "./open-chunks.ts";
import type { Reader, Reading } from "./readers.ts";
import type { ChunkPlan } from "./sizing.ts";

/** A kept job on its way to the disk of its coordinator: hands out its chunks and keeps each until it is there. Settles once. */
export class KeptSubmission {
  readonly isKept = true;
  /** The number on the session's stream; set when it is opened. */
  number = 0;
  readonly id: JobId;
  /** Resolves when all of the job is on disk, by this submission or by one before it of the same content. */
  readonly outcome: Promise<void>;
  /** What the sums of its connection have of these two. */
  readonly counted = { chunks: 0, bytes: 0 };
  /** Told when a submission that had to wait may have something to offer. */
  onWake: () => void = () => undefined;
  /** What the job is beside its inputs, as JSON: a part of its digest. Set before it is submitted. */
  about: unknown;
  /** Every input is answered by the fabric: one that cannot travel ends the call. */
  readonly isLost = false;
  readonly #reader: Reader;
  readonly #plan: ChunkPlan;
  readonly #digest: KeptDigest;
  readonly #resolve: () => void;
  readonly #reject: (error: unknown) => void;
  /** Read and not on disk, by number, ascending. */
  readonly #unkept = new Map<number, InputChunk>();
  #bytes = 0;
  #next: Omit<InputChunk, "chunk"> | undefined;
  /** Chunks taken so far, over all sessions; those below `#kept` are on disk. */
  #count = 0;
  #kept = 0;
  /** Number of the next chunk to be offered again, and the number behind the last. */
  #again = 0;
  #againUntil = 0;
  #items = 0;
  #exhausted = false;
  #settled = false;
  /** The digest of a submission before this one, which all inputs are now read to be compared with: none is offered. */
  #rival: string | undefined;

  /** `plan`: of every chunk. `sha256Hex`: of bytes. */
  constructor(
    id: JobId,
    parts: { readonly reader: Reader; readonly plan: ChunkPlan; readonly sha256Hex: (bytes: Uint8Array) => string },
  ) {
    this.id = id;
    this.#reader = parts.reader;
    this.#plan = parts.plan;
    this.#digest = new KeptDigest(parts.sha256Hex);
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.outcome = promise;
    this.#resolve = resolve;
    this.#reject = reject;
    promise.catch(() => undefined); // whoever wants it asks for it
  }

  /** Chunks that are offered and not on disk. */
  get openChunks(): number {
    return this.#unkept.size;
  }

  /** Their input bytes. */
  get openBytes(): number {
    return this.#bytes;
  }

  get settled(): boolean {
    return this.#settled;
  }

  /** Items read so far. */
  get items(): number {
    return this.#items;
  }

  /** Number of inputs, as far as it is known. */
  get total(): number | undefined {
    return this.#exhausted ? this.#items : this.#reader.total;
  }

  get chunkCount(): number {
    return this.#count;
  }

  /** Of all that was read. */
  get digest(): string {
    return this.#digest.hex(this.about);
  }

  /** Its consumer reads nothing while it is submitted. */
  progress(_isOrdered: boolean): { readonly unreadBytes: number; readonly gapChunks: number } {
    return { unreadBytes: 0, gapChunks: 0 };
  }

  /** Bytes of the next chunk, when `poll` said that there is one. */
  get nextBytes(): number {
    return this.#next?.payload.bytes.byteLength ?? 0;
  }

  /**
   * Reads the next chunk: that runs code of the user, who may end the call in it. Throws what encoding an input throws, LimitError for a chunk that is too large, what the
   * inputs' iterator throws, and UnshippedFunctions.
   */
  poll(): Readiness {
    if (this.#next !== undefined) return "ready";
    if (this.#exhausted) return "end";
    if (this.#unkept.size >= UNKEPT_CHUNKS_MAX) return "wait";
    const reading = this.#reader.read({ ...this.#plan, isEager: false });
    if (this.#settled) return "end"; // from within the inputs: what was read is nobody's
    return this.#took(reading);
  }

  /** Takes the chunk that `poll` announced. */
  take(): InputChunk {
    const chunk = this.#takeNext();
    this.#unkept.set(chunk.chunk, chunk);
    this.#bytes += chunk.payload.bytes.byteLength;
    return chunk;
  }

  /** The next chunk that is to be offered again; undefined when all are. */
  takeAgain(_tellsSettled: boolean): RepeatedChunk | undefined {
    while (this.#again < this.#againUntil) {
      const chunk = this.#unkept.get(this.#again++);
      if (chunk !== undefined) return { ...chunk, settled: [] };
    }
    return undefined;
  }

  /** The session is over in which it was open: it goes on in another from what its coordinator has. False: it is settled. */
  restart(): boolean {
    this.#again = 0;
    this.#againUntil = this.#count;
    return !this.#settled;
  }

  /**
   * The coordinator says how much it has. True: all of it, or of another submission of the same id, and nothing more is to be offered. Then `verify` says whether the two
   * are one. Throws ProtocolError for what was never offered.
   */
  kept({ chunks, digest }: JobKept): boolean {
    if (digest !== "") {
      this.#rival = digest;
      this.#letGo(this.#count);
      return true;
    }
    if (chunks > this.#count)
      throw new ProtocolError(`job ${this.id}: chunk ${chunks - 1} is kept that was not offered`);
    if (chunks < this.#kept) {
      const words = `job ${this.id}: the coordinator that had kept ${this.#kept} chunks of it is gone, and what it kept`;
      this.fail(new UnavailableError(words));
      return false;
    }
    this.#letGo(chunks);
    this.#kept = chunks;
    this.onWake();
    return false;
  }

  /**
   * Reads the inputs on to compare them, a chunk at each call. `wait`: until woken. Settles at their end: with ConflictError when the job of this id has another content.
   * Throws as `poll`.
   */
  verify(): Readiness {
    const readiness = this.poll();
    if (readiness === "ready") this.#takeNext();
    if (readiness === "end" && !this.#settled) this.#compare();
    return readiness;
  }

  /** The coordinator's last word, when it does not keep the job. */
  ended(end: JobEnded): void {
    this.fail(endError(this.id, end.outcome, end.error));
  }

  /** The call is over on this side. */
  abandon(): void {
    this.#settle(() => this.#resolve());
  }

  /** Settles it from this side. */
  fail(error: unknown): void {
    this.#settle(() => this.#reject(error));
  }

  #compare(): void {
    if (this.#rival === this.digest) return this.#settle(() => this.#resolve());
    const words = `job ${this.id} is there with another content: another function, inputs or options. fabric.attach() gives its results, another jobId is another job`;
    this.fail(new ConflictError(words));
  }

  #took(reading: Reading): Readiness {
    switch (reading.type) {
      case "later":
        return "wait";
      case "refused":
      case "broken":
        throw reading.error;
      case "end":
        this.#exhausted = true;
        return "end";
      case "chunk": {
        const { payload } = reading;
        const bytes = payload.bytes.byteLength;
        if (bytes > PAYLOAD_BYTES_MAX) throw new LimitError("PAYLOAD_BYTES_MAX", PAYLOAD_BYTES_MAX, bytes);
        this.#digest.add(payload);
        this.#next = { firstIndex: this.#items, grain: 0, payload };
        this.#items += payload.count;
        return "ready";
      }
    }
  }

  #takeNext(): InputChunk {
    const next = this.#next;
    if (next === undefined) throw new ProtocolError("no chunk is left to take");
    this.#next = undefined;
    return { ...next, chunk: this.#count++ };
  }

  /** Those below are on disk. */
  #letGo(below: number): void {
    for (const [number, { payload }] of this.#unkept) {
      if (number >= below) break;
      this.#unkept.delete(number);
      this.#bytes -= payload.bytes.byteLength;
    }
  }

  #settle(run: () => void): void {
    if (this.#settled) return;
    this.#settled = true;
    this.#exhausted = true;
    this.#next = undefined;
    this.#letGo(this.#count);
    this.#reader.close();
    run();
  }
}
