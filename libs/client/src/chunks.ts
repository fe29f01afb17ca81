import { CaptureError, CHUNK_BYTES_TARGET, CHUNK_ITEMS_MAX, LimitError, SerializationError } from "@heddle/kernel";
import { type EncodedPayload, encodeRange, PayloadEncoder } from "@heddle/wire";
import type { ArgumentFunctions } from "./argument-functions.ts";
import { Range } from "./range.ts";

/** Inputs that a map takes. Other iterables than arrays, typed arrays and ranges are read to their end first. */
export type Inputs<T> = Iterable<T>;

/** Consecutive inputs made ready to travel. */
export interface InputChunk {
  /** Index of the first item in the call's inputs. */
  readonly firstIndex: number;
  readonly payload: EncodedPayload;
}

/** Cuts the inputs of one call into chunks, one at a time and only once. */
export interface ChunkSource {
  /** Number of inputs. */
  readonly total: number;
  /** The next chunk, or undefined after the last. Throws SerializationError, LimitError or CaptureError for an input that cannot travel, and UnshippedFunctions: then it may be asked for again. */
  next(): InputChunk | undefined;
}

/** CPython's rule: four chunks for each slot. */
export function defaultChunkSize(total: number, slots: number): number {
  return Math.max(1, Math.ceil(total / (4 * Math.max(1, slots))));
}

/** A user's chunk size, if it is one: a whole number from 1. Throws RangeError or TypeError otherwise. */
export function checkChunkSize(chunkSize: unknown): number | undefined {
  if (chunkSize === undefined) return undefined;
  if (typeof chunkSize !== "number") throw new TypeError(`chunkSize must be a number, got ${typeof chunkSize}`);
  if (!Number.isInteger(chunkSize) || chunkSize < 1 || chunkSize > CHUNK_ITEMS_MAX)
    throw new RangeError(`chunkSize must be a whole number from 1 to ${CHUNK_ITEMS_MAX}, got ${chunkSize}`);
  return chunkSize;
}

/** Inputs with a length: an iterable without one is read to its end, and what its iterator throws comes out untouched. */
export function materialise<T>(inputs: Inputs<T>): Range | ArrayLike<T> {
  if (inputs instanceof Range || Array.isArray(inputs)) return inputs;
  if (ArrayBuffer.isView(inputs) && !(inputs instanceof DataView)) return inputs as unknown as ArrayLike<T>;
  if (inputs === null || inputs === undefined || typeof inputs[Symbol.iterator] !== "function")
    throw new TypeError("inputs must be iterable: an array, a typed array, range(...), a Set, a generator, ...");
  return Array.from(inputs);
}

/** `chunkSize` undefined: the default for `slots`, and a chunk is cut short where its encoding reaches CHUNK_BYTES_TARGET. */
export function chunkSource(
  inputs: Range | ArrayLike<unknown>,
  options: { readonly chunkSize: number | undefined; readonly slots: number; readonly functions?: ArgumentFunctions },
): ChunkSource {
  const size = options.chunkSize ?? defaultChunkSize(inputs.length, options.slots);
  if (inputs instanceof Range) return new RangeSource(inputs, size);
  const bytesTarget = options.chunkSize === undefined ? CHUNK_BYTES_TARGET : Number.POSITIVE_INFINITY;
  return new ArraySource(inputs, size, bytesTarget, options.functions);
}

class RangeSource implements ChunkSource {
  readonly total: number;
  readonly #range: Range;
  readonly #chunkSize: number;
  #at = 0;

  constructor(range: Range, chunkSize: number) {
    this.total = range.length;
    this.#range = range;
    this.#chunkSize = chunkSize;
  }

  next(): InputChunk | undefined {
    if (this.#at >= this.total) return undefined;
    const firstIndex = this.#at;
    const count = Math.min(this.#chunkSize, this.total - firstIndex);
    this.#at += count;
    const { start, step } = this.#range;
    return { firstIndex, payload: encodeRange(start, step, count, firstIndex) };
  }
}

class ArraySource implements ChunkSource {
  readonly total: number;
  readonly #items: ArrayLike<unknown>;
  readonly #chunkSize: number;
  readonly #bytesTarget: number;
  readonly #encoder: PayloadEncoder;
  readonly #functions: ArgumentFunctions | undefined;
  #at = 0;

  constructor(
    items: ArrayLike<unknown>,
    chunkSize: number,
    bytesTarget: number,
    functions: ArgumentFunctions | undefined,
  ) {
    this.#encoder = new PayloadEncoder("argument", functions?.hooks);
    this.#functions = functions;
    this.total = items.length;
    this.#items = items;
    this.#chunkSize = chunkSize;
    this.#bytesTarget = bytesTarget;
  }

  next(): InputChunk | undefined {
    if (this.#at >= this.total) return undefined;
    const firstIndex = this.#at;
    const until = Math.min(this.total, firstIndex + this.#chunkSize);
    const { at, payload } = this.#encode(firstIndex, until);
    this.#functions?.checkAllShipped(); // else this chunk is encoded again
    this.#at = at;
    return { firstIndex, payload };
  }

  #encode(firstIndex: number, until: number): { readonly at: number; readonly payload: EncodedPayload } {
    try {
      const at = this.#encoder.addAll(this.#items, firstIndex, until, this.#bytesTarget);
      return { at, payload: this.#encoder.finish() };
    } catch (error) {
      const { count } = this.#encoder.finish();
      throw placed(error, `input ${firstIndex + count}`);
    }
  }
}

/** A value's refusal with the name of the value before its words and itself as the cause; anything else as it is. */
function placed<E>(error: E, what: string): E | SerializationError | LimitError | CaptureError {
  if (error instanceof CaptureError) return new CaptureError(`${what}: ${error.message}`, error, { cause: error });
  if (error instanceof SerializationError)
    return new SerializationError(`${what}: ${error.message}`, error, { cause: error });
  if (!(error instanceof LimitError)) return error;
  const { limitName, limit, actual, message } = error;
  const named = new LimitError(limitName, limit, actual, `${what}: ${message}`);
  return Object.defineProperty(named, "cause", { value: error, configurable: true, writable: true });
}
