import { Metadata, status as Status, type StatusObject } from "@grpc/grpc-js";
import { type ErrorCode, HeddleError } from "@heddle/kernel";
import { rpcError } from "@heddle/port-rpc";
import { STATUS_TEXT_BYTES } from "./limits.ts";

/** The status that stands for each code on the wire, for those who know gRPC but not Heddle. */
export const statusOfCode = {
  timeout: Status.DEADLINE_EXCEEDED,
  "invalid-argument": Status.INVALID_ARGUMENT,
  "not-found": Status.NOT_FOUND,
  closed: Status.FAILED_PRECONDITION,
  terminated: Status.ABORTED,
  state: Status.FAILED_PRECONDITION,
  "worker-lost": Status.ABORTED,
  "pool-init": Status.FAILED_PRECONDITION,
  capture: Status.INVALID_ARGUMENT,
  serialization: Status.INVALID_ARGUMENT,
  limit: Status.RESOURCE_EXHAUSTED,
  conflict: Status.ALREADY_EXISTS,
  unavailable: Status.UNAVAILABLE,
  unschedulable: Status.FAILED_PRECONDITION,
  protocol: Status.INVALID_ARGUMENT,
  authentication: Status.UNAUTHENTICATED,
  permission: Status.PERMISSION_DENIED,
  cancelled: Status.CANCELLED,
  empty: Status.FAILED_PRECONDITION,
  full: Status.FAILED_PRECONDITION,
  "end-of-stream": Status.OUT_OF_RANGE,
  "broken-barrier": Status.ABORTED,
  "not-held": Status.FAILED_PRECONDITION,
  "lock-lost": Status.FAILED_PRECONDITION,
  "session-lost": Status.ABORTED,
  "outcome-unknown": Status.UNKNOWN,
  internal: Status.INTERNAL,
} satisfies Record<ErrorCode, Status>;

/** The code that stands for each status, when the peer named none itself: it is gRPC, a proxy or a stranger that speaks. */
export const codeOfStatus = {
  [Status.OK]: "internal",
  [Status.CANCELLED]: "cancelled",
  [Status.UNKNOWN]: "internal",
  [Status.INVALID_ARGUMENT]: "invalid-argument",
  [Status.DEADLINE_EXCEEDED]: "timeout",
  [Status.NOT_FOUND]: "not-found",
  [Status.ALREADY_EXISTS]: "conflict",
  [Status.PERMISSION_DENIED]: "permission",
  [Status.RESOURCE_EXHAUSTED]: "limit",
  [Status.FAILED_PRECONDITION]: "state",
  [Status.ABORTED]: "conflict",
  [Status.OUT_OF_RANGE]: "invalid-argument",
  [Status.UNIMPLEMENTED]: "protocol",
  [Status.INTERNAL]: "internal",
  [Status.UNAVAILABLE]: "unavailable",
  [Status.DATA_LOSS]: "internal",
  [Status.UNAUTHENTICATED]: "authentication",
} satisfies Record<Status, ErrorCode>;

/** Trailer that carries the ErrorCode. */
const CODE_KEY = "heddle-code";

/** What travels for an error. */
export function statusOfError(error: HeddleError): Pick<StatusObject, "code" | "details" | "metadata"> {
  const metadata = new Metadata();
  metadata.set(CODE_KEY, error.code);
  return { code: statusOfCode[error.code], details: fitting(error.message), metadata };
}

/** The error that a status stands for; `what` names the conversation, for people. */
export function errorOfStatus(
  status: { code: Status; details: string; metadata?: Metadata },
  what: string,
): HeddleError {
  const named = status.metadata?.get(CODE_KEY)[0];
  if (typeof named === "string" && Object.hasOwn(statusOfCode, named)) {
    return rpcError(named as ErrorCode, status.details);
  }
  const known: ErrorCode = codeOfStatus[status.code] ?? "internal";
  // Node's http2 says the same of a connection that is short of memory: that passes, a message that is too large does not.
  const code = known === "limit" && !/larger than/.test(status.details) ? "unavailable" : known;
  if (status.code === Status.UNIMPLEMENTED) return rpcError(code, `${what}: ${unservedText(what)} (UNIMPLEMENTED)`);
  const details = status.details.replace(/\s*Resolution note:\s*$/, ""); // gRPC's own, with nothing to note
  return rpcError(code, `${what}: ${details} (${Status[status.code] ?? status.code})`);
}

/** What only coordinators serve is asked of a manager by mistake, or of a coordinator of an older build. */
function unservedText(what: string): string {
  const service = /^\/heddle\.v1\.(Jobs|Nodes|Admin)\//.exec(what)?.[1];
  if (service === undefined)
    return "the server does not serve this: is it older than this program, or no server of Heddle's?";
  return `the server does not serve ${service}: is it a manager? Give the coordinator's address. A coordinator that says so is older than this program`;
}

/** Whether the call failed because there was no connection to make it on. */
export function isUnconnected({ code, details }: { code: Status; details: string }): boolean {
  return code === Status.UNAVAILABLE && details.startsWith("No connection established");
}

/** Whether it says what only the party itself can: Heddle's own code for what became of the call, and not that it was refused or put off. */
export function isVerdict({ metadata }: { metadata?: Metadata }): boolean {
  const named = metadata?.get(CODE_KEY)[0];
  return named !== undefined && named !== "authentication" && named !== "unavailable";
}

/** Anything thrown as an error of the fabric. */
export function asHeddleError(error: unknown, what: string): HeddleError {
  if (error instanceof HeddleError) return error;
  const words = error instanceof Error ? error.message : String(error);
  return new HeddleError("internal", `${what} failed: ${words}`, { cause: error });
}

/** The text, cut so that it fits into trailers, and free of what cannot be encoded. */
function fitting(text: string): string {
  let fit = text.slice(0, STATUS_TEXT_BYTES).toWellFormed();
  while (encodeURI(fit).length > STATUS_TEXT_BYTES) fit = fit.slice(0, Math.floor(fit.length * 0.8)).toWellFormed();
  return fit;
}
