import { CHUNK_LONG_MS, GRAIN_LONG_MS, PART_RESULT_BYTES } from "./limits.ts";

/**
 * Of a chunk of several grains: whether it takes so long that the rest is given back, for other workers to take. The clock is looked at
 * between grains, and between items that are waited for.
 */
export class Pace {
  readonly #nowMs: () => number;
  readonly #grain: number;
  readonly #startMs: number;
  #grainStartMs: number;
  /** Offset in the chunk at which the next grain begins. */
  #border: number;

  /** The chunk begins now, with the item at `offset`. `grain`: items of a grain, counted from the chunk's first one; 0 when it is one. */
  constructor(nowMs: () => number, grain: number, offset: number) {
    this.#nowMs = nowMs;
    this.#grain = grain;
    this.#startMs = grain === 0 ? 0 : nowMs();
    this.#grainStartMs = this.#startMs;
    this.#border = grain === 0 ? Number.POSITIVE_INFINITY : offset - (offset % grain) + grain;
  }

  /** The first item of the next grain, as an offset in the chunk; Infinity when there are no grains. */
  get border(): number {
    return this.#border;
  }

  /** Asked before the item at `offset` begins, with the bytes of the results so far. */
  givesBack(offset: number, resultBytes: number): boolean {
    if (this.#grain === 0) return false;
    const nowMs = this.#nowMs();
    const isLong = nowMs - this.#grainStartMs > GRAIN_LONG_MS || nowMs - this.#startMs > CHUNK_LONG_MS;
    if (offset >= this.#border) {
      this.#grainStartMs = nowMs;
      this.#border = offset - (offset % this.#grain) + this.#grain;
    }
    return isLong || resultBytes > PART_RESULT_BYTES;
  }
}
