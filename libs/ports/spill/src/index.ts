export { memorySpill } from "./memory.ts";

/** A disk for bytes that nobody has time to read, and for which memory is too small. Nothing in it outlives whoever wrote it. */
export interface Spill {
  /** A new file, without bytes. Rejects with StorageFullError or StorageFailedError when there can be none. */
  open(): Promise<SpillFile>;
}

/** One file of a spill. It has one writer, which waits for each write before the next; reads may be beside that. */
export interface SpillFile {
  /**
   * Puts pieces one behind the other from `position` on, over what is there. Resolves when a read finds them, which need not be on the disk yet. Rejects with
   * StorageFullError when there is no space, or with StorageFailedError: what is there from `position` on is unknown then, the rest is as it was.
   */
  write(position: number, pieces: readonly Uint8Array[]): Promise<void>;
  /** The bytes that were put there. Rejects with StorageFailedError when they cannot be read, or were never all put there. */
  read(position: number, length: number): Promise<Uint8Array>;
  /** Gives its space back, once what is under way is over. Once or more often; afterwards nothing else may be called. */
  close(): Promise<void>;
}
