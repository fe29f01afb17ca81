/**
 * How a payload crosses a link: inside its header when small, else as parts that follow. Only end points assemble; whoever
 * stands between relays header and parts as they come.
 */
import { LimitError, PART_BYTES_MAX, PAYLOAD_BYTES_MAX, ProtocolError } from "@heddle/kernel";
import type { Part, Payload } from "./gen/heddle/v1/common.ts";
import type { EncodedPayload } from "./payload.ts";

/** Payloads whose parts are still coming, of one peer. More is a ProtocolError: the peer is dropped. */
export const PART_STREAMS_MAX = 20_000;

/** A payload ready to send: the header goes into its entry, the parts follow in order, others' entries may come between. */
export interface SplitPayload {
  readonly header: Payload;
  /** Empty when the header carries the bytes. Their data are views of the payload's bytes. */
  readonly parts: Part[];
}

/** Cuts a payload for the wire. `mintStream` is called when parts are needed, for a number not in use on this link. */
export function splitPayload(payload: EncodedPayload, mintStream: () => number): SplitPayload {
  const { encoding, count, bytes } = payload;
  const size = bytes.length;
  if (size > PAYLOAD_BYTES_MAX) throw new LimitError("PAYLOAD_BYTES_MAX", PAYLOAD_BYTES_MAX, size);
  if (size <= PART_BYTES_MAX) {
    return { header: { encoding, count, size, data: bytes, partStream: 0 }, parts: [] };
  }
  const partStream = mintStream();
  const parts: Part[] = [];
  for (let from = 0; from < size; from += PART_BYTES_MAX) {
    const to = Math.min(from + PART_BYTES_MAX, size);
    parts.push({ partStream, data: bytes.subarray(from, to), last: to === size, aborted: false });
  }
  return { header: { encoding, count, size, data: new Uint8Array(0), partStream }, parts };
}

/** The last part of a stream came. */
export interface Completion<Tag> {
  /** What `open` was told. */
  readonly tag: Tag;
  /** The payload, or undefined when the sender could not finish it. */
  readonly payload: EncodedPayload | undefined;
}

interface OpenStream<Tag> {
  readonly tag: Tag;
  readonly header: Payload;
  /** As large as the header says; filled up to `filled`. */
  readonly bytes: Uint8Array;
  filled: number;
}

/**
 * Puts payloads together again, for one peer. Everything that the peer gets wrong is a ProtocolError; the owner drops the peer
 * then. `Tag` is whatever the owner needs to know when a payload is complete.
 */
export class PayloadAssembler<Tag> {
  /** By part stream. Size <= PART_STREAMS_MAX. */
  readonly #open = new Map<number, OpenStream<Tag>>();

  /** Payloads still incomplete. */
  get openCount(): number {
    return this.#open.size;
  }

  /** Takes a header: gives the payload when it is whole, else undefined, and `add` will complete it. */
  open(header: Payload, tag: Tag): EncodedPayload | undefined {
    const { partStream, size, data } = header;
    if (size > PAYLOAD_BYTES_MAX)
      throw new ProtocolError(`a payload of ${size} bytes: PAYLOAD_BYTES_MAX is ${PAYLOAD_BYTES_MAX}`);
    if (partStream === 0) {
      if (data.length !== size) throw new ProtocolError(`a payload of ${size} bytes came with ${data.length}`);
      return { encoding: header.encoding, count: header.count, bytes: data };
    }
    if (data.length > 0) throw new ProtocolError(`payload of part stream ${partStream} has bytes in its header, too`);
    if (this.#open.has(partStream)) throw new ProtocolError(`part stream ${partStream} was opened twice`);
    if (this.#open.size >= PART_STREAMS_MAX) throw new ProtocolError(`more than ${PART_STREAMS_MAX} part streams`);
    this.#open.set(partStream, { tag, header, bytes: Buffer.allocUnsafeSlow(size), filled: 0 });
    return undefined;
  }

  /** Takes a part: gives the completion with the last one, else undefined. */
  add(part: Part): Completion<Tag> | undefined {
    const { partStream, data } = part;
    const stream = this.#open.get(partStream);
    if (stream === undefined) throw new ProtocolError(`a part of the unknown part stream ${partStream}`);
    if (part.aborted) {
      this.#open.delete(partStream);
      return { tag: stream.tag, payload: undefined };
    }
    const { header, bytes } = stream;
    if (stream.filled + data.length > bytes.length) throw sizeError(stream, data.length);
    bytes.set(data, stream.filled);
    stream.filled += data.length;
    if (!part.last) return undefined;
    if (stream.filled !== bytes.length) throw sizeError(stream, 0);
    this.#open.delete(partStream);
    return { tag: stream.tag, payload: { encoding: header.encoding, count: header.count, bytes } };
  }

  /** Forgets every incomplete payload and gives their tags, in order of opening: the peer is gone. */
  clear(): Tag[] {
    const tags = Array.from(this.#open.values(), (stream) => stream.tag);
    this.#open.clear();
    return tags;
  }
}

function sizeError(stream: OpenStream<unknown>, more: number): ProtocolError {
  const { header, bytes, filled } = stream;
  return new ProtocolError(
    `part stream ${header.partStream} announced ${bytes.length} bytes and brings ${filled + more}`,
  );
}
