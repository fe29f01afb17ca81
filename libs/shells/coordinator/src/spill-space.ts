import type { Logger } from "@heddle/kernel";
import type { Spill, SpillFile } from "@heddle/port-spill";
import { SPILL_FILES_MAX, SPILL_RESULTS_MAX, SPILL_UNWRITTEN_BYTES_MAX } from "./limits.ts";

/** What all jobs have of it together. */
interface Use {
  /** Of files, those parts of them included whose results were read. */
  bytes: number;
  files: number;
  /** Results that wait there, or are on their way. */
  results: number;
  /** Bytes that are on their way. */
  unwrittenBytes: number;
}

/** The disk on which results wait for clients that read too slowly, and how much of it may be used. */
export class SpillSpace {
  readonly use: Use = { bytes: 0, files: 0, results: 0, unwrittenBytes: 0 };
  /** Results that were put there so far. */
  total = 0;
  readonly #spill: Spill;
  readonly #bytesMax: number;
  readonly #log: Logger;
  #isFailing = false;
  #isDistrusted = false;

  constructor(spill: Spill, bytesMax: number, log: Logger) {
    this.#spill = spill;
    this.#bytesMax = bytesMax;
    this.#log = log;
  }

  /** Whether files may become larger by so much, with another result. `isNew`: in a file that is not there yet. */
  has(bytes: number, isNew: boolean): boolean {
    const { files, results, unwrittenBytes } = this.use;
    if (this.#isFailing || this.#isDistrusted) return false;
    if (results >= SPILL_RESULTS_MAX || unwrittenBytes >= SPILL_UNWRITTEN_BYTES_MAX) return false;
    return this.use.bytes + bytes <= this.#bytesMax && !(isNew && files >= SPILL_FILES_MAX);
  }

  open(): Promise<SpillFile> {
    return this.#spill.open();
  }

  /** A write failed, and what it had is in memory: nothing more comes until `recovered`. */
  failed(error: unknown): void {
    if (!this.#isFailing)
      this.#log.warn("results that wait for slow clients stay in memory: they cannot be put on disk", why(error));
    this.#isFailing = true;
  }

  /** A write was made, or what could not be written was read. */
  recovered(): void {
    this.#isFailing = false;
  }

  /** What was put there cannot be read back: nothing more comes as long as this coordinator lives. */
  distrust(error: unknown): void {
    this.#isDistrusted = true;
    this.#log.error(
      "results of a slow client cannot be read back from disk: it has to have them made again",
      why(error),
    );
  }
}

function why(error: unknown): { readonly reason: string } {
  return { reason: error instanceof Error ? error.message : String(error) };
}
