import { type Clock, Fifo, TimeoutError } from "@heddle/kernel";
import { checkWait } from "./options.ts";
import type { Taken, WaitingResults } from "./waiting-results.ts";

/** A call of `next` that waits for a result. */
interface Waiter {
  readonly resolve: (result: IteratorResult<unknown>) => void;
  readonly reject: (error: unknown) => void;
  timer: Disposable | undefined;
}

/** What a MapIterator is made of. */
export interface StreamParts {
  readonly results: WaitingResults;
  readonly clock: Clock;
  /** Stops the work: nobody wants the rest. */
  readonly abandon: () => void;
  /** Keeps the caller's process alive until disposed. */
  readonly hold: () => Disposable;
  /** What one result is for the consumer: `onError: "collect"` makes errors results. */
  readonly settled: boolean;
}

/**
 * The results of an `imap`, one at a time, as multiprocessing's IMapIterator. An item's error is thrown at its turn, and iteration goes on after it;
 * an error of the inputs' own iterator or of the whole call is thrown last. Leaving a `for await` early cancels the rest; but one that an item's error
 * ends does not, since a consumer may go on after it and the language does not say which: then `await using`, or `onError: "collect"`.
 */
export class MapIterator<R> implements AsyncIterableIterator<R, undefined> {
  readonly #parts: StreamParts;
  readonly #waiters = new Fifo<Waiter>();
  #hold: Disposable | undefined;
  #inputsError: { readonly error: unknown } | undefined;
  /** Set once nothing more arrives: `error` is thrown after what is left, once. */
  #end: { error: { readonly error: unknown } | undefined } | undefined;

  /** Made by a Pool. */
  constructor(parts: StreamParts) {
    this.#parts = parts;
  }

  /**
   * The next result, or `done` after the last, again and again. With `timeoutMs` (0 or less: only if it is there now) rejects with TimeoutError when it
   * takes longer, and nothing is lost by that: call it again.
   */
  next(options?: { readonly timeoutMs?: number }): Promise<IteratorResult<R, undefined>> {
    try {
      if (options !== undefined) checkWait("next", options);
    } catch (error) {
      return Promise.reject(error);
    }
    const timeoutMs = options?.timeoutMs;
    const isFirst = this.#waiters.size === 0;
    const ready = isFirst ? this.#ready() : undefined;
    if (ready !== undefined) return ready as Promise<IteratorResult<R, undefined>>;
    const { promise, resolve, reject } = Promise.withResolvers<IteratorResult<unknown>>();
    const waiter: Waiter = { resolve, reject, timer: undefined };
    this.#waiters.push(waiter);
    this.#hold ??= this.#parts.hold();
    if (timeoutMs !== undefined) this.#giveUp(waiter, timeoutMs);
    return promise as Promise<IteratorResult<R, undefined>>;
  }

  /** Cancels what is left. */
  return(): Promise<IteratorResult<R, undefined>> {
    if (this.#end === undefined) this.#parts.abandon();
    this.#finish(undefined);
    return Promise.resolve({ done: true, value: undefined });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  /** Leaving an `await using` scope cancels what is left. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.return();
  }

  /** Called by the pool: results may be there that were not before. */
  arrived(): void {
    while (this.#waiters.size > 0) {
      const ready = this.#ready();
      if (ready === undefined) break;
      const waiter = this.#waiters.shift();
      waiter?.timer?.[Symbol.dispose]();
      ready.then(waiter?.resolve, waiter?.reject);
    }
    this.#release();
  }

  /** Called by the pool: the inputs' own iterator threw, after those that were read. */
  inputsBroke(error: unknown): void {
    this.#inputsError = { error };
  }

  /** Called by the pool: every item has its result. */
  ended(): void {
    this.#end ??= { error: this.#inputsError };
    this.arrived();
  }

  /** Called by the pool: the call failed as a whole. What was not consumed is lost. */
  failed(error: unknown): void {
    if (this.#end === undefined) this.#finish({ error });
  }

  #finish(error: { readonly error: unknown } | undefined): void {
    this.#end = { error };
    this.#parts.results.clear();
    this.arrived();
  }

  /** What `next` gives now; undefined when there is nothing yet. */
  #ready(): Promise<IteratorResult<unknown>> | undefined {
    const taken = this.#parts.results.take();
    if (taken !== undefined) return this.#given(taken);
    if (this.#end === undefined) return undefined;
    const { error } = this.#end;
    this.#end.error = undefined;
    return error === undefined ? Promise.resolve({ done: true, value: undefined }) : Promise.reject(error.error);
  }

  #given(taken: Taken): Promise<IteratorResult<unknown>> {
    if (taken.type === "value") {
      const { value } = taken;
      return Promise.resolve({ done: false, value: this.#parts.settled ? { status: "fulfilled", value } : value });
    }
    if (!this.#parts.settled) return Promise.reject(taken.error);
    return Promise.resolve({ done: false, value: { status: "rejected", reason: taken.error } });
  }

  #giveUp(waiter: Waiter, timeoutMs: number): void {
    const { clock } = this.#parts;
    const late = (): void => {
      if (this.#waiters.take((one) => one === waiter).length === 0) return;
      this.#release();
      waiter.reject(new TimeoutError(`there is no result after ${timeoutMs} ms`));
    };
    if (timeoutMs <= 0) late();
    else waiter.timer = clock.setTimer(clock.nowMs() + timeoutMs, late);
  }

  #release(): void {
    if (this.#waiters.size > 0) return;
    this.#hold?.[Symbol.dispose]();
    this.#hold = undefined;
  }
}
