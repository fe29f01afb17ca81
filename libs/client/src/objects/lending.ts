import type { Clock } from "@heddle/kernel";
import { LEND_AFTER_MS } from "../limits.ts";

/**
 * What a task does while it waits for others at a shared object, for a lock or an item: it lends its slot, so that those it waits for can run. What is answered
 * in no time is no wait: telling the agent of it would cost more than it takes.
 */
export class Lending {
  readonly #clock: Clock;
  readonly #lend: () => Disposable;
  #timer: Disposable | undefined;
  #lent: Disposable | undefined;

  /** `lend`: the slot is lent until disposed. */
  constructor(clock: Clock, lend: () => Disposable) {
    this.#clock = clock;
    this.#lend = lend;
  }

  /** So many operations wait for others now. */
  waiting(count: number): void {
    if (count === 0) return this.#end();
    if (this.#timer !== undefined || this.#lent !== undefined) return;
    this.#timer = this.#clock.setTimer(this.#clock.nowMs() + LEND_AFTER_MS, () => {
      this.#timer = undefined;
      this.#lent = this.#lend();
    });
  }

  #end(): void {
    this.#timer?.[Symbol.dispose]();
    this.#timer = undefined;
    this.#lent?.[Symbol.dispose]();
    this.#lent = undefined;
  }
}
