import { randomBytes } from "node:crypto";
import { chmodSync, statSync } from "node:fs";
import { type FileHandle, open, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { StorageFailedError, StorageFullError } from "@heddle/kernel";
import type { Spill, SpillFile } from "@heddle/port-spill";
import { privateDirectory } from "./runtime-directory.ts";

/** Pieces that go to the system in one call: fewer than any system takes. */
const PIECES_PER_WRITE = 512;

/**
 * A spill of files that have no name: they are open, and gone with the process however that ends. `directory` (0700) is this spill's alone; what a process
 * that died between making and unlinking one has left there is removed at once.
 */
export async function fileSpill(directory: string): Promise<Spill> {
  const found = statSync(directory, { throwIfNoEntry: false });
  if (found !== undefined && found.uid === process.getuid?.()) chmodSync(directory, 0o700); // others may have copied it
  privateDirectory(directory);
  for (const name of await readdir(directory)) if (OURS.test(name)) await rm(join(directory, name), { force: true });
  return { open: () => openNameless(join(directory, `${randomBytes(12).toString("hex")}.spill`)) };
}

const OURS = /^[0-9a-f]{24}\.spill$/;

async function openNameless(path: string): Promise<SpillFile> {
  try {
    const handle = await open(path, "wx+", 0o600);
    const file = new NamelessFile(handle);
    await rm(path, { force: true }).catch(async (error: unknown) => {
      await file.close();
      throw error;
    });
    return file;
  } catch (error) {
    throw storageError(error, `no file can be made in ${path}`);
  }
}

class NamelessFile implements SpillFile {
  readonly #handle: FileHandle;
  #closed: Promise<void> | undefined;

  constructor(handle: FileHandle) {
    this.#handle = handle;
  }

  async write(position: number, pieces: readonly Uint8Array[]): Promise<void> {
    let at = position;
    const rest = pieces.filter(({ byteLength }) => byteLength > 0);
    try {
      while (rest.length > 0) {
        const { bytesWritten } = await this.#handle.writev(rest.slice(0, PIECES_PER_WRITE), at);
        at += bytesWritten;
        drop(rest, bytesWritten);
      }
    } catch (error) {
      throw storageError(error, "results cannot be written to a file");
    }
  }

  async read(position: number, length: number): Promise<Uint8Array> {
    const bytes = new Uint8Array(length);
    let at = 0;
    try {
      while (at < length) {
        const { bytesRead } = await this.#handle.read(bytes, at, length - at, position + at);
        if (bytesRead === 0) break;
        at += bytesRead;
      }
    } catch (error) {
      throw storageError(error, "results cannot be read from a file");
    }
    if (at < length) throw new StorageFailedError(`${length} bytes at ${position} are not all in the file`);
    return bytes;
  }

  close(): Promise<void> {
    this.#closed ??= this.#handle.close().catch(() => undefined);
    return this.#closed;
  }
}

/** Drops the first `bytes` of pieces. */
function drop(pieces: Uint8Array[], bytes: number): void {
  let left = bytes;
  while (pieces[0] !== undefined && pieces[0].byteLength <= left) left -= pieces.shift()?.byteLength ?? 0;
  if (pieces[0] !== undefined && left > 0) pieces[0] = pieces[0].subarray(left);
}

function storageError(error: unknown, what: string): StorageFullError | StorageFailedError {
  const code = (error as NodeJS.ErrnoException).code ?? "";
  const message = `${what}: ${(error as Error).message}`;
  return code === "ENOSPC" || code === "EDQUOT"
    ? new StorageFullError(message, { cause: error })
    : new StorageFailedError(message, { cause: error });
}
