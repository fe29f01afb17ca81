import {
  ClosedError,
  Fifo,
  InvalidArgumentError,
  LimitError,
  StateError,
  type Write,
  writeToMemory,
} from "@heddle/kernel";
import { JournalFailedError, JournalFullError, JournalLockedError } from "./errors.ts";
import type { Journal, Recovered } from "./index.ts";
import { RECORD_BYTES_MAX, SNAPSHOTS_KEPT, UNCOMMITTED_BYTES_MAX } from "./limits.ts";

/** What a memory journal keeps. It outlives the journal, so that an owner can be restarted on it. */
export class MemoryJournalStore {
  /** Records since the older snapshot, the first at `firstPosition`. */
  records: Uint8Array[] = [];
  firstPosition = 1;
  /** Oldest first. */
  snapshots: { readonly position: number; readonly pieces: readonly Uint8Array[] }[] = [];
  /** The journal that is open on it. */
  owner: Journal | undefined;
  readonly write: Write;

  /** `write`: keeps everything at once unless given. */
  constructor(write: Write = () => "kept") {
    this.write = write;
  }

  get position(): number {
    return this.firstPosition + this.records.length - 1;
  }

  /** Ends the owner as if its process were killed: writes under way are lost, its journal never settles anything more. */
  kill(): void {
    this.owner = undefined;
  }
}

/** A journal that lasts as long as its store; as strict as one on disk. Throws JournalLockedError while another is open on the store. */
export function memoryJournal(store: MemoryJournalStore = new MemoryJournalStore()): Journal {
  if (store.owner !== undefined) throw new JournalLockedError("a journal is open on this store already");
  const journal = new MemoryJournal(store);
  store.owner = journal;
  return journal;
}

interface Append {
  readonly records: readonly Uint8Array[];
  readonly bytes: number;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

class MemoryJournal implements Journal {
  readonly #store: MemoryJournalStore;
  readonly #waiting = new Fifo<Append>();
  #uncommittedBytes = 0;
  #committing: Promise<void> | undefined;
  #snapshots: Promise<unknown> = Promise.resolve();
  #recovery: "none" | "begun" | "done" = "none";
  #closed: Promise<void> | undefined;
  #failure: JournalFailedError | undefined;
  #bytesSinceSnapshot = 0;

  constructor(store: MemoryJournalStore) {
    this.#store = store;
    this.#count();
  }

  get position(): number {
    return this.#store.position;
  }

  get bytesSinceSnapshot(): number {
    return this.#bytesSinceSnapshot;
  }

