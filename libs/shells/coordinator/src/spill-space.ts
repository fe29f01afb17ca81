import type { Logger } from "@heddle/kernel";
import type { Spill, SpillFile } from "@heddle/port-spill";

/** The disk on which results wait for clients that read too slowly, and how much of it may be used. */
export class SpillSpace {
  readonly #spill: Spill;
  readonly #bytesMax: number;
  readonly #log: Logger;
  #bytes = 0;

  constructor(spill: Spill, bytesMax: number, log: Logger) {
    this.#spill = spill;
    this.#bytesMax = bytesMax;
    this.#log = log;
  }

  /** Of all files, those parts of them included whose results were read. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Results that were put there. */
  results = 0;

  /** Whether files may become larger by so much. */
  has(bytes: number): boolean {
    return this.#bytes + bytes <= this.#bytesMax;
  }

  /** A file grows by so much, or, below 0, is smaller by that. */
  grow(bytes: number): void {
    this.#bytes += bytes;
  }

  open(): Promise<SpillFile> {
    return this.#spill.open();
  }

  /** Results stay in memory until what waits there was read. */
  failed(error: unknown): void {
    const reason = error instanceof Error ? error.message : String(error);
    this.#log.warn("results that wait for a slow client stay in memory: they cannot be put on disk", { reason });
  }
}
