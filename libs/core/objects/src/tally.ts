import type { ObjectLimits } from "./limits.ts";
import { overBound, type Refused } from "./replies.ts";
import type { Hold, State } from "./state.ts";

/** What is bounded twice: in all, and of each session, so that one session cannot take what all need. */
export const tallied = ["owners", "objects", "jobs", "waits", "holds", "replies", "readers", "watchers"] as const;

type Tallied = (typeof tallied)[number];

/** A count of each. */
export interface Tally {
  /** Owners that live. */
  readonly owners: Count;
  /** Objects; of a session those that it made, with a name or without. */
  readonly objects: Count;
  /** Jobs whose items' writes count once; of a session those that it opened. */
  readonly jobs: Count;
  /** Writing operations that wait. */
  readonly waits: Count;
  /** Locks, holds of permits and ends of pipes that owners have; ends that a session has sent and nobody received. */
  readonly holds: Count;
  /** Replies that are not acknowledged. */
  readonly replies: Count;
  /** Volatile. Reading operations that wait. */
  readonly readers: Count;
  /** Volatile. Those of them that wait for changes. */
  readonly watchers: Count;
}

interface Bound {
  readonly limitName: keyof ObjectLimits;
  readonly max: number;
  /** In words, what is too much. */
  readonly words: string;
  /** What counts as well. */
  readonly beside?: Count;
}

/** How much there is of something. */
export class Count {
  value = 0;
  readonly bound: Bound;
  /** Of a session's: that of all sessions, which counts what this one does. */
  readonly whole: Count | undefined;

  constructor(bound: Bound, whole?: Count) {
    this.bound = bound;
    this.whole = whole;
  }

  /** There is so much more; or less. */
  add(more: number): void {
    this.value += more;
    if (this.whole !== undefined) this.whole.value += more;
  }
}

/** Throws Refused when the session, or all together, would have too much. */
export function needPlace(count: Count, more = 1): void {
  const full = noPlace(count, more);
  if (full !== undefined) throw full;
}

/** Why there is no place for more; undefined while there is. */
export function noPlace(count: Count, more = 1): Refused | undefined {
  const { value, bound, whole } = count;
  const actual = value + more + (bound.beside?.value ?? 0);
  if (actual > bound.max) return overBound(bound.limitName, bound.max, actual, bound.words);
  return whole === undefined ? undefined : noPlace(whole, more);
}

/** Of all sessions. */
export function tallyOfAll(limits: ObjectLimits): Tally {
  const count = (limitName: keyof ObjectLimits, words: string, beside?: Count): Count =>
    new Count({ limitName, max: limits[limitName], words, ...(beside && { beside }) });
  const waits = count("WAITS_MAX", "too many wait");
  return {
    owners: count("ALL_OWNERS_MAX", "there are too many owners"),
    objects: count("OBJECTS_MAX", "there are too many objects, destroy some"),
    jobs: count("EFFECTS_JOBS_MAX", "there are too many jobs whose writes count once, let some end"),
    waits,
    holds: count("HOLDS_MAX", "too many locks, permits and ends are held"),
    replies: count("ALL_REPLIES_MAX", "too many replies are not acknowledged"),
    // What is volatile must not decide what becomes of a command: readers find less room where writers wait, not the other way round.
    readers: count("WAITS_MAX", "too many wait", waits),
    watchers: count("WATCHERS_MAX", "too many wait for changes"),
  };
}

/** Of one session, as a part of all. */
export function tallyOfSession({ limits, tally: all }: Pick<State, "limits" | "tally">, session: number): Tally {
  const count = (what: Tallied, limitName: keyof ObjectLimits, words: string, beside?: Count): Count =>
    new Count(
      { limitName, max: limits[limitName], words: `session ${session} ${words}`, ...(beside && { beside }) },
      all[what],
    );
  const waits = count("waits", "SESSION_WAITS_MAX", "waits for too much");
  return {
    owners: count("owners", "OWNERS_MAX", "has too many owners"),
    objects: count("objects", "SESSION_OBJECTS_MAX", "has made too many objects, destroy some"),
    jobs: count("jobs", "SESSION_EFFECTS_JOBS_MAX", "has too many jobs whose writes count once, let some end"),
    waits,
    holds: count("holds", "SESSION_HOLDS_MAX", "holds too many locks, permits and ends"),
    replies: count("replies", "SESSION_REPLIES_MAX", "has too many replies that are not acknowledged"),
    readers: count("readers", "SESSION_WAITS_MAX", "waits for too much", waits),
    watchers: count("watchers", "SESSION_WATCHERS_MAX", "waits for too many changes"),
  };
}

/** Its owner has it from now on. */
export function addHold(hold: Hold): void {
  hold.owner.holds.add(hold);
  hold.owner.session.tally.holds.add(1);
}

/** Its owner has it no more. */
export function dropHold(hold: Hold): void {
  if (hold.owner.holds.delete(hold)) hold.owner.session.tally.holds.add(-1);
}
