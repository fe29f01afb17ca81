import { ClosedError, InvalidArgumentError, LimitError, type Logger, StateError } from "@heddle/kernel";
import {
  type Journal,
  JournalDamagedError,
  JournalFailedError,
  JournalFullError,
  JournalLockedError,
  RECORD_BYTES_MAX,
  type Recovered,
  SNAPSHOTS_KEPT,
  UNCOMMITTED_BYTES_MAX,
} from "@heddle/port-journal";
import { Batch } from "./batch.ts";
import { Damage } from "./damage.ts";
import { framesOf } from "./frames.ts";
import type { JournalAnswer, JournalRequest, Row } from "./messages.ts";
import { SnapshotFiles } from "./snapshot-files.ts";
import { type StorageKind, threadBeside } from "./storage.ts";
import { type OwnerOptions, ThreadClient } from "./thread-client.ts";

/** What the thread of a journal is, and how its failures are told. */
export const JOURNAL: StorageKind = {
  what: "journal",
  thread: threadBeside(import.meta.url, "journal-thread"),
  FullError: JournalFullError,
  FailedError: JournalFailedError,
  DamagedError: JournalDamagedError,
  LockedError: JournalLockedError,
};

type JournalThread = ThreadClient<JournalRequest, JournalAnswer>;

/** Where a journal is, how large it may become, and whose it is. */
export interface SqliteJournalOptions {
  /** Where the journal is kept, and nothing else. Made (0700) unless it is there. */
  readonly directory: string;
  /** Warned of what people should know of it: a directory that is taken over, an end that was cut, a snapshot that is damaged, a disk without space. */
  readonly log: Logger;
  /** Size of the database above which appends reject with JournalFullError, in bytes; snapshots lie beside it. The disk's unless given. */
  readonly bytesMax?: number;
  /** Whose it is to be; of a program of this machine unless given. */
  readonly owner?: OwnerOptions;
}

/**
 * Opens the journal in a directory, which nobody else can open until it is disposed or this process ends. Rejects with
 * JournalLockedError when a living process owns it, JournalDamagedError when its database is not as it was stored, PermissionError
 * when the directory is another user's, JournalFullError or JournalFailedError when it cannot be written.
 */
export async function openSqliteJournal(options: SqliteJournalOptions): Promise<Journal> {
  const { directory, log, bytesMax, owner } = options;
  const start = { kind: JOURNAL, directory, bytesMax, log, owner };
  const { thread, opened } = await ThreadClient.start<JournalRequest, JournalAnswer>(start);
  return new SqliteJournal({ directory, log, thread, position: opened.position });
}

interface Opened {
  readonly directory: string;
  readonly log: Logger;
  readonly thread: JournalThread;
  readonly position: number;
}

class SqliteJournal implements Journal {
  readonly #directory: string;
  readonly #log: Logger;
  readonly #thread: JournalThread;
  readonly #files: SnapshotFiles;
  /** What leaves with the next commit. */
  #batch = new Batch();
  #uncommittedBytes = 0;
  /** Runs while anything is under way or waits. */
  #committing: Promise<void> | undefined;
  /** Snapshots are saved one after the other. */
  #saving: Promise<unknown> = Promise.resolve();
  #recovery: "none" | "begun" | "done" = "none";
  #closed: Promise<void> | undefined;
  /** Why nothing is taken any more. */
  #failure: JournalFailedError | undefined;
  #position: number;
  #bytesSinceSnapshot = 0;
  /** Positions of the snapshots that count, ascending. */
  #snapshots: readonly number[] = [];

  constructor({ directory, log, thread, position }: Opened) {
    this.#directory = directory;
    this.#log = log;
    this.#thread = thread;
    this.#position = position;
    this.#files = new SnapshotFiles(directory);
  }

  get position(): number {
    return this.#position;
  }

  get bytesSinceSnapshot(): number {
    return this.#bytesSinceSnapshot;
  }

