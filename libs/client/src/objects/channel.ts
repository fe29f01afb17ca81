import type { Environment, LockLostError } from "@heddle/kernel";
import type { VerbName } from "@heddle/wire";

/** One operation, before it has a number. What `values` and `numbers` hold is told at the wire's Verb. */
export interface OperationRequest {
  readonly verb: VerbName;
  /** 32 hex digits, or "@" and a name. */
  readonly object: string;
  /** Encoded values. */
  readonly values?: readonly Uint8Array[];
  readonly numbers?: readonly number[];
  /** Of a transaction: its writes. */
  readonly operations?: readonly OperationRequest[];
  /** Of a transaction: what it has read. */
  readonly expectations?: readonly {
    readonly object: string;
    readonly key: Uint8Array;
    readonly revision: number;
  }[];
  /** Whose operation it is: asked for the error to reject with when the manager refuses it; the refusal itself unless given. */
  readonly handle?: OperationHandle;
}

/** What asks for operations and knows more of their refusals. */
export interface OperationHandle {
  /** The error to reject with. Called at the reply, before what came after it is heard. */
  explain(refusal: Error, request: OperationRequest): Error;
}

/** What came of an operation. */
export interface OperationReply {
  readonly values: readonly Uint8Array[];
  readonly numbers: readonly number[];
  readonly revision: number;
}

/** A lock that is held. */
export interface HeldLock {
  /** The lock's object. */
  readonly lock: string;
  /** As the manager told it. */
  readonly token: number;
  /** Why it cannot be counted on now, when it says so itself; else the `loss` of the channel that is asked counts. */
  readonly loss?: LockLostError | undefined;
}

/** Where operations are asked at once. */
export interface AskingHome {
  readonly env: Pick<Environment, "clock" | "random">;
  /** Keeps the caller's process alive until disposed. */
  readonly keepAlive: () => Disposable;
  live<T>(request: OperationRequest, read: (reply: OperationReply) => T): Promise<T>;
}

/** What takes the place of asking the manager, in a task whose writes count once. */
export interface CallEffects {
  /** As the channel's `call`. Throws StateError for what such a task may not ask. */
  call<T>(home: AskingHome, request: OperationRequest, read: (reply: OperationReply) => T): Promise<T>;
  /** Why such a task cannot ask for what may wait. */
  refusalOf(verb: VerbName, object: string): Error;
}

/** How long to wait, for operations that wait. */
export interface WaitOptions {
  /** Milliseconds; unbounded unless given. 0 and less: not at all. */
  readonly timeoutMs?: number | undefined;
  /** Ends the wait: it rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Why what is held under a session cannot be counted on now: for as long as it lasts every guard of the session is lost.
 * "late": the manager was out of reach for a lease; it may come back, and with it the guards. "ended": for good.
 */
export type LeaseLoss = { readonly type: "late" | "ended"; readonly reason: string };

/**
 * A session with the manager as objects and locks use it: in programs over a stream of its own, inside workers through their agent.
 * Operations of one channel are done in the order in which they are asked; those of one turn travel together. It outlives streams and the manager's
 * restarts: what has no reply is sent again, and done once.
 */
export interface ObjectsChannel {
  /**
   * Asks for an operation; resolves with its reply. Guards of the `run` that it is called in travel along. Rejects with the error that the reply says, UnavailableError when the
   * manager stays out of reach, OutcomeUnknownError when a write was under way as the session ended, SessionLostError for one that was waiting.
   */
  call(request: OperationRequest): Promise<OperationReply>;
  /**
   * Resolves with what `read` makes of the reply; rejects with what it throws. It runs as the reply is heard, before what came after it. So methods need no promise of
   * their own behind this one, which knows whether anybody awaits it.
   */
  call<T>(request: OperationRequest, read: (reply: OperationReply) => T): Promise<T>;
  /**
   * Asks for an operation that may wait (its `numbers[0]` is set here, but not that of "watch": 0 for a poll, else 1). At its timeout the manager is asked to end the wait, and what it
   * says counts: the promise resolves when the wait was over before, else rejects with TimeoutError; an abort likewise with the signal's reason.
   */
  wait(request: OperationRequest, options?: WaitOptions): Promise<OperationReply>;
  /** As `call` with `read`. */
  wait<T>(request: OperationRequest, options: WaitOptions | undefined, read: (reply: OperationReply) => T): Promise<T>;
  /**
   * Calls `run`. What it writes, through whatever it awaits, is refused with LockLostError when one of the locks is not held by its token any more, or when `loss` says that
   * it is lost. Reads, and what is done with locks themselves, are not. Nested ones add up. The token is read at each write: a guard may have another one meanwhile.
   */
  withGuards<R>(guards: readonly HeldLock[], run: () => R): R;
  /** Resolves when everything asked so far has its reply; rejects with the first error of a write that nobody awaited. */
  flush(): Promise<void>;
  /** There is nothing for `flush` to wait for, nor to tell. */
  readonly isQuiet: boolean;
  /** Of the session now; undefined while there is none. What was acquired under another one is lost. */
  readonly session: number | undefined;
  /** Undefined while leases hold. Compares clocks at each use, so that a process that was paused knows. */
  readonly loss: LeaseLoss | undefined;
  /** Called, until disposed, when what is held of an object by a token was taken away: for good. A hint: a stream that is down says nothing. */
  onRevoked(listen: (object: string, token: number, reason: string) => void): Disposable;
  /** Called at each change of `loss`, until disposed. */
  onLoss(listen: (loss: LeaseLoss | undefined) => void): Disposable;
  /**
   * Ends the session: its anonymous objects go, what waits rejects with ClosedError at once. What else was asked is done first, and what is asked until `asking` is settled (by
   * somebody who takes no more requests of others), as far as the manager answers within OBJECTS_CLOSE_MS. Rejects, once it is over, with the first error of a write that
   * nobody awaited. Idempotent.
   */
  close(asking?: Promise<unknown>): Promise<void>;
}
