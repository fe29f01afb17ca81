import { ClosedError, Fifo, type JobId, LimitError, StateError } from "@heddle/kernel";
import { Admission, type Chunks } from "./admission.ts";
import { JobStoreDamagedError, JobStoreFailedError, JobStoreFullError } from "./errors.ts";
import type { JobChange, JobStore, StoredJobs } from "./index.ts";
import { COMMIT_BYTES_TARGET, UNCOMMITTED_BYTES_MAX, WRITE_BYTES_MAX } from "./limits.ts";
import { bytesOf, checkSizes } from "./sizes.ts";

/** Names something with bytes. */
export type PieceName =
  | { readonly type: "input"; readonly job: JobId; readonly chunk: number }
  | { readonly type: "answer"; readonly job: JobId; readonly answer: number }
  | { readonly type: "code"; readonly job: JobId; readonly hash: string };

/** What a shelf gives back. */
export interface ShelvedJobs extends StoredJobs {
  /** Jobs whose inputs were dropped. */
  readonly ended: ReadonlySet<JobId>;
}

/**
 * What a job store stands on: keeps changes and gives bytes back, and leaves the rules of who may ask for what and when to `jobStoreOn`.
 */
export interface JobShelf {
  /** Asked first, and once. Rejects with JobStoreDamagedError or JobStoreFailedError. */
  recover(): Promise<ShelvedJobs>;
  /**
   * Makes all changes in order, or none; resolves when they are on disk. One at a time. An added job is not there, an added chunk is the next
   * one, or there already, or of a job that has ended. Rejects with JobStoreFullError when nothing was changed; any other error ends the store.
   */
  commit(changes: readonly JobChange[]): Promise<void>;
  /** Rejects with JobStoreDamagedError when only this piece is not what was stored; any other error ends the store. */
  read(name: PieceName): Promise<Uint8Array | undefined>;
  /** Gives the shelf free, in order or after an error that ended the store: nothing is written then. Asked once. Does not reject. */
  close(isInOrder: boolean): Promise<void>;
  /** As JobStore says. */
  readonly bytes: number;
  /** Whether its process is to be taken for killed: nothing that was asked of it is answered any more. */
  readonly isKilled: boolean;
}

/** A job store on a shelf: checks what it is given, and lets writes that wait leave together. */
export function jobStoreOn(shelf: JobShelf): JobStore {
  return new ShelvedJobStore(shelf);
}

interface Waiter {
  readonly changes: readonly JobChange[];
  readonly bytes: number;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

class ShelvedJobStore implements JobStore {
  readonly #shelf: JobShelf;
  readonly #waiting = new Fifo<Waiter>();
  /** Of what waits and of what is being committed. */
  #uncommittedBytes = 0;
  /** Runs while anything is under way or waits. */
  #committing: Promise<void> | undefined;
  #recovering: Promise<StoredJobs> | undefined;
  #isRecovered = false;
  #closed: Promise<void> | undefined;
  /** Why nothing is taken and given any more. */
  #failure: JobStoreFailedError | undefined;
  readonly #chunks: Chunks = new Map();

  constructor(shelf: JobShelf) {
    this.#shelf = shelf;
  }

  get bytes(): number {
    return this.#shelf.bytes;
  }

