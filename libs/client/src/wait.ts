import type { Clock } from "@heddle/kernel";
import { described } from "./describe.ts";
import { LOOK_MS } from "./limits.ts";
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
  const first = new Look(all, env.clock);
  const seen = await Promise.race([ended, isOnlyLook ? first.anyOrAll() : first.soon()]);
  if (seen === "late") return [];
  if (seen.length > 0 || isOnlyLook) return seen;
  const found = await Promise.race([ended, firstOf(all, over.signal)]);
  if (found === "late") return [];
  const others = await new Look(all, env.clock).soon();
  return all.filter((object) => object === found || others.includes(object));
}

/**
 * The first that is ready. Each is looked at by itself: whose answer is slow to come, as that of a connection whose manager is out of reach, holds up none of the others. One may be ready
 * and no more when it is looked at, since another taker was first: then it is waited for again.
 */
function firstOf<T extends Waitable>(all: readonly T[], signal: AbortSignal): Promise<T> {
  const watch = async (object: T): Promise<T> => {
    for (;;) {
      if (await object[isReady]()) return object;
      if (signal.aborted) return await new Promise<never>(() => undefined); // nobody looks at it any more
      await object[waitable](signal);
    }
  };
  return Promise.race(all.map(watch));
}

/** A look at many, some of which may take long to say whether they are ready. */
class Look<T extends Waitable> {
  readonly #objects: readonly T[];
  readonly #clock: Clock;
  readonly #ready = new Set<T>();
  /** Resolves when all have answered. Rejects with what looking at one throws. */
  readonly #all: Promise<unknown>;

  constructor(objects: readonly T[], clock: Clock) {
    this.#objects = objects;
    this.#clock = clock;
    this.#all = Promise.all(
      objects.map(async (object) => {
        if (await object[isReady]()) this.#ready.add(object);
      }),
    );
    this.#all.catch(() => undefined); // one that answers later than anybody waits
  }

  /** Those of which it is known within LOOK_MS. */
  async soon(): Promise<T[]> {
    const { promise: late, resolve } = Promise.withResolvers<void>();
    using _timer = this.#clock.setTimer(this.#clock.nowMs() + LOOK_MS, resolve);
    await Promise.race([this.#all, late]);
    return this.#objects.filter((object) => this.#ready.has(object));
  }

  /** The same; where it is known of none then, all of them, once all have answered. */
  async anyOrAll(): Promise<T[]> {
    const ready = await this.soon();
    if (ready.length > 0) return ready;
    await this.#all;
    return this.#objects.filter((object) => this.#ready.has(object));
  }
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
