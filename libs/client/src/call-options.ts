import type { Progress } from "./progress.ts";
import type { TypedArrayConstructor } from "./result-sinks.ts";
import type { ChunkSize } from "./sizing.ts";

/** Options of `apply` and `applyAsync`, and of every other call. */
export interface CallOptions {
  /** Cancels the call after this time: it rejects with TimeoutError and its slots are freed. */
  readonly timeoutMs?: number;
  /** Cancels the call: it rejects with the signal's reason. */
  readonly signal?: AbortSignal;
  /** How often an item's own error is retried; 0 unless given. Deaths of workers and nodes never count. */
  readonly retries?: number;
  /** Labels that its nodes must carry, each with this value, beside the pool's. */
  readonly labels?: Readonly<Record<string, string>>;
  /** What each chunk takes of its node's resources while it is there; of a name that the pool has too this counts. */
  readonly resources?: Readonly<Record<string, number>>;
  /** What people call the job; the function's name unless given. */
  readonly name?: string;
  /**
   * The job's id in the fabric, yours to choose. `apply`, `map`, `starmap` and their Async forms from outside of tasks then are kept: the coordinator has the job on its disk before it runs. Made again with
   * the same id, function, inputs and options, by this program or another, the call is the same job, which runs once; with another content it rejects with ConflictError. In a task, and for the
   * other calls, it is a name: one that is in use, or was within the last hour, is a ConflictError.
   */
  readonly jobId?: string;
  /**
   * The job goes on when this program ends: it is kept as one with a `jobId` (one is made up unless given), and `fabric.attach(jobId)` gives its results, also elsewhere. Without it a kept job is cancelled when
   * nobody has waited for it for a lease (15 s). Of `apply`, `map`, `starmap` and their Async forms from outside of tasks only: else a TypeError.
   */
  readonly detach?: boolean;
}

/** Options of `map` and all that are like it. */
export interface MapOptions extends CallOptions {
  /**
   * Items of one chunk, a whole number from 1, or "auto": as many as run for about 0.1 s. Unless given ceil(n / (4 * slots)), cut short where a chunk is
   * about 1 MiB, for `map`; 1 for `imap`; "auto" for inputs without a length. Small chunks that are done in no time travel together, and are run, failed
   * and retried as they are.
   */
  readonly chunkSize?: ChunkSize;
  /** Longest run of one item. Above, its worker is stopped, and the item has failed with ItemTimeoutError, which `retries` counts. */
  readonly itemTimeoutMs?: number;
  /** "collect": every item runs, and the results are PromiseSettledResults. "throw", unless given: the error of the lowest index seen is thrown. */
  readonly onError?: "throw" | "collect";
  /** Told of the progress, the last time when everything is done; true for a bar in the terminal. */
  readonly progress?: boolean | ((progress: Progress) => void);
  /** A typed array's class: results go into one of those, and must be numbers (bigints for the Big ones). */
  readonly into?: TypedArrayConstructor;
  /** Seed of the tasks' random numbers, in place of the pool's and the number of the call. */
  readonly seed?: number;
  /** Items of one chunk that a worker has under way at a time when the function returns promises; 1 unless given. */
  readonly concurrency?: number;
  /**
   * "once": what items write to shared dicts, lists, namespaces, values and arrays counts if and only if the item's result does, each once, whatever runs again; nobody sees it before. Such items have no locks, queues and
   * other pools, and do not run side by side. Unless given "live": a write counts at once, and again when its item is run again.
   */
  readonly effects?: "live" | "once";
  /**
   * Chunks that run for much longer than others did get a second attempt on another node, when nothing else of the call waits and slots idle there; the first answer counts, the other attempt is
   * stopped. So items may run twice at a time. false unless given, and of no effect on calls of tasks.
   */
  readonly speculate?: boolean;
}

/** What is called with the result of an Async call, before the result turns ready. What they throw is logged, and loses nothing. */
export interface Callbacks<R> {
  readonly callback?: (value: R) => void;
  readonly errorCallback?: (error: Error) => void;
}

/** Options of `imap` and all that are like it. */
export interface StreamOptions extends Omit<MapOptions, "into" | "detach"> {
  /**
   * Items that are read and whose results are not consumed yet, at most, but never less than one chunk. Unless given: enough for all slots twice, and more
   * for a consumer that is quick.
   */
  readonly bufferSize?: number;
}

/** Options of `mapReduce`. */
export interface ReduceOptions<A> extends Omit<MapOptions, "into" | "onError" | "detach" | "effects"> {
  /** What the first result is combined with; the result when there are no inputs. */
  readonly initial?: A;
}
