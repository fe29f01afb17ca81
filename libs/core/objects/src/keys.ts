import type { ObjectLimits } from "./limits.ts";
import type { ValueCodec } from "./types.ts";

/** A key of a dict: its canonical bytes, one character each. The same key has the same text, another one another. */
export type KeyText = string;

/** Why bytes are no key: of what type they are, or a limit that they are over. */
export class KeyProblem {
  readonly message: string;
  readonly over: { readonly name: "KEY_BYTES_MAX" | "KEY_DEPTH_MAX"; readonly actual: number } | undefined;
  constructor(message: string, over?: KeyProblem["over"]) {
    this.message = message;
    this.over = over;
  }
}

/**
 * Reads a key. Strings of plain ASCII and integers of 32 bits, nearly all keys, are told by their first byte (proto/VALUES.md) and are
 * canonical as they stand; whatever else is decoded, looked at, and encoded again.
 */
export function readKey(bytes: Uint8Array, values: ValueCodec, limits: ObjectLimits): KeyText | KeyProblem {
  if (bytes.length > limits.KEY_BYTES_MAX) return tooLong(bytes);
  if (isPlain(bytes)) return textOf(bytes);
  let key: unknown;
  try {
    key = canonical(values.decode(bytes), 0, limits.KEY_DEPTH_MAX);
  } catch (error) {
    return new KeyProblem(`that is no value: ${error instanceof Error ? error.message : String(error)}`);
  }
  if (key instanceof KeyProblem) return key;
  const written = values.encode(key);
  return written.length > limits.KEY_BYTES_MAX ? tooLong(written) : textOf(written);
}

function tooLong({ length }: Uint8Array): KeyProblem {
  return new KeyProblem("the key is too long", { name: "KEY_BYTES_MAX", actual: length });
}

/** One character a byte: eight at a time, which is what keys are made of that are asked for most. */
export function textOf(bytes: Uint8Array): KeyText {
  const { length } = bytes;
  const unit = (at: number): number => bytes[at] ?? 0;
  let text = "";
  let at = 0;
  for (; at + 8 <= length; at += 8)
    text += String.fromCharCode(
      unit(at),
      unit(at + 1),
      unit(at + 2),
      unit(at + 3),
      unit(at + 4),
      unit(at + 5),
      unit(at + 6),
      unit(at + 7),
    );
  for (; at < length; at++) text += String.fromCharCode(unit(at));
  return text;
}

/** The bytes that `textOf` was given. */
export function bytesOf(text: KeyText): Uint8Array {
  const bytes = new Uint8Array(text.length);
  for (let at = 0; at < text.length; at++) bytes[at] = text.charCodeAt(at);
  return bytes;
}

const FIX_STRING = 0xa0;
const FIX_STRING_END = 0xc0;
const STRING_8 = 0xd9;
const NEGATIVE_FIXINT = 0xe0;
const ASCII_END = 0x80;

function isPlain(bytes: Uint8Array): boolean {
  const first = bytes[0] ?? 0;
  if (first < ASCII_END || first >= NEGATIVE_FIXINT) return bytes.length === 1;
  if (first >= FIX_STRING && first < FIX_STRING_END) return bytes.length === 1 + (first & 0x1f) && isAscii(bytes, 1);
  if (first === STRING_8) return bytes.length === 2 + (bytes[1] ?? 0) && bytes.length >= 34 && isAscii(bytes, 2);
  return isShortestInteger(first, bytes);
}

function isAscii(bytes: Uint8Array, from: number): boolean {
  for (let at = from; at < bytes.length; at++) if ((bytes[at] ?? 0) >= ASCII_END) return false;
  return true;
}

function isShortestInteger(first: number, bytes: Uint8Array): boolean {
  const second = bytes[1] ?? 0;
  switch (first) {
    case 0xcc:
      return bytes.length === 2 && second >= 0x80;
    case 0xcd:
      return bytes.length === 3 && second > 0;
    case 0xce:
      return bytes.length === 5 && (second > 0 || (bytes[2] ?? 0) > 0);
    default:
      return false;
  }
}

/** The key with -0 as 0 and no array twice: what is written of it is the same for equal keys. */
function canonical(value: unknown, depth: number, depthMax: number): unknown {
  switch (typeof value) {
    case "string":
    case "bigint":
    case "boolean":
      return value;
    case "number":
      return Number.isNaN(value) ? new KeyProblem("NaN is no key: it is not equal to itself") : value + 0;
    default:
      return Array.isArray(value)
        ? canonicalArray(value, depth + 1, depthMax)
        : new KeyProblem(`${nameOf(value)} is no key`);
  }
}

function canonicalArray(array: readonly unknown[], depth: number, depthMax: number): unknown {
  if (depth > depthMax)
    return new KeyProblem("the key's arrays are too deep", { name: "KEY_DEPTH_MAX", actual: depth });
  const elements: unknown[] = [];
  for (let at = 0; at < array.length; at++) {
    const element = canonical(array[at], depth, depthMax);
    if (element instanceof KeyProblem) return element;
    elements.push(element);
  }
  return elements;
}

function nameOf(value: unknown): string {
  if (value === null || value === undefined) return String(value);
  return `what is ${Object.prototype.toString.call(value).slice(8, -1)}`;
}
