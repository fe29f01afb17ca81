import { ITEM_BYTES_MAX, LimitError, PAYLOAD_BYTES_MAX } from "@heddle/kernel";
import { trimmed } from "../columns.ts";
import { Tag } from "./format.ts";

const FIRST_CAPACITY = 512;
/** A larger buffer is not kept for what is written after a cut. */
const KEPT_CAPACITY_MAX = 64 * 1024;
/** Shorter strings are tried as ASCII, byte by byte; longer ones are faster in native code. */
const SHORT_STRING_LENGTH = 40;
const I64_MIN = -0x8000_0000_0000_0000n;
const I64_MAX = 0x7fff_ffff_ffff_ffffn;
const U64_MAX = 0xffff_ffff_ffff_ffffn;

/** A growing buffer, and MessagePack's headers and scalars in it. Throws LimitError where an item or the whole grows too large. */
export class ScalarWriter {
  /** Written up to `at`; grows by moving to a larger buffer. */
  bytes: Buffer = Buffer.allocUnsafe(FIRST_CAPACITY);
  view: DataView = viewOf(this.bytes);
  at = 0;
  /** Where the value that is being written began. */
  itemStart = 0;

  /** Makes room for `count` more bytes. */
  ensure(count: number): void {
    if (this.at + count > this.bytes.length) this.#grow(count);
  }

