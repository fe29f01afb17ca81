import { LimitError, ProtocolError } from "@heddle/kernel";
import { WORKER_FRAME_BYTES_MAX, WORKER_FRAME_BYTES_TARGET } from "./limits.ts";

/** Bytes of a frame's header: the length of what follows, u32, little-endian. */
const HEADER_BYTES = 4;

/** Cuts a stream of bytes into frames. Gives views of what it was fed where a frame came in one piece. */
export class FrameReader {
  #pieces: Buffer[] = [];
  #buffered = 0;

  /** Gives the frames that `piece` completes, in order. Throws ProtocolError at a length that cannot be: nothing more can be read then. */
  push(piece: Buffer, take: (frame: Buffer) => void): void {
    this.#pieces.push(piece);
    this.#buffered += piece.length;
    if (this.#buffered < HEADER_BYTES) return;
    let needed = this.#frameBytes();
    while (this.#buffered >= needed) {
      const joined = this.#join();
      let at = 0;
      while (joined.length - at >= HEADER_BYTES) {
        const length = lengthAt(joined, at);
        if (joined.length - at < HEADER_BYTES + length) break;
        take(joined.subarray(at + HEADER_BYTES, at + HEADER_BYTES + length));
        at += HEADER_BYTES + length;
      }
      this.#reset(joined.subarray(at));
      if (this.#buffered < HEADER_BYTES) return;
      needed = this.#frameBytes();
    }
  }

  /** Bytes of the frame that is coming, header included; its header is here. */
  #frameBytes(): number {
    if ((this.#pieces[0]?.length ?? 0) < HEADER_BYTES) this.#reset(this.#join());
    return HEADER_BYTES + lengthAt(this.#pieces[0] ?? Buffer.alloc(0), 0);
  }

  #join(): Buffer {
    return this.#pieces.length === 1
      ? (this.#pieces[0] ?? Buffer.alloc(0))
      : Buffer.concat(this.#pieces, this.#buffered);
  }

  #reset(rest: Buffer): void {
    this.#pieces = rest.length === 0 ? [] : [rest];
    this.#buffered = rest.length;
  }
}

function lengthAt(bytes: Buffer, at: number): number {
  const length = bytes.readUInt32LE(at);
  if (length <= WORKER_FRAME_BYTES_MAX) return length;
  throw new ProtocolError(`a frame of ${length} bytes: WORKER_FRAME_BYTES_MAX is ${WORKER_FRAME_BYTES_MAX}`);
}

/** Puts entries into frames: several small ones share one, up to WORKER_FRAME_BYTES_TARGET. */
export class FrameWriter<Entry> {
  readonly #encode: (entries: Entry[]) => Uint8Array;
  readonly #sizeOf: (entry: Entry) => number;
  #entries: Entry[] = [];
  #bytes = 0;

  /** `sizeOf` gives at least nearly the encoded size of an entry. */
  constructor(encode: (entries: Entry[]) => Uint8Array, sizeOf: (entry: Entry) => number) {
    this.#encode = encode;
    this.#sizeOf = sizeOf;
  }

  /** Bytes that wait for `take`, nearly. */
  get size(): number {
    return this.#bytes;
  }

  /** Throws LimitError for an entry that cannot be in a frame: its payload should have been cut into parts. */
  add(entry: Entry): void {
    const bytes = this.#sizeOf(entry);
    if (bytes > WORKER_FRAME_BYTES_MAX) throw new LimitError("WORKER_FRAME_BYTES_MAX", WORKER_FRAME_BYTES_MAX, bytes);
    this.#entries.push(entry);
    this.#bytes += bytes;
  }

  /** The bytes of everything added since the last time, in order. */
  take(): Uint8Array[] {
    const pieces: Uint8Array[] = [];
    if (this.#bytes <= WORKER_FRAME_BYTES_TARGET) {
      if (this.#entries.length > 0) this.#frame(this.#entries, pieces);
    } else {
      let frame: Entry[] = [];
      let bytes = 0;
      for (const entry of this.#entries) {
        const size = this.#sizeOf(entry);
        if (frame.length > 0 && bytes + size > WORKER_FRAME_BYTES_TARGET) {
          this.#frame(frame, pieces);
          frame = [];
          bytes = 0;
        }
        frame.push(entry);
        bytes += size;
      }
      this.#frame(frame, pieces);
    }
    this.#entries = [];
    this.#bytes = 0;
    return pieces;
  }

  #frame(entries: Entry[], pieces: Uint8Array[]): void {
    const body = this.#encode(entries);
    const header = Buffer.allocUnsafe(HEADER_BYTES);
    header.writeUInt32LE(body.length);
    pieces.push(header, body);
  }
}
