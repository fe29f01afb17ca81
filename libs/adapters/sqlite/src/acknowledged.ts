import { closeSync, openSync, readFileSync, writeSync } from "node:fs";
import { FRAME_HEADER_BYTES, isSealed, readHeader, sealedHeader } from "./frames.ts";
import { isNoSpace } from "./no-space.ts";

const NOTHING = new Uint8Array(0);

/**
 * The position of the last record that somebody was told is on disk, in a file of its own. It is written behind each commit and not
 * flushed: after a power cut it may be older than the log, never newer. A log that ends before it has lost what was acknowledged.
 */
export class Acknowledged implements Disposable {
  readonly #fd: number;

  constructor(path: string) {
    closeSync(openSync(path, "a", 0o600));
    this.#fd = openSync(path, "r+");
  }

  /** May miss a write on a full disk: an older position guards less, and is no error. Throws for any other reason. */
  write(position: number): void {
    try {
      writeSync(this.#fd, sealedHeader(position, NOTHING), 0, FRAME_HEADER_BYTES, 0);
    } catch (error) {
      if (!isNoSpace(error)) throw error;
    }
  }

  [Symbol.dispose](): void {
    closeSync(this.#fd);
  }
}

/** The position in the file; undefined when there is none that can be read. */
export function acknowledgedIn(path: string): number | undefined {
  let file: Uint8Array;
  try {
    file = readFileSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
  if (file.byteLength !== FRAME_HEADER_BYTES || !isSealed(file, NOTHING)) return undefined;
  return readHeader(file).number;
}