  #grow(count: number): void {
    const needed = this.at + count;
    const itemSize = needed - this.itemStart;
    if (itemSize > ITEM_BYTES_MAX + GROWTH_SLACK) throw tooLarge(itemSize);
    if (needed > PAYLOAD_BYTES_MAX + GROWTH_SLACK) throw new LimitError("PAYLOAD_BYTES_MAX", PAYLOAD_BYTES_MAX, needed);
    const larger = Buffer.allocUnsafe(Math.max(needed, this.bytes.length * 2));
    larger.set(this.bytes.subarray(0, this.at));
    this.bytes = larger;
    this.view = viewOf(larger);
  }

  /** Checks the exact limits once the value is whole. */
  endItem(): void {
    const itemSize = this.at - this.itemStart;
    if (itemSize > ITEM_BYTES_MAX) throw tooLarge(itemSize);
    if (this.at > PAYLOAD_BYTES_MAX) throw new LimitError("PAYLOAD_BYTES_MAX", PAYLOAD_BYTES_MAX, this.at);
  }

  /** Everything written, not much larger in memory than it is. */
  take(): Uint8Array {
    return trimmed(this.bytes, this.at);
  }

  /** A copy of everything written; what comes next is written over it. */
  cut(): Uint8Array {
    const copy = Buffer.allocUnsafe(this.at);
    this.bytes.copy(copy, 0, 0, this.at);
    this.at = 0;
    this.itemStart = 0;
    if (this.bytes.length > KEPT_CAPACITY_MAX) {
      this.bytes = Buffer.allocUnsafe(FIRST_CAPACITY);
      this.view = viewOf(this.bytes);
    }
    return copy;
  }

  byte(value: number): void {
    this.ensure(1);
    this.bytes[this.at++] = value;
  }

  number(value: number): void {
    this.ensure(9);
    if ((value | 0) === value && (value !== 0 || 1 / value > 0)) this.#int32(value);
    else if (value > 0x7fff_ffff && value <= 0xffff_ffff && Math.floor(value) === value) this.#header32(0xce, value);
    else {
      this.bytes[this.at] = 0xcb;
      this.view.setFloat64(this.at + 1, Number.isNaN(value) ? Number.NaN : value); // one NaN only
      this.at += 9;
    }
  }

  #int32(value: number): void {
    const { bytes } = this;
    if (value >= 0) {
      if (value < 0x80) bytes[this.at++] = value;
      else if (value < 0x100) this.#header8(0xcc, value);
      else if (value < 0x1_0000) this.#header16(0xcd, value);
      else this.#header32(0xce, value);
    } else if (value >= -0x20) bytes[this.at++] = value + 0x100;
    else if (value >= -0x80) this.#header8(0xd0, value & 0xff);
    else if (value >= -0x8000) this.#header16(0xd1, value & 0xffff);
    else this.#header32(0xd2, value >>> 0);
  }

  #header8(format: number, value: number): void {
    this.bytes[this.at] = format;
    this.bytes[this.at + 1] = value;
    this.at += 2;
  }

  #header16(format: number, value: number): void {
    this.bytes[this.at] = format;
    this.bytes[this.at + 1] = value >>> 8;
    this.bytes[this.at + 2] = value & 0xff;
    this.at += 3;
  }

  #header32(format: number, value: number): void {
    this.bytes[this.at] = format;
    this.view.setUint32(this.at + 1, value);
    this.at += 5;
  }

  bigint(value: bigint): void {
    this.ensure(9);
    if (value >= I64_MIN && value <= I64_MAX) {
      this.bytes[this.at] = 0xd3;
      this.view.setBigInt64(this.at + 1, value);
      this.at += 9;
    } else if (value > 0n && value <= U64_MAX) {
      this.bytes[this.at] = 0xcf;
      this.view.setBigUint64(this.at + 1, value);
      this.at += 9;
    } else {
      const digits = twosComplement(value);
      this.extHeader(Tag.BIGINT, digits.length / 2);
      this.bytes.write(digits, this.at, "hex");
      this.at += digits.length / 2;
    }
  }

  string(value: string): void {
    const { length } = value;
    if (length > SHORT_STRING_LENGTH || !this.#tryAscii(value, length)) this.#longString(value);
  }

  /** Writes the string if it is ASCII. */
  #tryAscii(value: string, length: number): boolean {
    this.ensure(length + 2);
    const { bytes } = this;
    let at = this.at + (length < 32 ? 1 : 2);
    for (let index = 0; index < length; index++) {
      const unit = value.charCodeAt(index);
      if (unit >= 0x80) return false;
      bytes[at++] = unit;
    }
    if (length < 32) bytes[this.at] = 0xa0 | length;
    else {
      bytes[this.at] = 0xd9;
      bytes[this.at + 1] = length;
    }
    this.at = at;
    return true;
  }

  #longString(value: string): void {
    if (!value.isWellFormed()) {
      this.extHeader(Tag.STRING16, value.length * 2);
      this.bytes.write(value, this.at, "utf16le");
      this.at += value.length * 2;
      return;
    }
    const size = Buffer.byteLength(value, "utf8");
    this.ensure(size + 5);
    if (size < 32) this.bytes[this.at++] = 0xa0 | size;
    else this.#sized(size, 0xd9);
    this.bytes.write(value, this.at, "utf8");
    this.at += size;
  }

  /** MessagePack's own bytes. */
  bin(content: Uint8Array): void {
    this.ensure(content.length + 5);
    this.#sized(content.length, 0xc4);
    this.bytes.set(content, this.at);
    this.at += content.length;
  }

  arrayHeader(count: number): void {
    this.ensure(5);
    if (count < 16) this.bytes[this.at++] = 0x90 | count;
    else if (count < 0x1_0000) this.#header16(0xdc, count);
    else this.#header32(0xdd, count);
  }

  mapHeader(count: number): void {
    this.ensure(5);
    if (count < 16) this.bytes[this.at++] = 0x80 | count;
    else if (count < 0x1_0000) this.#header16(0xde, count);
    else this.#header32(0xdf, count);
  }

  /** The header of an extension whose `size` bytes the caller writes next: there is room for them. */
  extHeader(tag: number, size: number): void {
    this.ensure(size + 6);
    const fixed = fixedSizes.indexOf(size);
    if (fixed >= 0) this.bytes[this.at++] = 0xd4 + fixed;
    else this.#sized(size, 0xc7);
    this.bytes[this.at++] = tag;
  }

  /** Begins an extension of unknown size; `endExt` with what it returns ends it. */
  beginExt(tag: number): number {
    this.ensure(6);
    this.bytes[this.at] = 0xc9;
    this.bytes[this.at + 5] = tag;
    this.at += 6;
    return this.at;
  }

  endExt(start: number): void {
    this.view.setUint32(start - 5, this.at - start);
  }

  /** An extension that says all by its tag. */
  mark(tag: number): void {
    this.ensure(3);
    this.bytes[this.at] = 0xd4;
    this.bytes[this.at + 1] = tag;
    this.bytes[this.at + 2] = 0;
    this.at += 3;
  }

  reference(index: number): void {
    const size = index < 0x100 ? 1 : index < 0x1_0000 ? 2 : 4;
    this.extHeader(Tag.REFERENCE, size);
    this.bytes.writeUIntBE(index, this.at, size);
    this.at += size;
  }

  date(milliseconds: number): void {
    this.extHeader(Tag.DATE, 8);
    this.view.setFloat64(this.at, Number.isNaN(milliseconds) ? Number.NaN : milliseconds);
    this.at += 8;
  }

  /** One of three formats in a row: 8, 16 and 32 bits of size. */
  #sized(size: number, format8: number): void {
    if (size < 0x100) this.#header8(format8, size);
    else if (size < 0x1_0000) this.#header16(format8 + 1, size);
    else this.#header32(format8 + 2, size);
  }
}

/** What `ensure` may ask for beyond the bytes that are really written. */
const GROWTH_SLACK = 64;
/** Sizes of MessagePack's fixext formats, from 0xd4. */
const fixedSizes: readonly number[] = [1, 2, 4, 8, 16];

function viewOf(bytes: Buffer): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}

/** Hex digits, a whole number of bytes, as few as keep the sign. */
function twosComplement(value: bigint): string {
  const magnitude = (value < 0n ? -value - 1n : value).toString(16);
  const bits = magnitude.length * 4 - Math.clz32(Number.parseInt(magnitude.charAt(0), 16)) + 28;
  const size = Math.floor(bits / 8) + 1;
  return BigInt.asUintN(size * 8, value)
    .toString(16)
    .padStart(size * 2, "0");
}

/** Also for one that is not written to its end: then it has more. */
function tooLarge(bytes: number): LimitError {
  const advice = "split it into several, or keep it in a file and pass its path";
  const message = `ITEM_BYTES_MAX is ${ITEM_BYTES_MAX} bytes (64 MiB), one value would have ${bytes}: ${advice}`;
  return new LimitError("ITEM_BYTES_MAX", ITEM_BYTES_MAX, bytes, message);
}
