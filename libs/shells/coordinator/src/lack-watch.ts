import type { Clock, Millis } from "@heddle/kernel";

/** Gives up what no node could ever run, when that has been so for long. */
export class LackWatch<T> {
  readonly #clock: Clock;
  readonly #patienceMs: Millis;
  readonly #giveUp: (lacking: T) => void;
  /** What lacks a node now, with the end of its time. */
  readonly #lacking = new Map<T, Disposable>();

  /** `patienceMs`: 0 for ever. */
  constructor(clock: Clock, patienceMs: Millis, giveUp: (lacking: T) => void) {
    this.#clock = clock;
    this.#patienceMs = patienceMs;
    this.#giveUp = giveUp;
  }

  /** Whether it lacks a node now: that there are some, and none of them could run it. Call when that may have changed, and with false when it is over. */
  look(one: T, isLacking: boolean): void {
    if (isLacking === this.#lacking.has(one) || this.#patienceMs === 0) return;
    this.#lacking.get(one)?.[Symbol.dispose]();
    this.#lacking.delete(one);
    if (!isLacking) return;
    const timer = this.#clock.setTimer(this.#clock.nowMs() + this.#patienceMs, () => {
      this.#lacking.delete(one);
      this.#giveUp(one);
    });
    this.#lacking.set(one, timer);
  }
}
