import type { Millis } from "@heddle/kernel";
import type { Effect } from "./types.ts";

/**
 * What one step says, and the one timer. The timer is lazy: it is moved only when something is due earlier than it
 * stands, so a fast worker costs no timer per chunk; one that fires too early finds nothing to do and is set anew.
 */
export class Outbox {
  /** Time of the step. */
  nowMs: Millis = 0;
  /** Number of the step: orders what happened at the same time. */
  turn = 0;
  #effects: Effect[] = [];
  #armedMs: Millis = Number.POSITIVE_INFINITY;
  #rearmed = false;

  begin(nowMs: Millis): void {
    this.nowMs = nowMs;
    this.turn++;
    this.#effects = [];
  }

  emit(effect: Effect): void {
    this.#effects.push(effect);
  }

  /** `timer-fired` is needed at `atMs` or earlier. */
  wakeAt(atMs: Millis): void {
    if (atMs >= this.#armedMs) return;
    this.#armedMs = atMs;
    this.#rearmed = true;
  }

  /** The timer is spent: everybody says again when they need it. */
  timerSpent(): void {
    this.#armedMs = Number.POSITIVE_INFINITY;
  }

  /** The effects of the step, in order. */
  end(): readonly Effect[] {
    if (this.#rearmed) {
      this.#rearmed = false;
      this.#effects.push({ type: "set-timer", atMs: this.#armedMs });
    }
    return this.#effects;
  }
}
