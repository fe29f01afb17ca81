import { LimitError, unreachable } from "@heddle/kernel";
import type { JobChange } from "./index.ts";
import { DESCRIPTION_BYTES_MAX, PIECE_BYTES_MAX } from "./limits.ts";

/** What a change brings: what is in memory when the store was recovered, and what is read when it is needed. */
function partsOf(change: JobChange): { readonly description?: Uint8Array; readonly piece?: Uint8Array } {
  switch (change.type) {
    case "job-added":
      return { description: change.spec };
    case "code-added":
      return { piece: change.bytes };
    case "chunk-added":
      return { description: change.about, piece: change.input };
    case "job-noted":
      return { description: change.note };
    case "answer-added":
      return { description: change.about, piece: change.bytes };
    case "history-added":
      return { description: change.entry };
    case "inputs-dropped":
    case "job-dropped":
      return {};
    default:
      return unreachable(change);
  }
}

/** All bytes that changes bring. */
export function bytesOf(changes: readonly JobChange[]): number {
  let bytes = 0;
  for (const change of changes) {
    const { description, piece } = partsOf(change);
    bytes += (description?.byteLength ?? 0) + (piece?.byteLength ?? 0);
  }
  return bytes;
}

/** Throws LimitError when one of them is too large. */
export function checkSizes(changes: readonly JobChange[]): void {
  for (const change of changes) {
    const { description, piece } = partsOf(change);
    check("DESCRIPTION_BYTES_MAX", DESCRIPTION_BYTES_MAX, description);
    check("PIECE_BYTES_MAX", PIECE_BYTES_MAX, piece);
  }
}

function check(name: string, max: number, bytes: Uint8Array | undefined): void {
  if (bytes !== undefined && bytes.byteLength > max) throw new LimitError(name, max, bytes.byteLength);
}
