import type { ObjectLimits } from "./limits.ts";
import { overLimit, type Refused } from "./replies.ts";
import type { Hold, Session, State } from "./state.ts";

/** How much there is of what is bounded twice: in all, and of each session, so that one session cannot take what all need. */
export interface Tally {
  /** Owners that live. */
  owners: number;
  /** Objects; of a session those that it made, with a name or without. */
  objects: number;
  /** Writing operations that wait. */
  waits: number;
  /** Locks, holds of permits and ends of pipes that owners have; ends that a session has sent and nobody received. */
  holds: number;
  /** Replies that are not acknowledged. */
  replies: number;
  /** Volatile. Reading operations that wait. */
  readers: number;
  /** Volatile. Those of them that wait for changes. */
  watchers: number;
}

/** What is counted. */
export const tallied = ["owners", "objects", "waits", "holds", "replies", "readers", "watchers"] as const;

export type Tallied = (typeof tallied)[number];

interface Bounds {
  readonly all: keyof ObjectLimits;
  readonly session: keyof ObjectLimits;
  /** In words, for what all have and what a session has. */
  readonly words: readonly [all: string, session: string];
}

const bounds: Readonly<Record<Tallied, Bounds>> = {
  owners: {
    all: "ALL_OWNERS_MAX",
    session: "OWNERS_MAX",
    words: ["there are too many owners", "has too many owners"],
  },
  objects: {
    all: "OBJECTS_MAX",
    session: "SESSION_OBJECTS_MAX",
    words: ["there are too many objects, destroy some", "has made too many objects, destroy some"],
  },
  waits: {
    all: "WAITS_MAX",
    session: "SESSION_WAITS_MAX",
    words: ["too many wait", "waits for too much"],
  },
  holds: {
    all: "HOLDS_MAX",
    session: "SESSION_HOLDS_MAX",
    words: ["too many locks, permits and ends are held", "holds too many locks, permits and ends"],
  },
  replies: {
    all: "ALL_REPLIES_MAX",
    session: "SESSION_REPLIES_MAX",
    words: ["too many replies are not acknowledged", "has too many replies that are not acknowledged"],
  },
  readers: {
    all: "WAITS_MAX",
    session: "SESSION_WAITS_MAX",
    words: ["too many wait", "waits for too much"],
  },
  watchers: {
    all: "WATCHERS_MAX",
    session: "SESSION_WATCHERS_MAX",
    words: ["too many wait for changes", "waits for too many changes"],
  },
};

export function emptyTally(): Tally {
  return { owners: 0, objects: 0, waits: 0, holds: 0, replies: 0, readers: 0, watchers: 0 };
}

/** There is so much more (or less) of it, in all and of the session, if that lives. */
export function tally(state: State, session: Session | undefined, what: Tallied, more: number): void {
  state.tally[what] += more;
  if (session !== undefined) session.tally[what] += more;
}

/** Throws Refused when the session, or all together, would have too much. */
export function needPlace(state: State, session: Session, what: Tallied, more = 1): void {
  const full = noPlace(state, session, what, more);
  if (full !== undefined) throw full;
}

/** Why there is no place; undefined while there is one. */
export function noPlace(state: State, session: Session, what: Tallied, more = 1): Refused | undefined {
  const { all, session: own, words } = bounds[what];
  const ofSession = counted(session.tally, what) + more;
  if (ofSession > state.limits[own]) return overLimit(state, own, ofSession, `session ${session.number} ${words[1]}`);
  const ofAll = counted(state.tally, what) + more;
  return ofAll > state.limits[all] ? overLimit(state, all, ofAll, words[0]) : undefined;
}

/** What is volatile must not decide what becomes of a command: readers find less room where writers wait, writers none the less for readers. */
function counted(counts: Tally, what: Tallied): number {
  return what === "readers" ? counts.readers + counts.waits : counts[what];
}

/** Its owner has it from now on. */
export function addHold(state: State, hold: Hold): void {
  hold.owner.holds.add(hold);
  tally(state, hold.owner.session, "holds", 1);
}

/** Its owner has it no more. */
export function dropHold(state: State, hold: Hold): void {
  if (hold.owner.holds.delete(hold)) tally(state, hold.owner.session, "holds", -1);
}
