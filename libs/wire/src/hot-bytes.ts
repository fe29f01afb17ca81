import { Encoding, type Payload, type Span } from "./gen/heddle/v1/common.ts";

const FIRST_BYTES = 4_096;
/** A buffer that one large frame made larger than this is not kept for the next. */
const KEPT_BYTES = 1024 * 1024;

/** Bytes from this size on are not copied into a message that leaves in pieces: it is cheaper to name them. */
const VIEW_BYTES = 16 * 1024;

/** Tag and length of the message inside an entry, about. */
const ENTRY_HEAD_BYTES = 4;

/** Whether it is what a uint32 field holds; anything else is for the generated code to judge. */
export function isUint32(value: number): boolean {
  return value >>> 0 === value;
}

function varintBytes(value: number): number {
  let bytes = 1;
  for (let rest = value; rest >= 0x80; rest = Math.floor(rest / 0x80)) bytes++;
  return bytes;
}

/** What a message is made of, in order. They are read again when it leaves, so they must not change until then. */
export type Pieces = readonly [Uint8Array, ...Uint8Array[]];

/** Bytes of the caller's inside a message, and where in the writer's own bytes they belong. */
interface View {
  at: number;
  readonly bytes: Uint8Array;
}

/** Writes protobuf into a buffer that it keeps. Values are not checked: numbers must be whole, from 0 to 2^53. */
export class HotWriter {
  /** How much of its own bytes is written; what it only names does not count. */
  at = 0;
  #bytes = new Uint8Array(FIRST_BYTES);
  /** What is large and stays where it is, in order. */
  #views: View[] = [];
  /** Tag of an entry in its frame. */
  readonly #entryTag: number;
  /** Where the inside of the entry that is being written begins. */
  #entryStart = 0;

  constructor(entryTag: number) {
    this.#entryTag = entryTag;
  }

