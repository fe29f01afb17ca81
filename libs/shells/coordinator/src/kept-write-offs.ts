import type { JobId } from "@heddle/kernel";
import type { KeptCloser } from "./kept-closer.ts";
import { KEPT_WRITE_OFFS_MAX } from "./limits.ts";

/** Items of one running job that are to be answered by an error, as soon as the manager has said that no run of them comes to count. */
export class KeptWriteOffs {
  readonly #closer: KeptCloser;
  readonly #job: JobId;
  /** By their indices. */
  readonly #asked = new Map<number, Disposable>();

  constructor(closer: KeptCloser, job: JobId) {
    this.#closer = closer;
    this.#job = job;
  }

  /** How many wait. */
  get size(): number {
    return this.#asked.size;
  }

  /** No more chunks are to be offered before some of these have their answer. */
  get isFull(): boolean {
    return this.#asked.size >= KEPT_WRITE_OFFS_MAX;
  }

  /** `told`: as the closer's `writeOff`, when this counts it no more. */
  add(index: number, told: (outcome: Uint8Array | undefined) => void): void {
    if (this.#asked.has(index)) return; // an item has one answer
    const asked = this.#closer.writeOff(this.#job, index, (outcome) => {
      this.#asked.delete(index);
      told(outcome);
    });
    this.#asked.set(index, asked);
  }

  /** The run is over: nobody is told any more. */
  end(): void {
    for (const asked of this.#asked.values()) asked[Symbol.dispose]();
    this.#asked.clear();
  }
}
