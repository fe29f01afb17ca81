import type { ValueCodec } from "../types.ts";

/**
 * A corner of the profile of proto/VALUES.md, enough for the tests of a core that may not know the wire: null, undefined, booleans, numbers,
 * bigints of 64 bits, short strings, arrays, records and typed arrays.
 */
export const testCodec: ValueCodec = {
  encode(value) {
    const out: number[] = [];
    write(value, out);
    return Uint8Array.from(out);
  },
  decode(bytes) {
    const reader = new Reader(bytes);
    const value = reader.value();
    if (!reader.atEnd) throw new RangeError("there are bytes behind the value");
    return value;
  },
};

const views = [Int8Array, Int16Array, Uint16Array, Int32Array, Uint32Array, Float32Array, Float64Array];
const bigViews = [BigInt64Array, BigUint64Array];

function write(value: unknown, out: number[]): void {
  if (value === null) out.push(0xc0);
  else if (value === undefined) out.push(0xd4, 0, 0);
  else if (typeof value === "boolean") out.push(value ? 0xc3 : 0xc2);
  else if (typeof value === "number") writeNumber(value, out);
  else if (typeof value === "bigint") out.push(0xd3, ...bytesOf(new BigInt64Array([value])).reverse());
  else if (typeof value === "string") {
    const text = new TextEncoder().encode(value);
    out.push(...(text.length < 32 ? [0xa0 + text.length] : [0xda, text.length >> 8, text.length & 0xff]), ...text);
  } else if (Array.isArray(value)) {
    out.push(0xdc, value.length >> 8, value.length & 0xff);
    for (const each of value) write(each, out);
  } else if (ArrayBuffer.isView(value)) {
    const type = [Uint8Array, ...views, ...bigViews].findIndex((view) => value instanceof view);
    out.push(0xc8, value.byteLength >> 8, value.byteLength & 0xff, type, ...bytesOf(value));
  } else {
    const fields = Object.entries(value);
    out.push(0xde, fields.length >> 8, fields.length & 0xff);
    for (const field of fields) for (const each of field) write(each, out);
  }
}

function writeNumber(value: number, out: number[]): void {
  const whole = Number.isInteger(value) && !Object.is(value, -0);
  if (whole && value >= 0 && value < 0x80) out.push(value);
  else if (whole && value < 0 && value >= -32) out.push(value + 0x100);
  else if (whole && value > 0 && value < 0x100) out.push(0xcc, value);
  else if (whole && value > 0 && value < 0x1_0000) out.push(0xcd, value >> 8, value & 0xff);
  else out.push(0xcb, ...bytesOf(new Float64Array([value])).reverse());
}

function bytesOf({ buffer, byteOffset, byteLength }: ArrayBufferView): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}

class Reader {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get atEnd(): boolean {
    return this.#at === this.#bytes.length;
  }

  value(): unknown {
    const first = this.#byte();
    if (first < 0x80) return first;
    if (first >= 0xe0) return first - 0x100;
    if (first >= 0xa0 && first < 0xc0) return new TextDecoder().decode(this.#take(first - 0xa0));
    switch (first) {
      case 0xc0:
        return null;
      case 0xc2:
      case 0xc3:
        return first === 0xc3;
      case 0xcc:
        return this.#byte();
      case 0xcd:
        return this.#short();
      case 0xcb:
        return new Float64Array(this.#take(8).reverse().buffer)[0];
      case 0xd3:
        return new BigInt64Array(this.#take(8).reverse().buffer)[0];
      case 0xd4:
        this.#take(2);
        return undefined;
      case 0xda:
        return new TextDecoder().decode(this.#take(this.#short()));
      case 0xdc:
        return Array.from({ length: this.#short() }, () => this.value());
      case 0xde:
        return Object.fromEntries(Array.from({ length: this.#short() }, () => [this.value(), this.value()]));
      case 0xc8: {
        const length = this.#short();
        const View = [Uint8Array, ...views, ...bigViews][this.#byte()] ?? Uint8Array;
        return new View(this.#take(length).buffer);
      }
      default:
        throw new RangeError(`0x${first.toString(16)} begins no value`);
    }
  }

  #byte(): number {
    const byte = this.#bytes[this.#at++];
    if (byte === undefined) throw new RangeError("the value ends early");
    return byte;
  }

  #short(): number {
    return this.#byte() * 0x100 + this.#byte();
  }

  #take(length: number): Uint8Array<ArrayBuffer> {
    if (this.#at + length > this.#bytes.length) throw new RangeError("the value ends early");
    this.#at += length;
    return this.#bytes.slice(this.#at - length, this.#at);
  }
}
