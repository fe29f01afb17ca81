/** Strings out of bytes. */

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
/** Shorter strings are looked at byte by byte first: most are ASCII. */
const SHORT_BYTES = 32;
/** Still shorter ones are built in JavaScript, without a call into native code. */
const TINY_BYTES = 8;

/** The UTF-8 in bytes[from] up to bytes[to - 1]. Throws TypeError for what is none. */
export function text(bytes: Buffer, from: number, to: number): string {
  if (to - from > SHORT_BYTES) return utf8.decode(bytes.subarray(from, to));
  for (let at = from; at < to; at++) {
    if ((bytes[at] as number) >= 0x80) return utf8.decode(bytes.subarray(from, to));
  }
  return to - from > TINY_BYTES ? bytes.toString("latin1", from, to) : tinyText(bytes, from, to);
}

function tinyText(bytes: Buffer, from: number, to: number): string {
  let result = "";
  let at = from;
  for (; at + 4 <= to; at += 4) {
    const [a, b, c, d] = [bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]] as [number, number, number, number];
    result += String.fromCharCode(a, b, c, d);
  }
  for (; at < to; at++) result += String.fromCharCode(bytes[at] as number);
  return result;
}

/** A field name, and the one that came after it last time: like records follow each other, and names are rarely looked up. */
interface Name {
  readonly text: string;
  /** ASCII: its bytes can be compared with it one by one. */
  readonly isPlain: boolean;
  next: Name | undefined;
}

/** Names kept; another one of the same hash takes the place. */
const NAME_SLOTS = 1024;
/**
 * Field names repeat: those seen lately are found again without being built. A memory of strings by their own bytes, bounded by
 * its slots: what is in it changes speed and nothing else, so that all readers of a process may share it.
 */
const lately: (Name | undefined)[] = new Array<Name | undefined>(NAME_SLOTS).fill(undefined);

/** Reads the field names of one reader's records. */
export class FieldNames {
  #last: Name = { text: "", isPlain: false, next: undefined };

  /** The name in bytes[from] up to bytes[to - 1], of at most 31 bytes. */
  read(bytes: Buffer, from: number, to: number): string {
    const expected = this.#last.next;
    if (expected !== undefined && isText(expected, bytes, from, to)) {
      this.#last = expected;
      return expected.text;
    }
    const name = find(bytes, from, to);
    this.#last.next = name;
    this.#last = name;
    return name.text;
  }
}

function find(bytes: Buffer, from: number, to: number): Name {
  let hash = to - from;
  for (let at = from; at < to; at++) hash = (Math.imul(hash, 31) + (bytes[at] as number)) | 0;
  const slot = hash & (NAME_SLOTS - 1);
  const known = lately[slot];
  if (known !== undefined && isText(known, bytes, from, to)) return known;
  const built = text(bytes, from, to);
  const name = { text: built, isPlain: built.length === to - from, next: undefined };
  lately[slot] = name;
  return name;
}

function isText(name: Name, bytes: Buffer, from: number, to: number): boolean {
  const expected = name.text;
  const { length } = expected;
  if (length !== to - from || !name.isPlain) return false;
  for (let index = 0; index < length; index++) {
    if (expected.charCodeAt(index) !== bytes[from + index]) return false;
  }
  return true;
}
