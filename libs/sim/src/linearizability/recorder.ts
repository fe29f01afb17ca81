import type { Clock, Millis } from "@heddle/kernel";
import { type Answer, answered, type Operation, refused } from "./history.ts";

/** Errors by which an object answers: it looked, and refused. By name, for errors may come from another realm. */
const ANSWERS: ReadonlySet<string> = new Set([
  "BrokenBarrierError",
  "ConflictError",
  "EmptyError",
  "EndOfStreamError",
  "FullError",
  "NotFoundError",
  "NotHeldError",
  "RangeError",
  "StateError",
  "TimeoutError",
  "TypeError",
]);
/** Errors that say that nothing was done and nothing about the object: such a call is as good as never made. */
const NOT_DONE: ReadonlySet<string> = new Set(["LimitError", "LockLostError", "SerializationError"]);

/** Milliseconds between two stamps of which the clock says that they are one. */
const TICK_MS: Millis = 1 / 1_024;

/** A call, from when it was made. */
interface Entry<In> {
  readonly client: number;
  readonly input: In;
  readonly invokedAt: number;
  result: { readonly output: Answer; readonly returnedAt: number } | undefined;
}

/**
 * Keeps the history of calls that one process makes. Each call and return has a time of its own, in the order in which they happened here: a clock that ticks
 * in milliseconds would make neighbours concurrent, and hide what is wrong with them. Histories of several recorders are not to be put together.
 */
export class Recorder<In> {
  readonly #clock: Clock;
  readonly #entries = new Map<string, Set<Entry<In>>>();
  #lastMs: Millis = Number.NEGATIVE_INFINITY;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /**
   * Makes the call and keeps how it ended; settles as the call does. What it is fulfilled with is the answer, and so is an error by which the object refuses
   * (NotFoundError, RangeError, TimeoutError and the like). LockLostError, LimitError and SerializationError mean that nothing was done: the call
   * is forgotten. After any other error, and while it has not settled, the outcome is unknown.
   */
  async record<Out>(client: number, object: string, input: In, call: () => Promise<Out>): Promise<Out> {
    const entry = this.#add(client, object, input);
    try {
      const value = await call();
      entry.result = { output: answered(value), returnedAt: this.#stamp() };
      return value;
    } catch (error) {
      const name = error instanceof Error ? error.name : "";
      if (ANSWERS.has(name)) entry.result = { output: refused(name), returnedAt: this.#stamp() };
      if (NOT_DONE.has(name)) this.#entries.get(object)?.delete(entry);
      throw error;
    }
  }

  /** Keeps something that may happen at any time from now on, or never, such as the end of a session that was cut off. */
  expect(client: number, object: string, input: In): void {
    this.#add(client, object, input);
  }

  /** The histories so far, by object. Calls that have not settled are in them, their outcome unknown. */
  histories(): ReadonlyMap<string, readonly Operation<In>[]> {
    return new Map([...this.#entries].map(([object, entries]) => [object, [...entries].map(operationOf)]));
  }

  #add(client: number, object: string, input: In): Entry<In> {
    const entry: Entry<In> = { client, input, invokedAt: this.#stamp(), result: undefined };
    const entries = this.#entries.get(object) ?? new Set();
    this.#entries.set(object, entries.add(entry));
    return entry;
  }

  #stamp(): number {
    this.#lastMs = Math.max(this.#clock.nowMs(), this.#lastMs + TICK_MS);
    return this.#lastMs;
  }
}

function operationOf<In>({ client, input, invokedAt, result }: Entry<In>): Operation<In> {
  return { client, input, invokedAt, ...result };
}
