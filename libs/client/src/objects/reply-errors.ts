import { LockLostError, TimeoutError } from "@heddle/kernel";
import type { FabricError } from "@heddle/wire";
import { fabricErrorOf } from "../failure.ts";
import type { HeldLock, LeaseLoss } from "./channel.ts";
import type { PendingOperation } from "./operation.ts";
import type { Failure } from "./operation-promise.ts";

/** The error of an operation that the manager refused: of the class that its code stands for. */
export function refusalOf(error: FabricError, operation: PendingOperation): Error {
  const { code, message } = error;
  switch (code) {
    case "range":
      return new RangeError(message);
    case "type":
      return new TypeError(message);
    case "busy":
      return new TimeoutError(`${whatOf(operation)}: not now (${message})`);
    case "lock-lost":
      return lockLost(operation, message);
    default:
      return fabricErrorOf(error);
  }
}

/** An operation in words. */
export function whatOf({ traits, object }: PendingOperation): string {
  return `${traits.name} on ${object.startsWith("@") ? `"${object.slice(1)}"` : object}`;
}

/** The manager's words name the lock when the operation was under several. */
function lockLost({ guards }: PendingOperation, message: string): LockLostError {
  const guard = guards.find(({ lock }) => message.includes(`"${lock.replace(/^@/, "")}"`)) ?? guards[0];
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
