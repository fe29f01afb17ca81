import type { Metric } from "./metric.ts";

/** Whether work should be sent to a server now. `words`: why not, or what else is to be known, on one line; no names of anybody's. */
export interface Readiness {
  readonly isReady: boolean;
  readonly words: string;
}

/** What a server tells those who watch over it. Both answer at once, at any time, from what the server knows anyway. */
export interface Watched {
  readonly readiness: () => Readiness;
  /** Always the same metrics with the same labels, in the same order; numbers only. */
  readonly metrics: () => readonly Metric[];
}

export function ready(words = "ok"): Readiness {
  return { isReady: true, words };
}

export function notReady(why: string): Readiness {
  return { isReady: false, words: why };
}
