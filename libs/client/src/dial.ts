import { ClosedError, type Environment, heddleError, UnavailableError, unreachable } from "@heddle/kernel";
import {
  dialSession,
  isRefusal,
  type RpcClient,
  type Session,
  type SessionEnd,
  type SessionHandler,
  type Version,
} from "@heddle/port-rpc";
import { jobsRun, type RunRequestEntry, type RunResponseEntry } from "@heddle/wire";

/**
 * Opens a session with a coordinator. `onLink` is called when it is reached for the first time, and at each loss and return of the link. `minor`: of the protocol, that both
 * speak.
 */
export type SessionDial = (
  handler: SessionHandler<RunResponseEntry>,
  onLink: (up: boolean, minor?: number) => void,
) => Session<RunRequestEntry>;

/** What dialling a coordinator by its address takes. */
export interface RpcDialOptions {
  readonly env: Environment;
  readonly client: RpcClient;
  readonly address: string;
  readonly version: Version;
  /** Longest wait for a vanished coordinator. */
  readonly unavailableTimeoutMs: number;
}

/** Sessions over an RpcClient: the way of everybody who has an address. */
export function rpcDial(options: RpcDialOptions): SessionDial {
  return (handler, onLink) =>
    dialSession<RunRequestEntry, RunResponseEntry>({ ...options, method: jobsRun, handler, onLink });
}

/** Nobody is there: in words for whoever set the address. */
export function noCoordinatorError(address: string, options?: ErrorOptions): UnavailableError {
  const advice = `start one with "heddle up", or unset HEDDLE_ADDRESS to run on this machine`;
  return new UnavailableError(`no coordinator answers at ${address}: ${advice}`, options);
}

/** It was there, and is not any more. */
export function unreachableText(address: string): string {
  return `the coordinator at ${address} cannot be reached`;
}

/** What is said to callers whose session is over. */
export function endedError(end: SessionEnd, address: string): Error {
  switch (end.reason) {
    case "goodbye":
      if (end.goodbye.code === "timeout")
        return new UnavailableError(`the coordinator at ${address} gave this client up: ${end.goodbye.message}`);
      if (end.goodbye.code === "closed")
        // for good: whoever comes back says "unavailable"
        return new UnavailableError(`the coordinator at ${address} is gone: ${end.goodbye.message}`);
      return heddleError(end.goodbye.code, `the coordinator at ${address} said goodbye: ${end.goodbye.message}`);
    case "lost":
      return lostError(end, `cannot talk to the coordinator at ${address}: ${end.message}`);
    case "expired":
      return new UnavailableError(unreachableText(address));
    case "closed":
      return new ClosedError("the fabric was closed");
    default:
      return unreachable(end);
  }
}

/** What the dial that ended the session is told as: what its caller can mend keeps its class. */
function lostError({ error }: Extract<SessionEnd, { reason: "lost" }>, message: string): Error {
  if (error === undefined || !(isRefusal(error) || error.code === "invalid-argument"))
    return new UnavailableError(message);
  // whoever prints it prints its causes, too: the same words twice
  const cause = message.endsWith(error.message) ? error.cause : error;
  return heddleError(error.code, message, cause === undefined ? {} : { cause });
}
