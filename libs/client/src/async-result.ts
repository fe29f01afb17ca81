import { type Clock, StateError, TimeoutError } from "@heddle/kernel";
import { checkWait } from "./options.ts";
import type { Progress } from "./progress.ts";

/** Items of a call by what became of them. */
export interface ItemCounts {
  /** Items with a result. */
  readonly done: number;
  /** Items that failed for good. */
  readonly failed: number;
  /** Items in all; undefined while the inputs are not read to their end and have no length. */
  readonly total?: number;
}

/** What an AsyncResult stands for. */
export interface Pending<R> {
  readonly jobId: string;
  readonly outcome: Promise<R>;
  readonly progress: () => Progress;
  /** Stops the work. A promise: until its coordinator has been told. */
  readonly cancel: (reason: unknown) => void | Promise<void>;
  /** Resolves when the fabric has it. */
  readonly accepted: () => Promise<void>;
  /** Somebody waits for the result, until disposed. Unless given it comes by itself. */
  readonly want?: () => Disposable;
}

/** A promised result, as multiprocessing's AsyncResult; may also be awaited. One that nobody awaits causes no unhandled rejection. */
export class AsyncResult<R> implements PromiseLike<R> {
  readonly #pending: Pending<R>;
  readonly #clock: Clock;
  #state: "pending" | "fulfilled" | "rejected" = "pending";

  /** Made by a Pool. */
  constructor(pending: Pending<R>, clock: Clock) {
    this.#pending = pending;
    this.#clock = clock;
    pending.outcome.then(
      () => {
        this.#state = "fulfilled";
      },
      () => {
        this.#state = "rejected";
      },
    );
  }

  /** The job's id in the fabric. */
  get jobId(): string {
    return this.#pending.jobId;
  }

  /** How far it is. */
  get progress(): Progress {
    this.#look();
    return this.#pending.progress();
  }

  /** Whether it is over, well or badly. */
  ready(): boolean {
    this.#look();
    return this.#state !== "pending";
  }

  /** Whether it ended without an error. Throws StateError before it is ready. */
  successful(): boolean {
    if (this.#state === "pending") throw new StateError("successful() was called before the result is ready");
    return this.#state === "fulfilled";
  }

  /**
   * The result, or what the task threw; repeatable. With `timeoutMs` (0 or less: only if it is there now) rejects with TimeoutError,
   * with `signal` with its reason; neither cancels the work.
   */
  async get(options: { readonly timeoutMs?: number; readonly signal?: AbortSignal } = {}): Promise<R> {
    checkWait("get", options, ["timeoutMs", "signal"]);
    const { timeoutMs, signal } = options;
    signal?.throwIfAborted();
    using scope = new DisposableStack();
    scope.use(this.#pending.want?.());
    if (timeoutMs === undefined && signal === undefined) return await this.#pending.outcome;
    const { promise: ended, reject } = Promise.withResolvers<never>();
    if (timeoutMs !== undefined) scope.use(this.#deadline(timeoutMs, reject));
    if (signal !== undefined) {
      const abort = (): void => reject(signal.reason);
      signal.addEventListener("abort", abort, { once: true });
      scope.defer(() => signal.removeEventListener("abort", abort));
    }
    return await Promise.race([this.#pending.outcome, ended]);
  }

  /** Resolves when it is over or `timeoutMs` has passed; never rejects for what the task did. */
  async wait(options: { readonly timeoutMs?: number } = {}): Promise<void> {
    checkWait("wait", options);
    try {
      await this.get(options);
    } catch (error) {
      if (!(error instanceof TimeoutError) && !this.ready()) throw error;
    }
  }

  /**
   * Resolves when the fabric has the job on its disk: a job that is kept (`detach`, `jobId`) is safe from then on, whatever becomes of this program. Of a call that is not kept:
   * when it is open at the coordinator, or over. Rejects as the call does.
   */
  accepted(): Promise<void> {
    return this.#pending.accepted();
  }

  /**
   * Stops the work, of a kept job for all who wait for it; `get` then rejects with an AbortError unless it was over already. Rejects with UnavailableError when the coordinator of a kept job
   * cannot be told.
   */
  async cancel(): Promise<void> {
    await this.#pending.cancel(new DOMException("The call was cancelled", "AbortError"));
    await this.wait();
  }

  /** Makes it awaitable. */
  // biome-ignore lint/suspicious/noThenProperty: being awaitable is what it is for
  then<A = R, B = never>(
    onFulfilled?: ((value: R) => A | PromiseLike<A>) | null,
    onRejected?: ((reason: unknown) => B | PromiseLike<B>) | null,
  ): Promise<A | B> {
    const wanted = this.#pending.want?.();
    if (wanted === undefined) return this.#pending.outcome.then(onFulfilled, onRejected);
    return this.#pending.outcome.finally(() => wanted[Symbol.dispose]()).then(onFulfilled, onRejected);
  }

  /** Whoever looks wants to see it come, and does not wait for it. */
  #look(): void {
    this.#pending.want?.()[Symbol.dispose]();
  }

  #deadline(timeoutMs: number, reject: (reason: unknown) => void): Disposable {
    const late = (): void => reject(new TimeoutError(`job ${this.jobId} has no result after ${timeoutMs} ms`));
    if (timeoutMs > 0) return this.#clock.setTimer(this.#clock.nowMs() + timeoutMs, late);
    queueMicrotask(late); // a result that is there already wins the race
    return { [Symbol.dispose]: () => undefined };
  }
}
