import { createHash, randomBytes } from "node:crypto";
import { readdir, readFile, rename, rm, stat, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { ClosedError, ProtocolError } from "@heddle/kernel";
import type { Blobs } from "@heddle/port-blobs";
import { privateDirectory } from "./runtime-directory.ts";

/**
 * A located blob is not evicted for so long: its reader has only begun to look for it. The file's time of access says until when, so that
 * others that share the directory keep it too.
 */
const LOCATED_KEEP_MS = 10 * 60_000;
/** Times of access that are later than now by more than this were set by `locate`; others are the system's, whose clock is finer. */
const CLOCK_STEP_MS = 1_000;
/** A temporary file of that age was left behind by a process that died. */
const LEFTOVER_MS = 60 * 60_000;

export interface FileBlobsOptions {
  /** Bytes of all blobs. Above, those unused for longest go; the newest one and those located lately stay in any case. */
  readonly maxBytes: number;
  /** End of the file names; ".mjs" by default, so that Node can import what is located. */
  readonly suffix?: string;
  /** Milliseconds since 1970; the system's by default. The same for all that share the directory. */
  readonly nowMs?: () => number;
}

/** What is known of one file. */
interface Entry {
  readonly bytes: number;
  /** Its content was compared with its name in this life. A file found at start may be torn. */
  verified: boolean;
}

/**
 * Blobs as files of one private directory (0700), each named by its hash and complete from the moment it can be seen.
 * Several may share a directory, and see what the others store; each evicts what it knows of.
 */
export function fileBlobs(directory: string, options: FileBlobsOptions): Blobs {
  return new FileBlobs(directory, options);
}

class FileBlobs implements Blobs {
  readonly #directory: string;
  readonly #maxBytes: number;
  readonly #suffix: string;
  readonly #nowMs: () => number;
  /** Least recently used first. */
  readonly #entries = new Map<string, Entry>();
  #totalBytes = 0;
  #opened: Promise<void> | undefined;
  /** Writes one after the other, so that an eviction never takes the file of a put beside it. */
  #writes: Promise<unknown> = Promise.resolve();
  #closed = false;

  constructor(directory: string, options: FileBlobsOptions) {
    this.#directory = directory;
    this.#maxBytes = options.maxBytes;
    this.#suffix = options.suffix ?? ".mjs";
    this.#nowMs = options.nowMs ?? Date.now;
  }

  async put(hash: string, bytes: Uint8Array): Promise<void> {
    const copy = Uint8Array.from(bytes); // before the first wait: what is checked is what is written
    await this.#open();
    if (hashOf(copy) !== hash) throw new ProtocolError(`${bytes.byteLength} bytes do not have the hash ${hash}`);
    if (await this.#verified(hash)) return;
    const written = this.#writes.then(() => this.#store(hash, copy));
    this.#writes = written.catch(() => undefined);
    await written;
  }

  async get(hash: string): Promise<Uint8Array | undefined> {
    await this.#open();
    return this.#read(hash);
  }

  async locate(hash: string): Promise<string | undefined> {
    await this.#open();
    if (!(await this.#verified(hash))) return undefined;
    if (this.#used(hash) === undefined) return undefined;
    const nowMs = this.#nowMs();
    try {
      await utimes(this.#path(hash), (nowMs + LOCATED_KEEP_MS) / 1_000, nowMs / 1_000);
    } catch {
      this.#forget(hash); // it went at this very moment
      return undefined;
    }
    return this.#path(hash);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    await this.#writes;
  }

  #path(hash: string): string {
    return join(this.#directory, `${hash}${this.#suffix}`);
  }

  async #open(): Promise<void> {
    if (this.#closed) throw new ClosedError(`the blobs in ${this.#directory} were closed`);
    this.#opened ??= this.#scan();
    await this.#opened;
  }

  /** Takes over what an earlier life left. */
  async #scan(): Promise<void> {
    privateDirectory(this.#directory);
    const found: { readonly hash: string; readonly bytes: number; readonly usedAt: number }[] = [];
    for (const name of await readdir(this.#directory)) {
      const path = join(this.#directory, name);
      const file = await stat(path).catch(() => undefined);
      if (file === undefined) continue;
      if (name.startsWith(".tmp-") && Date.now() - file.mtimeMs > LEFTOVER_MS) await rm(path, { force: true });
      const hash = name.endsWith(this.#suffix) ? name.slice(0, name.length - this.#suffix.length) : "";
      if (isHash(hash)) found.push({ hash, bytes: file.size, usedAt: file.mtimeMs });
    }
    found.sort((a, b) => a.usedAt - b.usedAt);
    for (const { hash, bytes } of found) this.#remember(hash, { bytes, verified: false });
  }

  /** The entry of a file, which another process may have put there. */
  async #find(hash: string): Promise<Entry | undefined> {
    if (!this.#entries.has(hash) && isHash(hash)) {
      const file = await stat(this.#path(hash)).catch(() => undefined);
      if (file !== undefined && !this.#entries.has(hash)) this.#remember(hash, { bytes: file.size, verified: false });
    }
    return this.#entries.get(hash);
  }

  /** Whether the blob is here and whole. */
  async #verified(hash: string): Promise<boolean> {
    const entry = await this.#find(hash);
    if (entry === undefined) return false;
    if (!entry.verified) return (await this.#read(hash)) !== undefined;
    const there = await stat(this.#path(hash)).catch(() => undefined);
    if (there?.size === entry.bytes) return true;
    this.#forget(hash);
    return false;
  }

  /** The bytes, compared with their name; a file that is gone or torn is forgotten. */
  async #read(hash: string): Promise<Uint8Array | undefined> {
    if ((await this.#find(hash)) === undefined) return undefined;
    const bytes = await readFile(this.#path(hash)).catch(() => undefined);
    if (bytes === undefined || hashOf(bytes) !== hash) {
      this.#forget(hash);
      return undefined;
    }
    const entry = this.#used(hash);
    if (entry !== undefined) entry.verified = true;
    return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  async #store(hash: string, bytes: Uint8Array): Promise<void> {
    const temporary = join(this.#directory, `.tmp-${randomBytes(12).toString("hex")}`);
    try {
      await writeFile(temporary, bytes, { mode: 0o600, flag: "wx" });
      await rename(temporary, this.#path(hash));
    } catch (error) {
      await rm(temporary, { force: true });
      throw error;
    }
    this.#remember(hash, { bytes: bytes.byteLength, verified: true });
    await this.#evict(hash);
  }

  async #evict(newest: string): Promise<void> {
    for (const hash of [...this.#entries.keys()]) {
      if (this.#totalBytes <= this.#maxBytes) return;
      if (hash !== newest && !(await this.#isKept(hash))) await this.#remove(hash);
    }
  }

  /** Somebody, here or elsewhere, was told lately where it is. */
  async #isKept(hash: string): Promise<boolean> {
    const file = await stat(this.#path(hash)).catch(() => undefined);
    return file !== undefined && file.atimeMs > this.#nowMs() + CLOCK_STEP_MS;
  }

  async #remove(hash: string): Promise<void> {
    this.#forget(hash);
    await rm(this.#path(hash), { force: true });
  }

  #remember(hash: string, entry: Entry): void {
    this.#forget(hash);
    this.#entries.set(hash, entry);
    this.#totalBytes += entry.bytes;
  }

  #forget(hash: string): void {
    this.#totalBytes -= this.#entries.get(hash)?.bytes ?? 0;
    this.#entries.delete(hash);
  }

  /** Moves it to the most recently used end. */
  #used(hash: string): Entry | undefined {
    const entry = this.#entries.get(hash);
    if (entry !== undefined) this.#remember(hash, entry);
    return entry;
  }
}

function hashOf(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

function isHash(text: string): boolean {
  return /^[0-9a-f]{64}$/.test(text);
}
