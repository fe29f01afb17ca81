import { TimeoutError } from "@heddle/kernel";
import type { SharedDescription } from "@heddle/wire";
import { checkWait } from "../options.ts";
import type { Flow } from "./flows.ts";
import { checkRun, type Guard, HeldGuard, runWith } from "./guard.ts";
import { Hold } from "./hold.ts";
import type { ObjectsHome } from "./home.ts";
import { insist } from "./insist.ts";
import { ACQUIRE_OPTIONS, type AcquireOptions, holdHere, orNull, releaseNewest } from "./lock.ts";
import { made, type Place, type SharedOptions } from "./place.ts";
import { nothing, SharedObject } from "./shared-object.ts";

/** What an rlock is told at its construction. */
export type RLockOptions = SharedOptions;

/**
 * A lock that its owner may acquire again: it is free when each of those guards is released. The owner is a task's
 * attempt with all that it begins; in a program it is one `run`, of this or another lock, with what it begins, and what
 * is acquired outside of any `run` belongs to the whole program.
 */
export class RLock extends SharedObject {
  static revive(home: ObjectsHome, { object }: SharedDescription): RLock {
    return new RLock({}, { home, object });
  }

  /** Throws TypeError or LimitError for options that cannot be. */
  constructor(options: RLockOptions = {}, place?: Place) {
    super(...made({ what: "an rlock", kind: "rlock", options }, place));
  }

  /** As of a Lock; at once for who holds it already. */
  async acquire(options: AcquireOptions = {}): Promise<Guard> {
    return await this.#acquire(options);
  }

  /** The guard when it is free, or held by who asks, else null. */
  async tryAcquire(): Promise<Guard | null> {
    return await orNull(this.#acquire({ timeoutMs: 0 }));
  }

  /**
   * Releases the newest guard of it that this task attempt or flow has. Rejects with NotHeldError when there is none.
   */
  async release(): Promise<void> {
    await releaseNewest(this[holdHere](), this.what);
  }

  /** As of a Lock. */
  async run<R>(fn: (guard: Guard) => R): Promise<Awaited<R>> {
    checkRun(fn);
    return await this.home.flows.run(async () => await runWith(await this.#acquire({}), fn));
  }

  /** Whether somebody holds it. */
  locked(): Promise<boolean> {
    return this.call("lock-state", (reply) => reply.numbers[0] === 1);
  }

  /** What the flow that runs now holds, or one that it runs inside of. */
  [holdHere](): Hold | undefined {
    const { holdings, flows } = this.home;
    for (let flow: Flow | undefined = flows.current(); flow !== undefined; flow = flow.outer) {
      const hold = holdings.newest(this.id, flow);
      if (hold !== undefined) return hold;
    }
    return undefined;
  }

  /** The manager is asked once for each flow at a time: what it grants is shared then. */
  async #acquire(options: AcquireOptions): Promise<HeldGuard> {
    checkWait("acquire", options, ACQUIRE_OPTIONS);
    const { holdings, flows, env } = this.home;
    const { timeoutMs = Number.POSITIVE_INFINITY, signal } = options;
    const untilMs = env.clock.nowMs() + Math.max(timeoutMs, 0);
    const flow = flows.current();
    for (;;) {
      signal?.throwIfAborted();
      const hold = this[holdHere]();
      const loss = hold?.loss;
      if (hold !== undefined && loss === undefined) return this.#guardOf(hold);
      if (loss !== undefined && hold?.isLostForGood === false) throw loss; // should it come back it is the same hold
      const leftMs = untilMs - env.clock.nowMs();
      const arriving = holdings.arriving(this.id, flow);
      if (arriving === undefined) return await this.#ask(flow, { timeoutMs: leftMs, signal });
      await this.#settled(arriving, { timeoutMs: leftMs, signal });
    }
  }

  async #ask(flow: Flow, { timeoutMs, signal }: { timeoutMs: number; signal: AbortSignal | undefined }) {
    const { holdings } = this.home;
    const patience = timeoutMs === Number.POSITIVE_INFINITY ? { signal } : { timeoutMs, signal };
    const read = ({ numbers: [token = 0] }: { readonly numbers: readonly number[] }): HeldGuard =>
      this.#guardOf(this.#granted(flow, token));
    const asked = this.callWaiting("lock-acquire", patience, read, [], [1, flow.number]);
    using _arriving = holdings.arrives(this.id, flow, asked);
    return await asked;
  }

  #granted(owner: Flow, token: number): Hold {
    const { home, id: object, what } = this;
    const { holdings } = home;
    const hold: Hold = new Hold(home.channel(), {
      object,
      what,
      token,
      owner,
      giveBack: (last) => insist(this.home.env.clock, () => this.call("lock-release", nothing, [], [last])),
      over: () => holdings.remove(hold),
    });
    holdings.add(hold);
    return hold;
  }

  #guardOf(hold: Hold): HeldGuard {
    const { home } = this;
    return new HeldGuard(hold, (fn) => home.flows.within(hold.owner, () => home.channel().withGuards([hold], fn)));
  }

  /** Resolves when the promise has settled. Rejects with TimeoutError, or the signal's reason. */
  async #settled(
    promise: Promise<unknown>,
    { timeoutMs, signal }: { timeoutMs: number; signal: AbortSignal | undefined },
  ) {
    const { clock } = this.home.env;
    const { promise: over, resolve, reject } = Promise.withResolvers<void>();
    promise.then(
      () => resolve(),
      () => resolve(),
    );
    const late = (): void => reject(new TimeoutError(`${this.what} was not free within ${timeoutMs} ms`));
    if (timeoutMs <= 0) late();
    using scope = new DisposableStack();
    if (timeoutMs < Number.POSITIVE_INFINITY) scope.use(clock.setTimer(clock.nowMs() + timeoutMs, late));
    if (signal !== undefined) {
      const abort = (): void => reject(signal.reason);
      signal.addEventListener("abort", abort, { once: true });
      scope.defer(() => signal.removeEventListener("abort", abort));
    }
    await over;
  }
}
