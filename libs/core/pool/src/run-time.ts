import type { Millis } from "@heddle/kernel";
import {
  CREDIT_HYSTERESIS,
  CREDIT_LONG_MS,
  CREDIT_PER_SLOT_MAX,
  MEAN_WEIGHT,
  PREFETCH_MS,
  RUN_MS_MAX,
  RUN_MS_MIN,
  WORKER_DEPTH_MAX,
} from "./limits.ts";

/** How long a pool's chunks run, and what follows for depth and credit. */
export class RunTime {
  #count = 0;
  #keepAboveMs = 0;
  #keepBelowMs = 0;
  /** Moving mean of its chunks' run times; undefined before the first. */
  meanMs: Millis | undefined = undefined;
  /** Chunks a worker may hold, its head included. */
  depth = 1;
  /** Chunks per slot worth having here beyond the running one: 0, 1 or a power of two. */
  level = 0;

  /** Takes in one run time. True when `level` changed. */
  add(runMs: Millis): boolean {
    const sampleMs = boundedRunMs(runMs);
    this.#count++;
    const beforeMs = this.meanMs ?? sampleMs;
    const meanMs = beforeMs + (sampleMs - beforeMs) * Math.max(MEAN_WEIGHT, 1 / this.#count);
    this.meanMs = meanMs;
    this.depth = depthOf(meanMs);
    if (meanMs > this.#keepAboveMs && meanMs <= this.#keepBelowMs) return false;
    const level = levelOf(meanMs);
    this.#keepAboveMs = levelLowMs(level) / CREDIT_HYSTERESIS;
    this.#keepBelowMs = levelHighMs(level) * CREDIT_HYSTERESIS;
    if (level === this.level) return false;
    this.level = level;
    return true;
  }
}

/** A run time as it counts: workers are user code and may claim anything. */
export function boundedRunMs(runMs: Millis): Millis {
  return runMs > RUN_MS_MIN ? Math.min(runMs, RUN_MS_MAX) : RUN_MS_MIN;
}

/** Chunks of this mean that a worker may hold, its head included. */
export function depthOf(meanMs: Millis): number {
  return 1 + Math.min(WORKER_DEPTH_MAX, Math.floor(PREFETCH_MS / meanMs));
}

/**
 * Credit per slot beyond the running chunk for this mean: twice what a worker holds behind its head, rounded down to a
 * power of two.
 */
export function levelOf(meanMs: Millis): number {
  if (meanMs > CREDIT_LONG_MS) return 0;
  if (meanMs > PREFETCH_MS) return 1;
  let level = 2;
  while (level < CREDIT_PER_SLOT_MAX && meanMs <= levelHighMs(2 * level)) level *= 2;
  return level;
}

/** Largest mean of a level. */
function levelHighMs(level: number): Millis {
  if (level === 0) return Number.POSITIVE_INFINITY;
  return level === 1 ? CREDIT_LONG_MS : (2 * PREFETCH_MS) / level;
}

/** Every mean of a level is above this. */
function levelLowMs(level: number): Millis {
  if (level === 0) return CREDIT_LONG_MS;
  if (level === 1) return PREFETCH_MS;
  return level === CREDIT_PER_SLOT_MAX ? 0 : PREFETCH_MS / level;
}
