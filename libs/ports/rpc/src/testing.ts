// biome-ignore-all lint/style/noRestrictedGlobals: this file stands in for the world, in tests only
import {
  type Clock,
  type Environment,
  Heap,
  type Logger,
  type Millis,
  seededRandom,
  silentLogger,
} from "@heddle/kernel";

interface Timer {
  readonly atMs: Millis;
  readonly order: number;
  run: (() => void) | undefined;
}

/** Lets everything that is ready run: microtasks, and one turn of the event loop. */
export function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** Time that stands still until told. Timers fire in order of time, then of setting. */
export class ManualClock implements Clock {
  readonly #timers = new Heap<Timer>((a, b) => a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order));
  readonly #idle: () => Promise<void>;
  #nowMs = 0;
  #order = 0;

  /** `idle`: resolves when everything that is ready has run. One turn of the event loop unless given. */
  constructor(idle: () => Promise<void> = turn) {
    this.#idle = idle;
  }

  readonly nowMs = (): Millis => this.#nowMs;

  readonly setTimer = (atMs: Millis, run: () => void): Disposable => {
    const timer: Timer = { atMs, order: this.#order++, run };
    this.#timers.push(timer);
    return {
      [Symbol.dispose]: () => {
        timer.run = undefined;
      },
    };
  };

  /** Number of timers that are set and not disposed. */
  get timerCount(): number {
    const all: Timer[] = [];
    for (let timer = this.#timers.pop(); timer !== undefined; timer = this.#timers.pop()) all.push(timer);
    for (const timer of all) this.#timers.push(timer);
    return all.filter((timer) => timer.run !== undefined).length;
  }

  /** Lets `ms` pass as for an idle process: every timer fires at its time, and what it starts has run before the next. */
  async advance(ms: Millis): Promise<void> {
    const untilMs = this.#nowMs + ms;
    await this.#idle();
    for (let next = this.#due(untilMs); next !== undefined; next = this.#due(untilMs)) {
      this.#nowMs = Math.max(this.#nowMs, next.atMs);
      next.run?.();
      await this.#idle();
    }
    this.#nowMs = untilMs;
  }

  /** Lets `ms` pass at once, as for a process whose event loop was blocked: timers fire late. */
  async block(ms: Millis): Promise<void> {
    this.#nowMs += ms;
    await this.advance(0);
  }

  #due(untilMs: Millis): Timer | undefined {
    for (;;) {
      const next = this.#timers.peek();
      if (next === undefined || next.atMs > untilMs) return undefined;
      this.#timers.pop();
      if (next.run !== undefined) return next;
    }
  }
}

/** A world for one test. */
export function manualEnvironment(seed = 1, log: Logger = silentLogger): Environment & { readonly clock: ManualClock } {
  return { clock: new ManualClock(), random: seededRandom(seed), log };
}

/** The machine's own time. */
export function realClock(): Clock {
  return {
    nowMs: () => performance.now(),
    setTimer: (atMs, run) => {
      const timer = setTimeout(run, Math.max(0, atMs - performance.now()));
      timer.unref();
      return { [Symbol.dispose]: () => clearTimeout(timer) };
    },
  };
}
