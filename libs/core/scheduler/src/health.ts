import type { Millis } from "@heddle/kernel";
import type { SchedulerLimits } from "./limits.ts";

/** Why a chunk failed on a node, as far as it is the node's doing. */
export type Cause = "death" | "start-fault";

/** Answers of one half of the time that a rate is taken over. */
interface Tally {
  answers: number;
  failures: number;
}

/** What is known of how well a node runs what it is given. */
export interface Health {
  /** Chunks that failed by its doing, with why and when last; the oldest first. Size <= the limit's causes: more change nothing. */
  readonly causes: Map<string, { readonly cause: Cause; readonly atMs: Millis }>;
  /** Answers that tell whether it can run chunks, of this half of the time and of the one before. */
  now: Tally;
  before: Tally;
  halfSinceMs: Millis;
  /** Deaths in a row under items that had killed a worker here before. */
  repeats: number;
  /** Why a worker could not start, the last time. */
  startFault: string;
  exclusion: Exclusion | undefined;
  /** How often it was excluded, not forgiven yet. */
  exclusions: number;
  /** The end of its last exclusion, or its last cause since; it is on probation until this is forgiven. */
  warnedMs: Millis | undefined;
}

/** A node's time out. */
export interface Exclusion {
  readonly untilMs: Millis;
  readonly reason: string;
}

/** That of a node of which nothing is known. */
export function newHealth(): Health {
  const none = { answers: 0, failures: 0 };
  return {
    causes: new Map(),
    now: { ...none },
    before: { ...none },
    halfSinceMs: Number.NEGATIVE_INFINITY,
    repeats: 0,
    startFault: "",
    exclusion: undefined,
    exclusions: 0,
    warnedMs: undefined,
  };
}

/** The node has run a chunk, or has failed to. O(1). */
export function noteAnswer(health: Health, failed: boolean, nowMs: Millis, limits: SchedulerLimits): void {
  turn(health, nowMs, limits);
  health.now.answers++;
  if (failed) health.now.failures++;
  else health.repeats = 0;
}

/** Which share of its answers were failures, lately; undefined when there were none. */
export function rateOf(health: Health, nowMs: Millis, limits: SchedulerLimits): number | undefined {
  turn(health, nowMs, limits);
  const { now, before } = health;
  const answers = now.answers + before.answers;
  return answers === 0 ? undefined : (now.failures + before.failures) / answers;
}

/** Begins the next half of the time when it is over: rates are of the last half to whole of the time that causes count for. */
function turn(health: Health, nowMs: Millis, { causeAgeMs }: SchedulerLimits): void {
  const passedMs = nowMs - health.halfSinceMs;
  if (passedMs < causeAgeMs / 2) return;
  health.before = passedMs < causeAgeMs ? health.now : { answers: 0, failures: 0 };
  health.now = { answers: 0, failures: 0 };
  health.halfSinceMs = nowMs;
}