  async recover(): Promise<StoredJobs> {
    if (this.#closed !== undefined) throw closedError();
    if (this.#recovering !== undefined) throw new StateError("a job store is recovered once");
    this.#recovering = this.#recover();
    return await this.#recovering;
  }

  async write(changes: readonly JobChange[]): Promise<void> {
    this.#checkReady();
    const bytes = bytesOf(changes);
    checkSizes(changes);
    if (bytes > WRITE_BYTES_MAX) throw new LimitError("WRITE_BYTES_MAX", WRITE_BYTES_MAX, bytes);
    if (this.#uncommittedBytes > 0 && this.#uncommittedBytes + bytes > UNCOMMITTED_BYTES_MAX)
      throw new LimitError("UNCOMMITTED_BYTES_MAX", UNCOMMITTED_BYTES_MAX, this.#uncommittedBytes + bytes);
    this.#uncommittedBytes += bytes;
    await new Promise<void>((resolve, reject) => {
      this.#waiting.push({ changes, bytes, resolve, reject });
      this.#committing ??= this.#commitAll();
    });
  }

  input(job: JobId, chunk: number): Promise<Uint8Array | undefined> {
    return this.#read({ type: "input", job, chunk });
  }

  answer(job: JobId, answer: number): Promise<Uint8Array | undefined> {
    return this.#read({ type: "answer", job, answer });
  }

  code(job: JobId, hash: string): Promise<Uint8Array | undefined> {
    return this.#read({ type: "code", job, hash });
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #recover(): Promise<StoredJobs> {
    const { jobs, history, ended } = await this.#shelf.recover();
    for (const { id, chunks } of jobs) this.#chunks.set(id, ended.has(id) ? "ended" : chunks.length);
    this.#isRecovered = true;
    return { jobs, history };
  }

  async #read(name: PieceName): Promise<Uint8Array | undefined> {
    this.#checkReady();
    try {
      return await this.#shelf.read(name);
    } catch (error) {
      throw error instanceof JobStoreDamagedError ? error : this.#failed(error);
    }
  }

  async #commitAll(): Promise<void> {
    await Promise.resolve(); // what is written in one go leaves together
    for (let batch = this.#batch(); batch.length > 0; batch = this.#batch()) await this.#commit(batch);
    this.#committing = undefined;
  }

  /** What leaves next, in the order in which it came. */
  #batch(): Waiter[] {
    const batch: Waiter[] = [];
    let bytes = 0;
    for (let next = this.#waiting.peek(); next !== undefined; next = this.#waiting.peek()) {
      bytes += next.bytes;
      if (batch.length > 0 && bytes > COMMIT_BYTES_TARGET) break;
      this.#waiting.shift();
      batch.push(next);
    }
    return batch;
  }

  /** Commits what may be, and tells all in order. */
  async #commit(batch: readonly Waiter[]): Promise<void> {
    const admission = new Admission(this.#chunks);
    const refusals = batch.map(({ changes }) => admission.refusalOf(changes));
    const changes = batch.flatMap(({ changes }, at) => (refusals[at] === undefined ? changes : []));
    const error = await this.#commitToShelf(changes);
    if (error === undefined) admission.settle();
    for (const [at, { bytes, resolve, reject }] of batch.entries()) {
      this.#uncommittedBytes -= bytes;
      const why = error ?? refusals[at];
      if (why === undefined) resolve();
      else reject(why);
    }
  }

  /** Says what went wrong. */
  async #commitToShelf(changes: readonly JobChange[]): Promise<JobStoreFullError | JobStoreFailedError | undefined> {
    if (this.#failure !== undefined) return this.#failure;
    if (changes.length === 0) return undefined;
    try {
      await this.#shelf.commit(changes);
      return undefined;
    } catch (error) {
      return error instanceof JobStoreFullError ? error : this.#failed(error);
    }
  }

  #failed(error: unknown): JobStoreFailedError {
    const why = error instanceof Error ? error.message : String(error);
    this.#failure ??= error instanceof JobStoreFailedError ? error : new JobStoreFailedError(why, { cause: error });
    return this.#failure;
  }

  async #close(): Promise<void> {
    await this.#recovering?.catch(() => undefined); // whoever asked for it knows
    while (this.#committing !== undefined && !this.#shelf.isKilled) await this.#committing;
    if (!this.#shelf.isKilled) await this.#shelf.close(this.#failure === undefined);
  }

  #checkReady(): void {
    if (this.#closed !== undefined) throw closedError();
    if (this.#failure !== undefined) throw this.#failure;
    if (!this.#isRecovered) throw new StateError("a job store is recovered before anything else is asked of it");
  }
}

function closedError(): ClosedError {
  return new ClosedError("the job store was closed");
}
