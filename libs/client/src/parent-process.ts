import { checkWait } from "./options.ts";
import type { PoolHost } from "./pool-calls.ts";
import { isReady, type Waitable, waitable } from "./wait.ts";
import { within } from "./within.ts";

/** What is known of whoever has started a process. */
export interface ParentFacts {
  readonly name: string;
  readonly pid: number;
  readonly isAlive: () => boolean;
  readonly ended: Promise<void>;
}

/** Whoever has started this process, to be watched. */
export class ParentProcess implements Waitable {
  readonly name: string;
  /** On its own machine. */
  readonly pid: number;
  readonly #facts: ParentFacts;
  readonly #host: Pick<PoolHost, "env" | "hold">;

  constructor(facts: ParentFacts, host: Pick<PoolHost, "env" | "hold">) {
    this.name = facts.name;
    this.pid = facts.pid;
    this.#facts = facts;
    this.#host = host;
  }

  /** It is not known to be over. */
  isAlive(): boolean {
    return this.#facts.isAlive();
  }

  /** Resolves when it is over, or the time is up: ask `isAlive()`. 0 and less only look. */
  async join(options: { readonly timeoutMs?: number } = {}): Promise<void> {
    checkWait("join", options);
    if (this.isAlive()) await within(this.#host, this.#facts.ended, options.timeoutMs);
  }

  [waitable](): Promise<void> {
    return this.#facts.ended;
  }

  [isReady](): boolean {
    return !this.isAlive();
  }
}
