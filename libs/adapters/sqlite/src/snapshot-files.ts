import { type FileHandle, open, readdir, rename, rm, statfs } from "node:fs/promises";
import { join } from "node:path";
import { JournalFullError } from "@heddle/port-journal";
import { Damage } from "./damage.ts";
import { FRAME_HEADER_BYTES, isSealed, readHeader, sealedHeader } from "./frames.ts";
import { SNAPSHOT_CHUNK_BYTES, SNAPSHOT_FLUSH_BYTES, SNAPSHOT_RESERVE_BYTES, SNAPSHOT_RESERVE_PART } from "./limits.ts";
import { isNoSpace } from "./no-space.ts";

const MAGIC = "heddle snapshot 1";
const NAME = /^snapshot-(\d{16})$/;

/**
 * Snapshots as files, each named by its position and complete from the moment it has its name: a frame numbered by the position, with how
 * many pieces there are, then a frame for each, numbered from 1.
 */
export class SnapshotFiles {
  readonly #directory: string;

  constructor(directory: string) {
    this.#directory = directory;
  }

  path(position: number): string {
    return join(this.#directory, `snapshot-${String(position).padStart(16, "0")}`);
  }

  /** Positions of those that are there, ascending. What somebody who died left unfinished is cleared away. */
  async positions(): Promise<number[]> {
    const positions: number[] = [];
    for (const name of await readdir(this.#directory)) {
      const position = NAME.exec(name)?.[1];
      if (position !== undefined) positions.push(Number(position));
      else if (/^snapshot-.*\.tmp$/.test(name)) await rm(join(this.#directory, name), { force: true });
    }
    return positions.sort((a, b) => a - b);
  }

  /** The pieces. Throws Damage unless every byte is as it was stored. */
  async read(position: number): Promise<Uint8Array[]> {
    const pieces: Uint8Array[] = [];
    await readWhole(this.path(position), position, (piece) => pieces.push(piece));
    return pieces;
  }

  /**
   * Comes back when the snapshot is on disk, was read back and has its name. Throws JournalFullError, or what the system throws; nothing
   * of it is left then.
   */
  async write(position: number, pieces: readonly Uint8Array[]): Promise<void> {
    const temporary = `${this.path(position)}.tmp`;
    await this.#leavesSpace(pieces.reduce((sum, piece) => sum + FRAME_HEADER_BYTES + piece.byteLength, 0));
    try {
      await writeWhole(temporary, position, pieces);
      await readWhole(temporary, position, () => undefined);
      await rename(temporary, this.path(position));
    } catch (error) {
      await rm(temporary, { force: true });
      if (!isNoSpace(error)) throw error;
      throw new JournalFullError(`no space in ${this.#directory} for a snapshot`, { cause: error });
    }
    await syncDirectory(this.#directory);
  }

  /** Removes all but these. */
  async prune(kept: readonly number[]): Promise<void> {
    for (const position of await this.positions()) {
      if (!kept.includes(position)) await rm(this.path(position), { force: true });
    }
  }

  async #leavesSpace(bytes: number): Promise<void> {
    const { bavail, blocks, bsize } = await statfs(this.#directory);
    const reserve = Math.min(SNAPSHOT_RESERVE_BYTES, blocks * bsize * SNAPSHOT_RESERVE_PART);
    if (bavail * bsize >= bytes + reserve) return;
    throw new JournalFullError(
      `a snapshot of ${bytes} bytes would leave too little space in ${this.#directory} for records: ${bavail * bsize} bytes are free`,
    );
  }
}

async function writeWhole(path: string, position: number, pieces: readonly Uint8Array[]): Promise<void> {
  await using file = await open(path, "w", 0o600);
  let unflushed = 0;
  for (const chunk of chunksOf(position, pieces)) {
    await file.writeFile(chunk);
    unflushed += chunk.byteLength;
    if (unflushed < SNAPSHOT_FLUSH_BYTES) continue;
    await file.datasync();
    unflushed = 0;
  }
  await file.sync();
}

/** The snapshot's bytes, small pieces together: a system call for each would take longer than all the rest. */
function* chunksOf(position: number, pieces: readonly Uint8Array[]): Generator<Uint8Array> {
  let parts: Uint8Array[] = [];
  let bytes = 0;
  for (let number = 0; number <= pieces.length; number++) {
    const piece = pieces[number - 1] ?? new TextEncoder().encode(`${MAGIC} ${pieces.length}`);
    parts.push(sealedHeader(number === 0 ? position : number, piece), piece);
    bytes += FRAME_HEADER_BYTES + piece.byteLength;
    if (bytes < SNAPSHOT_CHUNK_BYTES && number < pieces.length) continue;
    yield Buffer.concat(parts, bytes);
    parts = [];
    bytes = 0;
  }
}

async function readWhole(path: string, position: number, each: (piece: Uint8Array) => void): Promise<void> {
  await using file = await open(path, "r");
  const reader = new FrameReader(file, path, (await file.stat()).size);
  const head = new TextDecoder().decode(await reader.next(position));
  const [, count] = new RegExp(`^${MAGIC} (\\d+)$`).exec(head) ?? [];
  if (count === undefined) throw new Damage(`${path} is not a snapshot`);
  for (let number = 1; number <= Number(count); number++) each(await reader.next(number));
  if (reader.left > 0) throw new Damage(`${path} has ${reader.left} bytes behind its end`);
}

class FrameReader {
  readonly #file: FileHandle;
  readonly #path: string;
  #unread: number;
  /** Read and not taken yet. */
  #chunk = new Uint8Array(0);

  constructor(file: FileHandle, path: string, size: number) {
    this.#file = file;
    this.#path = path;
    this.#unread = size;
  }

  /** Bytes behind the frames that were taken. */
  get left(): number {
    return this.#chunk.byteLength + this.#unread;
  }

  /** The bytes of the next frame, which has this number. */
  async next(number: number): Promise<Uint8Array> {
    if (this.#chunk.byteLength < FRAME_HEADER_BYTES) await this.#fill(FRAME_HEADER_BYTES, number);
    const { number: found, length } = readHeader(this.#chunk);
    const end = FRAME_HEADER_BYTES + length;
    if (this.#chunk.byteLength < end) await this.#fill(end, number);
    const bytes = this.#chunk.slice(FRAME_HEADER_BYTES, end);
    if (found !== number || !isSealed(this.#chunk, bytes)) throw this.#damage(number);
    this.#chunk = this.#chunk.subarray(end);
    return bytes;
  }

  /** Has at least so many bytes in the chunk, and more where a small frame needs them. */
  async #fill(bytes: number, number: number): Promise<void> {
    if (bytes > this.left) throw this.#damage(number);
    const chunk = new Uint8Array(Math.min(this.left, Math.max(bytes, SNAPSHOT_CHUNK_BYTES)));
    chunk.set(this.#chunk);
    for (let at = this.#chunk.byteLength; at < chunk.byteLength; ) {
      const { bytesRead } = await this.#file.read(chunk, at, chunk.byteLength - at);
      if (bytesRead === 0) throw this.#damage(number);
      at += bytesRead;
    }
    this.#unread -= chunk.byteLength - this.#chunk.byteLength;
    this.#chunk = chunk;
  }

  #damage(number: number): Damage {
    return new Damage(`${this.#path} is not what was stored: its frame ${number} is damaged or missing`);
  }
}

async function syncDirectory(path: string): Promise<void> {
  await using directory = await open(path, "r");
  await directory.sync();
}
