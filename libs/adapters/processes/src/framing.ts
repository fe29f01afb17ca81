import { LimitError, ProtocolError } from "@heddle/kernel";
import { WORKER_FRAME_BYTES_MAX, WORKER_FRAME_BYTES_TARGET } from "./limits.ts";

/** Bytes of a frame's header: the length of what follows, u32, little-endian. */
const HEADER_BYTES = 4;

/**
 * Cuts a stream of bytes into frames. Frames that came in one piece are views of it; the bytes of another are copied once, into a buffer as long as
 * the frame. The pieces belong to the reader from then on.
 */
export class FrameReader {
  /** The header of a frame, as far as it is here, when it did not come in one piece. */
  readonly #header = Buffer.alloc(HEADER_BYTES);
  #headerBytes = 0;
  /** The frame that is coming: its first `#frameBytes` are here. */
  #frame: Buffer | undefined;
  #frameBytes = 0;

  /** Gives the frames that `piece` completes, in order. Throws ProtocolError at a length that cannot be: nothing more can be read then. */
  push(piece: Buffer, take: (frame: Buffer) => void): void {
    let at = 0;
    let isSpent = true;
    while (at < piece.length) {
      if (this.#frame !== undefined) {
        at += this.#fill(this.#frame, piece, at, take);
        continue;
      }
      let length: number;
      if (this.#headerBytes === 0 && piece.length - at >= HEADER_BYTES) {
        length = lengthAt(piece, at);
        at += HEADER_BYTES;
      } else {
        at += this.#readHeader(piece, at);
        if (this.#headerBytes < HEADER_BYTES) break;
        this.#headerBytes = 0;
        length = lengthAt(this.#header, 0);
      }
      if (piece.length - at >= length) {
        isSpent = false;
        take(piece.subarray(at, at + length));
        at += length;
      } else {
        this.#frame = Buffer.allocUnsafeSlow(length);
        this.#frameBytes = 0;
      }
    }
    if (isSpent) giveBack(piece);
  }

  /** Takes what is missing of the header; gives the number of bytes. */
  #readHeader(piece: Buffer, at: number): number {
    const copied = piece.copy(this.#header, this.#headerBytes, at, at + HEADER_BYTES - this.#headerBytes);
    this.#headerBytes += copied;
    return copied;
  }

  /** Takes what is missing of the frame; gives the number of bytes. */
  #fill(frame: Buffer, piece: Buffer, at: number, take: (frame: Buffer) => void): number {
    const copied = piece.copy(frame, this.#frameBytes, at);
    this.#frameBytes += copied;
    if (this.#frameBytes === frame.length) {
      this.#frame = undefined;
      take(frame);
    }
    return copied;
  }
}

/** Frees the memory of a piece that nobody reads again. V8 would do that at its next collection, and makes one for each 64 MB that wait for it. */
function giveBack({ buffer, length }: Buffer): void {
  if (buffer instanceof ArrayBuffer && buffer.byteLength === length) buffer.transfer(0);
}

function lengthAt(bytes: Buffer, at: number): number {
  const length = bytes.readUInt32LE(at);
  if (length <= WORKER_FRAME_BYTES_MAX) return length;
  throw new ProtocolError(`a frame of ${length} bytes: WORKER_FRAME_BYTES_MAX is ${WORKER_FRAME_BYTES_MAX}`);
}

/** Puts entries into frames: several small ones share one, up to WORKER_FRAME_BYTES_TARGET. */
export class FrameWriter<Entry> {
  readonly #encode: (entries: Entry[]) => readonly Uint8Array[];
  readonly #sizeOf: (entry: Entry) => number;
  #entries: Entry[] = [];
  #bytes = 0;

  /** `encode` gives a frame in pieces, which do not change; `sizeOf` at least nearly the encoded size of an entry. */
  constructor(encode: (entries: Entry[]) => readonly Uint8Array[], sizeOf: (entry: Entry) => number) {
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

  /** The bytes of everything added since the last time, in order, in pieces that do not change. */
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
    header.writeUInt32LE(body.reduce((sum, piece) => sum + piece.length, 0));
    pieces.push(header, ...body);
  }
}
