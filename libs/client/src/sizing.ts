import { CHUNK_BYTES_TARGET, CHUNK_ITEMS_MAX, FOLD_BLOCK_ITEMS } from "@heddle/kernel";
import { described } from "./describe.ts";
import {
  AUTO_CHUNK_MS,
  AUTO_GROWTH,
  KEPT_CHUNK_ITEMS,
  KEPT_CHUNKS,
  OPEN_CHUNKS_PER_SLOT,
  OPEN_WORK_MS,
  PACKED_BYTES_MAX,
  PACKED_CHUNKS_MAX,
  PACKED_MS,
} from "./limits.ts";

/** What a user may say of chunks: so many items, or as many as take a while. */
export type ChunkSize = number | "auto";

/** The next chunk to be read. */
export interface ChunkPlan {
  readonly count: number;
  /** Not 0: it is several chunks of so many items, which travel as one. */
  readonly grain: number;
  readonly bytesTarget: number;
}

/** What is known of a call before its first chunk. */
export interface SizingOptions {
  /** Undefined: the default. */
  readonly chunkSize: ChunkSize | undefined;
  /** Number of inputs; undefined when it is not known. */
  readonly total: number | undefined;
  /** Slots that the call may use now. */
  readonly slots: () => number;
  /** Items of one chunk that a worker has under way at a time: a chunk of default size has at least as many. */
  readonly concurrency: number;
  /** Results are folded over aligned blocks: large chunks end where blocks end. */
  readonly isFolded: boolean;
  /** Small chunks may travel as one. */
  readonly mayPack: boolean;
}

/** CPython's rule: four chunks for each slot. */
export function defaultChunkSize(total: number, slots: number): number {
  return Math.max(1, Math.ceil(total / (4 * Math.max(1, slots))));
}

/** A user's chunk size, if it is one: "auto" or a whole number from 1. Throws RangeError or TypeError otherwise. */
export function checkChunkSize(chunkSize: unknown): asserts chunkSize is ChunkSize | undefined {
  if (chunkSize === undefined || chunkSize === "auto") return;
  if (typeof chunkSize !== "number")
    throw new TypeError(`chunkSize must be a number or "auto", got ${described(chunkSize)}`);
  if (!Number.isInteger(chunkSize) || chunkSize < 1 || chunkSize > CHUNK_ITEMS_MAX)
    throw new RangeError(`chunkSize must be a whole number from 1 to ${CHUNK_ITEMS_MAX}, got ${chunkSize}`);
}

/** The default where the number of inputs is known; then, or with a number, the size is fixed. Else it follows the run times. */
export function chunkSizer(options: SizingOptions): ChunkSizer {
  const { chunkSize, total, slots, concurrency, isFolded } = options;
  if (typeof chunkSize === "number") return new FixedSizer(() => chunkSize, options);
  if (chunkSize === "auto" || total === undefined) return new AutoSizer(options);
  const size = (): number => {
    const least = Math.max(defaultChunkSize(total, slots()), concurrency);
    return isFolded ? aligned(least) : least;
  };
  return new FixedSizer(size, { ...options, mayPack: false }, CHUNK_BYTES_TARGET);
}

/**
 * Every chunk of a kept job: the same ones whenever the same call is made, whatever slots there are and however long its items run. A size that is no number is the default.
 */
export function keptChunkPlan({
  chunkSize,
  total,
  concurrency,
}: Pick<SizingOptions, "chunkSize" | "total" | "concurrency">): ChunkPlan {
  if (typeof chunkSize === "number") return { count: chunkSize, grain: 0, bytesTarget: Number.POSITIVE_INFINITY };
  const share = total === undefined ? KEPT_CHUNK_ITEMS : Math.ceil(total / KEPT_CHUNKS);
  const count = Math.min(CHUNK_ITEMS_MAX, Math.max(1, concurrency, share));
  return { count, grain: 0, bytesTarget: CHUNK_BYTES_TARGET };
}

/** How large chunks are, and how many are under way: learnt from those that were answered. */
export abstract class ChunkSizer {
  readonly #slots: () => number;
  /** Mean run time of an item; undefined before the first answer. Recent ones count more. */
  #itemMs: number | undefined;
  #chunkMs = 0;
  /** Mean encoded size of an item, and of its result. */
  protected itemBytes = 0;
  protected resultBytes = 0;

  constructor({ slots }: SizingOptions) {
    this.#slots = slots;
  }

  /** Items of one chunk at least. */
  abstract get unit(): number;
  /** Fewer items than planned will do when no more are there now. */
  abstract readonly isEager: boolean;
  /** The chunk after `offered` items, of which `room` may be offered now. */
  abstract next(offered: number, room: number): ChunkPlan;

