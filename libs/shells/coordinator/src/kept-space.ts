import { Fifo, HeddleError, InvalidArgumentError, LimitError, type Logger } from "@heddle/kernel";
import { type JobChange, type JobStore, JobStoreDamagedError, JobStoreFullError } from "@heddle/port-job-store";
import { type KeptShare, KeptShares } from "./kept-shares.ts";
import { CALLER_KEPT_BYTES_MAX, KEPT_BYTES_MAX, KEPT_WRITING_BYTES_MAX } from "./limits.ts";

/** What the space for kept jobs stands on. */
export interface KeptSpaceOptions {
  readonly store: JobStore;
  readonly log: Logger;
  /** Bytes that may be kept at a time. */
  readonly bytesMax: number;
  /** Nobody knows what is on disk. Told once; nothing is answered after it. */
  readonly failed: (error: Error) => void;
}

/** A write on its way. */
export interface KeptWrite {
  readonly changes: readonly JobChange[];
  readonly bytes: number;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/** The store, with what it may hold: lets so much under way at a time, in order, and ends the coordinator when the store fails. */
export class KeptSpace {
  /** Drops the ended job that may go first, of all or of one share, and says when it is gone; undefined when there is none. Set by whoever has them. */
  makeRoom: (of?: KeptShare) => Promise<void> | undefined = () => undefined;
  /** Asked as a write leaves: what leaves just ahead of it, and so is on disk when it is; undefined for nothing. Set by whoever has that. */
  ahead: () => KeptWrite | undefined = () => undefined;
  /** What each identity has of it. */
  readonly shares: KeptShares;
  readonly #options: KeptSpaceOptions;
  readonly #waiting = new Fifo<KeptWrite>();
  #writingBytes = 0;
  /** What the bytes will change by, once what is under way is on disk. */
  #changingBytes = 0;
  #isOver = false;

  constructor(options: KeptSpaceOptions) {
    this.#options = options;
    const shareBytesMax = (options.bytesMax * CALLER_KEPT_BYTES_MAX) / KEPT_BYTES_MAX;
    this.shares = new KeptShares(shareBytesMax, (share) => this.makeRoom(share));
  }

  /** Bytes that are kept once what is under way is on disk. */
  get bytes(): number {
    return this.#options.store.bytes + this.#changingBytes;
  }

  get bytesMax(): number {
    return this.#options.bytesMax;
  }

  /** Whether so many bytes more may be kept. Ended jobs go for them, the one that has ended longest ago first. */
  hasRoom(bytes: number): boolean {
    while (this.bytes + bytes > this.#options.bytesMax) if (this.makeRoom() === undefined) return false;
    return true;
  }

  /**
   * So many bytes more will be kept, fewer when below 0: they count from now on. `changed` is to be called with the same once they are on disk,
   * or will not be.
   */
  changing(bytes: number): void {
    this.#changingBytes += bytes;
  }

  changed(bytes: number): void {
    this.#changingBytes -= bytes;
  }

  /**
   * Makes changes that bring so many bytes, behind those that were asked before. Rejects with JobStoreFullError, LimitError or
   * InvalidArgumentError, when nothing was changed. Never settles when the store has failed, or is closed: then the coordinator ends.
   */
  write(changes: readonly JobChange[], bytes: number): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#waiting.push({ changes, bytes: Math.max(0, bytes), resolve, reject });
    this.#pump();
    return promise;
  }

  /** Reads from the store. Undefined: it is not there, or is not what was stored, which the log says. Never settles when the store has failed. */
  async read(what: string, ask: (store: JobStore) => Promise<Uint8Array | undefined>): Promise<Uint8Array | undefined> {
    try {
      const bytes = await ask(this.#options.store);
      if (bytes === undefined) this.#options.log.error("the store of jobs lacks what it had", { what });
      return bytes;
    } catch (error) {
      if (!(error instanceof JobStoreDamagedError)) return this.#fail(error);
      this.#options.log.error("the store of jobs has damaged bytes", { what, cause: error.message });
      return undefined;
    }
  }

  /** Nothing is written or answered any more. */
  end(): void {
    this.#isOver = true;
    this.#waiting.clear();
  }

  #pump(): void {
    for (let next = this.#waiting.peek(); next !== undefined && !this.#isOver; next = this.#waiting.peek()) {
      if (this.#writingBytes > 0 && this.#writingBytes + next.bytes > KEPT_WRITING_BYTES_MAX) return;
      this.#waiting.shift();
      const ahead = this.ahead();
      if (ahead !== undefined) void this.#write(ahead);
      void this.#write(next);
    }
  }

  async #write({ changes, bytes, resolve, reject }: KeptWrite): Promise<void> {
    this.#writingBytes += bytes;
    try {
      await this.#options.store.write(changes);
      resolve();
    } catch (error) {
      if (isRefusal(error)) reject(error);
      else return this.#fail(error);
    }
    this.#writingBytes -= bytes;
    this.#pump();
  }

  /** Nothing waits for an end any more but the process's own. */
  #fail(error: unknown): Promise<never> {
    if (!this.#isOver) {
      this.end();
      this.#options.failed(error instanceof Error ? error : new HeddleError("internal", String(error)));
    }
    return new Promise(() => undefined);
  }
}

/** Nothing was changed, and the store goes on. */
function isRefusal(error: unknown): boolean {
  return error instanceof JobStoreFullError || error instanceof LimitError || error instanceof InvalidArgumentError;
}
