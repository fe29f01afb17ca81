import { described } from "../describe.ts";

/** Throws TypeError unless it is a number and RangeError unless it is whole: a place in a list, from the end when it is negative. */
export function checkIndex(name: string, index: unknown): number {
  if (typeof index !== "number") throw new TypeError(`${name} must be a number, got ${described(index)}`);
  if (!Number.isSafeInteger(index)) throw new RangeError(`${name} must be a whole number, got ${index}`);
  return index;
}

/** Ends of a slice: as `checkIndex`, and infinities, which are clamped like everything else. `to` may be left out. */
export function sliceEnds(from: unknown, to: unknown): readonly number[] {
  const start = from === undefined ? 0 : clamped("from", from);
  return to === undefined ? [start] : [start, clamped("to", to)];
}

function clamped(name: string, index: unknown): number {
  if (index === Number.POSITIVE_INFINITY) return Number.MAX_SAFE_INTEGER;
  if (index === Number.NEGATIVE_INFINITY) return Number.MIN_SAFE_INTEGER;
  return checkIndex(name, index);
}
