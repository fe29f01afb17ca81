import type { Operation, Verb } from "../gen/heddle/v1/objects.ts";
import { type HotReader, type HotWriter, isUint32 } from "../hot-bytes.ts";
import { readNumbers, readText, writeNumbers, writeText } from "./hot-fields.ts";

const none: never[] = [];

/** Fields beside the values, about. */
const HEAD_BYTES = 48;

/** Writes an operation that has neither guards nor operations inside; false, and nothing is written, for others. */
export function writeOperation(writer: HotWriter, tag: number, operation: Operation): boolean {
  const { seq, verb, object, values, numbers } = operation;
  if (operation.guards.length > 0 || operation.operations.length > 0 || operation.expectations.length > 0) return false;
  if (!Number.isSafeInteger(seq) || seq < 0 || !isUint32(verb) || object.length > 64) return false;
  let guess = HEAD_BYTES;
  for (const value of values) guess += value.length + 2;
  const start = writer.open(tag, guess);
  writer.field(8, seq);
  writer.field(16, verb);
  writeText(writer, 26, object);
  for (const value of values) {
    writer.varint(34);
    writer.varint(value.length);
    writer.raw(value);
  }
  writeNumbers(writer, 42, numbers);
  writer.close(start, guess);
  return true;
}

/** Reads one, after its tag; odd for those with guards or operations inside, which the generated code reads. */
export function readOperation(reader: HotReader, limit: number, last: Operation | undefined): Operation {
  const end = reader.end(limit);
  const operation: Operation = { ...emptyOperation };
  while (reader.at < end && !reader.isOdd)
    switch (reader.uint32()) {
      case 8:
        operation.seq = reader.number();
        break;
      case 16:
        operation.verb = reader.uint32() as Verb;
        break;
      case 26:
        operation.object = readText(reader, end, last?.object ?? "");
        break;
      case 34: {
        const value = reader.view(end);
        if (operation.values === none) operation.values = [value];
        else operation.values.push(value);
        break;
      }
      case 42:
        operation.numbers = readNumbers(reader, end);
        break;
      default:
        reader.isOdd = true;
    }
  reader.leave(end);
  return operation;
}

const emptyOperation: Operation = {
  seq: 0,
  verb: 0,
  object: "",
  values: none,
  numbers: none,
  guards: none,
  operations: none,
  expectations: none,
};
