import { SessionControl } from "./gen/heddle/v1/common.ts";
import { ENTRY_TAG, HotReader, HotWriter, isUint32 } from "./hot-bytes.ts";
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

const SEQUENCE = 8;
const ACKNOWLEDGED = 16;
const CONTROL = 26;

/**
 * The codec of a stream's frames: the bytes of the generated code, both ways. Frames are many, and full of one kind of entry, which is written and
 * read by hand; the generated code does all others, and judges whatever is unusual, so that there is one word on what is wrong.
 */
export function frameCodec<Entry>(
  frames: Generated<FrameMessage<Entry>>,
  entries: Generated<Entry>,
  hot: HotEntry<Entry>,
): Generated<FrameMessage<Entry>> {
  const writer = new HotWriter();
  return {
    encode: (frame) => {
      if (!isNumber(frame.sequence) || !isNumber(frame.acknowledged)) return frames.encode(frame);
      writer.at = 0; // should encoding have thrown, its remains are not this frame's beginning
      writeFrame(writer, frame, entries, hot);
      const bytes = writer.finish();
      return { finish: () => bytes };
    },
    decode: (bytes) => {
      const plain = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length); // pieces of a Buffer would be Buffers, which cost more
      return readFrame(plain, entries, hot) ?? frames.decode(plain);
    },
  };
}

function isNumber(value: number): boolean {
  return isUint32(value) || (Number.isSafeInteger(value) && value >= 0);
}

function writeFrame<Entry>(
  writer: HotWriter,
  frame: FrameMessage<Entry>,
  entries: Generated<Entry>,
  hot: HotEntry<Entry>,
): void {
  writer.field(SEQUENCE, frame.sequence);
  writer.field(ACKNOWLEDGED, frame.acknowledged);
  if (frame.control !== undefined) writeBytes(writer, CONTROL, SessionControl.encode(frame.control).finish());
  for (const entry of frame.entries)
    if (!hot.write(writer, entry)) writeBytes(writer, ENTRY_TAG, entries.encode(entry).finish());
}

function writeBytes(writer: HotWriter, tag: number, bytes: Uint8Array): void {
  writer.varint(tag);
  writer.varint(bytes.length);
  writer.raw(bytes);
}

/** The frame, or undefined for the generated code to judge. */
function readFrame<Entry>(
  bytes: Uint8Array,
  entries: Generated<Entry>,
  hot: HotEntry<Entry>,
): FrameMessage<Entry> | undefined {
  const reader = new HotReader(bytes);
  const frame: FrameMessage<Entry> = { sequence: 0, acknowledged: 0, control: undefined, entries: [] };
  while (reader.at < bytes.length && !reader.isOdd) {
    const tag = reader.uint32();
    if (tag === SEQUENCE) frame.sequence = reader.number();
    else if (tag === ACKNOWLEDGED) frame.acknowledged = reader.number();
    else if (tag === ENTRY_TAG) {
      const end = reader.end(bytes.length);
      if (reader.isOdd) return undefined;
      const entry = readEntry(reader, end, entries, hot);
      if (entry === undefined) return undefined;
      frame.entries.push(entry);
    } else return undefined; // a frame with control is rare
  }
  return reader.isOdd ? undefined : frame;
}

function readEntry<Entry>(
  reader: HotReader,
  end: number,
  entries: Generated<Entry>,
  hot: HotEntry<Entry>,
): Entry | undefined {
  const start = reader.at;
  if (reader.bytes[start] === hot.tag) {
    reader.at++;
    const entry = hot.read(reader, end);
    if (!reader.isOdd && reader.at === end) return entry;
    reader.isOdd = false;
  }
  reader.at = end;
  try {
    return entries.decode(reader.bytes.subarray(start, end));
  } catch {
    return undefined; // it will be thrown again, by the code that reads the frame as a whole
  }
}
