import type { RunProcess } from "@heddle/wire";
import type { Functions } from "./functions.ts";
import { runInitializer } from "./joining.ts";
import { trimStacks } from "./stacks.ts";

/** What user code may know of the process that it runs in. */
export interface ProcessFacts {
  readonly name: string;
  /** Its place in the tree of processes, such as "1:2": the second that the first of the program has started. */
  readonly path: string;
  readonly pid: number;
  /** Name of its node. A worker of a pool learns it with its first job: "" before. */
  readonly node: string;
  /** It ends with the process that has started it. */
  readonly daemon: boolean;
  readonly parent: ParentFacts;
}

/** Who has started a process. */
export interface ParentFacts {
  readonly name: string;
  /** Its process id, on its own machine. */
  readonly pid: number;
  /** It is not known to be over. */
  readonly isAlive: () => boolean;
  /** Resolves when it is over. */
  readonly ended: Promise<void>;
}

/** How this process is ended and what it says before. */
export interface ProcessEnding {
  /** Writes an error that nobody has caught to standard error. */
  readonly complain: (error: unknown) => void;
  /** Ends this process, with what it wrote on its way: with this status, else with the one that user code has set, or 0. */
  readonly exit: (exitCode?: number) => void;
}

/** What a worker process is besides a runner of chunks: one of a user's processes, or a worker of a pool. */
export class OwnProcess {
  readonly #functions: Functions;
  readonly #ending: ProcessEnding;
  readonly #pid: number;
  readonly #flush: () => Promise<void> | undefined;
  readonly #parentEnded = Promise.withResolvers<void>();
  #isParentAlive = true;
  #facts: ProcessFacts;
  #isProcess = false;
  /** What it must outlive: the processes that it has started and that do not end with it. */
  #kept = 0;
  #onFree: (() => void) | undefined;

  /** `agentPid`: whose child a pool's worker is. `flush`: what the target has written to shared objects is done before it is over. */
  constructor(
    functions: Functions,
    ending: ProcessEnding,
    { pid, agentPid }: { readonly pid: number; readonly agentPid: number },
    flush: () => Promise<void> | undefined,
  ) {
    this.#functions = functions;
    this.#flush = flush;
    this.#ending = ending;
    this.#pid = pid;
    const parent = this.#parent("agent", agentPid);
    this.#facts = { name: `PoolWorker-${pid}`, path: `${pid}`, pid, node: "", daemon: true, parent };
  }

  /** Of this process. */
  readonly facts = (): ProcessFacts => this.#facts;

  /** It does not end by itself before this is disposed. A pool's worker, which others end, takes no note. */
  readonly keep = (): Disposable => {
    let isKept = this.#isProcess;
    if (isKept) this.#kept++;
    return {
      [Symbol.dispose]: () => {
        if (!isKept) return;
        isKept = false;
        if (--this.#kept === 0) this.#onFree?.();
      },
    };
  };

  /** A job of a pool says on which node its worker is. */
  placed(node: string): void {
    if (!this.#isProcess && this.#facts.node !== node) this.#facts = { ...this.#facts, node };
  }

  /** Is that process from now on: runs its target, waits for what it must outlive, and ends. */
  async run({ target, name, path, daemon, node, parent }: RunProcess): Promise<void> {
    this.#isProcess = true;
    const known = this.#parent(parent?.name ?? "", parent?.pid ?? 0);
    this.#facts = { name, path, pid: this.#pid, node, daemon, parent: known };
    let exitCode: number | undefined;
    const complain = (error: unknown): void => {
      trimStacks(error);
      this.#ending.complain(error);
      exitCode = 1;
    };
    if (target !== undefined) await runInitializer(target, this.#functions).catch(complain);
    if (this.#kept > 0) await new Promise<void>((resolve) => (this.#onFree = resolve));
    await this.#flush()?.catch(complain); // also what a target that failed has written before
    this.#ending.exit(exitCode);
  }

  /** Whoever has started it is over. */
  parentEnded(): void {
    this.#isParentAlive = false;
    this.#parentEnded.resolve();
  }

  #parent(name: string, pid: number): ParentFacts {
    return { name, pid, isAlive: () => this.#isParentAlive, ended: this.#parentEnded.promise };
  }
}
