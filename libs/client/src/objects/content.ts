import { LimitError } from "@heddle/kernel";
import type { VerbName } from "@heddle/wire";
import { CONTENT_BATCH_BYTES, OPERATION_BYTES_MAX } from "../limits.ts";

/** What an object holds from the beginning, encoded. */
export interface Content {
  /** Travels with the create. */
  readonly first: readonly Uint8Array[];
  /** Follows it, in order. */
  readonly rest: readonly { readonly verb: VerbName; readonly values: readonly Uint8Array[] }[];
}

/**
 * Content of an object, cut into operations of bounded bytes after every `unit` values (2: key and value). That of a named object is not cut, since it counts only when the
 * create makes the object: above OPERATION_BYTES_MAX it is a LimitError. `verb`: adds more of it.
 */
export function contentOf(
  values: readonly Uint8Array[],
  { verb, unit, isNamed }: { readonly verb: VerbName; readonly unit: number; readonly isNamed: boolean },
): Content {
  if (isNamed) {
    checkOperationBytes(values);
    return { first: values, rest: [] };
  }
  const [first = [], ...rest] = batches(values, unit);
  return { first, rest: rest.map((batch) => ({ verb, values: batch })) };
}

/** Throws LimitError for more than one operation carries. */
export function checkOperationBytes(values: readonly Uint8Array[]): readonly Uint8Array[] {
  let bytes = 0;
  for (const value of values) bytes += value.length;
  if (bytes <= OPERATION_BYTES_MAX) return values;
  const message = `the values of one operation have ${OPERATION_BYTES_MAX} bytes at most, these have ${bytes}: give them in several`;
  throw new LimitError("OPERATION_BYTES_MAX", OPERATION_BYTES_MAX, bytes, message);
}

function batches(values: readonly Uint8Array[], unit: number): (readonly Uint8Array[])[] {
  const cut: (readonly Uint8Array[])[] = [];
  let start = 0;
  let bytes = 0;
  for (let at = 0; at < values.length; at += unit) {
    for (let next = at; next < at + unit; next++) bytes += values[next]?.length ?? 0;
    if (bytes < CONTENT_BATCH_BYTES) continue;
    cut.push(values.slice(start, at + unit));
    start = at + unit;
    bytes = 0;
  }
  if (start < values.length) cut.push(values.slice(start));
  return cut;
}
