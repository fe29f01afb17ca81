import type { Clock } from "@heddle/kernel";
import { STREAM_WINDOW_ITEMS_MAX, STREAM_WINDOW_MS } from "./limits.ts";

/**
 * How far inputs are read ahead of the consumer of a stream of results. A number of items that the user gave; else what came in within
 * STREAM_WINDOW_MS lately, and at least enough for all slots twice: so a quick consumer of tiny items is not held up by the way there and back, and
 * a slow one makes nobody read far ahead.
 */
export class StreamWindow {
  readonly #clock: Clock;
  readonly #fixed: number | undefined;
  readonly #unit: () => number;
  readonly #slots: () => number;
  #isLifted = false;
  #perMs = 0;
  #arrived = 0;
  #sinceMs: number;

  /** `unit`: items of one chunk. */
  constructor(
    clock: Clock,
    options: { readonly bufferSize: number | undefined; readonly unit: () => number; readonly slots: () => number },
  ) {
    this.#clock = clock;
    this.#fixed = options.bufferSize;
    this.#unit = options.unit;
    this.#slots = options.slots;
    this.#sinceMs = clock.nowMs();
  }

  /** From now on there is no bound. */
  lift(): void {
    this.#isLifted = true;
  }

  /** Items that may be read and not consumed. */
  get items(): number {
    if (this.#isLifted) return Number.POSITIVE_INFINITY;
    if (this.#fixed !== undefined) return this.#fixed;
    const least = AHEAD_PER_SLOT * Math.max(1, this.#slots()) * this.#unit();
    const lately = Math.min(STREAM_WINDOW_ITEMS_MAX, Math.ceil(this.#perMs * STREAM_WINDOW_MS));
    return Math.max(least, lately);
  }

  /** Results came in. */
  arrived(items: number): void {
    this.#arrived += items;
    const nowMs = this.#clock.nowMs();
    const elapsedMs = nowMs - this.#sinceMs;
    if (elapsedMs < MEASURE_MS) return;
    const perMs = this.#arrived / elapsedMs;
    this.#perMs = this.#perMs === 0 ? perMs : (this.#perMs + perMs) / 2;
    this.#arrived = 0;
    this.#sinceMs = nowMs;
  }
}

/** Enough for all slots twice. */
const AHEAD_PER_SLOT = 2;
/** Shortest time over which a rate is measured. */
const MEASURE_MS = 2;
