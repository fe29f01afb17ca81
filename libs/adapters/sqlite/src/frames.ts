/**
 * How numbered bytes lie on disk: frame after frame of u32 checksum, u32 length, u64 number, bytes; little-endian. The checksum is the
 * CRC-32 of all that follows it in the frame.
 */
import { crc32 } from "node:zlib";
import { Damage } from "./damage.ts";

export const FRAME_HEADER_BYTES = 16;

export interface Frame {
  readonly number: number;
  /** A view. */
  readonly bytes: Uint8Array;
}

/** Writes a frame's header, without its checksum. */
function putHeader(view: DataView, at: number, number: number, length: number): void {
  view.setUint32(at + 4, length, true);
  view.setUint32(at + 8, number >>> 0, true);
  view.setUint32(at + 12, Math.floor(number / 0x1_0000_0000), true);
}

/** Writes the bytes behind a header that has neither number nor checksum yet: `seal` writes those. Says where the frame ends. */
export function putUnsealed(block: Uint8Array, at: number, bytes: Uint8Array): number {
  putHeader(viewOf(block), at, 0, bytes.byteLength);
  block.set(bytes, at + FRAME_HEADER_BYTES);
  return at + FRAME_HEADER_BYTES + bytes.byteLength;
}

/** Numbers all frames of the block, from `first`, and writes their checksums. */
export function seal(block: Uint8Array, first: number): void {
  const view = viewOf(block);
  let number = first;
  for (let at = 0; at < block.byteLength; number++) {
    const length = view.getUint32(at + 4, true);
    const end = at + FRAME_HEADER_BYTES + length;
    putHeader(view, at, number, length);
    view.setUint32(at, crc32(block.subarray(at + 4, end)), true);
    at = end;
  }
}

/** The header of one frame whose bytes are elsewhere, with its checksum. */
export function sealedHeader(number: number, bytes: Uint8Array): Uint8Array {
  const header = new Uint8Array(FRAME_HEADER_BYTES);
  const view = viewOf(header);
  putHeader(view, 0, number, bytes.byteLength);
  view.setUint32(0, crc32(bytes, crc32(header.subarray(4))), true);
  return header;
}

/** What a header says of its frame. */
export function readHeader(header: Uint8Array): { readonly number: number; readonly length: number } {
  const view = viewOf(header);
  const number = view.getUint32(8, true) + view.getUint32(12, true) * 0x1_0000_0000;
  return { number, length: view.getUint32(4, true) };
}

/** Whether the checksum in the header is that of the frame. */
export function isSealed(header: Uint8Array, bytes: Uint8Array): boolean {
  const view = viewOf(header);
  return view.getUint32(0, true) === crc32(bytes, crc32(header.subarray(4, FRAME_HEADER_BYTES)));
}

/** Throws Damage unless the block is whole and its frames are numbered from `first` to `last`. */
export function checkFrames(block: Uint8Array, first: number, last: number): void {
  const view = viewOf(block);
  let number = first;
  let at = 0;
  for (; at < block.byteLength; number++) {
    const length = at + FRAME_HEADER_BYTES <= block.byteLength ? view.getUint32(at + 4, true) : block.byteLength;
    const end = at + FRAME_HEADER_BYTES + length;
    if (end > block.byteLength || view.getUint32(at, true) !== crc32(block.subarray(at + 4, end))) {
      throw new Damage(`record ${number} is not what was stored`);
    }
    const found = view.getUint32(at + 8, true) + view.getUint32(at + 12, true) * 0x1_0000_0000;
    if (found !== number) throw new Damage(`record ${found} is in the place of record ${number}`);
    at = end;
  }
  if (number !== last + 1) throw new Damage(`record ${number} is missing`);
}

/** The frames of a block that was checked. */
export function* framesOf(block: Uint8Array): Generator<Frame> {
  for (let at = 0; at < block.byteLength; ) {
    const start = at + FRAME_HEADER_BYTES;
    const { number, length } = readHeader(block.subarray(at, start));
    at = start + length;
    yield { number, bytes: block.subarray(start, at) };
  }
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
