import type { Reply, Revision } from "@heddle/core-objects";
import { LimitError } from "@heddle/kernel";

/** What nobody can do while the disk is full. */
export function fullText(what: string): string {
  return `the manager's disk is full: ${what} until there is room; reads go on`;
}

/** The same as an error. */
export function fullError(what: string): LimitError {
  return new LimitError("DISK_SPACE", 0, 0, fullText(what));
}

/** The same as the reply to an operation. */
export function fullReply(seq: number, revision: Revision): Reply {
  const limit = { name: "DISK_SPACE", limit: 0, actual: 0 };
  const refusal = { code: "limit", message: fullText("nothing can be written"), limit };
  return { seq, values: [], numbers: [], revision, refusal };
}
