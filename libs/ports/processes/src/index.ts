/** How a worker process ended. */
export interface WorkerExit {
  /** Exit status, or null when a signal ended it or it never started. */
  readonly exitCode: number | null;
  /** Name of the killing signal, or null. */
  readonly signal: string | null;
  /** The mark that it had not taken back; null when there is none, or more than one. See `WorkerEvents.exited`. */
  readonly mark: Mark | null;
  /** Last resident set size sampled, in bytes; 0 when never. */
  readonly rssBytes: number;
  /** The end of its standard error, at most STDERR_TAIL_BYTES. */
  readonly stderrTail: string;
  /** Set when the process could not be started, or was killed for breaking the framing: says what happened. */
  readonly fault?: string;
}

/** "I am about to run this item": left behind synchronously, so that it survives whatever the item does. */
export interface Mark {
  /** The assignment being run. */
  readonly assignment: number;
  /** Offset of the item in its chunk. */
  readonly offset: number;
}

/** A mark that a worker has not taken back. */
export interface SeenMark extends Mark {
  /** Milliseconds since it was written. */
  readonly forMs: number;
}

/** Marks that a worker may have at a time: items under way that have one each. Slots are numbered from 0. */
export const MARK_SLOTS_MAX = 1_024;

/** What the agent hears of one worker process. Never called from within `spawn`. */
export interface WorkerEvents<Up> {
  /** Entries of the worker, in order. */
  readonly entries: (entries: readonly Up[]) => void;
  /** One line of its output, without the line end; longer ones are cut into several. In order per stream, before the entries that were sent after it. */
  readonly output: (stream: "stdout" | "stderr", line: string) => void;
  /**
   * Called once, last: the process is gone, its process group and everything with its cookie was killed,
   * its pipes were read to the end (so its marks are the last ones it wrote).
   */
  readonly exited: (exit: WorkerExit) => void;
}

/** A live worker process. */
export interface WorkerProcess<Down> {
  /** Process id; 0 when it could not be started (`exited` follows). */
  readonly pid: number;
  /** Last resident set size sampled, in bytes; 0 before the first. */
  readonly rssBytes: number;
  /**
   * Sends an entry; entries of one turn leave in one write. Ignored after the exit. It waits here while the worker does not read:
   * above the adapter's bound of unsent bytes (two of the largest payloads) the worker is killed with a fault.
   */
  send(entry: Down): void;
  /** Looks at its marks: the one written longest ago. Null when there is none, and after the exit. */
  readMark(): SeenMark | null;
  /** Signals the process group; "SIGKILL" also reaches everything that carries the worker's cookie. */
  kill(signal: "SIGTERM" | "SIGKILL"): void;
}

/** Starts worker processes. Disposing kills what is left and resolves when all are gone. */
export interface WorkerSpawner<Down, Up> extends AsyncDisposable {
  /** Starts one; never throws: what fails is told by `exited` with a fault. */
  spawn(events: WorkerEvents<Up>): WorkerProcess<Down>;
}
