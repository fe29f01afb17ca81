import { LimitError, MESSAGE_BYTES_MAX, ProtocolError } from "@heddle/kernel";
import type { MessageCodec } from "@heddle/port-rpc";

/** What grpc-js does with the bytes of a message: it asks how many there are and copies them behind a header. A Buffer, or pieces of one. */
export interface Sendable {
  readonly length: number;
  readonly byteLength: number;
  copy(target: Uint8Array, at: number): number;
}

/** gRPC's own (de)serialisers: messages are bytes to it, so that what is wrong with one is ours to say. */
export const raw = {
  serialize: (bytes: Sendable): Buffer => bytes as Buffer,
  deserialize: (bytes: Buffer): Buffer => bytes,
};

/** Bytes that are joined only where grpc-js copies them. */
class Scattered implements Sendable {
  readonly length: number;
  readonly #pieces: readonly Uint8Array[];

  constructor(pieces: readonly Uint8Array[]) {
    this.#pieces = pieces;
    this.length = pieces.reduce((sum, piece) => sum + piece.length, 0);
  }

  get byteLength(): number {
    return this.length;
  }

  copy(target: Uint8Array, at: number): number {
    let end = at;
    for (const piece of this.#pieces) {
      target.set(piece, end);
      end += piece.length;
    }
    return end - at;
  }
}

/** The message as bytes. Throws LimitError when they are too many. */
export function encode<T>(codec: MessageCodec<T>, message: T): Buffer {
  return checked(asBuffer(codec.encode(message).finish()));
}

/** The same for a stream, whose messages are large: what its codec does not copy is not copied here either. */
export function encodeScattered<T>(codec: MessageCodec<T>, message: T): Sendable {
  const encoded = codec.encode(message);
  const pieces = encoded.pieces?.() ?? [];
  return checked(pieces.length > 1 ? new Scattered(pieces) : asBuffer(encoded.finish()));
}

function checked<Bytes extends Sendable>(bytes: Bytes): Bytes {
  if (bytes.length <= MESSAGE_BYTES_MAX) return bytes;
  throw new LimitError("MESSAGE_BYTES_MAX", MESSAGE_BYTES_MAX, bytes.length);
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
}

/** The bytes as a message. Throws ProtocolError when they are none. */
export function decode<T>(codec: MessageCodec<T>, bytes: Uint8Array, what: string): T {
  try {
    return codec.decode(bytes);
  } catch (error) {
    const words = error instanceof Error ? error.message : String(error);
    throw new ProtocolError(`${what}: a message of ${bytes.length} bytes cannot be decoded: ${words}`, {
      cause: error,
    });
  }
}
