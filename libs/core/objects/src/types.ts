/** What an operation does; the wire's Verb enum has the same names in capitals and says what each takes and gives. */
export const verbs = [
  "create",
  "destroy",
  "watch",
  "cancel",
  "transaction",
  "dict-get",
  "dict-set",
  "dict-delete",
  "dict-has",
  "dict-size",
  "dict-keys",
  "dict-values",
  "dict-entries",
  "dict-clear",
  "dict-pop",
  "dict-pop-item",
  "dict-set-default",
  "dict-increment",
  "dict-compare-and-set",
  "dict-replace",
  "list-append",
  "list-extend",
  "list-at",
  "list-set",
  "list-insert",
  "list-pop",
  "list-remove",
  "list-delete",
  "list-index",
  "list-count",
  "list-sort",
  "list-reverse",
  "list-slice",
  "list-length",
  "list-clear",
  "cells-get",
  "cells-set",
  "cells-slice",
  "cells-set-slice",
  "cells-add",
  "cells-compare-exchange",
  "queue-put",
  "queue-get",
  "queue-size",
  "queue-task-done",
  "queue-join",
  "pipe-send",
  "pipe-receive",
  "pipe-poll",
  "pipe-close",
  "pipe-hold",
  "lock-acquire",
  "lock-release",
  "lock-state",
  "semaphore-acquire",
  "semaphore-return",
  "semaphore-release",
  "semaphore-value",
  "condition-wait",
  "condition-notify",
  "condition-state",
  "event-set",
  "event-clear",
  "event-is-set",
  "event-wait",
  "barrier-wait",
  "barrier-release",
  "barrier-abort",
  "barrier-reset",
  "barrier-state",
  "effects-open",
  "effects-close",
  "effects-commit",
  "effects-settled",
  "effects-try",
] as const;

export type Verb = (typeof verbs)[number];

/** Number of a session: the revision of the command that opened it. */
export type SessionNumber = number;

/** Position in the log: counts commands, and within a command its operations. */
export type Revision = number;

/** Reads and writes values in bytes. Deterministic: equal values built in the same order have equal bytes. */
export interface ValueCodec {
  /** Throws for what is no value. */
  readonly decode: (bytes: Uint8Array) => unknown;
  readonly encode: (value: unknown) => Uint8Array;
}

/** A lock that must be held by this token for the operation to be done. */
export interface Guard {
  readonly lock: string;
  readonly token: Revision;
}

/** What a transaction has read: nothing of it may have changed since `revision`. */
export interface Expectation {
  readonly object: string;
  /** Of a dict: the key. Empty: the whole object. */
  readonly key: Uint8Array;
  /** 0: it was not there. */
  readonly revision: Revision;
}

/** One operation on one object. */
export interface Operation {
  /** Number within its owner, growing. */
  readonly seq: number;
  readonly verb: Verb;
  /** 32 hex digits, or "@" and a name. */
  readonly object: string;
  readonly values: readonly Uint8Array[];
  readonly numbers: readonly number[];
  readonly guards: readonly Guard[];
  /** Of a transaction. */
  readonly operations: readonly Operation[];
  /** Of a transaction. */
  readonly expectations: readonly Expectation[];
}

/** Why an operation was not done. */
export interface Refusal {
  /** A word of the kernel's error code list, or "range", "type", "busy", "empty", "full", "not-held", "lock-lost", "broken-barrier", "end-of-stream". */
  readonly code: string;
  /** What was wrong, where, and what to do. */
  readonly message: string;
  readonly limit?: { readonly name: string; readonly limit: number; readonly actual: number };
}

/** What came of an operation. */
export interface Reply {
  readonly seq: number;
  readonly values: readonly Uint8Array[];
  readonly numbers: readonly number[];
  readonly revision: Revision;
  readonly refusal: Refusal | undefined;
}

/** What happened: entries of the log. */
export type Command =
  | {
      readonly type: "session-opened";
      /** 32 hex digits: opened again with the same it is the same session. */
      readonly nonce: string;
      readonly ttlMs: number;
      /** For people. */
      readonly description: string;
    }
  | {
      readonly type: "operations-asked";
      readonly session: SessionNumber;
      readonly owner: number;
      /** Replies that the owner has: first number and how many, pair by pair. They are kept no longer. */
      readonly acknowledged: readonly number[];
      /** Those that write: `isWrite(verb)`. */
      readonly operations: readonly Operation[];
    }
  | { readonly type: "owner-closed"; readonly session: SessionNumber; readonly owner: number }
  | { readonly type: "session-closed"; readonly session: SessionNumber }
  | { readonly type: "session-expired"; readonly session: SessionNumber }
  | { readonly type: "lock-broken"; readonly object: string; readonly reason: string };

/** What is to be said, and to whom. Only once everything up to the command's revision is durable. */
export type Effect =
  | { readonly type: "open-session"; readonly session: SessionNumber; readonly nonce: string; readonly ttlMs: number }
  /** The opening with that nonce is refused: there are as many sessions as there may be. */
  | { readonly type: "refuse-session"; readonly nonce: string; readonly refusal: Refusal }
  | { readonly type: "reply"; readonly session: SessionNumber; readonly owner: number; readonly reply: Reply }
  /** What the owner holds of a lock or semaphore by that token was taken away. A hint: it is also refused what it asks by that. */
  | {
      readonly type: "revoke";
      readonly session: SessionNumber;
      readonly owner: number;
      readonly object: string;
      readonly token: Revision;
      readonly reason: string;
    }
  | { readonly type: "end-session"; readonly session: SessionNumber; readonly code: string; readonly message: string };
