import type { Random } from "@heddle/kernel";

/** Whole numbers at the edges of what fields hold, as varints have them: 2^31, 2^32, 2^53, 2^63, and -1. */
const EDGES: readonly bigint[] = [0n, 1n, 127n, 999n, 2n ** 31n, 2n ** 32n, 2n ** 53n, 2n ** 63n, 2n ** 64n - 1n];
/** Bytes that are no UTF-8, and some that mean something to careless readers. */
const TEXTS: readonly Buffer[] = [
  Buffer.from([0xff, 0xfe, 0x80]),
  Buffer.from([0xc0, 0xaf]),
  Buffer.from([0xed, 0xa0, 0x80]),
  Buffer.from("__proto__"),
  Buffer.from("../../etc/passwd"),
  Buffer.from("\u0000\u001b[2J"),
  Buffer.from("e\u0301"),
  Buffer.alloc(0),
  Buffer.alloc(5_000, 0x61),
];
/** NaN, infinities and others, as 64 and 32 bits have them. */
const FIXED64: readonly Buffer[] = [Number.NaN, Number.POSITIVE_INFINITY, -1, 2 ** 63, -0].map((value) => {
  const bytes = Buffer.alloc(8);
  bytes.writeDoubleLE(value);
  return bytes;
});

/** A field of a message. Length-delimited ones may be messages themselves. */
interface Field {
  readonly number: number;
  readonly wire: number;
  readonly bytes: Buffer;
}

/** Changes a message's bytes: as blind damage does, or field by field, as somebody who knows the format would. */
export function mutated(message: Uint8Array, random: Random): Buffer {
  let bytes: Buffer = Buffer.from(message);
  for (let changes = 1 + random.int(3); changes > 0; changes--)
    bytes = random.int(2) === 0 ? damaged(bytes, random) : refielded(bytes, random, 4);
  return bytes;
}

function damaged(bytes: Buffer, random: Random): Buffer {
  const at = random.int(bytes.length + 1);
  switch (random.int(5)) {
    case 0: {
      const flipped = Buffer.from(bytes);
      if (at < flipped.length) flipped.writeUInt8((flipped.readUInt8(at) ^ (1 << random.int(8))) & 0xff, at);
      return flipped;
    }
    case 1:
      return bytes.subarray(0, at);
    case 2:
      return Buffer.concat([bytes.subarray(0, at), noise(random, 1 + random.int(16)), bytes.subarray(at)]);
    case 3:
      return Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + 1 + random.int(8))]);
    default:
      return Buffer.concat([bytes, bytes.subarray(at)]);
  }
}

/** Takes the message apart, changes one field, or one in the messages within, and puts it together. What is no message is damaged. */
function refielded(bytes: Buffer, random: Random, depth: number): Buffer {
  const fields = fieldsOf(bytes);
  if (fields === undefined || fields.length === 0) return damaged(bytes, random);
  const at = random.int(fields.length);
  const field = fields[at];
  if (field === undefined) return bytes;
  const inner = field.wire === 2 && depth > 0 && random.int(2) === 0;
  const changed = inner ? { ...field, bytes: refielded(field.bytes, random, depth - 1) } : otherField(field, random);
  const all = [...fields.slice(0, at), ...(changed === undefined ? [] : [changed]), ...fields.slice(at + 1)];
  return Buffer.concat(all.map(encoded));
}

/** Another value, type or number; a field left out (undefined). */
function otherField(field: Field, random: Random): Field | undefined {
  switch (random.int(6)) {
    case 0:
      return undefined;
    case 1:
      return { ...field, number: 1 + random.int(40) };
    case 2:
      return { ...field, wire: 0, bytes: varint(one(EDGES, random)) };
    case 3:
      return { ...field, wire: 1, bytes: one(FIXED64, random) };
    case 4:
      return { ...field, wire: 2, bytes: one(TEXTS, random) };
    default:
      return field.wire === 0 ? { ...field, bytes: varint(one(EDGES, random)) } : { ...field, bytes: noise(random, 8) };
  }
}

/** Undefined: these bytes are no message. */
function fieldsOf(bytes: Buffer): readonly Field[] | undefined {
  const fields: Field[] = [];
  for (let at = 0; at < bytes.length; ) {
    const tag = varintAt(bytes, at);
    if (tag === undefined) return undefined;
    const [number, wire] = [Number(tag.value >> 3n), Number(tag.value & 7n)];
    const content = contentAt(bytes, tag.end, wire);
    if (content === undefined || number === 0) return undefined;
    fields.push({ number, wire, bytes: bytes.subarray(content.from, content.end) });
    at = content.end;
  }
  return fields;
}

function contentAt(
  bytes: Buffer,
  at: number,
  wire: number,
): { readonly from: number; readonly end: number } | undefined {
  if (wire === 0) {
    const value = varintAt(bytes, at);
    return value && { from: at, end: value.end };
  }
  if (wire === 1 || wire === 5) {
    const end = at + (wire === 1 ? 8 : 4);
    return end <= bytes.length ? { from: at, end } : undefined;
  }
  const length = wire === 2 ? varintAt(bytes, at) : undefined;
  if (length === undefined || length.value > BigInt(bytes.length - length.end)) return undefined;
  return { from: length.end, end: length.end + Number(length.value) };
}

function encoded({ number, wire, bytes }: Field): Buffer {
  const tag = varint((BigInt(number) << 3n) | BigInt(wire));
  return wire === 2 ? Buffer.concat([tag, varint(BigInt(bytes.length)), bytes]) : Buffer.concat([tag, bytes]);
}

function varint(value: bigint): Buffer {
  const bytes: number[] = [];
  let left = value;
  for (; left > 127n; left >>= 7n) bytes.push(Number(left & 127n) | 128);
  return Buffer.from([...bytes, Number(left)]);
}

function varintAt(bytes: Buffer, from: number): { readonly value: bigint; readonly end: number } | undefined {
  let value = 0n;
  for (let at = from; at < Math.min(bytes.length, from + 10); at++) {
    const byte = bytes.readUInt8(at);
    value |= BigInt(byte & 127) << BigInt(7 * (at - from));
    if (byte < 128) return { value, end: at + 1 };
  }
  return undefined;
}

/** So many bytes of any kind. */
export function noise(random: Random, length: number): Buffer {
  return Buffer.from(Array.from({ length }, () => random.int(256)));
}

/** One of some. */
export function one<T>(choices: readonly T[], random: Random): T {
  const choice = choices[random.int(choices.length)];
  if (choice === undefined) throw new RangeError("there is nothing to choose from");
  return choice;
}

/** A message as gRPC frames it. */
export function framed(message: Uint8Array, compressed = 0, length = message.length): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt8(compressed, 0);
  head.writeUInt32BE(length, 1);
  return Buffer.concat([head, message]);
}
