/** Columns: numbers of one width, little-endian, back to back. Views where the host and the alignment allow it, else copies. */

type Column = Float64Array | Int32Array;

const isLittleEndian = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1;

function bytesOf(column: Column): Uint8Array {
  const bytes = new Uint8Array(column.buffer, column.byteOffset, column.byteLength);
  return isLittleEndian ? bytes : swapped(bytes, column.BYTES_PER_ELEMENT);
}

/** `bytes` of `width` to a number, in a buffer of their own that a typed array can view. */
function aligned(bytes: Uint8Array, width: number): Uint8Array {
  if (!isLittleEndian) return swapped(bytes, width);
  return bytes.byteOffset % width === 0 ? bytes : Uint8Array.from(bytes);
}

/** The bytes of numbers in the host's order as little-endian, or the other way round: `bytes` themselves where that is the same. */
export function toLittleEndian(bytes: Uint8Array, width: number): Uint8Array {
  return isLittleEndian || width === 1 ? bytes : swapped(bytes, width);
}

function swapped(bytes: Uint8Array, width: number): Uint8Array {
  const result = Uint8Array.from(bytes);
  for (let at = 0; at < result.length; at += width) result.subarray(at, at + width).reverse();
  return result;
}

/** Doubles. */
export const f64Column = {
  bytesOf,
  view(bytes: Uint8Array, offset: number, count: number): Float64Array {
    const own = aligned(bytes.subarray(offset * 8, (offset + count) * 8), 8);
    return new Float64Array(own.buffer, own.byteOffset, count);
  },
};

/** Signed 32-bit integers. */
export const i32Column = {
  bytesOf,
  view(bytes: Uint8Array, offset: number, count: number): Int32Array {
    const own = aligned(bytes.subarray(offset * 4, (offset + count) * 4), 4);
    return new Int32Array(own.buffer, own.byteOffset, count);
  },
};

/** Booleans, one byte each. */
export const boolColumn = {
  view(bytes: Uint8Array, offset: number, count: number): Uint8Array {
    return bytes.subarray(offset, offset + count);
  },
};

/** The first `length` elements: a view, or a copy where a view would keep much more memory than it shows. */
export function trimmed<T extends Column | Uint8Array>(elements: T, length: number): T {
  const isWasteful = elements.length > WASTE_MIN && length < elements.length * 0.8;
  return (isWasteful ? elements.slice(0, length) : elements.subarray(0, length)) as T;
}

const WASTE_MIN = 1024;

/** A number that an I32 column keeps: whole, 32 bits, not -0. */
export function isI32(value: unknown): value is number {
  return typeof value === "number" && (value | 0) === value && (value !== 0 || 1 / value > 0);
}
