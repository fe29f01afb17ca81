import type { Write } from "./memory-disk.ts";

/** A disk in memory that does what the test says: `new MemoryJournalStore(disk.write)`, `new MemoryJobs(disk.write)`. */
export class TestDisk {
  /** While true there is no space for anything. */
  isFull = false;
  /** Writes that the disk was asked for, in bytes. */
  readonly asked: number[] = [];
  #failure: "failed-kept" | "failed-lost" | undefined;
  #held: (() => void)[] | undefined;

  readonly write: Write = async (bytes) => {
    this.asked.push(bytes);
    const held = this.#held;
    if (held !== undefined) await new Promise<void>((release) => held.push(release));
    if (this.isFull) return "full";
    const failure = this.#failure;
    this.#failure = undefined;
    return failure ?? "kept";
  };

  /** The next write breaks, and is kept all the same or not. */
  failNext(outcome: "failed-kept" | "failed-lost"): void {
    this.#failure = outcome;
  }

  /** Writes wait from now on. */
  hold(): void {
    this.#held ??= [];
  }

  /** Lets the writes that wait go on, and those after them. */
  release(): void {
    const held = this.#held ?? [];
    this.#held = undefined;
    for (const release of held) release();
  }
}
