import { described } from "./describe.ts";
import { checkWait } from "./options.ts";
import type { PoolHost } from "./pool-calls.ts";

/** The key of what `wait` calls: see Waitable. */
export const waitable: unique symbol = Symbol("heddle.waitable");
/** The key of what tells whether it is ready now: see Waitable. */
export const isReady: unique symbol = Symbol("heddle.isReady");

/** What can be waited for together with others: it is ready from some time on, or until somebody takes what made it so. */
export interface Waitable {
  /**
   * Resolves when it is ready: at once when it is now. It takes nothing, so that whoever waits can. Once the signal aborts nobody
   * looks at the promise any more; it may settle or not.
   */
  [waitable](signal: AbortSignal): Promise<void>;
  /** Whether it is ready now, as far as can be told without waiting for it to become so. */
  [isReady](): boolean | Promise<boolean>;
}

/** Options of `wait`. */
export interface WaitOptions {
  /** Longest wait, in milliseconds; 0 and less only look. For ever unless given. */
  readonly timeoutMs?: number;
  /** Ends the wait: it rejects with the signal's reason. */
  readonly signal?: AbortSignal;
}

/**
 * Waits until at least one of the objects is ready, and resolves to all that are, in the order given; to none when the time is up, or
 * when there are none. Rejects with what looking at one of them throws, and with TypeError for what cannot be waited for.
 */
export async function waitFor<T extends Waitable>(
  { env, hold }: Pick<PoolHost, "env" | "hold">,
  objects: Iterable<T>,
  options: WaitOptions = {},
): Promise<T[]> {
  checkWait("wait", options, ["timeoutMs", "signal"]);
  const { timeoutMs = Number.POSITIVE_INFINITY, signal } = options;
  const all = [...checkIterable(objects)];
  for (const object of all) checkWaitable(object);
  signal?.throwIfAborted();
  using scope = new DisposableStack();
  scope.use(hold());
  const { promise: ended, resolve: end, reject } = Promise.withResolvers<"late">();
  ended.catch(() => undefined); // heard where it is raced
  if (signal !== undefined) {
    const abort = (): void => reject(signal.reason);
    signal.addEventListener("abort", abort, { once: true });
    scope.defer(() => signal.removeEventListener("abort", abort));
  }
  if (timeoutMs > 0 && timeoutMs < Number.POSITIVE_INFINITY)
    scope.use(env.clock.setTimer(env.clock.nowMs() + timeoutMs, () => end("late")));
  const over = new AbortController();
  scope.defer(() => over.abort());
  const isOnlyLook = timeoutMs <= 0 || all.length === 0;
  for (;;) {
    const ready = await Promise.race([ended, readyOf(all)]);
    if (ready === "late") return [];
    if (ready.length > 0 || isOnlyLook) return ready;
    const waits = all.map((object) => object[waitable](over.signal));
    // one may be ready and no more when it is looked at: another taker was first
    if ((await Promise.race([ended, ...waits])) === "late") return await readyOf(all);
  }
}

async function readyOf<T extends Waitable>(all: readonly T[]): Promise<T[]> {
  const flags = await Promise.all(all.map((object) => object[isReady]()));
  return all.filter((_, at) => flags[at]);
}

function checkIterable<T>(objects: Iterable<T>): Iterable<T> {
  if (typeof objects !== "object" || objects === null || !(Symbol.iterator in objects))
    throw new TypeError(`wait() takes an array of processes and connections, got ${described(objects)}`);
  return objects;
}

function checkWaitable(object: unknown): void {
  if (typeof object !== "object" || object === null || !(waitable in object))
    throw new TypeError(`wait() waits for processes and connections, one of its objects is ${described(object)}`);
}
