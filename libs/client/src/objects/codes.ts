import { ITEM_BYTES_MAX, LimitError } from "@heddle/kernel";
import { described } from "../describe.ts";

/** What an element of a Value or SharedArray is: signed, unsigned or floating, and its bits. */
export type Code = "i8" | "u8" | "i16" | "u16" | "i32" | "u32" | "i64" | "u64" | "f32" | "f64";

/** An element of a code: bigints of 64 bits, else numbers. */
export type Cell<C extends Code> = C extends "i64" | "u64" ? bigint : number;

const arrays = {
  i8: Int8Array,
  u8: Uint8Array,
  i16: Int16Array,
  u16: Uint16Array,
  i32: Int32Array,
  u32: Uint32Array,
  i64: BigInt64Array,
  u64: BigUint64Array,
  f32: Float32Array,
  f64: Float64Array,
} as const;

/** The typed array of a code. */
export type CellArray<C extends Code = Code> = InstanceType<(typeof arrays)[C]>;

const codes = Object.keys(arrays) as readonly Code[];

/** Smallest and largest element of each code of whole numbers. */
const ranges: Readonly<Partial<Record<Code, readonly [least: number | bigint, most: number | bigint]>>> = {
  i8: [-(2 ** 7), 2 ** 7 - 1],
  u8: [0, 2 ** 8 - 1],
  i16: [-(2 ** 15), 2 ** 15 - 1],
  u16: [0, 2 ** 16 - 1],
  i32: [-(2 ** 31), 2 ** 31 - 1],
  u32: [0, 2 ** 32 - 1],
  i64: [-(2n ** 63n), 2n ** 63n - 1n],
  u64: [0n, 2n ** 64n - 1n],
};

function isCode(code: unknown): code is Code {
  return typeof code === "string" && Object.hasOwn(arrays, code);
}

/** What Python's `array` and `multiprocessing.Value` call them. */
const pythons: ReadonlyMap<unknown, Code> = new Map<unknown, Code>([
  ["b", "i8"],
  ["B", "u8"],
  ["h", "i16"],
  ["H", "u16"],
  ["i", "i32"],
  ["I", "u32"],
  ["l", "i64"],
  ["L", "u64"],
  ["q", "i64"],
  ["Q", "u64"],
  ["f", "f32"],
  ["d", "f64"],
]);

/** Throws TypeError for what is no code. */
export function checkCode(code: unknown): asserts code is Code {
  if (isCode(code)) return;
  const meant = pythons.get(code);
  const advice = meant === undefined ? "" : `: Python's "${code}" is "${meant}"`;
  const got = typeof code === "string" ? JSON.stringify(code.slice(0, 20)) : described(code);
  throw new TypeError(`code must be one of ${codes.join(" ")}, got ${got}${advice}`);
}

/** Throws TypeError for what is no element of a code, RangeError for one that it cannot hold. What has a fraction fits f32 and f64 only, which round. */
export function checkCell(what: string, code: Code, value: unknown): asserts value is number | bigint {
  const isBig = code === "i64" || code === "u64";
  const type = isBig ? "bigint" : "number";
  if (typeof value !== type) throw new TypeError(`${what} of ${code} must be a ${type}, got ${described(value)}`);
  const range = ranges[code];
  if (range === undefined) return;
  const [least, most] = range;
  if (!isWhole(value) || value < least || value > most)
    throw new RangeError(`${what} of ${code} must be a whole number from ${least} to ${most}, got ${value}`);
}

/** Throws TypeError and RangeError for what cannot be added: sums wrap, so any whole number can. */
export function checkAddend(code: Code, value: unknown): asserts value is number | bigint {
  const type = code === "i64" || code === "u64" ? "bigint" : "number";
  if (typeof value !== type) throw new TypeError(`what is added to ${code} must be a ${type}, got ${described(value)}`);
  if (ranges[code] !== undefined && !isWhole(value))
    throw new RangeError(`what is added to ${code} must be a whole number up to 2^53, got ${value}`);
}

/** Elements as the typed array of a code. Throws as `checkCell` for one that it cannot hold, LimitError for more than an object holds. */
export function cellsOf<C extends Code>(code: C, values: unknown): CellArray<C> {
  if (values === null || typeof values !== "object" || !(Symbol.iterator in values))
    throw new TypeError(`values must be iterable, as an array, got ${described(values)}`);
  const elements = Array.from(values as Iterable<unknown>);
  checkLength(code, elements.length);
  if (!(values instanceof arrays[code]))
    for (const [at, element] of elements.entries()) checkCell(`element ${at}`, code, element);
  return arrayClass(code).from(elements);
}

/** Throws TypeError and RangeError for what is no length, LimitError for more than an object holds. */
export function checkLength(code: Code, length: unknown): asserts length is number {
  if (typeof length !== "number") throw new TypeError(`a length must be a number, got ${described(length)}`);
  if (!Number.isSafeInteger(length) || length < 0)
    throw new RangeError(`a length must be a whole number from 0, got ${length}`);
  const bytes = length * arrays[code].BYTES_PER_ELEMENT;
  if (bytes <= ITEM_BYTES_MAX) return;
  const message = `an array has ${ITEM_BYTES_MAX} bytes at most, ${length} elements of ${code} have ${bytes}`;
  throw new LimitError("ITEM_BYTES_MAX", ITEM_BYTES_MAX, bytes, message);
}

/** What an element becomes when the code's type wraps or rounds it. */
export function wrapped(code: Code, value: number | bigint): number | bigint {
  return arrayClass(code).from([value])[0] ?? 0;
}

function arrayClass<C extends Code>(code: C): { readonly from: (elements: readonly unknown[]) => CellArray<C> } {
  const { from } = arrays[code] as unknown as { readonly from: (elements: readonly unknown[]) => CellArray<C> };
  return { from: (elements) => from.call(arrays[code], elements) };
}

function isWhole(value: unknown): value is number | bigint {
  return typeof value === "bigint" || Number.isSafeInteger(value);
}
