import { NotHeldError } from "@heddle/kernel";
import { type SharedDescription, shared } from "@heddle/wire";
import { described } from "../describe.ts";
import { checkWait } from "../options.ts";
import type { OperationReply } from "./channel.ts";
import { homeOf } from "./default-home.ts";
import type { Guard } from "./guard.ts";
import type { Hold } from "./hold.ts";
import type { ObjectsHome } from "./home.ts";
import { type AcquireOptions, holdHere, Lock } from "./lock.ts";
import { checkWhole, made, type Place, type SharedOptions } from "./place.ts";
import { RLock } from "./rlock.ts";
import { nothing, SharedObject } from "./shared-object.ts";

/** What a condition is told at its construction. */
export interface ConditionOptions extends SharedOptions {
  /** A lock of its own unless given; that of a condition named N is named N/lock. */
  readonly lock?: Lock | RLock;
}

/** How long to wait at a condition. */
export interface ConditionWait {
  /** Milliseconds; 0 and less: the lock goes round once. For ever unless given. */
  readonly timeoutMs?: number | undefined;
}

/**
 * Where those who hold a lock wait to be told of a change. All but the lock's own methods need the lock to be held:
 * else NotHeldError.
 */
export class Condition extends SharedObject {
  /** What must be held to wait and to notify. */
  readonly lock: Lock | RLock;

  /** Throws TypeError for a description without a lock. */
  static revive(home: ObjectsHome, { object, lock }: SharedDescription): Condition {
    if (!(lock instanceof Lock || lock instanceof RLock))
      throw new TypeError("a condition is described without its lock");
    return new Condition({ lock }, { home, object });
  }

  /** Throws TypeError or LimitError for options that cannot be. */
  constructor(options: ConditionOptions = {}, place?: Place) {
    const { lock, name, fabric } = options;
    checkLock(lock, fabric, place);
    const where = place ?? (lock === undefined ? undefined : { home: lock.home });
    const [home, spec] = made({ what: "a condition", kind: "condition", options, known: ["lock"] }, where);
    const own = lock ?? new Lock(name === undefined ? {} : { name: `${name}/lock` }, { home });
    super(home, { ...spec, options: { lock: own.id } });
    this.lock = own;
  }

  /** That of its lock. */
  acquire(options: AcquireOptions = {}): Promise<Guard> {
    return this.lock.acquire(options);
  }

  /** That of its lock. */
  tryAcquire(): Promise<Guard | null> {
    return this.lock.tryAcquire();
  }

  /** That of its lock. */
  release(): Promise<void> {
    return this.lock.release();
  }

  /** That of its lock. */
  run<R>(fn: (guard: Guard) => R): Promise<Awaited<R>> {
    return this.lock.run(fn);
  }

  /**
   * Lets go of the lock, of all guards that its owner has of it, waits to be notified, and takes it again: the guards
   * stay, with another token. Resolves to whether it was notified; false when the time was up. Also then it waits for
   * the lock. Rejects with LockLostError when the lock was lost.
   */
  async wait(options: ConditionWait = {}): Promise<boolean> {
    checkWait("wait", options);
    return await this.#wait(this.#held("wait"), options.timeoutMs);
  }

  /**
   * Waits until the predicate gives something true; it is asked with the lock held, at first and each time that it was
   * notified. Resolves to true then, and to false when the time was up: all of the waits together. Rejects with what
   * the predicate throws.
   */
  async waitFor(predicate: () => unknown, options: ConditionWait = {}): Promise<boolean> {
    checkWait("waitFor", options);
    if (typeof predicate !== "function")
      throw new TypeError(`waitFor needs a function that tells, got ${described(predicate)}`);
    const hold = this.#held("waitFor");
    const { clock } = this.home.env;
    const { timeoutMs } = options;
    const untilMs = clock.nowMs() + (timeoutMs ?? Number.POSITIVE_INFINITY);
    while (!(await predicate())) {
      const leftMs = untilMs - clock.nowMs();
      if (leftMs <= 0) return false;
      await this.#wait(hold, timeoutMs === undefined ? undefined : leftMs);
    }
    return true;
  }

  /**
   * Wakes the `count` that wait longest; fewer when fewer wait. They go on one after the other, once they have the
   * lock.
   */
  async notify(count = 1): Promise<void> {
    checkWhole("count", count, 0);
    await this.#notify("notify", count);
  }

  /** Wakes all that wait. */
  async notifyAll(): Promise<void> {
    await this.#notify("notifyAll", ALL);
  }

  override [shared](): SharedDescription {
    return { ...super[shared](), lock: this.lock };
  }

  protected override use(): void {
    if (!this.isCreated) this.lock[shared](); // the manager wants to know the lock first
    super.use();
  }

  async #wait(hold: Hold, timeoutMs: number | undefined): Promise<boolean> {
    const token = hold.goesWaiting();
    const read = ({ numbers: [next, notified] }: OperationReply): boolean => {
      hold.isBack(next);
      return notified === 1;
    };
    try {
      return await this.callWaiting("condition-wait", { timeoutMs }, read, [], [1, token]);
    } catch (error) {
      hold.isBack(); // what is refused changed nothing; when it is lost, its guards say so
      throw error instanceof NotHeldError ? hold.isLost(TAKEN) : error;
    }
  }

  async #notify(what: string, count: number): Promise<void> {
    const hold = this.#held(what);
    hold.assertHeld();
    try {
      await this.call("condition-notify", nothing, [], [count, hold.token]);
    } catch (error) {
      throw error instanceof NotHeldError ? hold.isLost(TAKEN) : error;
    }
  }

  #held(what: string): Hold {
    const hold = this.lock[holdHere]();
    if (hold === undefined) throw new NotHeldError(`${what}() of ${this.what} needs its lock to be held here`);
    return hold;
  }
}

const ALL = -1;
const TAKEN = "the manager had taken it away";

function checkLock(lock: unknown, fabric: unknown, place: Place | undefined): void {
  if (lock === undefined) return;
  if (!(lock instanceof Lock) && !(lock instanceof RLock))
    throw new TypeError(`lock of a condition must be a Lock or RLock, got ${described(lock)}`);
  const home = place?.home ?? (fabric === undefined ? lock.home : homeOf({ fabric }));
  if (lock.home !== home)
    throw new TypeError("a condition and its lock must belong to the same fabric or manager: make both there");
}
