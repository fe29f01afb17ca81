export { memoryBlobs } from "./memory.ts";
export { sha256Hex } from "./sha256.ts";

/** Content-addressed bytes. `hash` is always the SHA-256 of the content in hex: an adapter verifies it when it stores. */
export interface Blobs extends AsyncDisposable {
  /** Stores bytes under their hash. Rejects with ProtocolError when the hash is another's. Storing twice is one. */
  put(hash: string, bytes: Uint8Array): Promise<void>;
  /** The bytes, or undefined. */
  get(hash: string): Promise<Uint8Array | undefined>;
  /** Where a worker process of this machine finds the bytes (a path for files), or undefined when they are not here. What was located stays for ten minutes. */
  locate(hash: string): Promise<string | undefined>;
}
