import {
  decodeInto,
  type EncodedPayload,
  Encoding,
  type NumberArray,
  payloadItems,
  type ValueReaderHooks,
} from "@heddle/wire";
import { described } from "./describe.ts";

/** A typed array's class, for the option `into`. */
export type TypedArrayConstructor =
  | Float64ArrayConstructor
  | Float32ArrayConstructor
  | Int32ArrayConstructor
  | Uint32ArrayConstructor
  | Int16ArrayConstructor
  | Uint16ArrayConstructor
  | Int8ArrayConstructor
  | Uint8ArrayConstructor
  | Uint8ClampedArrayConstructor
  | BigInt64ArrayConstructor
  | BigUint64ArrayConstructor;

type TypedArray = InstanceType<TypedArrayConstructor>;

/** Where the results of one call go, in whatever order they come. */
export interface ResultSink {
  /** `payload`: values of `count` consecutive items from `index` on. Throws SerializationError, LimitError or TypeError for what it cannot take. */
  values(index: number, count: number, payload: EncodedPayload): void;
  /** An item failed for good, in a call that goes on. */
  failed(index: number, error: unknown): void;
}

/** Results as an array, in order of the inputs. */
export class ArraySink implements ResultSink {
  readonly #total: number | undefined;
  readonly #hooks: ValueReaderHooks | undefined;
  /** Made with the first values: making room for millions takes a while, and workers could have begun. */
  #results: unknown[] | undefined;

  /** `total`: undefined when it is not known. */
  constructor(total: number | undefined, hooks?: ValueReaderHooks) {
    this.#total = total;
    this.#hooks = hooks;
  }

  get results(): unknown[] {
    this.#results ??= roomFor<unknown>(this.#total);
    return this.#results;
  }

  values(index: number, count: number, payload: EncodedPayload): void {
    this.#results ??= payload.encoding === Encoding.F64 ? roomForNumbers(this.#total) : roomFor<unknown>(this.#total);
    const results = this.#results;
    lengthen(results, index + count, 0); // zeros: an array of numbers alone stays one
    decodeInto(payload, results, index, this.#hooks);
  }

  /** Only calls that collect go on, and those have a SettledSink. */
  failed(): void {}
}

/** Results as the platform's settled results, in order of the inputs. */
export class SettledSink implements ResultSink {
  readonly results: PromiseSettledResult<unknown>[];

  readonly #hooks: ValueReaderHooks | undefined;

  constructor(total: number | undefined, hooks?: ValueReaderHooks) {
    this.#hooks = hooks;
    this.results = roomFor<PromiseSettledResult<unknown>>(total);
  }

  values(index: number, count: number, payload: EncodedPayload): void {
    lengthen(this.results, index + count, NOT_SETTLED);
    const items = payloadItems(payload, undefined, this.#hooks);
    for (let at = 0; at < count; at++) this.results[index + at] = { status: "fulfilled", value: items.next() };
  }

  failed(index: number, reason: unknown): void {
    lengthen(this.results, index + 1, NOT_SETTLED);
    this.results[index] = { status: "rejected", reason };
  }
}

/** Numbers in a typed array. */
export class TypedSink implements ResultSink {
  readonly #into: TypedArrayConstructor;
  #array: TypedArray;
  #length: number;

  constructor(into: TypedArrayConstructor, total: number | undefined) {
    this.#into = into;
    this.#length = total ?? 0;
    this.#array = new into(this.#length);
  }

  get results(): TypedArray {
    return this.#array.length === this.#length ? this.#array : this.#array.slice(0, this.#length);
  }

  values(index: number, count: number, payload: EncodedPayload): void {
    this.#grow(index + count);
    const array = this.#array;
    const isBig = array instanceof BigInt64Array || array instanceof BigUint64Array;
    const areNumbers = payload.encoding === Encoding.F64 || payload.encoding === Encoding.I32;
    if (!isBig && areNumbers) return decodeInto(payload, array as NumberArray, index);
    const items = payloadItems(payload);
    const wanted = isBig ? "bigint" : "number";
    for (let at = index; at < index + count; at++) {
      const value = items.next();
      if (typeof value !== wanted)
        throw new TypeError(`result ${at} is ${described(value)}: into: ${this.#into.name} takes ${wanted}s only`);
      (array as { [index: number]: unknown })[at] = value;
    }
  }

  failed(): void {}

  #grow(length: number): void {
    this.#length = Math.max(this.#length, length);
    if (length <= this.#array.length) return;
    const larger = new this.#into(Math.max(length, 2 * this.#array.length));
    (larger as NumberArray).set(this.#array as NumberArray);
    this.#array = larger;
  }
}

/** Stands where a result is still to come. */
const NOT_SETTLED: PromiseSettledResult<unknown> = { status: "fulfilled", value: undefined };

/** Elements that an array can be made with and stay one: V8 makes a larger one a table of indices, which is slow and ends at some 40 million. */
const ARRAY_ROOM_MAX = 1 << 25;

function roomFor<T>(total: number | undefined): T[] {
  return total === undefined || total > ARRAY_ROOM_MAX ? [] : new Array<T>(total);
}

/**
 * Room in an array that holds doubles as such from the start: V8 would copy all of one that it took for whole numbers when the first fraction comes, which
 * takes longer than putting them there.
 */
function roomForNumbers(total: number | undefined): unknown[] {
  if (total === undefined || total === 0 || total > ARRAY_ROOM_MAX) return [];
  const room = [0.5];
  room.length = total;
  return room;
}

/** Element by element: by its length or by a far index an array would become a table of indices. */
function lengthen<T>(array: T[], length: number, filler: T): void {
  while (array.length < length) array.push(filler);
}

/** Throws TypeError unless it is the class of a typed array. */
export function checkInto(into: unknown): asserts into is TypedArrayConstructor | undefined {
  if (into === undefined) return;
  if (typeof into !== "function" || Object.getPrototypeOf(into) !== Object.getPrototypeOf(Int8Array))
    throw new TypeError(`into must be a typed array's class, such as Float64Array, got ${described(into)}`);
}
