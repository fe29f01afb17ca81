/** Machine-readable kind of a HeddleError; also what travels in protocol errors. */
export type ErrorCode =
  | "timeout"
  | "invalid-argument"
  | "not-found"
  | "closed"
  | "terminated"
  | "state"
  | "worker-lost"
  | "pool-init"
  | "capture"
  | "serialization"
  | "limit"
  | "conflict"
  | "unavailable"
  | "unschedulable"
  | "protocol"
  | "authentication"
  | "permission"
  | "cancelled"
  | "empty"
  | "full"
  | "end-of-stream"
  | "broken-barrier"
  | "not-held"
  | "lock-lost"
  | "session-lost"
  | "outcome-unknown"
  | "internal";

/** Base of every error that the fabric itself raises. `code` is stable across versions, `message` is for people. */
export class HeddleError extends Error {
  override readonly name: string = "HeddleError";
  readonly code: ErrorCode;
  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** A wait ended before the thing waited for. Nothing was cancelled by it unless the call says so. */
export class TimeoutError extends HeddleError {
  override readonly name: string = "TimeoutError";
  constructor(message: string, options?: ErrorOptions) {
    super("timeout", message, options);
  }
}

/** One item ran for longer than `itemTimeoutMs`: its worker was stopped. */
export class ItemTimeoutError extends TimeoutError {
  override readonly name = "ItemTimeoutError";
  /** Index of the item in the call's inputs. */
  readonly index: number;
  constructor(message: string, index: number, options?: ErrorOptions) {
    super(message, options);
    this.index = index;
  }
}

/** A value from outside (id, address, option on the wire) that cannot be what it claims to be. */
export class InvalidArgumentError extends HeddleError {
  override readonly name = "InvalidArgumentError";
  constructor(message: string, options?: ErrorOptions) {
    super("invalid-argument", message, options);
  }
}

/** The named thing does not exist (any more). */
export class NotFoundError extends HeddleError {
  override readonly name = "NotFoundError";
  constructor(message: string, options?: ErrorOptions) {
    super("not-found", message, options);
  }
}

/** The handle was closed before this call. */
export class ClosedError extends HeddleError {
  override readonly name: string = "ClosedError";
  constructor(message: string, options?: ErrorOptions) {
    super("closed", message, options);
  }
}

/** New work after `pool.close()`. */
export class PoolClosedError extends ClosedError {
  override readonly name = "PoolClosedError";
}

/** `pool.terminate()` ended this work, or the pool was terminated before the call. */
export class PoolTerminatedError extends HeddleError {
  override readonly name = "PoolTerminatedError";
  constructor(message: string, options?: ErrorOptions) {
    super("terminated", message, options);
  }
}

/** Workers of a pool cannot be started; `cause` is the last reason. */
export class PoolInitError extends HeddleError {
  override readonly name = "PoolInitError";
  constructor(message: string, options?: ErrorOptions) {
    super("pool-init", message, options);
  }
}

/** The call does not fit the object's state, such as `join()` before `close()`. */
export class StateError extends HeddleError {
  override readonly name = "StateError";
  constructor(message: string, options?: ErrorOptions) {
    super("state", message, options);
  }
}

/** What is known of a worker that died with an item. */
export interface WorkerLoss {
  /** Index of the item in the call's inputs. */
  readonly index: number;
  readonly node: string;
  readonly pid: number;
  /** Name of the killing signal, or null when it exited by itself. */
  readonly signal: string | null;
  /** Exit status, or null when a signal ended it. */
  readonly exitCode: number | null;
  /** Last resident set size seen, in bytes; 0 when never sampled. */
  readonly rssBytes: number;
  /** How often the item was tried. */
  readonly attempts: number;
  /** The end of what the process wrote to standard error. */
  readonly stderrTail: string;
}

/** An item that killed its worker twice, the second time alone, or whose nodes kept dying under it. */
export class WorkerLostError extends HeddleError implements WorkerLoss {
  override readonly name = "WorkerLostError";
  readonly index: number;
  readonly node: string;
  readonly pid: number;
  readonly signal: string | null;
  readonly exitCode: number | null;
  readonly rssBytes: number;
  readonly attempts: number;
  readonly stderrTail: string;
  constructor(message: string, loss: WorkerLoss, options?: ErrorOptions) {
    super("worker-lost", message, options);
    this.index = loss.index;
    this.node = loss.node;
    this.pid = loss.pid;
    this.signal = loss.signal;
    this.exitCode = loss.exitCode;
    this.rssBytes = loss.rssBytes;
    this.attempts = loss.attempts;
    this.stderrTail = loss.stderrTail;
  }
}

/** A function that cannot travel: names the variable, the path inside it, the file (URL or path) and the line (from 1; 0 unknown). */
export class CaptureError extends HeddleError {
  override readonly name = "CaptureError";
  readonly variable: string;
  readonly path: string;
  readonly file: string;
  readonly line: number;
  constructor(
    message: string,
    at: { readonly variable: string; readonly path: string; readonly file: string; readonly line: number },
    options?: ErrorOptions,
  ) {
    super("capture", message, options);
    this.variable = at.variable;
    this.path = at.path;
    this.file = at.file;
    this.line = at.line;
  }
}

/** Which way the value was going. */
export type SerializationSide = "argument" | "result" | "value" | "error";

/** A value that cannot travel: `path` leads to the culprit, such as `$.rows[3].socket`. */
export class SerializationError extends HeddleError {
  override readonly name = "SerializationError";
  readonly path: string;
  readonly side: SerializationSide;
  constructor(
    message: string,
    at: { readonly path: string; readonly side: SerializationSide },
    options?: ErrorOptions,
  ) {
    super("serialization", message, options);
    this.path = at.path;
    this.side = at.side;
  }
}

/** A named limit was exceeded. */
export class LimitError extends HeddleError {
  override readonly name = "LimitError";
  readonly limitName: string;
  readonly limit: number;
  readonly actual: number;
  constructor(limitName: string, limit: number, actual: number, message?: string) {
    super("limit", message ?? `${limitName} is ${limit}, got ${actual}`);
    this.limitName = limitName;
    this.limit = limit;
    this.actual = actual;
  }
}

/** The same identity was used for two different things. */
export class ConflictError extends HeddleError {
  override readonly name = "ConflictError";
  constructor(message: string, options?: ErrorOptions) {
    super("conflict", message, options);
  }
}

/** A server could not be reached, or was lost for longer than the wait allowed. */
export class UnavailableError extends HeddleError {
  override readonly name = "UnavailableError";
  constructor(message: string, options?: ErrorOptions) {
    super("unavailable", message, options);
  }
}

/** No node could ever run this. */
export class UnschedulableError extends HeddleError {
  override readonly name = "UnschedulableError";
  constructor(message: string, options?: ErrorOptions) {
    super("unschedulable", message, options);
  }
}

/** The peer broke the protocol, or speaks a version that cannot be spoken with. */
export class ProtocolError extends HeddleError {
  override readonly name = "ProtocolError";
  constructor(message: string, options?: ErrorOptions) {
    super("protocol", message, options);
  }
}

/** The peer could not show who it is. */
export class AuthenticationError extends HeddleError {
  override readonly name = "AuthenticationError";
  constructor(message: string, options?: ErrorOptions) {
    super("authentication", message, options);
  }
}

/** The peer is known and may not do this. */
export class PermissionError extends HeddleError {
  override readonly name = "PermissionError";
  constructor(message: string, options?: ErrorOptions) {
    super("permission", message, options);
  }
}

/** Nothing is in the queue, and the call was not to wait for something. */
export class EmptyError extends HeddleError {
  override readonly name = "EmptyError";
  constructor(message: string, options?: ErrorOptions) {
    super("empty", message, options);
  }
}

/** The queue takes no more, and the call was not to wait for room. */
export class FullError extends HeddleError {
  override readonly name = "FullError";
  constructor(message: string, options?: ErrorOptions) {
    super("full", message, options);
  }
}

/** The other end of the pipe is closed, and every message of it was received. */
export class EndOfStreamError extends HeddleError {
  override readonly name = "EndOfStreamError";
  constructor(message: string, options?: ErrorOptions) {
    super("end-of-stream", message, options);
  }
}

/** A party of the barrier is gone, or it was aborted or reset while this one waited. */
export class BrokenBarrierError extends HeddleError {
  override readonly name = "BrokenBarrierError";
  constructor(message: string, options?: ErrorOptions) {
    super("broken-barrier", message, options);
  }
}

/** What was to be released, or is needed, is not held by the one who asks. */
export class NotHeldError extends HeddleError {
  override readonly name = "NotHeldError";
  constructor(message: string, options?: ErrorOptions) {
    super("not-held", message, options);
  }
}

/** Which hold of a lock is over, and why. */
export interface LockLoss {
  /** The lock's object: 32 hex digits, or "@" and its name. */
  readonly lock: string;
  /** Of the hold that is over. Tokens of one lock only grow. */
  readonly token: bigint;
  /** In words. */
  readonly reason: string;
}

/** A lock was lost while it was needed: its lease ran out, or it was taken away. What was written under it before stays written. */
export class LockLostError extends HeddleError implements LockLoss {
  override readonly name = "LockLostError";
  readonly lock: string;
  readonly token: bigint;
  readonly reason: string;
  constructor(message: string, loss: LockLoss, options?: ErrorOptions) {
    super("lock-lost", message, options);
    this.lock = loss.lock;
    this.token = loss.token;
    this.reason = loss.reason;
  }
}

/** The session with the manager is over: what was held under it is free, what waited under it waits no more. Nothing was done by this call. */
export class SessionLostError extends HeddleError {
  override readonly name = "SessionLostError";
  constructor(message: string, options?: ErrorOptions) {
    super("session-lost", message, options);
  }
}

/** The session with the manager was over before the answer came: the write was done once, or not at all. */
export class OutcomeUnknownError extends HeddleError {
  override readonly name = "OutcomeUnknownError";
  constructor(message: string, options?: ErrorOptions) {
    super("outcome-unknown", message, options);
  }
}

/** The error class that stands for a code that came over a wire; a HeddleError with that code where the class needs more than words. */
export function heddleError(code: string, message: string, options?: ErrorOptions): HeddleError {
  const make = WORD_ERRORS[code as ErrorCode];
  return make === undefined ? new HeddleError("internal", `${code}: ${message}`, options) : make(message, options);
}

type MakeError = (message: string, options?: ErrorOptions) => HeddleError;

const WORD_ERRORS: Readonly<Record<ErrorCode, MakeError>> = {
  timeout: (message, options) => new TimeoutError(message, options),
  "invalid-argument": (message, options) => new InvalidArgumentError(message, options),
  "not-found": (message, options) => new NotFoundError(message, options),
  closed: (message, options) => new ClosedError(message, options),
  terminated: (message, options) => new PoolTerminatedError(message, options),
  state: (message, options) => new StateError(message, options),
  "worker-lost": (message, options) => new HeddleError("worker-lost", message, options),
  "pool-init": (message, options) => new PoolInitError(message, options),
  capture: (message, options) => new HeddleError("capture", message, options),
  serialization: (message, options) => new HeddleError("serialization", message, options),
  limit: (message, options) => new HeddleError("limit", message, options),
  conflict: (message, options) => new ConflictError(message, options),
  unavailable: (message, options) => new UnavailableError(message, options),
  unschedulable: (message, options) => new UnschedulableError(message, options),
  protocol: (message, options) => new ProtocolError(message, options),
  authentication: (message, options) => new AuthenticationError(message, options),
  permission: (message, options) => new PermissionError(message, options),
  cancelled: (message, options) => new HeddleError("cancelled", message, options),
  empty: (message, options) => new EmptyError(message, options),
  full: (message, options) => new FullError(message, options),
  "end-of-stream": (message, options) => new EndOfStreamError(message, options),
  "broken-barrier": (message, options) => new BrokenBarrierError(message, options),
  "not-held": (message, options) => new NotHeldError(message, options),
  "lock-lost": (message, options) => new HeddleError("lock-lost", message, options),
  "session-lost": (message, options) => new SessionLostError(message, options),
  "outcome-unknown": (message, options) => new OutcomeUnknownError(message, options),
  internal: (message, options) => new HeddleError("internal", message, options),
};
