import type { OfferChunk, RunRequestEntry, RunResponseEntry, SpanDone } from "./gen/heddle/v1/jobs.ts";
import type { AssignChunk, AttachRequestEntry, AttachResponseEntry, ChunkFinished } from "./gen/heddle/v1/nodes.ts";
import { type HotReader, type HotWriter, isPlainPayload, isPlainSpan, isUint32 } from "./hot-bytes.ts";

/** How an entry that frames are full of is written and read by hand, several times faster than by generated code. */
export interface HotEntry<Entry, Read extends Entry = Entry> {
  /** Its tag in the entry. */
  readonly tag: number;
  /** Writes it into a frame. False, and nothing is written: it is another entry, or holds something unusual. */
  readonly write: (writer: HotWriter, entry: Entry) => boolean;
  /** Reads it, after its tag. The reader says whether it may count. */
  readonly read: (reader: HotReader, limit: number) => Read;
}

/** Above the fields beside the payload, whose number of bytes decides how long the length is. */
export const FIELDS_BYTES = 24;

export const hotOfferChunk: HotEntry<RunRequestEntry> = {
  tag: 42,
  write: (writer, { kind }) => {
    if (kind?.$case !== "offerChunk") return false;
    const { job, chunk, firstIndex, input, grain, settled } = kind.value;
    if (settled.length > 0) return false; // rare: offered again
    if (input === undefined || !isUint32(job) || !isUint32(chunk) || !isUint32(grain)) return false;
    if (!isIndex(firstIndex) || !isPlainPayload(input)) return false;
    const guess = input.data.length + FIELDS_BYTES;
    const start = writer.openEntry(42, guess);
    writer.field(8, job);
    writer.field(16, chunk);
    writer.field(24, firstIndex);
    writer.payload(34, input);
    writer.field(40, grain);
    writer.closeEntry(start, guess);
    return true;
  },
  read: (reader, limit) => {
    const end = reader.end(limit);
    const value: OfferChunk = { job: 0, chunk: 0, firstIndex: 0, input: undefined, grain: 0, settled: [] };
    while (reader.at < end && !reader.isOdd) {
      const tag = reader.uint32();
      if (tag === 8) value.job = reader.uint32();
      else if (tag === 16) value.chunk = reader.uint32();
      else if (tag === 24) value.firstIndex = reader.number();
      else if (tag === 34) value.input = reader.payload(end);
      else if (tag === 40) value.grain = reader.uint32();
      else reader.isOdd = true;
    }
    reader.leave(end);
    return { kind: { $case: "offerChunk", value } };
  },
};

export const hotSpanDone: HotEntry<RunResponseEntry> = {
  tag: 18,
  write: (writer, { kind }) => {
    if (kind?.$case !== "spanDone") return false;
    const { job, chunk, span, values, runMicros } = kind.value;
    if (values === undefined || !isUint32(job) || !isUint32(chunk) || !isUint32(runMicros)) return false;
    if (!isPlainSpan(span) || !isPlainPayload(values)) return false;
    const guess = values.data.length + FIELDS_BYTES;
    const start = writer.openEntry(18, guess);
    writer.field(8, job);
    writer.field(16, chunk);
    if (span !== undefined) writer.span(26, span);
    writer.payload(34, values);
    writer.field(40, runMicros);
    writer.closeEntry(start, guess);
    return true;
  },
  read: (reader, limit) => {
    const end = reader.end(limit);
    const value: SpanDone = { job: 0, chunk: 0, span: undefined, values: undefined, runMicros: 0 };
    while (reader.at < end && !reader.isOdd) {
      const tag = reader.uint32();
      if (tag === 8) value.job = reader.uint32();
      else if (tag === 16) value.chunk = reader.uint32();
      else if (tag === 26) value.span = reader.span(end);
      else if (tag === 34) value.values = reader.payload(end);
      else if (tag === 40) value.runMicros = reader.uint32();
      else reader.isOdd = true;
    }
    reader.leave(end);
    return { kind: { $case: "spanDone", value } };
  },
};

