import type { Random } from "./random.ts";

/** Shape of a retry delay. */
export interface BackoffPolicy {
  readonly firstMs: number;
  readonly maxMs: number;
}

/**
 * Delay before the retry after `failures` (>= 1) failures in a row: "full jitter", uniform in [firstMs, min(maxMs, firstMs * 2^failures)]
 * (AWS Architecture Blog, "Exponential Backoff and Jitter"). Whole milliseconds.
 */
export function backoffMs(policy: BackoffPolicy, failures: number, random: Random): number {
  const ceiling = Math.min(policy.maxMs, policy.firstMs * 2 ** Math.min(failures, 30));
  return Math.round(policy.firstMs + random.float() * Math.max(0, ceiling - policy.firstMs));
}
