/**
 * Payloads: many values as bytes, in the encoding that fits them best. Only the two ends, client and worker, come here.
 */
import { CHUNK_ITEMS_MAX, SerializationError, type SerializationSide } from "@heddle/kernel";
import { boolColumn, f64Column, i32Column, isI32 } from "./columns.ts";
import { Encoding } from "./gen/heddle/v1/common.ts";
import { readErrorValue, writeErrorValue } from "./msgpack/errors.ts";
import type { ValueReaderHooks, ValueWriterHooks } from "./msgpack/hooks.ts";
import { ValueReader } from "./msgpack/reader.ts";
import { ValueWriter } from "./msgpack/writer.ts";
import { PayloadEncoder } from "./payload-encoder.ts";

/** Values as bytes. `bytes` may be a view into a larger buffer and is not written to any more. */
export interface EncodedPayload {
  readonly encoding: Encoding;
  /** Number of values. */
  readonly count: number;
  readonly bytes: Uint8Array;
}

/** Consecutive values of a payload: the generated Span has this shape. */
export interface ItemSpan {
  readonly offset: number;
  readonly count: number;
}

/** Typed arrays whose elements are numbers. */
export type NumberArray =
  | Float64Array
  | Float32Array
  | Int32Array
  | Uint32Array
  | Int16Array
  | Uint16Array
  | Int8Array
  | Uint8Array
  | Uint8ClampedArray;

/** The values of a payload, one at a time: the next is decoded when it is asked for. */
export interface PayloadItems {
  readonly length: number;
  /** The next value; a RangeError after the last one. Throws SerializationError when the bytes are not what they claim. */
  next(): unknown;
}

/**
 * Encodes `values`: as a column when all are numbers or all are booleans, else as MSGPACK.
 * Throws SerializationError for a value that cannot travel and LimitError for one that is too large; `$` in its path is the value.
 */
export function encodePayload(
  values: ArrayLike<unknown>,
  side: SerializationSide,
  hooks?: ValueWriterHooks,
): EncodedPayload {
  const encoder = new PayloadEncoder(side, hooks);
  encoder.addAll(values, 0, values.length);
  return encoder.finish();
}

/**
 * `count` numbers of the sequence start, start + step, start + 2 * step, ... from number `first` on, in 24 bytes, whatever its length.
 * The first index travels beside the start, so that fractions come out the same however a sequence is cut.
 */
export function encodeRange(start: number, step: number, count: number, first = 0): EncodedPayload {
  return { encoding: Encoding.RANGE, count, bytes: f64Column.bytesOf(Float64Array.of(start, step, first)) };
}

/** One value, `count` times, in the bytes of one. Each comes back as a copy of its own. */
export function encodeRepeat(
  value: unknown,
  count: number,
  side: SerializationSide,
  hooks?: ValueWriterHooks,
): EncodedPayload {
  return { encoding: Encoding.REPEAT, count, bytes: encodeValue(value, side, hooks) };
}

/** All values of a payload, or those of `span`. Throws SerializationError when the bytes are not what they claim. */
export function decodePayload(payload: EncodedPayload, span?: ItemSpan): unknown[] {
  const { offset, count } = checkedSpan(payload, span);
  const values = new Array<unknown>(count);
  if (fillFromColumn(payload, offset, count, values, 0)) return values;
  const items = itemsOf(payload, offset, count);
  for (let at = 0; at < count; at++) values[at] = items.next();
  return values;
}

/** Writes all values of a payload to `target[at]` and on: no array in between. A RangeError when they do not fit. */
export function decodeInto(
  payload: EncodedPayload,
  target: unknown[] | NumberArray,
  at: number,
  hooks?: ValueReaderHooks,
): void {
  const { count } = checkedSpan(payload, undefined);
  if (at + count > target.length) throw new RangeError(`${count} values do not fit at ${at} of ${target.length}`);
  if (fillFromColumn(payload, 0, count, target, at)) return;
  const items = itemsOf(payload, 0, count, hooks);
  for (let index = 0; index < count; index++) (target as unknown[])[at + index] = items.next();
}

/** The values of a payload, or those of `span`, decoded one at a time. When a hook throws, `next` may be called again for the same value. */
export function payloadItems(payload: EncodedPayload, span?: ItemSpan, hooks?: ValueReaderHooks): PayloadItems {
  const { offset, count } = checkedSpan(payload, span);
  return itemsOf(payload, offset, count, hooks);
}

/** Consecutive values of a payload as one of their own, sharing its bytes. Throws SerializationError when these are not what they claim. */
export function slicePayload(payload: EncodedPayload, span: ItemSpan): EncodedPayload {
  const { offset, count } = checkedSpan(payload, span);
  const { encoding, bytes } = payload;
  switch (encoding) {
    case Encoding.RANGE: {
      const [start = 0, step = 0, first = 0] = f64Column.view(bytes, 0, 3);
      return encodeRange(start, step, count, first + offset);
    }
    case Encoding.REPEAT:
      return { encoding, count, bytes };
    case Encoding.F64:
      return { encoding, count, bytes: bytes.subarray(offset * 8, (offset + count) * 8) };
    case Encoding.I32:
      return { encoding, count, bytes: bytes.subarray(offset * 4, (offset + count) * 4) };
    case Encoding.BOOL:
      return { encoding, count, bytes: bytes.subarray(offset, offset + count) };
    default: {
      const reader = new ValueReader(bytes, "value");
      const skip = (values: number): number => {
        for (let skipped = 0; skipped < values; skipped++) reader.skip();
        return reader.at;
      };
      return { encoding, count, bytes: bytes.subarray(skip(offset), skip(count)) };
    }
  }
}

