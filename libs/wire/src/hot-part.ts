import type { Part } from "./gen/heddle/v1/common.ts";
import { type HotReader, isUint32, noBytes } from "./hot-bytes.ts";
import { FIELDS_BYTES, type HotEntry } from "./hot-entries.ts";

interface AnyEntry {
  readonly kind?: { readonly $case: string; readonly value: unknown } | undefined;
}

interface PartEntry {
  kind: { $case: "part"; value: Part };
}

/** A piece of a payload, which every conversation that carries payloads has among its entries, each with another tag. */
export function hotPart(tag: number): HotEntry<AnyEntry, PartEntry> {
  return {
    tag,
    write: (writer, { kind }) => {
      if (kind?.$case !== "part") return false;
      const { partStream, data, last, aborted } = kind.value as Part;
      if (!isUint32(partStream) || typeof last !== "boolean" || typeof aborted !== "boolean") return false;
      const guess = data.length + FIELDS_BYTES;
      const start = writer.openEntry(tag, guess);
      writer.field(8, partStream);
      writer.bytes(18, data);
      writer.field(24, Number(last));
      writer.field(32, Number(aborted));
      writer.closeEntry(start, guess);
      return true;
    },
    read: (reader, limit) => ({ kind: { $case: "part", value: readPart(reader, limit) } }),
  };
}

function readPart(reader: HotReader, limit: number): Part {
  const end = reader.end(limit);
  const part: Part = { partStream: 0, data: noBytes, last: false, aborted: false };
  while (reader.at < end && !reader.isOdd) {
    const tag = reader.uint32();
    if (tag === 8) part.partStream = reader.uint32();
    else if (tag === 18) part.data = reader.view(end);
    else if (tag === 24) part.last = reader.bool();
    else if (tag === 32) part.aborted = reader.bool();
    else reader.isOdd = true;
  }
  reader.leave(end);
  return part;
}