  async *recover(): AsyncIterable<Recovered> {
    if (this.#closed !== undefined) throw this.#closedError();
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#recovery === "begun" || this.#committing !== undefined)
      throw new StateError("a journal is recovered while nothing else is under way");
    this.#recovery = "begun";
    await this.#saving;
    this.#bytesSinceSnapshot = 0;
    const snapshot = await this.#newestSnapshot();
    if (snapshot !== undefined) yield snapshot;
    let next = (snapshot?.position ?? 0) + 1;
    for await (const row of this.#rowsFrom(next)) {
      if (row.first > next) throw this.#gap(next, row.first - 1);
      for (const { number, bytes } of framesOf(row.frames)) {
        if (number < next) continue;
        this.#bytesSinceSnapshot += bytes.byteLength;
        next = number + 1;
        yield { type: "record", position: number, bytes };
      }
    }
    if (next <= this.#position) throw this.#gap(next, this.#position);
    this.#recovery = "done";
  }

  async append(records: readonly Uint8Array[]): Promise<void> {
    const bytes = this.#bytesOf(records);
    if (this.#uncommittedBytes > 0 && this.#uncommittedBytes + bytes > UNCOMMITTED_BYTES_MAX) {
      throw new LimitError("UNCOMMITTED_BYTES_MAX", UNCOMMITTED_BYTES_MAX, this.#uncommittedBytes + bytes);
    }
    this.#uncommittedBytes += bytes;
    const stored = this.#batch.add(records, bytes);
    this.#committing ??= this.#commitAll();
    await stored;
  }

  async saveSnapshot(position: number, pieces: readonly Uint8Array[]): Promise<void> {
    this.#bytesOf(pieces);
    const saved = this.#saving.then(() => this.#save(position, pieces));
    this.#saving = saved.catch(() => undefined);
    await saved;
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #commitAll(): Promise<void> {
    await Promise.resolve(); // what is appended in one go leaves together
    while (!this.#batch.isEmpty) {
      const batch = this.#batch;
      this.#batch = new Batch();
      const error = await this.#commit(batch);
      this.#uncommittedBytes -= batch.bytes;
      batch.settle(error);
    }
    this.#committing = undefined;
  }

  /** Says what went wrong. */
  async #commit(batch: Batch): Promise<unknown> {
    if (this.#failure !== undefined) return this.#failure;
    const rows = batch.rows(this.#position + 1);
    if (rows.length === 0) return undefined;
    try {
      const transfer = rows.map(({ frames }) => frames.buffer);
      await this.#thread.ask({ type: "append", rows }, "done", transfer);
    } catch (error) {
      return this.#failed(error);
    }
    this.#position = rows.at(-1)?.last ?? this.#position;
    this.#bytesSinceSnapshot += batch.bytes;
    return undefined;
  }

  async #save(position: number, pieces: readonly Uint8Array[]): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure;
    const newest = this.#snapshots.at(-1) ?? 0;
    if (!Number.isInteger(position) || position < 1 || position < newest || position > this.#position) {
      throw new InvalidArgumentError(
        `a snapshot at ${position}: the newest one is at ${newest}, the last record at ${this.#position}`,
      );
    }
    if (position === newest) return;
    try {
      await this.#files.write(position, pieces);
      this.#snapshots = [...this.#snapshots, position].slice(-SNAPSHOTS_KEPT);
      await this.#files.prune(this.#snapshots);
      await this.#truncate();
      this.#bytesSinceSnapshot = (await this.#thread.ask({ type: "count", after: position }, "counted")).bytes;
    } catch (error) {
      throw this.#failed(error);
    }
  }

  /** Deletes the records that no snapshot needs any more, in steps between the appends. */
  async #truncate(): Promise<void> {
    const [upTo, newer] = this.#snapshots;
    if (upTo === undefined || newer === undefined) return;
    try {
      for (let isAll = false; !isAll; ) {
        ({ isAll } = await this.#thread.ask({ type: "truncate", upTo }, "truncated"));
      }
    } catch (error) {
      if (!(error instanceof JournalFullError)) throw error;
      this.#log.warn("no space to delete old records: the next snapshot tries again", { directory: this.#directory });
    }
  }

  /** What the caller gets to see. Anything but a full disk is the end. */
  #failed(error: unknown): JournalFullError | JournalFailedError {
    if (error instanceof JournalFullError) return error;
    const why = error instanceof Error ? error.message : String(error);
    this.#failure ??=
      error instanceof JournalFailedError
        ? error
        : new JournalFailedError(`the journal in ${this.#directory}: ${why}`, { cause: error });
    return this.#failure;
  }

  /** The newest that is whole. */
  async #newestSnapshot(): Promise<(Recovered & { readonly type: "snapshot" }) | undefined> {
    const positions = await this.#files.positions();
    for (let kept = positions.length; kept > 0; kept--) {
      const position = positions[kept - 1] ?? 0;
      const path = this.#files.path(position);
      if (position > this.#position) {
        throw new JournalDamagedError(`${path} is there, but the records end at ${this.#position}: some were lost`);
      }
      try {
        const pieces = await this.#files.read(position);
        this.#snapshots = positions.slice(0, kept);
        return { type: "snapshot", position, pieces };
      } catch (error) {
        if (!(error instanceof Damage)) throw this.#failed(error);
        this.#log.warn("a snapshot is damaged: an older one or all records are used instead", {
          path,
          why: error.message,
        });
      }
    }
    return undefined;
  }

  async *#rowsFrom(position: number): AsyncGenerator<Row> {
    let answer = await this.#thread.ask({ type: "read", from: position }, "rows");
    for (;;) {
      yield* answer.rows;
      if (answer.isLast) return;
      answer = await this.#thread.ask({ type: "read-on" }, "rows");
    }
  }

  async #close(): Promise<void> {
    while (this.#committing !== undefined) await this.#committing;
    await this.#saving;
    await this.#thread.close(this.#failure === undefined);
  }

  /** The bytes of it all, if this may be stored now. */
  #bytesOf(all: readonly Uint8Array[]): number {
    if (this.#closed !== undefined) throw this.#closedError();
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

  #closedError(): ClosedError {
    return new ClosedError(`the journal in ${this.#directory} was closed`);
  }

  #gap(from: number, to: number): JournalDamagedError {
    return new JournalDamagedError(
      `the journal in ${this.#directory}: records ${from} to ${to} are missing, and no whole snapshot has what they did`,
    );
  }
}
