import type { Millis } from "@heddle/kernel";
import type { SchedulerLimits } from "./limits.ts";

/** Answers that are remembered: as many as tell a 95th percentile from the longest. */
const ANSWERS_KEPT = 64;
const TAIL = 0.95;

/** How long the items of a job take, by its newest answers. */
export class RunTimes {
  /** Milliseconds for each item of an answer; a ring. */
  readonly #perItem: Millis[] = [];
  #next = 0;

  /** Learns from an answer of so many items. */
  observe(runMs: Millis, items: number): void {
    const ms = Number.isFinite(runMs) && runMs > 0 ? runMs / items : 0;
    this.#perItem[this.#next] = ms;
    this.#next = (this.#next + 1) % ANSWERS_KEPT;
  }

  /** Above how many milliseconds for each of its items a span runs for much longer than it should; undefined while nothing is known. */
  unusualMs(limits: SchedulerLimits): Millis | undefined {
    const { length } = this.#perItem;
    if (length < limits.backupAnswersMin) return undefined;
    const sorted = this.#perItem.toSorted((a, b) => a - b);
    const at = (quantile: number): Millis => sorted[Math.min(length - 1, Math.floor(quantile * length))] ?? 0;
    const byMedian = limits.backupMedianFactor * at(0.5);
    return length < limits.backupTailAnswers ? byMedian : Math.max(byMedian, limits.backupTailFactor * at(TAIL));
  }
}
