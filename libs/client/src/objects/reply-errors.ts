import {
  ClosedError,
  type HeddleError,
  heddleError,
  LockLostError,
  OutcomeUnknownError,
  objectText,
  SessionLostError,
  TimeoutError,
  UnavailableError,
} from "@heddle/kernel";
import type { FabricError } from "@heddle/wire";
import { fabricErrorOf } from "../failure.ts";
import { OBJECTS_CLOSE_MS } from "../limits.ts";
import type { HeldLock, LeaseLoss } from "./channel.ts";
import type { PendingOperation } from "./operation.ts";
import type { Failure } from "./operation-promise.ts";
import { SharedObject } from "./shared-object.ts";

/** The error of an operation that the manager refused: of the class that its code stands for. */
export function refusalOf(error: FabricError, operation: PendingOperation): Error {
  const { code, message } = error;
  switch (code) {
    case "range":
      return new RangeError(message);
    case "type":
      return new TypeError(message);
    case "busy":
      return new TimeoutError(message);
    case "lock-lost":
      return lockLost(operation, message);
    default:
      return fabricErrorOf(error);
  }
}

/** What did not come while an operation waited: in words for each that may wait. */
function timeoutError({ request, object }: PendingOperation, timeoutMs: number): TimeoutError {
  const { verb, handle } = request;
  const what = handle instanceof SharedObject ? handle.what : `object ${objectText(object)}`;
  const ms = Math.ceil(timeoutMs); // an rlock has spent a part on its own line
  const within = ms > 0 ? `within ${ms} ms` : "at once";
  switch (verb) {
    case "lock-acquire":
      return new TimeoutError(`${what} was not free ${within}`);
    case "semaphore-acquire":
      return new TimeoutError(`${what} had no permit free ${within}`);
    case "queue-get":
      return new TimeoutError(`${what} stayed empty for ${ms} ms`);
    case "queue-put":
      return new TimeoutError(`${what} stayed full for ${ms} ms`);
    case "condition-wait":
      return new TimeoutError(`${what} was not notified ${within}`);
    case "event-wait":
      return new TimeoutError(`${what} was not set ${within}`);
    case "barrier-wait":
      return new TimeoutError(`${what} was not complete ${within}`);
    default:
      return new TimeoutError(`${what} did not answer ${verb} ${within}`);
  }
}

/** An operation in words. */
function whatOf({ traits, object }: PendingOperation): string {
  return `${traits.name} on ${objectText(object)}`;
}

/** The manager's words name the lock when the operation was under several. */
function lockLost({ guards }: PendingOperation, message: string): LockLostError {
  const guard = guards.find(({ lock }) => message.includes(` ${objectText(lock)} `)) ?? guards[0];
  return new LockLostError(message, { lock: guard?.lock ?? "", token: BigInt(guard?.token ?? 0), reason: message });
}

/** Why a write under these locks is not even asked: one says itself that it is lost, or does not and the session that is asked has lost its lease. */
export function lossUnder(
  operation: PendingOperation,
  held: readonly HeldLock[],
  lossOf: () => LeaseLoss | undefined,
): Failure | undefined {
  const lost = held.find((one) => one.loss !== undefined)?.loss;
  if (lost !== undefined) return { make: () => lost, isOurs: false };
  const silent = held.find((one) => !("loss" in one));
  const reason = silent === undefined ? undefined : lossOf()?.reason;
  if (silent === undefined || reason === undefined) return undefined;
  const { lock, token } = silent;
  const message = `${whatOf(operation)} was not done: its lock is lost, for ${reason}`;
  return { make: () => new LockLostError(message, { lock, token: BigInt(token), reason }), isOurs: true };
}

/** Nothing is asked of a session that was closed. */
export function closedError(): Error {
  return new ClosedError("the session with the manager was closed");
}

/** What became of an operation whose reply was not there in time when its session was closed. */
export function cutOffError(operation: PendingOperation, wasSent: boolean): Error {
  const fate = wasSent && operation.isWrite ? "was done once or not at all" : "was not done";
  const why = `the session was closed, and the manager did not answer within ${OBJECTS_CLOSE_MS} ms`;
  return new ClosedError(`${whatOf(operation)} ${fate}: ${why}`);
}

/** What became of an operation whose session ended before its reply. */
export function endError(operation: PendingOperation, wasSent: boolean, why: string): Error {
  const what = whatOf(operation);
  if (wasSent && operation.traits.outlastsSession)
    return new OutcomeUnknownError(`${what} was done once or not at all: ${why}`);
  return new SessionLostError(`${what} was not done: ${why}`);
}

/** The manager, or the way to it, was not there for too long; `refusal`: it was, and did not let this side in. */
export function unreachedError(why: string, refusal: HeddleError | undefined): Error {
  return refusal === undefined ? new UnavailableError(why) : heddleError(refusal.code, why, { cause: refusal });
}

/** That its caller has waited for so long, as its handle has it. */
export function timedOut(operation: PendingOperation, timeoutMs: number): Failure {
  const { handle } = operation.request;
  const make = (): Error => {
    const error = timeoutError(operation, timeoutMs);
    return handle === undefined ? error : handle.explain(error, operation.request);
  };
  return { make, isOurs: true };
}