/** One value in the MSGPACK encoding. Without hooks functions are refused. */
export function encodeValue(value: unknown, side: SerializationSide, hooks?: ValueWriterHooks): Uint8Array {
  const writer = new ValueWriter(side, hooks);
  writer.write(value);
  return writer.take();
}

/** The value that `encodeValue` made these bytes from. Throws SerializationError when they are not one whole value. */
export function decodeValue(bytes: Uint8Array, side: SerializationSide = "value", hooks?: ValueReaderHooks): unknown {
  const reader = new ValueReader(bytes, side, hooks);
  const value = reader.read();
  reader.end();
  return value;
}

/**
 * Whatever a task threw, as bytes; never throws. An Error keeps name, message, stack, cause, own fields and `errors`;
 * what cannot travel inside it is replaced by a string that says so.
 */
export function encodeError(error: unknown): Uint8Array {
  return writeErrorValue(error);
}

/** What a task threw. A built-in class comes back as itself, another Error as Error with its name. */
export function decodeError(bytes: Uint8Array): unknown {
  return readErrorValue(bytes);
}

/** The span in full, after checking that the payload has as many bytes as its encoding and count ask for. */
function checkedSpan(payload: EncodedPayload, span: ItemSpan | undefined): ItemSpan {
  const { count } = payload;
  if (!Number.isInteger(count) || count < 0 || count > CHUNK_ITEMS_MAX) throw broken(`a count of ${count}`);
  checkSize(payload);
  if (span === undefined) return { offset: 0, count };
  if (!(span.offset >= 0 && span.count >= 0 && span.offset + span.count <= count)) {
    throw broken(`${count} values do not have ${span.count} from ${span.offset}`);
  }
  return span;
}

function checkSize({ encoding, count, bytes }: EncodedPayload): void {
  const size = bytes.length;
  switch (encoding) {
    case Encoding.RANGE:
      if (size !== 24) throw broken(`RANGE of ${size} bytes`);
      return;
    case Encoding.F64:
      if (size !== count * 8) throw broken(`${count} F64 in ${size} bytes`);
      return;
    case Encoding.I32:
      if (size !== count * 4) throw broken(`${count} I32 in ${size} bytes`);
      return;
    case Encoding.BOOL:
      if (size !== count) throw broken(`${count} BOOL in ${size} bytes`);
      return;
    case Encoding.MSGPACK:
      if (size < count) throw broken(`${count} MSGPACK values in ${size} bytes`);
      return;
    case Encoding.REPEAT:
      return;
    default:
      throw broken(`encoding ${encoding}, which this build does not read`);
  }
}

function broken(what: string): SerializationError {
  return new SerializationError(`payload claims ${what}`, { path: "$", side: "value" });
}

function itemsOf(payload: EncodedPayload, offset: number, count: number, hooks?: ValueReaderHooks): PayloadItems {
  const { bytes } = payload;
  switch (payload.encoding) {
    case Encoding.RANGE: {
      const [start = 0, step = 0, first = 0] = f64Column.view(bytes, 0, 3);
      return rangeItems(start, step, first + offset, count);
    }
    case Encoding.F64: {
      const column = f64Column.view(bytes, offset, count);
      return indexed(count, (index) => column[index]);
    }
    case Encoding.I32: {
      const column = i32Column.view(bytes, offset, count);
      return indexed(count, (index) => column[index]);
    }
    case Encoding.BOOL: {
      const column = boolColumn.view(bytes, offset, count);
      return indexed(count, (index) => column[index] === 1);
    }
    case Encoding.REPEAT:
      return indexed(count, () => decodeValue(bytes, "value", hooks));
    default:
      return msgpackItems(payload, offset, count, hooks);
  }
}

/** Whole numbers are made as such: user code runs several times faster on small integers than on doubles that happen to be whole. */
function rangeItems(start: number, step: number, first: number, count: number): PayloadItems {
  const base = start + first * step;
  const last = start + (first + count - 1) * step;
  if (isI32(base) && isI32(last) && isI32(step)) return indexed(count, (index) => (base + index * step) | 0);
  return indexed(count, (index) => start + (first + index) * step);
}

function indexed(length: number, at: (index: number) => unknown): PayloadItems {
  let index = 0;
  return {
    length,
    next: () => {
      if (index >= length) throw new RangeError(`a payload of ${length} values has no more`);
      const value = at(index);
      index++; // not before: what a hook threw may be asked for again
      return value;
    },
  };
}

function msgpackItems(
  payload: EncodedPayload,
  offset: number,
  count: number,
  hooks: ValueReaderHooks | undefined,
): PayloadItems {
  const reader = new ValueReader(payload.bytes, "value", hooks);
  for (let skipped = 0; skipped < offset; skipped++) reader.skip();
  const isWhole = offset + count === payload.count;
  return indexed(count, (index) => {
    const value = reader.read();
    if (isWhole && index === count - 1) reader.end();
    return value;
  });
}

/** The tight loops for columns; false for other encodings. */
function fillFromColumn(
  { encoding, bytes }: EncodedPayload,
  offset: number,
  count: number,
  target: unknown[] | NumberArray,
  at: number,
): boolean {
  switch (encoding) {
    case Encoding.I32:
      fill(target, at, i32Column.view(bytes, offset, count));
      return true;
    case Encoding.F64:
      fill(target, at, f64Column.view(bytes, offset, count));
      return true;
    case Encoding.BOOL: {
      const column = boolColumn.view(bytes, offset, count);
      for (let index = 0; index < count; index++) (target as unknown[])[at + index] = column[index] === 1;
      return true;
    }
    default:
      return false;
  }
}

function fill(target: unknown[] | NumberArray, at: number, column: Int32Array | Float64Array): void {
  if (Array.isArray(target)) {
    const { length } = column;
    for (let index = 0; index < length; index++) target[at + index] = column[index];
  } else target.set(column, at);
}
