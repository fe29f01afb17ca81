import type { AsyncScope } from "@heddle/kernel";

/** Who asks for locks: an attempt of a task, or what one `run` in a program begins. */
export interface Flow {
  /** Used once in a process. */
  readonly number: number;
  /** The one that it began in. */
  readonly outer: Flow | undefined;
  /** Of an attempt: its chunk is over, so it holds nothing any more. */
  readonly isOver: boolean;
}

interface AttemptFlow extends Flow {
  isOver: boolean;
}

/** What flows need of the world. */
export interface FlowsOptions {
  readonly openScope: () => AsyncScope<Flow>;
  /** The attempt of the task that runs now, one object for each; undefined outside of tasks. */
  readonly attempt: () => object | undefined;
}

/** The program itself, or the process: whoever is in no task. */
const OWN: Flow = { number: 0, outer: undefined, isOver: false };

/**
 * The flows of a process, whichever session their locks belong to. A task's attempt is one flow, with all that it
 * begins. In a program each `run` of a lock, semaphore or condition is one, inside of that in which it was called; all
 * are inside of the program's own.
 */
export class Flows {
  readonly #attempt: FlowsOptions["attempt"];
  readonly #attempts = new WeakMap<object, Flow>();
  /** Of attempts that are not known to be over. */
  readonly #live = new Set<AttemptFlow>();
  readonly #openScope: FlowsOptions["openScope"];
  #scope: AsyncScope<Flow> | undefined;
  #last = OWN.number;

  constructor({ attempt, openScope }: FlowsOptions) {
    this.#attempt = attempt;
    this.#openScope = openScope;
  }

  /** The attempt that runs now, or the program. */
  owner(): Flow {
    const attempt = this.#attempt();
    if (attempt === undefined) return OWN;
    let flow = this.#attempts.get(attempt);
    if (flow === undefined) {
      const begun: AttemptFlow = { number: ++this.#last, outer: undefined, isOver: false };
      this.#attempts.set(attempt, begun);
      this.#live.add(begun);
      flow = begun;
    }
    return flow;
  }

  /** The attempts of a chunk are over. Whether one of them has asked for locks. */
  endAttempts(): boolean {
    if (this.#live.size === 0) return false;
    for (const flow of this.#live) flow.isOver = true;
    this.#live.clear();
    return true;
  }

  /** The flow that runs now. */
  current(): Flow {
    const owner = this.owner();
    return owner === OWN ? (this.#scope?.get() ?? OWN) : owner;
  }

  /** Runs a function in a flow of its own inside of the current one; a task's stays in its attempt. */
  run<R>(fn: () => R): R {
    return this.owner() === OWN
      ? this.within({ number: ++this.#last, outer: this.current(), isOver: false }, fn)
      : fn();
  }

  /** Runs a function in a flow. */
  within<R>(flow: Flow, fn: () => R): R {
    this.#scope ??= this.#openScope();
    return this.#scope.run(flow, fn);
  }
}
