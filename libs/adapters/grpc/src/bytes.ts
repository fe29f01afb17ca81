import { LimitError, MESSAGE_BYTES_MAX, ProtocolError } from "@heddle/kernel";
import type { MessageCodec } from "@heddle/port-rpc";

/** gRPC's own (de)serialisers: messages are bytes to it, so that what is wrong with one is ours to say. */
export const raw = {
  serialize: (bytes: Buffer): Buffer => bytes,
  deserialize: (bytes: Buffer): Buffer => bytes,
};

/** The message as bytes. Throws LimitError when they are too many. */
export function encode<T>(codec: MessageCodec<T>, message: T): Buffer {
  const bytes = codec.encode(message).finish();
  if (bytes.length > MESSAGE_BYTES_MAX) {
    throw new LimitError("MESSAGE_BYTES_MAX", MESSAGE_BYTES_MAX, bytes.length);
  }
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
