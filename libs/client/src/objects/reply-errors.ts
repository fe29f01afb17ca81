import { LockLostError, TimeoutError } from "@heddle/kernel";
import type { FabricError } from "@heddle/wire";
import { fabricErrorOf } from "../failure.ts";
import type { PendingOperation } from "./operation.ts";

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
