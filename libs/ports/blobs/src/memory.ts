import { ProtocolError } from "@heddle/kernel";
import type { Blobs } from "./index.ts";
import { sha256Hex } from "./sha256.ts";

/** Blobs of one process: nothing survives it, nothing is evicted. `locate` names them "memory:HASH", which only simulated workers can read. */
export function memoryBlobs(): Blobs {
  const kept = new Map<string, Uint8Array>();
  return {
    put: async (hash, bytes) => {
      if (sha256Hex(bytes) !== hash) throw new ProtocolError(`${bytes.byteLength} bytes do not have the hash ${hash}`);
      kept.set(hash, Uint8Array.from(bytes));
    },
    get: async (hash) => {
      const bytes = kept.get(hash);
      return bytes === undefined ? undefined : Uint8Array.from(bytes);
    },
    locate: async (hash) => (kept.has(hash) ? `memory:${hash}` : undefined),
    [Symbol.asyncDispose]: async () => kept.clear(),
  };
}
