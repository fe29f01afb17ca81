import { type Verb, type VerbName, verbOf } from "@heddle/wire";

/** What a session has to know of a verb. */
export interface VerbTraits {
  readonly name: VerbName;
  /** The wire's number. */
  readonly verb: Verb;
  /** It changes something at the manager: done once however often it is sent. */
  readonly changes: boolean;
  /** Something may have come of it though its session ended without an answer. */
  readonly outlastsSession: boolean;
  /** Refused when a lock is lost under whose guard it is asked. */
  readonly isGuarded: boolean;
  /** `numbers[0]` = 0 makes it answer at once. */
  readonly canPoll: boolean;
  /** That it came to nothing tells of the object, that a queue is empty or full: only the manager can say so. */
  readonly isTelling: boolean;
  /** Should it be granted to somebody who was told that it is not, it can be given back, or there is nothing to give back. */
  readonly canBeForgotten: boolean;
  /** Asked so that something is there afterwards: `flush` waits for it, also when it has to wait itself. */
  readonly isPut: boolean;
}

/** Those that change nothing: they are not deduped, and asking again is no harm. */
const reading: ReadonlySet<VerbName> = new Set([
  "watch",
  "dict-get",
  "dict-has",
  "dict-size",
  "dict-keys",
  "dict-values",
  "dict-entries",
  "list-at",
  "list-index",
  "list-count",
  "list-slice",
  "list-length",
  "cells-get",
  "cells-slice",
  "queue-size",
  "queue-join",
  "pipe-poll",
  "lock-state",
  "semaphore-value",
  "condition-state",
  "event-is-set",
  "event-wait",
  "barrier-state",
  "effects-settled",
  "effects-try",
] satisfies VerbName[]);

/** What they change lasts no longer than the session: when that is over, it is known that nothing came of them. */
const passing: ReadonlySet<VerbName> = new Set([
  "cancel",
  "lock-acquire",
  "lock-release",
  "semaphore-acquire",
  "semaphore-return",
  "condition-wait",
  "barrier-wait",
  "pipe-close",
  "pipe-hold",
] satisfies VerbName[]);

/** They change what is held, or make what is written to, and say their own token where they need one: guards are not asked. */
const unguarded: ReadonlySet<VerbName> = new Set([
  ...passing,
  "create",
  "condition-notify",
  "barrier-release",
  "barrier-abort",
  "barrier-reset",
  "effects-open",
  "effects-close",
  "effects-commit",
] satisfies VerbName[]);

/** Their wait begins with something that cannot be taken back at once: also a poll waits, and is cancelled. */
const stubborn: ReadonlySet<VerbName> = new Set(["condition-wait", "barrier-wait"] satisfies VerbName[]);

const known = new Map<VerbName, VerbTraits>();

/** By its name. */
export function traitsOf(name: VerbName): VerbTraits {
  let traits = known.get(name);
  if (traits === undefined) {
    traits = judged(name);
    known.set(name, traits);
  }
  return traits;
}

function judged(name: VerbName): VerbTraits {
  const changes = !reading.has(name);
  return {
    name,
    verb: verbOf(name),
    changes,
    outlastsSession: changes && !passing.has(name),
    isGuarded: changes && !unguarded.has(name),
    canPoll: !stubborn.has(name),
    canBeForgotten: !changes || name === "lock-acquire" || name === "semaphore-acquire",
    isTelling: name === "queue-get" || name === "queue-put",
    isPut: name === "queue-put",
  };
}
