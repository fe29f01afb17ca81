import { READ_BYTES_TARGET } from "./limits.ts";
import type { Some } from "./messages.ts";

/** The next rows, about READ_BYTES_TARGET of them, one at least unless there is none. */
export function readSome<T>(rows: Iterator<T> | undefined, bytesOf: (row: T) => number): Some<T> {
  const some: T[] = [];
  for (let bytes = 0; bytes < READ_BYTES_TARGET; ) {
    const next = rows?.next();
    if (next === undefined || next.done === true) return { rows: some, isLast: true };
    some.push(next.value);
    bytes += bytesOf(next.value);
  }
  return { rows: some, isLast: false };
}
