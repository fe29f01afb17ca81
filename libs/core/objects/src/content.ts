import { equalValues } from "@heddle/values";
import { ITEM_OVERHEAD_BYTES } from "./limits.ts";
import { overLimit, refused } from "./replies.ts";
import type { SharedObject, State } from "./state.ts";
import type { Operation } from "./types.ts";

/** Up to here a copy costs less than to look at the buffer: V8 makes one only when it is asked for. */
const COPIED_BYTES_MAX = 1_024;

/** A value as it is kept: alone in its buffer, for what came in one frame need not stay together, and of no class but the plain one. */
export function keep(bytes: Uint8Array): Uint8Array {
  const isLarge = bytes.length > COPIED_BYTES_MAX;
  const isAlone = isLarge && bytes.constructor === Uint8Array && bytes.length === bytes.buffer.byteLength;
  return isAlone ? bytes : new Uint8Array(bytes);
}

/** The bytes of a value, as they are kept. */
export function encode(state: State, value: unknown): Uint8Array {
  return keep(state.values.encode(value));
}

/** What a value counts for. */
export function weight(value: Uint8Array): number {
  return value.length + ITEM_OVERHEAD_BYTES;
}

/** The value at a place of the operation's values; refuses one that is missing. */
export function valueAt({ values }: Operation, at: number, what: string): Uint8Array {
  const value = values[at];
  if (value === undefined) throw refused("invalid-argument", `${what} is missing`);
  return value;
}

/** Reads a value; refuses what is none. */
export function decode(state: State, bytes: Uint8Array): unknown {
  try {
    return state.values.decode(bytes);
  } catch (error) {
    throw refused("serialization", `that is no value: ${error instanceof Error ? error.message : String(error)}`);
  }
}

/** Whether two values are equal in structure. Scalars have one form each (proto/VALUES.md), so most pairs are told apart by their bytes. */
export function sameValue(state: State, one: Uint8Array, other: Uint8Array): boolean {
  if (sameBytes(one, other)) return true;
  if (isScalar(one) || isScalar(other)) return false;
  return equalValues(decode(state, one), decode(state, other));
}

/** The object holds so much more, or less. */
export function charge(state: State, object: SharedObject, bytes: number): void {
  object.bytes += bytes;
  state.bytes += bytes;
  state.undo?.push(() => {
    object.bytes -= bytes;
    state.bytes -= bytes;
  });
}

/** Refuses an operation that would add so much when there is no room for it. */
export function needRoom(state: State, bytes: number): void {
  const actual = state.bytes + bytes;
  if (bytes > 0 && actual > state.limits.DATA_BYTES_MAX)
    throw overLimit(state, "DATA_BYTES_MAX", actual, "the manager's memory is full, delete something");
}

/** What the object holds has changed at this revision. */
export function changed(state: State, object: SharedObject): void {
  const before = object.changed;
  object.changed = state.revision;
  state.undo?.push(() => {
    object.changed = before;
  });
  if (object.readers.size > 0) state.touched.add(object);
}

function sameBytes(one: Uint8Array, other: Uint8Array): boolean {
  if (one.length !== other.length) return false;
  for (let at = 0; at < one.length; at++) if (one[at] !== other[at]) return false;
  return true;
}

/** nil, booleans, numbers, 64-bit integers and strings. */
function isScalar(bytes: Uint8Array): boolean {
  const first = bytes[0] ?? 0;
  if (first < 0x80 || first >= 0xe0) return true;
  return (first >= 0xa0 && first < 0xc4) || (first >= 0xca && first < 0xd4) || (first >= 0xd9 && first < 0xdc);
}
