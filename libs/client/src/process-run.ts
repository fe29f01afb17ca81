import type { ProcessEnded } from "@heddle/wire";

/** How a process ended that ran. */
export interface ProcessEnd {
  /** 0, N of `process.exit(N)`, 1 for an error that nobody caught, -N for signal N. */
  readonly exitCode: number;
  /** What people should know beside that; may be empty. */
  readonly why: string;
}

/** One process that was started from here: what is known of it. */
export class ProcessRun {
  /** On its session; 0 before it is asked for. */
  number = 0;
  #node: string | undefined;
  #pid: number | undefined;
  #end: ProcessEnd | undefined;
  #failure: Error | undefined;
  readonly #started = Promise.withResolvers<void>();
  readonly #ended = Promise.withResolvers<void>();
  readonly #onEnd: (end: ProcessEnd) => void;

  /** `onEnd`: called once, when it is over or was never there. */
  constructor(onEnd: (end: ProcessEnd) => void) {
    this.#onEnd = onEnd;
    this.#started.promise.catch(() => undefined); // whoever starts it asks for it
  }

  /** Resolves when it runs, or has run. Rejects when it never does. */
  get started(): Promise<void> {
    return this.#started.promise;
  }

  /** Resolves when it is over, however that came. */
  get ended(): Promise<void> {
    return this.#ended.promise;
  }

  get node(): string | undefined {
    return this.#node;
  }

  get pid(): number | undefined {
    return this.#pid;
  }

  /** Set once it is over. */
  get end(): ProcessEnd | undefined {
    return this.#end;
  }

  /** Why nobody knows how it ended, or why it never ran. */
  get failure(): Error | undefined {
    return this.#failure;
  }

  /** It runs. */
  hasStarted(node: string, pid: number): void {
    if (this.#end !== undefined) return;
    this.#node = node;
    this.#pid = pid;
    this.#started.resolve();
  }

  /** It is over. */
  hasEnded(end: ProcessEnd): void {
    if (this.#end !== undefined) return;
    this.#end = end;
    this.#started.resolve();
    this.#onEnd(end);
    this.#ended.resolve();
  }

  /** It never ran, or nobody hears of it any more: the fabric ends what belongs to nobody. */
  fail(error: Error): void {
    if (this.#end !== undefined) return;
    this.#failure = error;
    this.#started.reject(error); // nothing for one that runs
    this.hasEnded({ exitCode: -SIGKILL, why: error.message });
  }
}

const SIGKILL = 9;

/** Signals as Linux numbers them: the nodes' own system may do otherwise, and an exit code means the same everywhere. */
const SIGNAL_NUMBERS: ReadonlyMap<string, number> = new Map(
  [
    ["HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE", "ALRM", "TERM"],
    ["STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "XCPU", "XFSZ", "VTALRM", "PROF", "WINCH"],
    ["IO", "PWR", "SYS"],
  ]
    .flat()
    .map((name, at) => [`SIG${name}`, at + 1]),
);

/** As Python says it. */
export function exitCodeOf(end: Exclude<ProcessEnded["end"], { $case: "refused" } | undefined>): number {
  return end.$case === "exitCode" ? end.value : -(SIGNAL_NUMBERS.get(end.value) ?? SIGKILL);
}