  async *recover(): AsyncIterable<Recovered> {
    if (this.#closed !== undefined) throw closed();
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#recovery === "begun" || this.#committing !== undefined)
      throw new StateError("a journal is recovered while nothing else is under way");
    this.#recovery = "begun";
    await this.#snapshots;
    const { snapshots, records, firstPosition } = this.#store;
    const newest = snapshots.at(-1);
    if (newest !== undefined) yield { type: "snapshot", ...newest, pieces: newest.pieces.map(copyOf) };
    for (let position = (newest?.position ?? 0) + 1; position <= this.position; position++) {
      const bytes = records[position - firstPosition];
      if (bytes !== undefined) yield { type: "record", position, bytes: copyOf(bytes) };
    }
    this.#recovery = "done";
  }

  async append(records: readonly Uint8Array[]): Promise<void> {
    const bytes = this.#checked(records);
    if (this.#uncommittedBytes > 0 && this.#uncommittedBytes + bytes > UNCOMMITTED_BYTES_MAX) {
      throw new LimitError("UNCOMMITTED_BYTES_MAX", UNCOMMITTED_BYTES_MAX, this.#uncommittedBytes + bytes);
    }
    const copies = records.map(copyOf);
    this.#uncommittedBytes += bytes;
    await new Promise<void>((resolve, reject) => {
      this.#waiting.push({ records: copies, bytes, resolve, reject });
      this.#committing ??= this.#commitAll();
    });
  }

  async saveSnapshot(position: number, pieces: readonly Uint8Array[]): Promise<void> {
    const bytes = this.#checked(pieces);
    const saved = this.#snapshots.then(() => this.#save(position, pieces, bytes));
    this.#snapshots = saved.catch(() => undefined);
    await saved;
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    while (this.#committing !== undefined && this.#owns) await this.#committing;
    if (this.#owns) await this.#snapshots;
    if (this.#owns) this.#store.owner = undefined;
  }

  get #owns(): boolean {
    return this.#store.owner === this;
  }

  /** The bytes of it all, if this may be stored now. */
  #checked(all: readonly Uint8Array[]): number {
    if (this.#closed !== undefined) throw closed();
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#recovery !== "done")
      throw new StateError("a journal is recovered, to the end, before anything is stored");
    let bytes = 0;
    for (const { byteLength } of all) {
      if (byteLength > RECORD_BYTES_MAX) throw new LimitError("RECORD_BYTES_MAX", RECORD_BYTES_MAX, byteLength);
      bytes += byteLength;
    }
    return bytes;
  }

  async #commitAll(): Promise<void> {
    await Promise.resolve(); // what is appended in one go leaves together
    while (this.#waiting.size > 0) {
      const batch = this.#waiting.take(() => true);
      const bytes = batch.reduce((sum, append) => sum + append.bytes, 0);
      const error = await this.#write(bytes, () => {
        for (const { records } of batch) for (const record of records) this.#store.records.push(record);
      });
      if (error === undefined) this.#bytesSinceSnapshot += bytes;
      this.#uncommittedBytes -= bytes;
      for (const { resolve, reject } of batch) {
        if (error === undefined) resolve();
        else reject(error);
      }
    }
    this.#committing = undefined;
  }

  async #save(position: number, pieces: readonly Uint8Array[], bytes: number): Promise<void> {
    const { snapshots } = this.#store;
    const newest = snapshots.at(-1)?.position ?? 0;
    if (!Number.isInteger(position) || position < 1 || position < newest || position > this.position) {
      throw new InvalidArgumentError(
        `a snapshot at ${position}: the newest one is at ${newest}, the last record at ${this.position}`,
      );
    }
    if (position === newest) return;
    const error = await this.#write(bytes, () => {
      snapshots.push({ position, pieces: pieces.map(copyOf) });
      if (snapshots.length <= SNAPSHOTS_KEPT) return;
      snapshots.shift();
      const first = (snapshots[0]?.position ?? 0) + 1;
      this.#store.records.splice(0, first - this.#store.firstPosition);
      this.#store.firstPosition = first;
    });
    if (error !== undefined) throw error;
    this.#count();
  }

  /** Asks the disk, and keeps what it kept. Says what went wrong; never answers when the owner was killed. */
  async #write(bytes: number, keep: () => void): Promise<JournalFullError | JournalFailedError | undefined> {
    if (this.#failure !== undefined) return this.#failure;
    const outcome = await writeToMemory(this.#store.write, { bytes, keep, isKilled: () => !this.#owns });
    if (outcome === "kept") return undefined;
    if (outcome === "full") return new JournalFullError(`no space for ${bytes} bytes`);
    this.#failure ??= new JournalFailedError(`a write of ${bytes} bytes failed, and may be kept or not`);
    return this.#failure;
  }

  #count(): void {
    const since = this.#store.snapshots.at(-1)?.position ?? 0;
    const behind = this.#store.records.slice(since + 1 - this.#store.firstPosition);
    this.#bytesSinceSnapshot = behind.reduce((sum, { byteLength }) => sum + byteLength, 0);
  }
}

function closed(): ClosedError {
  return new ClosedError("the journal was closed");
}

function copyOf(bytes: Uint8Array): Uint8Array {
  return Uint8Array.from(bytes);
}
