import type { JobId } from "@heddle/kernel";

export { JobStoreDamagedError, JobStoreFailedError, JobStoreFullError, JobStoreLockedError } from "./errors.ts";
export {
  DESCRIPTION_BYTES_MAX,
  HISTORY_MAX,
  PIECE_BYTES_MAX,
  UNCOMMITTED_BYTES_MAX,
  WRITE_BYTES_MAX,
} from "./limits.ts";
export { MemoryJobs, memoryJobStore } from "./memory.ts";
export { type JobShelf, jobStoreOn, type PieceName, type ShelvedJobs } from "./shelf.ts";

/** A job as a store gives it back: everything but the bytes of its inputs and answers, which are read when they are needed. */
export interface StoredJob {
  readonly id: JobId;
  /** What was added as the job; opaque here. */
  readonly spec: Uint8Array;
  /** What was noted of it last; undefined before the first note. */
  readonly note: Uint8Array | undefined;
  /** In the order of their numbers, which count from 0 without gaps; empty once its inputs were dropped. */
  readonly chunks: readonly StoredPiece[];
  /** In the order of their numbers. */
  readonly answers: readonly StoredPiece[];
  /** SHA-256 of the code that was added, in hex. */
  readonly code: readonly string[];
}

/** Something with bytes. */
export interface StoredPiece {
  readonly number: number;
  /** What was said of it as it was added; opaque here. */
  readonly about: Uint8Array;
  /** How many bytes it has. */
  readonly size: number;
}

/** What is kept, as of opening. */
export interface StoredJobs {
  /** In the order in which they were added. */
  readonly jobs: readonly StoredJob[];
  /** What was said of jobs that ended, the oldest first. Length <= HISTORY_MAX. */
  readonly history: readonly Uint8Array[];
}

/** One change. What it says of a job that is not there changes nothing. */
export type JobChange =
  /** Of an id that is not there; one that was dropped is not. */
  | { readonly type: "job-added"; readonly job: JobId; readonly spec: Uint8Array }
  /** Shipped code that the job needs. Twice is once. */
  | { readonly type: "code-added"; readonly job: JobId; readonly hash: string; readonly bytes: Uint8Array }
  /** The next chunk of the job's inputs. A number that is there already is left as it is. */
  | {
      readonly type: "chunk-added";
      readonly job: JobId;
      readonly chunk: number;
      readonly about: Uint8Array;
      readonly input: Uint8Array;
    }
  /** Replaces what was noted of the job before. */
  | { readonly type: "job-noted"; readonly job: JobId; readonly note: Uint8Array }
  /** An answer to some of its items. A number that is there already is left as it is. */
  | {
      readonly type: "answer-added";
      readonly job: JobId;
      readonly answer: number;
      readonly about: Uint8Array;
      readonly bytes: Uint8Array;
    }
  /** The job has ended: its inputs and its code go, and what comes of those later changes nothing. */
  | { readonly type: "inputs-dropped"; readonly job: JobId }
  /** Nothing of it is kept. */
  | { readonly type: "job-dropped"; readonly job: JobId }
  /** For the history of jobs, kept or not. The oldest beyond HISTORY_MAX go. */
  | { readonly type: "history-added"; readonly entry: Uint8Array };

/**
 * Where a coordinator keeps jobs: durable, opened by one owner. Disposing waits for what was written before it and gives the store free; everything
 * after it rejects with ClosedError. Before `recover` has resolved everything else rejects with StateError.
 */
export interface JobStore extends AsyncDisposable {
  /**
   * What is kept; the bytes are the caller's own. To be asked first, once (again: StateError). Rejects with JobStoreDamagedError when it cannot be
   * trusted, JobStoreFailedError when it cannot be read.
   */
  recover(): Promise<StoredJobs>;
  /**
   * Makes changes in order, all or none; resolves when they are on disk. The bytes must not change until then. Writes that come while a
   * commit is under way leave together in the next one, and resolve in order. Rejects with JobStoreFullError (nothing was changed, the store goes on),
   * JobStoreFailedError (the outcome is unknown, the store takes nothing more), LimitError (see limits.ts; nothing was changed) or
   * InvalidArgumentError (a job is added that is there, a chunk whose predecessor is not, as when that was refused, or something with a number
   * that is none; nothing was changed).
   */
  write(changes: readonly JobChange[]): Promise<void>;
  /**
   * The input of a chunk, as of the writes that have resolved; undefined when it is not there. The bytes are the caller's own. Rejects with
   * JobStoreDamagedError when they are not what was stored (the store goes on) and JobStoreFailedError as `write` does.
   */
  input(job: JobId, chunk: number): Promise<Uint8Array | undefined>;
  /** The bytes of an answer; the same. */
  answer(job: JobId, answer: number): Promise<Uint8Array | undefined>;
  /** Code of a job; the same. */
  code(job: JobId, hash: string): Promise<Uint8Array | undefined>;
  /** Bytes of specs, inputs, code and answers that are kept, as of the writes that have resolved; exact once `recover` has. */
  readonly bytes: number;
}
