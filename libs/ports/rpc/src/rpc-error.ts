import {
  AuthenticationError,
  ClosedError,
  ConflictError,
  type ErrorCode,
  HeddleError,
  InvalidArgumentError,
  NotFoundError,
  PermissionError,
  ProtocolError,
  StateError,
  TimeoutError,
  UnavailableError,
  UnschedulableError,
} from "@heddle/kernel";

/** Classes that a code and a message can rebuild. The others carry more than travels, and arrive as plain HeddleErrors. */
const classes: ReadonlyMap<ErrorCode, new (message: string, options?: ErrorOptions) => HeddleError> = new Map([
  ["timeout", TimeoutError],
  ["invalid-argument", InvalidArgumentError],
  ["not-found", NotFoundError],
  ["closed", ClosedError],
  ["state", StateError],
  ["conflict", ConflictError],
  ["unavailable", UnavailableError],
  ["unschedulable", UnschedulableError],
  ["protocol", ProtocolError],
  ["authentication", AuthenticationError],
  ["permission", PermissionError],
] as const);

/** The error that a peer reported: the class of its code where that class needs no more than a message. */
export function rpcError(code: ErrorCode, message: string, options?: ErrorOptions): HeddleError {
  const known = classes.get(code);
  return known === undefined ? new HeddleError(code, message, options) : new known(message, options);
}