export const hotAssignChunk: HotEntry<AttachResponseEntry> = {
  tag: 18,
  write: (writer, { kind }) => {
    if (kind?.$case !== "assignChunk") return false;
    const value = kind.value;
    if (value.restored !== undefined) return false; // rare: it was lost before
    if (value.input === undefined || !isPlainAssign(value) || !isPlainPayload(value.input)) return false;
    const guess = value.input.data.length + 2 * FIELDS_BYTES;
    const start = writer.openEntry(18, guess);
    writer.field(8, value.assignment);
    writer.field(16, value.job);
    writer.field(24, value.chunk);
    if (value.span !== undefined) writer.span(34, value.span);
    writer.field(40, value.firstIndex);
    writer.payload(50, value.input);
    writer.field(56, value.attempt);
    writer.field(64, Number(value.marks));
    writer.field(72, value.poolSlots);
    writer.field(80, Number(value.fresh));
    writer.field(88, value.grain);
    writer.closeEntry(start, guess);
    return true;
  },
  read: (reader, limit) => {
    const end = reader.end(limit);
    const value = emptyAssign();
    while (reader.at < end && !reader.isOdd) readAssignField(reader, value, end);
    reader.leave(end);
    return { kind: { $case: "assignChunk", value } };
  },
};

export const hotChunkFinished: HotEntry<AttachRequestEntry> = {
  tag: 34,
  write: (writer, { kind }) => {
    if (kind?.$case !== "chunkFinished" || kind.value.outcome?.$case !== "done") return false;
    const { assignment, pid, runMicros, outcome } = kind.value;
    if (!isUint32(assignment) || !isUint32(pid) || !isUint32(runMicros)) return false;
    if (!isPlainPayload(outcome.value)) return false;
    const guess = outcome.value.data.length + FIELDS_BYTES;
    const start = writer.openEntry(34, guess);
    writer.field(8, assignment);
    writer.field(16, pid);
    writer.field(24, runMicros);
    writer.payload(34, outcome.value);
    writer.closeEntry(start, guess);
    return true;
  },
  read: (reader, limit) => {
    const end = reader.end(limit);
    const value: ChunkFinished = { assignment: 0, pid: 0, runMicros: 0, outcome: undefined };
    while (reader.at < end && !reader.isOdd) {
      const tag = reader.uint32();
      if (tag === 8) value.assignment = reader.uint32();
      else if (tag === 16) value.pid = reader.uint32();
      else if (tag === 24) value.runMicros = reader.uint32();
      else if (tag === 34) value.outcome = { $case: "done", value: reader.payload(end) };
      else reader.isOdd = true; // every other outcome is rare
    }
    reader.leave(end);
    return { kind: { $case: "chunkFinished", value } };
  },
};

/** Whether it is what a uint64 field can hold and a number says exactly. */
export function isIndex(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0;
}

function isPlainAssign(value: AssignChunk): boolean {
  const { assignment, job, chunk, attempt, marks, poolSlots, fresh, grain } = value;
  if (!isUint32(assignment) || !isUint32(job) || !isUint32(chunk) || !isUint32(attempt)) return false;
  if (typeof marks !== "boolean" || typeof fresh !== "boolean" || !isPlainSpan(value.span)) return false;
  return isUint32(poolSlots) && isUint32(grain) && isIndex(value.firstIndex);
}

function emptyAssign(): AssignChunk {
  return {
    assignment: 0,
    job: 0,
    chunk: 0,
    span: undefined,
    firstIndex: 0,
    input: undefined,
    attempt: 0,
    marks: false,
    poolSlots: 0,
    fresh: false,
    grain: 0,
    restored: undefined,
  };
}

function readAssignField(reader: HotReader, value: AssignChunk, end: number): void {
  const tag = reader.uint32();
  if (tag === 8) value.assignment = reader.uint32();
  else if (tag === 16) value.job = reader.uint32();
  else if (tag === 24) value.chunk = reader.uint32();
  else if (tag === 34) value.span = reader.span(end);
  else if (tag === 40) value.firstIndex = reader.number();
  else if (tag === 50) value.input = reader.payload(end);
  else if (tag === 56) value.attempt = reader.uint32();
  else if (tag === 64) value.marks = reader.bool();
  else if (tag === 72) value.poolSlots = reader.uint32();
  else if (tag === 80) value.fresh = reader.bool();
  else if (tag === 88) value.grain = reader.uint32();
  else reader.isOdd = true;
}
