import { unreachable } from "./assert.ts";

/**
 * How a write to a disk in memory ended: all of it is kept; there was no space and nothing is kept; or the disk broke, and only a restart
 * will show whether it is kept.
 */
export type WriteOutcome = "kept" | "full" | "failed-kept" | "failed-lost";

/** A disk in memory, below storage in memory: asked before anything is kept, with the bytes of it. */
export type Write = (bytes: number) => WriteOutcome | Promise<WriteOutcome>;

/** What goes onto a disk in memory. */
export interface MemoryWrite {
  readonly bytes: number;
  /** Called when it is kept. */
  readonly keep: () => void;
  /** Whether the process that writes was killed meanwhile. */
  readonly isKilled: () => boolean;
}

/** Asks the disk, and keeps what it keeps. Resolves with what the owner may know of it; never once the owner was killed. */
export async function writeToMemory(
  write: Write,
  { bytes, keep, isKilled }: MemoryWrite,
): Promise<"kept" | "full" | "failed"> {
  const outcome = await write(bytes);
  if (isKilled()) return new Promise(() => undefined);
  switch (outcome) {
    case "kept":
      keep();
      return "kept";
    case "full":
      return "full";
    case "failed-kept":
      keep();
      return "failed";
    case "failed-lost":
      return "failed";
    default:
      return unreachable(outcome);
  }
}
