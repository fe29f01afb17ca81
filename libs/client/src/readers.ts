import { CaptureError, LimitError, SerializationError } from "@heddle/kernel";
import { type EncodedPayload, encodeRange, encodeRepeat, PayloadEncoder } from "@heddle/wire";
import { type ArgumentFunctions, UnshippedFunctions } from "./argument-functions.ts";
import type { Range } from "./range.ts";
import type { Repeat } from "./repeat.ts";

/** How much of the inputs to read at once. */
export interface Wanted {
  /** Items, at least 1. Fewer are read only at the end, where one cannot travel, and where `bytesTarget` is reached. */
  readonly count: number;
  /** Encoded bytes after which a chunk is long enough; Infinity for exactly `count` items. */
  readonly bytesTarget: number;
  /** Fewer will do when no more are there now. */
  readonly isEager: boolean;
}

/** What reading on gave. */
export type Reading =
  | { readonly type: "chunk"; readonly payload: EncodedPayload }
  /** The next input cannot travel, and is passed over. */
  | { readonly type: "refused"; readonly error: unknown }
  /** Not there yet: `wake` is called when it is worth asking again. */
  | { readonly type: "later" }
  | { readonly type: "end" }
  /** The inputs' own iterator threw this. There are no more. */
  | { readonly type: "broken"; readonly error: unknown };

/** Reads the inputs of one call, once, in order. */
export interface Reader {
  /** Number of inputs, as far as it is known. */
  readonly total: number | undefined;
  /** Throws UnshippedFunctions when functions were met that are not shipped yet: ask for the same again when they are. */
  read(wanted: Wanted): Reading;
  /** Reads no more: an iterator that was not read to its end is told. */
  close(): void;
}

const END: Reading = { type: "end" };

export class RangeReader implements Reader {
  readonly total: number;
  readonly #range: Range;
  #at = 0;

  constructor(range: Range) {
    this.total = range.length;
    this.#range = range;
  }

  read({ count }: Wanted): Reading {
    const first = this.#at;
    if (first >= this.total) return END;
    const length = Math.min(count, this.total - first);
    this.#at += length;
    const { start, step } = this.#range;
    return { type: "chunk", payload: encodeRange(start, step, length, first) };
  }

  close(): void {
    this.#at = this.total;
  }
}

export class RepeatReader implements Reader {
  readonly total: number;
  readonly #value: unknown;
  readonly #functions: ArgumentFunctions | undefined;
  #payload: EncodedPayload | undefined;
  /** Why the value cannot travel. */
  #refusal: { readonly error: unknown } | undefined;
  #at = 0;

  constructor({ value, length }: Repeat<unknown>, functions: ArgumentFunctions | undefined) {
    this.total = length;
    this.#value = value;
    this.#functions = functions;
  }

  read({ count }: Wanted): Reading {
    const first = this.#at;
    if (first >= this.total) return END;
    const payload = this.#encoded();
    if (payload === undefined) {
      this.#at++;
      return { type: "refused", error: placed(this.#refusal?.error, first) };
    }
    const length = Math.min(count, this.total - first);
    this.#at += length;
    return { type: "chunk", payload: { ...payload, count: length } };
  }

  close(): void {
    this.#at = this.total;
  }

  /** The value, encoded once; undefined when it cannot travel. */
  #encoded(): EncodedPayload | undefined {
    if (this.#payload !== undefined || this.#refusal !== undefined) return this.#payload;
    try {
      const payload = encodeRepeat(this.#value, 1, "argument", this.#functions?.hooks);
      this.#functions?.checkAllShipped();
      this.#payload = payload;
    } catch (error) {
      if (isUnshipped(error)) throw error;
      this.#refusal = { error };
    }
    return this.#payload;
  }
}

export class ArrayReader implements Reader {
  readonly total: number;
  readonly #items: ArrayLike<unknown>;
  readonly #encoder: ItemEncoder;
  #at = 0;

  constructor(items: ArrayLike<unknown>, functions: ArgumentFunctions | undefined) {
    this.total = items.length;
    this.#items = items;
    this.#encoder = new ItemEncoder(functions);
  }

  read({ count, bytesTarget }: Wanted): Reading {
    const first = this.#at;
    if (first >= this.total) return END;
    const until = Math.min(this.total, first + count);
    const { at, reading } = this.#encoder.encode(this.#items, { first, until, index: first, bytesTarget });
    this.#at = at;
    return reading;
  }

  close(): void {
    this.#at = this.total;
  }
}

/** Where to encode, and the index of the first one among the call's inputs. */
interface Stretch {
  readonly first: number;
  readonly until: number;
  readonly index: number;
  readonly bytesTarget: number;
}

/** Encodes items up to one that cannot travel, which is named by its index. */
export class ItemEncoder {
  readonly #encoder: PayloadEncoder;
  readonly #functions: ArgumentFunctions | undefined;

  constructor(functions: ArgumentFunctions | undefined) {
    this.#encoder = new PayloadEncoder("argument", functions?.hooks);
    this.#functions = functions;
  }

  /** `at`: the first item that is not in the reading. Throws UnshippedFunctions. */
  encode(items: ArrayLike<unknown>, stretch: Stretch): { readonly at: number; readonly reading: Reading } {
    const { first, until, index, bytesTarget } = stretch;
    try {
      const at = this.#encoder.addAll(items, first, until, bytesTarget);
      const payload = this.#encoder.finish();
      this.#functions?.checkAllShipped(); // else this chunk is encoded again
      return { at, reading: { type: "chunk", payload } };
    } catch (error) {
      if (isUnshipped(error)) throw error;
      const payload = this.#encoder.finish();
      this.#functions?.checkAllShipped();
      const { count } = payload;
      if (count > 0) return { at: first + count, reading: { type: "chunk", payload } };
      return { at: first + 1, reading: { type: "refused", error: placed(error, index) } };
    }
  }
}

function isUnshipped(error: unknown): error is UnshippedFunctions {
  return error instanceof UnshippedFunctions;
}

/** A value's refusal with the name of the value before its words and itself as the cause; anything else as it is. */
function placed<E>(error: E, index: number): E | SerializationError | LimitError | CaptureError {
  const what = `input ${index}`;
  if (error instanceof CaptureError) return new CaptureError(`${what}: ${error.message}`, error, { cause: error });
  if (error instanceof SerializationError)
    return new SerializationError(`${what}: ${error.message}`, error, { cause: error });
  if (!(error instanceof LimitError)) return error;
  const { limitName, limit, actual, message } = error;
  const named = new LimitError(limitName, limit, actual, `${what}: ${message}`);
  return Object.defineProperty(named, "cause", { value: error, configurable: true, writable: true });
}
