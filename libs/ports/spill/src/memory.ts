import { StorageFailedError, StorageFullError, type Write, type WriteOutcome } from "@heddle/kernel";
import type { Spill, SpillFile } from "./index.ts";

/** A spill in memory, for tests and simulations. `write`: the disk below it, asked at each write and, with 0 bytes, as a file is opened or read; one with room unless given. */
export function memorySpill(write: Write = () => "kept"): Spill {
  return {
    open: async () => {
      refuse(await write(0), "a file could not be made");
      return new MemoryFile(write);
    },
  };
}

function refuse(outcome: WriteOutcome, what: string): void {
  if (outcome === "full") throw new StorageFullError(`${what}: there is no space`);
  if (outcome !== "kept") throw new StorageFailedError(what);
}

class MemoryFile implements SpillFile {
  readonly #write: Write;
  #bytes = new Uint8Array(0);

  constructor(write: Write) {
    this.#write = write;
  }

  async write(position: number, pieces: readonly Uint8Array[]): Promise<void> {
    const copies = pieces.map((piece) => Uint8Array.from(piece)); // before the first wait, as a system would
    const size = copies.reduce((sum, { byteLength }) => sum + byteLength, 0);
    refuse(await this.#write(size), `${size} bytes could not be written`);
    this.#grow(position + size);
    let at = position;
    for (const copy of copies) {
      this.#bytes.set(copy, at);
      at += copy.byteLength;
    }
  }

  async read(position: number, length: number): Promise<Uint8Array> {
    const outcome = await this.#write(0);
    if (outcome === "failed-kept" || outcome === "failed-lost" || position + length > this.#bytes.byteLength)
      throw new StorageFailedError(`${length} bytes at ${position} could not be read`);
    return this.#bytes.slice(position, position + length);
  }

  async close(): Promise<void> {
    this.#bytes = new Uint8Array(0);
  }

  #grow(size: number): void {
    if (size <= this.#bytes.byteLength) return;
    const grown = new Uint8Array(size);
    grown.set(this.#bytes);
    this.#bytes = grown;
  }
}
