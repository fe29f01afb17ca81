import { BinaryReader } from "@bufbuild/protobuf/wire";
import { SessionControl } from "./gen/heddle/v1/common.ts";
import { HotReader, HotWriter, isUint32, type Pieces } from "./hot-bytes.ts";
import type { HotEntry } from "./hot-entries.ts";

/** The shape of the four kinds of frames. */
interface FrameMessage<Entry> {
  sequence: number;
  acknowledged: number;
  control: SessionControl | undefined;
  entries: Entry[];
}

/** What generated messages can do. */
interface Generated<T> {
  encode(message: T): { finish(): Uint8Array };
  decode(bytes: Uint8Array): T;
}

/** It reads from its reader's position on. */
interface GeneratedEntry<Entry> extends Generated<Entry> {
  decode(bytes: Uint8Array | BinaryReader): Entry;
}

/** A message in bytes. */
interface Encoded {
  /** In one piece. */
  finish(): Uint8Array;
  /** In several, none of them empty: what is large is named, not copied, and must not change until it has left. */
  pieces(): Pieces;
}

/** The bytes of the generated code, in pieces where that saves copying. */
export interface PieceCodec<T> {
  encode(message: T): Encoded;
  decode(bytes: Uint8Array): T;
}

/** How entries of one kind of message are written and read: some by hand, the others by the generated code. */
interface EntryCodec<Entry> {
  readonly tag: number;
  readonly generated: GeneratedEntry<Entry>;
  readonly hot: readonly HotEntry<Entry>[];
}

/** Tags of `entries` in frames and in what agent and worker say to each other. */
const FRAME_ENTRY = 34;
const WORKER_ENTRY = 10;
const SEQUENCE = 8;
const ACKNOWLEDGED = 16;
const CONTROL = 26;

/**
 * The codec of a stream's frames: the bytes of the generated code, both ways. Frames are many, and full of a few kinds of entries, which are written
 * and read by hand; the generated code does all others, and judges whatever is unusual, so that there is one word on what is wrong.
 */
export function frameCodec<Entry>(
  frames: Generated<FrameMessage<Entry>>,
  entries: GeneratedEntry<Entry>,
  ...hot: readonly HotEntry<Entry>[]
): PieceCodec<FrameMessage<Entry>> {
  const writer = new HotWriter(FRAME_ENTRY);
  const codec = { tag: FRAME_ENTRY, generated: entries, hot };
  return {
    encode: (frame) => {
      if (!isNumber(frame.sequence) || !isNumber(frame.acknowledged)) return whole(frames.encode(frame).finish());
      writer.reset(); // should encoding have thrown, its remains are not this frame's beginning
      writer.field(SEQUENCE, frame.sequence);
      writer.field(ACKNOWLEDGED, frame.acknowledged);
      if (frame.control !== undefined) writeBytes(writer, CONTROL, SessionControl.encode(frame.control).finish());
      writeEntries(writer, frame.entries, codec);
      return inPieces(writer.finish());
    },
    decode: (bytes) => {
      const plain = plainBytes(bytes);
      return readFrame(plain, codec) ?? frames.decode(plain);
    },
  };
}

/** The same for what agent and worker say to each other: entries and nothing else. */
export function entriesCodec<Entry>(
  messages: Generated<{ entries: Entry[] }>,
  entries: GeneratedEntry<Entry>,
  ...hot: readonly HotEntry<Entry>[]
): PieceCodec<{ entries: Entry[] }> {
  const writer = new HotWriter(WORKER_ENTRY);
  const codec = { tag: WORKER_ENTRY, generated: entries, hot };
  return {
    encode: (message) => {
      writer.reset();
      writeEntries(writer, message.entries, codec);
      return inPieces(writer.finish());
    },
    decode: (bytes) => {
      const plain = plainBytes(bytes);
      return readEntries(plain, codec) ?? messages.decode(plain);
    },
  };
}

/** Pieces of a Buffer would be Buffers, which cost more. */
function plainBytes(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length);
}

function whole(bytes: Uint8Array): Encoded {
  return { finish: () => bytes, pieces: () => [bytes] };
}

function inPieces(pieces: Pieces): Encoded {
  if (pieces.length === 1) return whole(pieces[0]);
  return { finish: () => joined(pieces), pieces: () => pieces };
}

function joined(pieces: Pieces): Uint8Array {
  const bytes = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    bytes.set(piece, at);
    at += piece.length;
  }
  return bytes;
}

function isNumber(value: number): boolean {
  return isUint32(value) || (Number.isSafeInteger(value) && value >= 0);
}

function writeEntries<Entry>(writer: HotWriter, entries: readonly Entry[], codec: EntryCodec<Entry>): void {
  for (const entry of entries)
    if (!writeHot(writer, entry, codec.hot)) writeBytes(writer, codec.tag, codec.generated.encode(entry).finish());
}

/** False, and nothing is written: it is none of these. */
function writeHot<Entry>(writer: HotWriter, entry: Entry, all: readonly HotEntry<Entry>[]): boolean {
  for (const hot of all) if (hot.write(writer, entry)) return true;
  return false;
}

function writeBytes(writer: HotWriter, tag: number, bytes: Uint8Array): void {
  writer.varint(tag);
  writer.varint(bytes.length);
  writer.raw(bytes);
}

/** The frame, or undefined for the generated code to judge. */
function readFrame<Entry>(bytes: Uint8Array, codec: EntryCodec<Entry>): FrameMessage<Entry> | undefined {
  const reader = new HotReader(bytes);
  const frame: FrameMessage<Entry> = { sequence: 0, acknowledged: 0, control: undefined, entries: [] };
  while (reader.at < bytes.length && !reader.isOdd) {
    const tag = reader.uint32();
    if (tag === SEQUENCE) frame.sequence = reader.number();
    else if (tag === ACKNOWLEDGED) frame.acknowledged = reader.number();
    else if (tag !== FRAME_ENTRY)
      return undefined; // a frame with control is rare
    else if (!readEntry(reader, codec, frame.entries)) return undefined;
  }
  return reader.isOdd ? undefined : frame;
}

function readEntries<Entry>(bytes: Uint8Array, codec: EntryCodec<Entry>): { entries: Entry[] } | undefined {
  const reader = new HotReader(bytes);
  const entries: Entry[] = [];
  while (reader.at < bytes.length)
    if (reader.uint32() !== codec.tag || !readEntry(reader, codec, entries)) return undefined;
  return { entries };
}

/** Adds the entry that begins here, after its tag. False: the generated code is to judge the message as a whole. */
function readEntry<Entry>(reader: HotReader, codec: EntryCodec<Entry>, entries: Entry[]): boolean {
  const end = reader.end(reader.bytes.length);
  if (reader.isOdd) return false;
  const start = reader.at;
  for (const hot of codec.hot) {
    if (reader.bytes[start] !== hot.tag) continue;
    reader.at++;
    const entry = hot.read(reader, end);
    if (!reader.isOdd && reader.at === end) {
      entries.push(entry);
      return true;
    }
    reader.isOdd = false;
  }
  reader.at = end;
  const inside = new BinaryReader(reader.bytes.subarray(start, end));
  try {
    entries.push(codec.generated.decode(inside));
    return inside.pos === inside.len; // at what ends a group it stops halfway, and the message goes on there
  } catch {
    return false; // it will be thrown again, by the code that reads the message as a whole
  }
}
