import { HeddleError } from "@heddle/kernel";

/** How a command says how it went. */
export const exitCodes = {
  ok: 0,
  error: 1,
  usage: 2,
  notFound: 3,
  denied: 4,
  unavailable: 5,
  /** A defect of ours. */
  internal: 70,
  timeout: 124,
  interrupted: 130,
} as const;

/** The exit code that fits an error. */
export function exitCodeOf(error: unknown): number {
  if (!(error instanceof HeddleError)) return exitCodes.error;
  switch (error.code) {
    case "invalid-argument":
      return exitCodes.usage;
    case "not-found":
      return exitCodes.notFound;
    case "authentication":
    case "permission":
      return exitCodes.denied;
    case "unavailable":
      return exitCodes.unavailable;
    case "timeout":
      return exitCodes.timeout;
    default:
      return exitCodes.error;
  }
}

/** What to tell the user of an error: a fabric error's words; of anything else the words, too, and of a nameless one what it is. */
export function messageOf(error: unknown): string {
  if (error instanceof Error) return error.message === "" ? error.name : error.message;
  return String(error);
}
