import { NotHeldError, TimeoutError } from "@heddle/kernel";
import type { SharedDescription } from "@heddle/wire";
import { checkWait } from "../options.ts";
import { fabricOf } from "./default-home.ts";
import { checkRun, type Guard, HeldGuard, runWith } from "./guard.ts";
import { Hold } from "./hold.ts";
import type { ObjectsHome } from "./home.ts";
import { insist } from "./insist.ts";
import { checkWhole, made, type Place, type SharedOptions } from "./place.ts";
import { nothing, SharedObject } from "./shared-object.ts";

/** The key of what tells which hold of a lock a condition's call means. */
export const holdHere: unique symbol = Symbol("heddle.holdHere");

/** What a lock is told at its construction. */
export interface LockOptions extends SharedOptions {
  /**
   * Lease of its holder, in milliseconds, 2,000 to 300,000: it then has a session of its own with the manager. That of
   * its fabric or manager unless given: 15,000.
   */
  readonly ttlMs?: number;
}

/** How long to wait for a lock or a permit. */
export interface AcquireOptions {
  /** Milliseconds, then TimeoutError; 0 and less: now or never. For ever unless given. */
  readonly timeoutMs?: number | undefined;
  /** Ends the wait: it rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * A lock that one guard at a time holds, in the whole fabric. Those who wait get it in the order in which they asked.
 * It belongs to its guard: a second `acquire` waits, whoever asks. A holder that dies, or is out of the manager's reach
 * for its lease, loses it to the next one.
 */
export class Lock extends SharedObject {
  static revive(home: ObjectsHome, { object }: SharedDescription): Lock {
    return new Lock({}, { home, object });
  }

  /** Throws TypeError, RangeError or LimitError for options that cannot be. */
  constructor(options: LockOptions = {}, place?: Place) {
    super(...made({ what: "a lock", kind: "lock", options, known: ["ttlMs"] }, leasePlace(options, place)));
  }

  /**
   * Waits for its turn; resolves to the guard. Rejects with TimeoutError, the signal's reason, SessionLostError when
   * the session with the manager ended meanwhile. Of a wait that ended so nothing is left: it never holds the lock
   * later.
   */
  async acquire(options: AcquireOptions = {}): Promise<Guard> {
    return await this.#acquire(options);
  }

  /** The guard when it is free, else null. */
  async tryAcquire(): Promise<Guard | null> {
    return await orNull(this.#acquire({ timeoutMs: 0 }));
  }

  /**
   * Releases the newest guard of it that this task attempt has, or outside of tasks this program. Rejects with
   * NotHeldError when there is none: that of another is never released.
   */
  async release(): Promise<void> {
    await releaseNewest(this[holdHere](), this.what);
  }

  /**
   * Runs a function under it, as `guard.run`, and releases it. Rejects with what the function throws, else with
   * LockLostError when it was lost meanwhile.
   */
  async run<R>(fn: (guard: Guard) => R): Promise<Awaited<R>> {
    checkRun(fn);
    return await runWith(await this.#acquire({}), fn);
  }

  /** Whether somebody holds it. */
  locked(): Promise<boolean> {
    return this.call("lock-state", (reply) => reply.numbers[0] === 1);
  }

  [holdHere](): Hold | undefined {
    return this.home.holdings.newest(this.id, this.home.flows.owner());
  }

  #acquire(options: AcquireOptions): Promise<HeldGuard> {
    checkWait("acquire", options, ACQUIRE_OPTIONS);
    const { holdings, flows } = this.home;
    const owner = flows.owner();
    return this.callWaiting(
      "lock-acquire",
      options,
      ({ numbers: [token = 0] }) => {
        const { id: object, what } = this;
        const hold: Hold = new Hold(this.home.channel(), {
          object,
          what,
          token,
          owner,
          giveBack: (last) => insist(this.home.env.clock, () => this.call("lock-release", nothing, [], [last])),
          over: () => holdings.remove(hold),
        });
        holdings.add(hold);
        return new HeldGuard(hold, (fn) => flows.run(() => this.home.channel().withGuards([hold], fn)));
      },
      [],
      [1, 0],
    );
  }
}

/** Names of what `acquire` is told. */
export const ACQUIRE_OPTIONS = ["timeoutMs", "signal"] as const;

/** What `tryAcquire` gives: null for a TimeoutError. */
export async function orNull<T>(acquired: Promise<T>): Promise<T | null> {
  try {
    return await acquired;
  } catch (error) {
    if (error instanceof TimeoutError) return null;
    throw error;
  }
}

/** Releases the newest guard of a hold. Rejects with NotHeldError when there is none. */
export async function releaseNewest(hold: Hold | undefined, what: string): Promise<void> {
  const guard = hold?.guards.at(-1);
  if (guard === undefined) throw new NotHeldError(`${what} is not held here: only its holder can release it`);
  await guard.release();
}

/** Leases belong to sessions: a lock with a lease of its own has a session of its own. */
function leasePlace({ ttlMs, fabric }: LockOptions, place: Place | undefined): Place | undefined {
  if (ttlMs === undefined) return place;
  checkWhole("ttlMs", ttlMs, TTL_MS_MIN, TTL_MS_MAX);
  const open = place?.openSession ?? ((ttl: number): ObjectsHome => fabricOf({ fabric }).openObjects({ ttlMs: ttl }));
  return { ...place, home: open(ttlMs) };
}

const TTL_MS_MIN = 2_000;
const TTL_MS_MAX = 300_000;
