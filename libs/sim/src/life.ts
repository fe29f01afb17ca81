import type { Clock, Environment, Logger, Millis, Random } from "@heddle/kernel";
import type { EventLoop, EventOwner, SimEvent } from "./event-loop.ts";

/** A machine as its processes see it: it may stand still, and it has the clock. */
export interface Machine {
  readonly name: string;
  readonly clock: MachineClock;
  /** Takes the event while the machine stands still; true when taken. */
  hold(event: SimEvent): boolean;
}

/**
 * A machine's monotonic clock: an origin of its own that means nothing elsewhere, and a rate that is off by `driftPpm`,
 * so that code which compares the clocks of two machines fails soon.
 */
export class MachineClock {
  readonly #loop: EventLoop;
  readonly #originMs: Millis;
  readonly #rate: number;

  constructor(loop: EventLoop, originMs: Millis, driftPpm: number) {
    this.#loop = loop;
    this.#originMs = originMs;
    this.#rate = 1 + driftPpm / 1_000_000;
  }

  nowMs(): Millis {
    return this.#at(this.#loop.nowMs);
  }

  /** The first moment of the world's time at which this clock shows `localMs` or more. */
  worldMs(localMs: Millis): Millis {
    let worldMs = Math.ceil((localMs - this.#originMs) / this.#rate);
    while (this.#at(worldMs) < localMs) worldMs++;
    return worldMs;
  }

  #at(worldMs: Millis): Millis {
    return this.#originMs + Math.floor(worldMs * this.#rate);
  }
}

/**
 * One simulated process, from its start to its end: the owner of every event that its code waits for. When it has ended nothing of it ever runs
 * again: timers and messages are dropped, and what its last microtasks still send is ignored by the ports, which ask `alive`.
 */
export class Life implements EventOwner {
  readonly name: string;
  readonly machine: Machine;
  readonly #loop: EventLoop;
  readonly #endings = new Set<(silent: boolean) => void>();
  /** What became due while frozen, in order. */
  readonly #held: SimEvent[] = [];
  #isFrozen = false;
  #alive = true;
  #endedSilently = false;

  constructor(loop: EventLoop, machine: Machine, name: string) {
    this.#loop = loop;
    this.machine = machine;
    this.name = name;
  }

  get alive(): boolean {
    return this.#alive;
  }

  /** It ended so that nobody could notice: its machine lost power. */
  get endedSilently(): boolean {
    return this.#endedSilently;
  }

  /** The world's time. */
  get worldMs(): Millis {
    return this.#loop.nowMs;
  }

  hold(event: SimEvent): boolean {
    if (this.#isFrozen) this.#held.push(event);
    return this.#isFrozen || this.machine.hold(event);
  }

  /** Stops running, as by SIGSTOP: what becomes due waits for `thaw`, and then sees that time has jumped. */
  freeze(): void {
    this.#isFrozen = true;
  }

  thaw(): void {
    this.#isFrozen = false;
    this.#loop.release(this.#held.splice(0));
  }

  /** Another process of the same machine, which ends with this one. */
  fork(name: string): Life {
    const child = new Life(this.#loop, this.machine, name);
    const ending = this.onEnd((silent) => child.end(silent));
    child.onEnd(() => ending[Symbol.dispose]());
    return child;
  }

  /** Plans an event of this process, `delayMs` of the world's time from now. */
  post(delayMs: Millis, what: string, run: () => void, bytes?: Uint8Array): Disposable {
    return this.#loop.post({ atMs: this.#loop.nowMs + delayMs, owner: this, what, run, bytes });
  }

  /** Runs `run` when the process ends, in order of registration. Disposing forgets it. */
  onEnd(run: (silent: boolean) => void): Disposable {
    const ending = (silent: boolean): void => run(silent);
    this.#endings.add(ending);
    return {
      [Symbol.dispose]: () => {
        this.#endings.delete(ending);
      },
    };
  }

  /** Ends the process. Idempotent. */
  end(silent = false): void {
    if (!this.#alive) return;
    this.#alive = false;
    this.#endedSilently = silent;
    for (const ending of [...this.#endings]) ending(silent);
    this.#endings.clear();
  }

  /** Time as this process sees it, and the chance and log that were given to it. */
  environment(random: Random, log: Logger): Environment {
    const { clock } = this.machine;
    const processClock: Clock = {
      nowMs: () => clock.nowMs(),
      setTimer: (atMs, run) => this.#loop.post({ atMs: clock.worldMs(atMs), owner: this, what: "timer", run }),
    };
    return { clock: processClock, random, log };
  }
}
