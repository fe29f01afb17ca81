/** How often something was at most as large as each bound. */
export interface HistogramCounts {
  /** Bounds, growing, and how many observations each has that the ones before it have not. */
  readonly buckets: readonly { readonly upTo: number; readonly count: number }[];
  /** Of all observations, those above the last bound too. */
  readonly count: number;
  readonly sum: number;
}

/** Counts observations by their size; nothing of one is kept. */
export class Histogram implements HistogramCounts {
  readonly buckets: readonly { readonly upTo: number; count: number }[];
  count = 0;
  sum = 0;

  /** `bounds` grow. */
  constructor(bounds: readonly number[]) {
    this.buckets = bounds.map((upTo) => ({ upTo, count: 0 }));
  }

  observe(value: number): void {
    this.count++;
    this.sum += value;
    const bucket = this.buckets.find(({ upTo }) => value <= upTo);
    if (bucket !== undefined) bucket.count++;
  }
}
