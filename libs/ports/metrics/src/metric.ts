import type { HistogramCounts } from "./histogram.ts";

/** A number for each of a few words that are known beforehand: never what a user named. */
export interface Labelled {
  readonly label: string;
  readonly values: Readonly<Record<string, number>>;
}

/**
 * Something that a server counts or measures. The name begins with `heddle_`, says its unit last (`_bytes`, `_seconds`), and that of a counter ends
 * with `_total`. The help is a sentence for operators.
 */
export type Metric =
  | {
      readonly type: "gauge" | "counter";
      readonly name: string;
      readonly help: string;
      readonly value: number | Labelled;
    }
  | { readonly type: "histogram"; readonly name: string; readonly help: string; readonly value: HistogramCounts };

/** What there is now: it rises and falls. */
export function gauge(name: string, help: string, value: number | Labelled): Metric {
  return { type: "gauge", name, help, value };
}

/** What has happened since the server started: it only rises. */
export function counter(name: string, help: string, value: number | Labelled): Metric {
  return { type: "counter", name, help, value };
}

/** How large things were that happened since the server started. */
export function histogram(name: string, help: string, value: HistogramCounts): Metric {
  return { type: "histogram", name, help, value };
}

/** One number for each value of a label. */
export function by(label: string, values: Readonly<Record<string, number>>): Labelled {
  return { label, values };
}

/** How many series a metric is. */
export function seriesOf({ type, value }: Metric): number {
  if (typeof value === "number") return 1;
  return type === "histogram" ? value.buckets.length + 3 : Object.keys(value.values).length;
}
