import type { Clock, Millis } from "@heddle/kernel";
import type { NodeLifetime } from "@heddle/wire";
import { LIFETIME_GRACE_MS_MAX, LIFETIME_GRACE_SHARE, LIFETIME_STOP_MS_MAX, LIFETIME_STOP_SHARE } from "./limits.ts";

/** What an agent does on its way to its end, in this order. */
export interface DepartureHost {
  /** Takes nothing new, and says so. */
  readonly leave: () => void;
  /** Tells what runs to come to an end. `why`: for people. */
  readonly warn: (why: string) => void;
  /** Stops what still runs. */
  readonly stop: () => void;
  /** Is gone. */
  readonly over: () => void;
}

/** When an agent ends, and what it does by then. Of several ends the soonest counts. */
export class Departure implements Disposable {
  readonly #clock: Clock;
  readonly #host: DepartureHost;
  #endsAtMs = Number.POSITIVE_INFINITY;
  #graceMs: Millis = 0;
  #timers: Disposable[] = [];
  #isLeaving = false;
  #hasWarned = false;

  constructor(clock: Clock, host: DepartureHost) {
    this.#clock = clock;
    this.#host = host;
  }

  /** What a coordinator is told now; undefined when no end is known. */
  get lifetime(): NodeLifetime | undefined {
    if (this.#endsAtMs === Number.POSITIVE_INFINITY) return undefined;
    const leftMs = Math.max(0, Math.round(this.#endsAtMs - this.#clock.nowMs()));
    return { leftMs, graceMs: Math.round(this.#graceMs) };
  }

  get isLeaving(): boolean {
    return this.#isLeaving;
  }

  /** What runs was told to come to an end. */
  get hasWarned(): boolean {
    return this.#hasWarned;
  }

  /** It ends so long from now, for this reason, unless it does before. What runs is told some time before that, and stopped shortly before. */
  endIn(lifeMs: Millis, why: string): void {
    const nowMs = this.#clock.nowMs();
    const endsAtMs = nowMs + lifeMs;
    if (endsAtMs >= this.#endsAtMs) return;
    this.#cancel();
    const graceMs = Math.min(LIFETIME_GRACE_MS_MAX, lifeMs * LIFETIME_GRACE_SHARE);
    const stopMs = Math.min(LIFETIME_STOP_MS_MAX, graceMs * LIFETIME_STOP_SHARE);
    this.#endsAtMs = endsAtMs;
    this.#graceMs = graceMs;
    if (graceMs > 0) {
      this.#at(endsAtMs - graceMs, () =>
        this.#warn(`${why}: what runs on it is stopped in ${secondsText(graceMs - stopMs)}`),
      );
      this.#at(endsAtMs - stopMs, () => this.#host.stop());
    }
    this.#at(endsAtMs, () => this.#host.over());
  }

  /** It begins to leave; its end is the caller's to say. */
  leave(): void {
    if (this.#isLeaving) return;
    this.#isLeaving = true;
    this.#host.leave();
  }

  [Symbol.dispose](): void {
    this.#cancel();
  }

  #warn(why: string): void {
    this.leave();
    if (this.#hasWarned) return;
    this.#hasWarned = true;
    this.#host.warn(why);
  }

  #at(atMs: Millis, run: () => void): void {
    this.#timers.push(this.#clock.setTimer(atMs, run));
  }

  #cancel(): void {
    for (const timer of this.#timers.splice(0)) timer[Symbol.dispose]();
  }
}

function secondsText(ms: Millis): string {
  return `${Math.round(ms / 100) / 10} s`;
}
