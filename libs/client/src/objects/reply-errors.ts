import { LockLostError, objectText, TimeoutError } from "@heddle/kernel";
import type { FabricError } from "@heddle/wire";
import { fabricErrorOf } from "../failure.ts";
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
export function timeoutError({ request, object }: PendingOperation, timeoutMs: number): TimeoutError {
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
export function whatOf({ traits, object }: PendingOperation): string {
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
