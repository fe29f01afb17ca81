import type { Clock, Millis } from "./clock.ts";
import { Fifo } from "./fifo.ts";

/** A core: the only way to change it is a fact, and what it wants done comes back as wishes. */
export interface Core<Input, Effect> {
  step(nowMs: Millis, input: Input): readonly Effect[];
}

/**
 * Feeds a core, one fact at a time, and has its wishes performed in the order returned. A fact that performing a wish brings about
 * waits until every wish before it is performed, so that the core is never entered twice.
 */
export class CoreDriver<Input, Effect> {
  readonly #core: Core<Input, Effect>;
  readonly #clock: Clock;
  readonly #perform: (effect: Effect) => void;
  readonly #waiting = new Fifo<Input>();
  #busy = false;

  constructor(core: Core<Input, Effect>, clock: Clock, perform: (effect: Effect) => void) {
    this.#core = core;
    this.#clock = clock;
    this.#perform = perform;
  }

  /** A fact is being worked on: another that is fed now has to wait. */
  get busy(): boolean {
    return this.#busy;
  }

  /** Tells the core; every wish that comes of it is performed before this returns, unless the driver is busy. */
  feed(input: Input): void {
    this.#waiting.push(input);
    if (this.#busy) return;
    this.#busy = true;
    try {
      for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift())
        for (const effect of this.#core.step(this.#clock.nowMs(), next)) this.#perform(effect);
    } finally {
      this.#busy = false;
    }
  }
}
