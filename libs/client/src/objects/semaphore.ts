import type { SharedDescription } from "@heddle/wire";
import { checkWait } from "../options.ts";
import { checkRun, type Guard, HeldGuard, runWith } from "./guard.ts";
import { Hold } from "./hold.ts";
import type { ObjectsHome } from "./home.ts";
import { insist } from "./insist.ts";
import { ACQUIRE_OPTIONS, type AcquireOptions, orNull } from "./lock.ts";
import { checkWhole, made, type Place, type SharedOptions } from "./place.ts";
import { nothing, number, SharedObject } from "./shared-object.ts";

/** What a semaphore is told at its construction. */
export type SemaphoreOptions = SharedOptions;

/**
 * Permits, so many as were given at first and are added: each guard holds one, and those who wait get them in the order
 * in which they asked. The permits of a holder that dies, or is out of the manager's reach for its lease, come back.
 */
export class Semaphore extends SharedObject {
  /** Bounded or not, as the description says. Throws TypeError or RangeError for one that cannot be. */
  static revive(home: ObjectsHome, { object, initial, bound }: SharedDescription): Semaphore {
    const make = bound === undefined ? Semaphore : BoundedSemaphore;
    return new make(Number(initial), {}, { home, object });
  }

  /**
   * `initial`: permits at first, 1 unless given. `bound`: of a bounded one. Throws TypeError, RangeError or LimitError
   * for what cannot be.
   */
  constructor(initial = 1, options: SemaphoreOptions = {}, place?: Place, bound?: number) {
    checkWhole("initial", initial, 0);
    const traits = bound === undefined ? { initial } : { initial, bound };
    const what = bound === undefined ? "a semaphore" : "a bounded semaphore";
    super(...made({ what, kind: "semaphore", options, traits }, place));
  }

  /** Waits for a permit; resolves to the guard that gives it back. Rejects as that of a Lock. */
  async acquire(options: AcquireOptions = {}): Promise<Guard> {
    return await this.#acquire(options);
  }

  /** The guard of a permit when one is free, else null. */
  async tryAcquire(): Promise<Guard | null> {
    return await orNull(this.#acquire({ timeoutMs: 0 }));
  }

  /** Adds permits, whoever holds which: to signal. No guard is released by it; give a permit back by its guard. */
  release(permits = 1): Promise<void> {
    return this.attempt("release", () => {
      checkWhole("permits", permits, 1);
      return this.call("semaphore-release", nothing, [], [permits]);
    });
  }

  /** Runs a function with a permit, as `guard.run`, and gives it back. Rejects as that of a Lock. */
  async run<R>(fn: (guard: Guard) => R): Promise<Awaited<R>> {
    checkRun(fn);
    return await runWith(await this.#acquire({}), fn);
  }

  /** Permits that are free now. */
  getValue(): Promise<number> {
    return this.call("semaphore-value", number);
  }

  #acquire(options: AcquireOptions): Promise<HeldGuard> {
    return this.attempt("acquire", () => {
      checkWait("acquire", options, ACQUIRE_OPTIONS);
      const { home, id: object, what } = this;
      const owner = home.flows.owner();
      return this.callWaiting(
        "semaphore-acquire",
        options,
        ({ numbers: [token = 0] }) => {
          const giveBack = (last: number): Promise<void> =>
            insist(home.env.clock, () => this.call("semaphore-return", nothing, [], [last]));
          const over = (): void => home.holdings.remove(hold);
          const hold: Hold = new Hold(home.channel(), { object, what, token, owner, giveBack, over });
          home.holdings.add(hold);
          return new HeldGuard(hold, (fn) => home.flows.run(() => home.channel().withGuards([hold], fn)));
        },
        [],
        [1],
      );
    });
  }
}

/** A semaphore that never has more free permits than it was given at first. */
export class BoundedSemaphore extends Semaphore {
  /** As of a Semaphore. */
  constructor(initial = 1, options: SemaphoreOptions = {}, place?: Place) {
    super(initial, options, place, initial);
  }

  /** Adds permits. Rejects with RangeError, and adds none, when they would be more than at first. */
  override release(permits = 1): Promise<void> {
    return super.release(permits);
  }
}
