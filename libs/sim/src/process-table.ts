import type { Millis } from "@heddle/kernel";

/** A worker process of the world, as tests and faults handle it. */
export interface SimProcess {
  readonly pid: number;
  /** Name of its machine. */
  readonly machine: string;
  /** A user function runs in it. */
  readonly isBusy: boolean;
  /** As the operating system's: by default both signals end it at once. */
  kill(signal: "SIGTERM" | "SIGKILL"): void;
  /** It stops running, is not gone and says nothing, until killed. */
  hang(): void;
  readonly task: TaskContext;
}

/** What a user function may do to the simulated process that it runs in. Stays valid after an `await`, until the process is gone. */
export interface TaskContext {
  readonly pid: number;
  /** Name of its machine. */
  readonly machine: string;
  /** Resolves after so much of the machine's time, as a computation or an I/O wait of that length. */
  sleep(ms: Millis): Promise<void>;
  /** The process dies here, by a signal or with an exit status. Nothing it does after that is seen by anybody. */
  crash(how: string | number): never;
  /** Writes a line to the process's standard output or error. */
  print(line: string, stream?: "stdout" | "stderr"): void;
  /** From now on SIGTERM does nothing. */
  ignoreSigterm(): void;
}

/** Thrown to stop the code that killed its own process. Nobody sees it: its process is gone. */
export class ProcessIsGone extends Error {
  override readonly name = "ProcessIsGone";
}

/** Every simulated worker process of a world, and which of them is running user code at this moment. */
export class ProcessTable {
  /** In order of their start. Written by spawners. */
  readonly live = new Set<SimProcess>();
  #lastPid = 100;
  #current: SimProcess | undefined;

  nextPid(): number {
    return ++this.#lastPid;
  }

  /** Runs user code as part of `process`: `here()` answers during the call, up to its first `await`. */
  enter<R>(process: SimProcess, run: () => R): R {
    const outer = this.#current;
    this.#current = process;
    try {
      return run();
    } finally {
      this.#current = outer;
    }
  }

  /** For user functions: their own process. Throws TypeError outside one; ask before the first `await`, and keep the answer. */
  here(): TaskContext {
    if (this.#current === undefined) throw new TypeError("not inside a simulated task, or after its first await");
    return this.#current.task;
  }
}