  /** Forgets what was written. */
  reset(): void {
    this.at = 0;
    if (this.#views.length > 0) this.#views = [];
    if (this.#bytes.length > KEPT_BYTES) this.#bytes = new Uint8Array(FIRST_BYTES);
  }

  /** What was written: a copy of its own bytes, cut where large ones of the caller's belong. The next message begins. */
  finish(): Pieces {
    const own = this.#bytes.slice(0, this.at);
    if (this.#views.length === 0) {
      this.reset();
      return [own];
    }
    const pieces: Uint8Array[] = [];
    let from = 0;
    for (const { at, bytes } of this.#views) {
      if (at > from) pieces.push(own.subarray(from, at));
      pieces.push(bytes);
      from = at;
    }
    if (from < this.at) pieces.push(own.subarray(from));
    this.reset();
    const [first = own, ...others] = pieces;
    return [first, ...others];
  }

  varint(value: number): void {
    if (this.at + 8 > this.#bytes.length) this.#grow(8);
    let rest = value;
    while (rest >= 0x8000_0000) {
      this.#bytes[this.at++] = (rest % 0x80) | 0x80;
      rest = Math.floor(rest / 0x80);
    }
    while (rest >= 0x80) {
      this.#bytes[this.at++] = (rest & 0x7f) | 0x80;
      rest >>>= 7;
    }
    this.#bytes[this.at++] = rest;
  }

  /** A field that is left out when it is 0. */
  field(tag: number, value: number): void {
    if (value === 0) return;
    this.varint(tag);
    this.varint(value);
  }

  raw(bytes: Uint8Array): void {
    if (bytes.length >= VIEW_BYTES) {
      this.#views.push({ at: this.at, bytes });
      return;
    }
    if (this.at + bytes.length > this.#bytes.length) this.#grow(bytes.length);
    this.#bytes.set(bytes, this.at);
    this.at += bytes.length;
  }

  /** Text that is ASCII, without its tag and length. False, and nothing is written, when it is not. */
  ascii(text: string): boolean {
    const { length } = text;
    if (this.at + length > this.#bytes.length) this.#grow(length);
    for (let at = 0; at < length; at++) {
      const code = text.charCodeAt(at);
      if (code >= 0x80) return false;
      this.#bytes[this.at + at] = code;
    }
    this.at += length;
    return true;
  }

  /** A field of bytes that is left out when there are none. */
  bytes(tag: number, bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    this.varint(tag);
    this.varint(bytes.length);
    this.raw(bytes);
  }

  /** Begins a message inside, of about `bytesGuess`. Gives back what `close` wants. */
  open(tag: number, bytesGuess: number): number {
    this.varint(tag);
    const lengthBytes = varintBytes(bytesGuess);
    if (this.at + lengthBytes > this.#bytes.length) this.#grow(lengthBytes);
    this.at += lengthBytes;
    return this.at;
  }

  /** Ends it and writes its length where room was left, or makes other room. */
  close(start: number, bytesGuess: number): void {
    const length = this.at - start + this.#viewBytesSince(start);
    const guessed = varintBytes(bytesGuess);
    const needed = varintBytes(length);
    if (needed !== guessed) {
      if (this.at + needed > this.#bytes.length) this.#grow(needed);
      this.#bytes.copyWithin(start - guessed + needed, start, this.at);
      for (const view of this.#views) if (view.at >= start) view.at += needed - guessed;
    }
    const end = this.at + needed - guessed;
    this.at = start - guessed;
    this.varint(length);
    this.at = end;
  }

  /** Begins an entry of a frame and the one message inside it, of about `bytesGuess`. */
  openEntry(tag: number, bytesGuess: number): number {
    this.#entryStart = this.open(this.#entryTag, bytesGuess + ENTRY_HEAD_BYTES);
    return this.open(tag, bytesGuess);
  }

  closeEntry(start: number, bytesGuess: number): void {
    this.close(start, bytesGuess);
    this.close(this.#entryStart, bytesGuess + ENTRY_HEAD_BYTES);
  }

  /** Callers have checked it with `isPlainPayload`. */
  payload(tag: number, { encoding, count, size, data, partStream }: Payload): void {
    const guess = data.length + 8;
    const start = this.open(tag, guess);
    this.field(8, encoding);
    this.field(16, count);
    this.field(24, size);
    this.bytes(34, data);
    this.field(40, partStream);
    this.close(start, guess);
  }

  span(tag: number, { offset, count }: Span): void {
    const start = this.open(tag, 8);
    this.field(8, offset);
    this.field(16, count);
    this.close(start, 8);
  }

  #viewBytesSince(start: number): number {
    let bytes = 0;
    for (const view of this.#views) if (view.at >= start) bytes += view.bytes.length;
    return bytes;
  }

  #grow(bytes: number): void {
    const grown = new Uint8Array(2 ** Math.ceil(Math.log2(this.at + bytes + 8)));
    grown.set(this.#bytes.subarray(0, this.at));
    this.#bytes = grown;
  }
}

export function isPlainPayload({ encoding, count, size, partStream }: Payload): boolean {
  return isUint32(encoding) && encoding < 0x80 && isUint32(count) && isUint32(size) && isUint32(partStream);
}

export function isPlainSpan(span: Span | undefined): boolean {
  return span === undefined || (isUint32(span.offset) && isUint32(span.count));
}

export const noBytes = new Uint8Array(0);

/** Reads protobuf. Whatever is not plain makes it odd: what it gave back then counts for nothing, and the generated code is to judge. */
export class HotReader {
  readonly bytes: Uint8Array;
  at = 0;
  isOdd = false;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }

  /** A tag, a length or a uint32. */
  uint32(): number {
    const value = this.number();
    if (value > 0xffff_ffff) this.isOdd = true;
    return value;
  }

  /** A uint64 below 2^49. */
  number(): number {
    let byte = this.#byte();
    if (byte < 0x80) return byte;
    let value = byte & 0x7f;
    for (let factor = 0x80; factor < 2 ** 49; factor *= 0x80) {
      byte = this.#byte();
      value += (byte & 0x7f) * factor;
      if (byte < 0x80) return value;
    }
    this.isOdd = true;
    return 0;
  }

  bool(): boolean {
    return this.uint32() !== 0;
  }

  /** Where the message that begins here ends; at most `limit`. */
  end(limit: number): number {
    const length = this.uint32();
    const end = this.at + length;
    if (end > limit) this.isOdd = true;
    return end;
  }

  /** Ends a message: exactly where it should. */
  leave(end: number): void {
    if (this.at !== end) this.isOdd = true;
  }

  /** A field of bytes: a view of the message. */
  view(limit: number): Uint8Array {
    const end = this.end(limit);
    const view = this.bytes.subarray(this.at, end);
    this.at = end;
    return view;
  }

  payload(limit: number): Payload {
    const end = this.end(limit);
    const payload: Payload = { encoding: Encoding.UNSPECIFIED, count: 0, size: 0, data: noBytes, partStream: 0 };
    while (this.at < end && !this.isOdd)
      switch (this.uint32()) {
        case 8:
          payload.encoding = this.#encoding();
          break;
        case 16:
          payload.count = this.uint32();
          break;
        case 24:
          payload.size = this.uint32();
          break;
        case 34:
          payload.data = this.view(end);
          break;
        case 40:
          payload.partStream = this.uint32();
          break;
        default:
          this.isOdd = true;
      }
    this.leave(end);
    return payload;
  }

  span(limit: number): Span {
    const end = this.end(limit);
    const span: Span = { offset: 0, count: 0 };
    while (this.at < end && !this.isOdd)
      switch (this.uint32()) {
        case 8:
          span.offset = this.uint32();
          break;
        case 16:
          span.count = this.uint32();
          break;
        default:
          this.isOdd = true;
      }
    this.leave(end);
    return span;
  }

  #encoding(): Encoding {
    const value = this.uint32();
    if (value > 0x7f) this.isOdd = true;
    return value as Encoding;
  }

  #byte(): number {
    const byte = this.bytes[this.at++];
    if (byte !== undefined) return byte;
    this.isOdd = true;
    return 0;
  }
}
