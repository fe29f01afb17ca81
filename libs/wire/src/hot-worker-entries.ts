import type { ChunkReturned, RunChunk, WorkerRequestEntry, WorkerResponseEntry } from "./gen/heddle/v1/worker.ts";
import { type HotReader, isPlainPayload, isPlainSpan, isUint32 } from "./hot-bytes.ts";
import { FIELDS_BYTES, type HotEntry, isIndex } from "./hot-entries.ts";

export const hotRunChunk: HotEntry<WorkerRequestEntry> = {
  tag: 18,
  write: (writer, { kind }) => {
    if (kind?.$case !== "runChunk") return false;
    const { input, span, ...value } = kind.value;
    if (value.restored !== undefined) return false; // rare: it was lost before
    if (input === undefined || !isPlainRun(kind.value) || !isPlainPayload(input)) return false;
    const guess = input.data.length + 2 * FIELDS_BYTES;
    const start = writer.openEntry(18, guess);
    writer.field(8, value.assignment);
    writer.field(16, value.job);
    writer.field(24, value.chunk);
    if (span !== undefined) writer.span(34, span);
    writer.field(40, value.firstIndex);
    writer.payload(50, input);
    writer.field(56, value.attempt);
    writer.field(64, Number(value.marks));
    writer.field(72, value.grain);
    writer.closeEntry(start, guess);
    return true;
  },
  read: (reader, limit) => {
    const end = reader.end(limit);
    const value: RunChunk = {
      assignment: 0,
      job: 0,
      chunk: 0,
      span: undefined,
      firstIndex: 0,
      input: undefined,
      attempt: 0,
      marks: false,
      grain: 0,
      restored: undefined,
    };
    while (reader.at < end && !reader.isOdd) readRunField(reader, value, end);
    reader.leave(end);
    return { kind: { $case: "runChunk", value } };
  },
};

export const hotChunkReturned: HotEntry<WorkerResponseEntry> = {
  tag: 18,
  write: (writer, { kind }) => {
    if (kind?.$case !== "chunkReturned" || kind.value.outcome?.$case !== "done") return false;
    const { assignment, runMicros, wroteOutput, outcome, rssBytes } = kind.value;
    if (!isUint32(assignment) || !isUint32(runMicros) || typeof wroteOutput !== "boolean") return false;
    if (!isIndex(rssBytes) || !isPlainPayload(outcome.value)) return false;
    const guess = outcome.value.data.length + FIELDS_BYTES;
    const start = writer.openEntry(18, guess);
    writer.field(8, assignment);
    writer.field(16, runMicros);
    writer.field(24, Number(wroteOutput));
    writer.payload(34, outcome.value);
    writer.field(72, rssBytes);
    writer.closeEntry(start, guess);
    return true;
  },
  read: (reader, limit) => {
    const end = reader.end(limit);
    const value: ChunkReturned = { assignment: 0, runMicros: 0, wroteOutput: false, outcome: undefined, rssBytes: 0 };
    while (reader.at < end && !reader.isOdd) {
      const tag = reader.uint32();
      if (tag === 8) value.assignment = reader.uint32();
      else if (tag === 16) value.runMicros = reader.uint32();
      else if (tag === 24) value.wroteOutput = reader.bool();
      else if (tag === 34) value.outcome = { $case: "done", value: reader.payload(end) };
      else if (tag === 72) value.rssBytes = reader.number();
      else reader.isOdd = true; // every other outcome is rare
    }
    reader.leave(end);
    return { kind: { $case: "chunkReturned", value } };
  },
};

function isPlainRun({ assignment, job, chunk, attempt, marks, grain, span, firstIndex }: RunChunk): boolean {
  if (!isUint32(assignment) || !isUint32(job) || !isUint32(chunk) || !isUint32(attempt)) return false;
  return typeof marks === "boolean" && isPlainSpan(span) && isUint32(grain) && isIndex(firstIndex);
}

function readRunField(reader: HotReader, value: RunChunk, end: number): void {
  const tag = reader.uint32();
  if (tag === 8) value.assignment = reader.uint32();
  else if (tag === 16) value.job = reader.uint32();
  else if (tag === 24) value.chunk = reader.uint32();
  else if (tag === 34) value.span = reader.span(end);
  else if (tag === 40) value.firstIndex = reader.number();
  else if (tag === 50) value.input = reader.payload(end);
  else if (tag === 56) value.attempt = reader.uint32();
  else if (tag === 64) value.marks = reader.bool();
  else if (tag === 72) value.grain = reader.uint32();
  else reader.isOdd = true;
}
