import { Damage } from "./damage.ts";
import type { ErrorKind } from "./messages.ts";
import { isNoSpace } from "./no-space.ts";

/** Primary result codes, https://sqlite.org/rescode.html. */
const SQLITE_ERROR = 1;
const SQLITE_BUSY = 5;
const SQLITE_LOCKED = 6;
const SQLITE_CORRUPT = 11;
export const SQLITE_FULL = 13;
const SQLITE_NOTADB = 26;

/** The primary result code of an error of SQLite; 0 for any other. */
export function primaryCode(error: unknown): number {
  const { errcode } = error as { readonly errcode?: unknown };
  return typeof errcode === "number" ? errcode & 0xff : 0;
}

/** What an error means for the journal. Whatever nobody thought of leaves the outcome unknown. */
export function kindOf(error: unknown): ErrorKind {
  if (error instanceof Damage) return "damaged";
  switch (primaryCode(error)) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return "locked";
    case SQLITE_ERROR: // our statements are right: it is the tables that are not ours
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return "damaged";
    case SQLITE_FULL:
      return "full";
    default:
      return kindOfSystemError(error);
  }
}

function kindOfSystemError(error: unknown): ErrorKind {
  if (isNoSpace(error)) return "full";
  // a number in a row that is none of those that we write
  return (error as NodeJS.ErrnoException).code === "ERR_OUT_OF_RANGE" ? "damaged" : "failed";
}
