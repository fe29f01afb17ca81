import { LimitError } from "@heddle/kernel";
import { described } from "../describe.ts";
import { KEY_BYTES_MAX, KEY_DEPTH_MAX } from "../limits.ts";

/** What a dict's entries are found by: 1, "1", 1n and true are four keys; -0 is 0. Arrays are the same key when their elements are. */
export type Key = string | number | bigint | boolean | readonly Key[];

/** A key as bytes, the same for equal keys. Throws TypeError for what is no key (NaN, null, objects), LimitError for one that is too long or deep. */
export function encodeKey(key: unknown, home: { encode(value: unknown): Uint8Array }): Uint8Array {
  if (typeof key === "string" && key.length > KEY_BYTES_MAX) throw tooLong(key.length);
  const bytes = home.encode(canonical(key, 0));
  if (bytes.length > KEY_BYTES_MAX) throw tooLong(bytes.length);
  return bytes;
}

/** The bytes as text, one character each: for Maps by key. */
export function keyText(bytes: Uint8Array): string {
  return String.fromCharCode(...bytes);
}

/** The key with -0 as 0 and no array twice, since what is met again would be written as a reference. */
function canonical(key: unknown, depth: number): unknown {
  switch (typeof key) {
    case "string":
    case "bigint":
    case "boolean":
      return key;
    case "number":
      if (Number.isNaN(key)) throw new TypeError("NaN is no key: it is not equal to itself");
      return key + 0;
    default:
      if (Array.isArray(key)) return canonicalArray(key, depth + 1);
      throw new TypeError(
        `a key must be a string, number, bigint, boolean or an array of such keys, got ${described(key)}`,
      );
  }
}

function canonicalArray(key: readonly unknown[], depth: number): unknown[] {
  if (depth > KEY_DEPTH_MAX) {
    const message = `the arrays of a key are ${KEY_DEPTH_MAX} deep at most`;
    throw new LimitError("KEY_DEPTH_MAX", KEY_DEPTH_MAX, depth, message);
  }
  if (key.length > KEY_BYTES_MAX) throw tooLong(key.length);
  return Array.from(key, (element) => canonical(element, depth)); // a hole is undefined here
}

function tooLong(bytes: number): LimitError {
  const message = `a key has ${KEY_BYTES_MAX} bytes at most, this one has ${bytes} or more`;
  return new LimitError("KEY_BYTES_MAX", KEY_BYTES_MAX, bytes, message);
}
