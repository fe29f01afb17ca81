import { ProtocolError } from "@heddle/kernel";
import { Operation, OperationBatch, Reply, ReplyBatch } from "../gen/heddle/v1/objects.ts";
import { HotReader, HotWriter } from "../hot-bytes.ts";
import { isPlainNumber, readNumbers, writeNumbers } from "./hot-fields.ts";
import { readOperation, writeOperation } from "./hot-operation.ts";

/** Of `operations` and `replies` in their batches. */
const ENTRY = 10;

const operationWriter = new HotWriter(ENTRY);
const replyWriter = new HotWriter(ENTRY);

/** An OperationBatch. Most operations are written by hand, several times faster than by the generated code. */
export function encodeOperations(operations: readonly Operation[]): Uint8Array {
  const writer = operationWriter;
  writer.reset();
  for (const operation of operations)
    if (!operation.numbers.every(isPlainNumber) || !writeOperation(writer, ENTRY, operation))
      writeWhole(writer, Operation.encode(operation).finish());
  return joined(writer.finish());
}

/** The operations of an OperationBatch; their values are views of the bytes. Throws ProtocolError for what is none. */
export function decodeOperations(bytes: Uint8Array): Operation[] {
  const plain = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length);
  const reader = new HotReader(plain);
  const operations: Operation[] = [];
  let last: Operation | undefined;
  while (reader.at < plain.length) {
    if (reader.uint32() !== ENTRY) return generated(() => OperationBatch.decode(plain).operations);
    const start = reader.at;
    last = readOperation(reader, plain.length, last);
    if (reader.isOdd) {
      const inside = entryAt(reader, start, plain);
      last = generated(() => Operation.decode(inside));
    }
    operations.push(last);
  }
  return operations;
}

/** A ReplyBatch. */
export function encodeReplies(replies: readonly Reply[]): Uint8Array {
  const writer = replyWriter;
  writer.reset();
  for (const reply of replies) if (!writeReply(writer, reply)) writeWhole(writer, Reply.encode(reply).finish());
  return joined(writer.finish());
}

/** The replies of a ReplyBatch; their values are views of the bytes. Throws ProtocolError for what is none. */
export function decodeReplies(bytes: Uint8Array): Reply[] {
  const plain = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length);
  const reader = new HotReader(plain);
  const replies: Reply[] = [];
  while (reader.at < plain.length) {
    if (reader.uint32() !== ENTRY) return generated(() => ReplyBatch.decode(plain).replies);
    const start = reader.at;
    let reply = readReply(reader, plain.length);
    if (reader.isOdd) {
      const inside = entryAt(reader, start, plain);
      reply = generated(() => Reply.decode(inside));
    }
    replies.push(reply);
  }
  return replies;
}

function writeReply(writer: HotWriter, { seq, values, numbers, revision, error }: Reply): boolean {
  if (error !== undefined || !numbers.every(isPlainNumber)) return false;
  if (!Number.isSafeInteger(seq) || seq < 0 || !Number.isSafeInteger(revision) || revision < 0) return false;
  let guess = 16;
  for (const value of values) guess += value.length + 2;
  const start = writer.open(ENTRY, guess);
  writer.field(8, seq);
  for (const value of values) {
    writer.varint(18);
    writer.varint(value.length);
    writer.raw(value);
  }
  writeNumbers(writer, 26, numbers);
  writer.field(32, revision);
  writer.close(start, guess);
  return true;
}

function readReply(reader: HotReader, limit: number): Reply {
  const end = reader.end(limit);
  const reply: Reply = { seq: 0, values: [], numbers: [], revision: 0, error: undefined };
  while (reader.at < end && !reader.isOdd)
    switch (reader.uint32()) {
      case 8:
        reply.seq = reader.number();
        break;
      case 18:
        reply.values.push(reader.view(end));
        break;
      case 26:
        reply.numbers = readNumbers(reader, end);
        break;
      case 32:
        reply.revision = reader.number();
        break;
      default:
        reader.isOdd = true;
    }
  reader.leave(end);
  return reply;
}

/** What begins at `start` with its length, for the generated code; the reader goes on behind it. */
function entryAt(reader: HotReader, start: number, bytes: Uint8Array): Uint8Array {
  reader.isOdd = false;
  reader.at = start;
  const end = reader.end(bytes.length);
  if (reader.isOdd) throw new ProtocolError("a batch of operations or replies ends too early");
  const inside = bytes.subarray(reader.at, end);
  reader.at = end;
  return inside;
}

function generated<T>(decode: () => T): T {
  try {
    return decode();
  } catch (cause) {
    throw new ProtocolError("these bytes are no batch of operations or replies", { cause });
  }
}

function writeWhole(writer: HotWriter, bytes: Uint8Array): void {
  writer.varint(ENTRY);
  writer.varint(bytes.length);
  writer.raw(bytes);
}

function joined(pieces: readonly Uint8Array[]): Uint8Array {
  const [only] = pieces;
  return pieces.length === 1 && only !== undefined ? only : Buffer.concat(pieces);
}
