import type { Clock, Millis } from "@heddle/kernel";
import type { ItemCounts } from "./async-result.ts";
import { PROGRESS_PAUSE_MS } from "./limits.ts";

/** How far a call is. */
export interface Progress extends ItemCounts {
  /** Since the call. */
  readonly elapsedMs: Millis;
  /** Items with a result or an error for each second so far. */
  readonly perSecond: number;
  /** How long the rest takes at this rate; undefined while the rate or the total is not known. */
  readonly etaMs?: Millis;
}

/** Makes the progress of a call out of its counts. */
export function progressOf(counts: ItemCounts, elapsedMs: Millis): Progress {
  const over = counts.done + counts.failed;
  const perSecond = elapsedMs > 0 ? (over / elapsedMs) * 1_000 : 0;
  const progress = { ...counts, elapsedMs, perSecond };
  if (counts.total === undefined || perSecond === 0) return progress;
  return { ...progress, etaMs: ((counts.total - over) / perSecond) * 1_000 };
}

/** Who is told of a call's progress. Neither may throw. */
export interface ProgressListener {
  /** The call begins. */
  readonly begun?: (progress: Progress) => void;
  readonly changed: (progress: Progress) => void;
  /** There is no more to tell: the call has its results, or failed, and this is how far it was. */
  readonly over: (progress: Progress) => void;
}

/** Tells one listener of a call's progress: of changes at most once in PROGRESS_PAUSE_MS, but of the last one in any case. */
export class ProgressMeter {
  readonly #clock: Clock;
  readonly #listener: ProgressListener;
  readonly #counts: () => ItemCounts;
  readonly #sinceMs: Millis;
  #hasBegun = false;
  #toldMs: Millis = Number.NEGATIVE_INFINITY;
  /** Items that were over when the listener was told last; -1 before. */
  #toldOver = -1;

  constructor(clock: Clock, counts: () => ItemCounts, listener: ProgressListener) {
    this.#clock = clock;
    this.#counts = counts;
    this.#listener = listener;
    this.#sinceMs = clock.nowMs();
  }

  /** The call begins: a bar stands there from the start. */
  begun(): void {
    if (this.#listener.begun === undefined) return;
    this.#hasBegun = true;
    this.#listener.begun(this.#progress(this.#clock.nowMs()));
  }

  /** Some items are over. */
  changed(): void {
    const nowMs = this.#clock.nowMs();
    if (nowMs - this.#toldMs >= PROGRESS_PAUSE_MS) this.#say(nowMs);
  }

  /** The call has all its results: the last word, unless it was said. */
  ended(): void {
    const nowMs = this.#clock.nowMs();
    const { done, failed } = this.#counts();
    if (done + failed !== this.#toldOver) this.#say(nowMs);
    this.#listener.over(this.#progress(nowMs));
  }

  /** The call failed as a whole. One of which nothing was told needs no end. */
  stopped(): void {
    if (this.#toldOver !== -1 || this.#hasBegun) this.#listener.over(this.#progress(this.#clock.nowMs()));
  }

  #say(nowMs: Millis): void {
    const progress = this.#progress(nowMs);
    this.#toldMs = nowMs;
    this.#toldOver = progress.done + progress.failed;
    this.#listener.changed(progress);
  }

  #progress(nowMs: Millis): Progress {
    return progressOf(this.#counts(), nowMs - this.#sinceMs);
  }
}

const BAR_CELLS = 30;

/** One line for a terminal: a bar, what is over of how many, how fast, and how long still. */
export function progressLine(name: string, progress: Progress): string {
  const { done, failed, total, elapsedMs, perSecond, etaMs } = progress;
  const over = done + failed;
  const count = `${grouped(over)}${total === undefined ? "" : `/${grouped(total)}`}`;
  const errors = failed === 0 ? "" : ` ${grouped(failed)} failed`;
  const rate = `${grouped(Math.round(perSecond))}/s`;
  const time = etaMs === undefined || over === total ? `in ${clockTime(elapsedMs)}` : `${clockTime(etaMs)} left`;
  if (total === undefined || total === 0) return `${name} ${count}${errors} ${rate} ${time}`;
  const filled = Math.round((BAR_CELLS * over) / total);
  const percent = `${Math.floor((100 * over) / total)}%`.padStart(4);
  return `${name} ${percent} [${"#".repeat(filled)}${"-".repeat(BAR_CELLS - filled)}] ${count}${errors} ${rate} ${time}`;
}

function grouped(count: number): string {
  return String(count).replace(/\B(?=(\d{3})+$)/g, ",");
}

function clockTime(ms: Millis): string {
  if (ms < 60_000) return `${(ms / 1_000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1_000);
  const parts = [Math.floor(seconds / 3_600), Math.floor(seconds / 60) % 60, seconds % 60];
  const [hours = 0, minutes = 0, rest = 0] = parts;
  const padded = `${String(minutes).padStart(2, "0")}:${String(rest).padStart(2, "0")}`;
  return hours > 0 ? `${hours}:${padded}` : padded;
}
