import type { FabricProcess } from "./process.ts";

/** What a process knows of itself. */
export interface OwnFacts {
  readonly name: string;
  /** Its place in the tree of processes; empty for the program itself. */
  readonly path: string;
  readonly pid: number;
  readonly daemon: boolean;
  /** Name of its node; undefined for a program, which is on none. */
  readonly node: string | undefined;
}

/** This process as `multiprocessing.current_process()` gives it. */
export interface CurrentProcess {
  readonly name: string;
  readonly pid: number;
  /** It ends with the process that has started it; so do those that it starts, unless they are told otherwise. */
  readonly daemon: boolean;
  /** Name of its node; undefined for a program, which is on none. */
  readonly node?: string | undefined;
  /** It runs. */
  readonly exitCode: null;
}

/** This process and those that it has started: one for each process. */
export class ProcessFamily {
  readonly #own: () => OwnFacts;
  readonly #active = new Set<FabricProcess>();
  #count = 0;

  /** `own`: asked when it is needed. */
  constructor(own: () => OwnFacts) {
    this.#own = own;
  }

  get own(): OwnFacts {
    return this.#own();
  }

  get current(): CurrentProcess {
    const { name, pid, daemon, node } = this.own;
    return { name, pid, daemon, exitCode: null, ...(node === undefined ? {} : { node }) };
  }

  /** The place of the next child in the tree of processes: "2" for the second of the program, "2:1" for the first of that one. */
  mintPath(): string {
    const { path } = this.own;
    const count = String(++this.#count);
    return path === "" ? count : `${path}:${count}`;
  }

  /** Those that live, in the order in which they were started. */
  get active(): FabricProcess[] {
    return [...this.#active];
  }

  /** It is started. */
  add(child: FabricProcess): void {
    this.#active.add(child);
  }

  /** It is over. */
  remove(child: FabricProcess): void {
    this.#active.delete(child);
  }
}
