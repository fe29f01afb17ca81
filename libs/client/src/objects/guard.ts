import { NotHeldError } from "@heddle/kernel";
import { described } from "../describe.ts";
import type { Hold } from "./hold.ts";
import { inspected } from "./names.ts";

/** A lock or a permit that is held: from `acquire`, or what `run` gives its function. */
export interface Guard extends AsyncDisposable {
  /**
   * Proof of this hold: no later one of the same object has a smaller token. What is outside of the fabric can refuse a
   * holder of the past by remembering the largest token that it has seen. Another one after a condition's `wait`.
   */
  readonly token: bigint;
  /**
   * Aborts with LockLostError when the hold is lost: the manager was out of reach for the lease, or the session is
   * over. It stays aborted, also when the manager comes back in time and the hold with it; `assertHeld` tells then.
   */
  readonly signal: AbortSignal;
  /**
   * Throws LockLostError when the hold is lost as things stand, comparing clocks now; NotHeldError when it was
   * released, or waits at a condition.
   */
  assertHeld(): void;
  /** Lets go. Rejects with NotHeldError the second time, LockLostError when the hold was lost before. */
  release(): Promise<void>;
  /**
   * Runs a function; each write to shared objects that it asks for, through whatever it awaits, carries the token, and
   * the manager refuses it with LockLostError when the hold is over. It does not let go. Rejects with what the function
   * throws, and with LockLostError when the hold is lost at its end.
   */
  run<R>(fn: () => R): Promise<Awaited<R>>;
}

/** One share of a hold: locks and semaphores have one of each hold, an rlock one of each `acquire`. */
export class HeldGuard implements Guard {
  readonly hold: Hold;
  readonly #scope: <R>(fn: () => R) => R;
  #isReleased = false;

  /** `scope`: what the functions of `run` run in. */
  constructor(hold: Hold, scope: <R>(fn: () => R) => R) {
    this.hold = hold;
    this.#scope = scope;
    hold.guards.push(this);
    if (hold.owner.isOver) hold.leaveOwner(); // granted too late
  }

  get token(): bigint {
    return BigInt(this.hold.token);
  }

  get signal(): AbortSignal {
    return this.hold.signal;
  }

  assertHeld(): void {
    if (this.#isReleased) throw new NotHeldError(`${this.hold.what} was released by this guard before`);
    this.hold.assertHeld();
  }

  async release(): Promise<void> {
    if (this.#isReleased)
      throw new NotHeldError(`${this.hold.what} was released by this guard before: each guard is released once`);
    if (this.hold.isWaiting) throw new NotHeldError(`${this.hold.what} waits at a condition: release it after that`);
    this.#isReleased = true;
    await this.hold.leave(this);
  }

  async run<R>(fn: () => R): Promise<Awaited<R>> {
    checkRun(fn);
    this.assertHeld();
    const result = await this.#scope(fn);
    const { loss } = this.hold;
    if (loss !== undefined) throw loss;
    return result;
  }

  /** For people: what it holds, and how that stands. */
  toString(): string {
    const { what, isWaiting, loss } = this.hold;
    const ending = loss !== undefined ? ", lost" : isWaiting ? ", waits at a condition" : "";
    return `Guard of ${what} (token ${this.token}${this.#isReleased ? ", released" : ending})`;
  }

  /** What is logged of it. */
  [inspected](): string {
    return this.toString();
  }

  /** The token as text: JSON has no such numbers. */
  toJSON(): { readonly kind: "guard"; readonly object: string; readonly token: string } {
    return { kind: "guard", object: this.hold.lock, token: String(this.token) };
  }

  /** Released, unless that was done before. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#isReleased) await this.release();
  }
}

/** Runs a function with a guard, and lets go. What the function throws counts more than a hold that was lost. */
export async function runWith<R>(guard: HeldGuard, fn: (guard: Guard) => R): Promise<Awaited<R>> {
  let result: Awaited<R>;
  try {
    result = await guard.run(() => fn(guard));
  } catch (error) {
    await guard[Symbol.asyncDispose]().catch(() => undefined); // what the function threw says more
    throw error;
  }
  await guard[Symbol.asyncDispose]();
  return result;
}

/** Throws TypeError for what is no function. */
export function checkRun(fn: unknown): void {
  if (typeof fn !== "function") throw new TypeError(`run needs a function, got ${described(fn)}`);
}
