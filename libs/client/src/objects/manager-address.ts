import { StateError, TimeoutError, UnavailableError } from "@heddle/kernel";
import type { RpcClient } from "@heddle/port-rpc";
import { adminGetStatus } from "@heddle/wire";
import { noCoordinatorError } from "../dial.ts";
import { QUESTION_TIMEOUT_MS } from "../limits.ts";

/** Finds the manager: the addresses at which it may be reached, the best first. */
export type LocateManager = () => Promise<readonly string[]>;

/**
 * Asks the coordinator: the manager's own address first, then the coordinator's, which relays. Rejects with UnavailableError when it does not answer,
 * and with StateError when the fabric has no manager.
 */
export function managerOf(client: RpcClient, coordinator: string): LocateManager {
  return async () => {
    const { manager } = await client
      .call(adminGetStatus, coordinator, {}, { timeoutMs: QUESTION_TIMEOUT_MS })
      .catch((cause: unknown) => {
        const isSilent = cause instanceof UnavailableError || cause instanceof TimeoutError;
        throw isSilent ? noCoordinatorError(coordinator, { cause }) : cause;
      });
    if (manager === "")
      throw new StateError(
        `the fabric at ${coordinator} has no manager, so no shared objects and locks: start its coordinator with "heddle coordinator --manager ADDRESS", or all with "heddle up"`,
      );
    return manager === coordinator ? [manager] : [manager, coordinator];
  };
}