  /** A chunk, or a part of one, was answered: `bytes` of results. */
  observe(items: number, runMs: number, bytes = 0): void {
    this.resultBytes += OBSERVATION_WEIGHT * (bytes / items - this.resultBytes);
    const itemMs = runMs / items;
    const weight = Math.max(OBSERVATION_WEIGHT, this.#itemMs === undefined ? 1 : 0);
    this.#itemMs = (this.#itemMs ?? 0) + weight * (itemMs - (this.#itemMs ?? 0));
    this.#chunkMs += weight * (runMs - this.#chunkMs);
  }

  /** A chunk was encoded. */
  encoded(items: number, bytes: number): void {
    const weight = this.itemBytes === 0 ? 1 : OBSERVATION_WEIGHT;
    this.itemBytes += weight * (bytes / items - this.itemBytes);
  }

  /** Chunks that may be offered and not answered in full: enough to keep every slot busy while an answer and the next chunk travel. */
  get openChunksMax(): number {
    const perSlot = this.#itemMs === undefined ? 0 : Math.ceil(OPEN_WORK_MS / Math.max(CHUNK_MS_MIN, this.#chunkMs));
    return this.slots * Math.max(OPEN_CHUNKS_PER_SLOT, perSlot);
  }

  protected get slots(): number {
    return Math.max(1, this.#slots());
  }

  /** At least ITEM_MS_MIN; undefined before the first answer. */
  protected get itemMs(): number | undefined {
    return this.#itemMs === undefined ? undefined : Math.max(ITEM_MS_MIN, this.#itemMs);
  }
}

class FixedSizer extends ChunkSizer {
  readonly isEager = false;
  readonly #size: () => number;
  #unit: number | undefined;
  readonly #bytesTarget: number;
  readonly #total: number | undefined;
  readonly #mayPack: boolean;
  /** Chunks that travelled as one last. */
  #packed = 1;

  /** `size` is asked once, at the first chunk: the default depends on what there is then. */
  constructor(size: () => number, options: SizingOptions, bytesTarget = Number.POSITIVE_INFINITY) {
    super(options);
    this.#size = size;
    this.#total = options.total;
    this.#mayPack = options.mayPack;
    this.#bytesTarget = bytesTarget;
  }

  get unit(): number {
    this.#unit ??= this.#size();
    return this.#unit;
  }

  next(offered: number, room: number): ChunkPlan {
    const packed = this.#mayPack ? this.#packable(offered, room) : 1;
    this.#packed = packed;
    const grain = packed > 1 ? this.unit : 0;
    return { count: packed * this.unit, grain, bytesTarget: this.#bytesTarget };
  }

  /** As many as are done in no time, and never so many that a slot is left with nothing. */
  #packable(offered: number, room: number): number {
    const { itemMs, unit, slots } = this;
    if (itemMs === undefined) return 1;
    const unitBytes = Math.max(1, this.itemBytes * unit, this.resultBytes * unit);
    const left = Math.min(room, (this.#total ?? Number.POSITIVE_INFINITY) - offered);
    return Math.max(
      1,
      Math.min(
        PACKED_CHUNKS_MAX,
        this.#packed * AUTO_GROWTH,
        Math.floor(PACKED_MS / (itemMs * unit)),
        Math.floor(PACKED_BYTES_MAX / unitBytes),
        Math.floor(left / (unit * slots * OPEN_CHUNKS_PER_SLOT)),
      ),
    );
  }
}

/** Chunks of AUTO_CHUNK_MS: the first ones are of one item, and tell how long one takes. */
class AutoSizer extends ChunkSizer {
  readonly unit = 1;
  readonly isEager = true;
  readonly #options: SizingOptions;
  #largest: number;

  constructor(options: SizingOptions) {
    super(options);
    this.#options = options;
    this.#largest = options.concurrency;
  }

  next(offered: number, room: number): ChunkPlan {
    const { total, isFolded, concurrency } = this.#options;
    const { itemMs, slots } = this;
    const wanted = itemMs === undefined ? concurrency : Math.floor(AUTO_CHUNK_MS / itemMs);
    const fitting = Math.floor(CHUNK_BYTES_TARGET / Math.max(1, this.itemBytes)); // what does not fit is not read ahead either
    const left = Math.min(room, total === undefined ? Number.POSITIVE_INFINITY : total - offered);
    const share = Math.ceil(left / (slots * OPEN_CHUNKS_PER_SLOT));
    const count = Math.max(1, Math.min(wanted, this.#largest * AUTO_GROWTH, share, fitting, CHUNK_ITEMS_MAX));
    this.#largest = Math.max(this.#largest, count);
    return { count: isFolded ? aligned(count) : count, grain: 0, bytesTarget: CHUNK_BYTES_TARGET };
  }
}

/** So that a large chunk is made of whole blocks. */
function aligned(size: number): number {
  return size < FOLD_BLOCK_ITEMS ? size : Math.ceil(size / FOLD_BLOCK_ITEMS) * FOLD_BLOCK_ITEMS;
}

/** Weight of the newest observation in a mean. */
const OBSERVATION_WEIGHT = 0.2;
/** Shortest time that an item is taken for. */
const ITEM_MS_MIN = 0.000_05;
/** Shortest time that a chunk is taken for: what it costs to send it. */
const CHUNK_MS_MIN = 0.02;
