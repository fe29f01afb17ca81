import { AuthenticationError, PermissionError } from "@heddle/kernel";

/** Whether the error is that of a peer that does not let this side in, or that this side does not believe. */
export function isRefusal(error: unknown): error is AuthenticationError | PermissionError {
  return error instanceof AuthenticationError || error instanceof PermissionError;
}
