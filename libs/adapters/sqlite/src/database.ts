import { closeSync, openSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync, type StatementSync } from "node:sqlite";
import { Acknowledged, acknowledgedIn } from "./acknowledged.ts";
import { Damage } from "./damage.ts";
import { checkFrames, FRAME_HEADER_BYTES, framesOf, seal } from "./frames.ts";
import {
  CHECKPOINT_IDLE_PAGES,
  CHECKPOINT_PAGES_MAX,
  LOCK_WAIT_MS,
  READ_BYTES_TARGET,
  TRUNCATE_ROWS_MAX,
} from "./limits.ts";
import type { Note, Row } from "./messages.ts";
import { primaryCode, SQLITE_FULL } from "./sqlite-errors.ts";
import { scanWal } from "./wal-scan.ts";

const PAGE_BYTES = 4_096;
/** "Hedl": says whose database it is. */
const APPLICATION_ID = 0x4865646c;
const FORMAT = 1;

/** The files of a journal that its thread works with. */
const journalFiles = (directory: string): Record<"database" | "log" | "acknowledged", string> => ({
  database: join(directory, "journal.db"),
  log: join(directory, "journal.db-wal"),
  acknowledged: join(directory, "acknowledged"),
});

/** The records of a journal in an SQLite database that no one else can open meanwhile. Synchronous: lives in a thread of its own. */
export class JournalDatabase {
  readonly notes: Note[] = [];
  readonly #file: string;
  readonly #database: DatabaseSync;
  readonly #acknowledged: Acknowledged;
  readonly #insert: StatementSync;
  #position: number;
  /** Those that are being read. */
  #rows: Iterator<Record<string, unknown>> | undefined;
  /** About how many pages are in the write-ahead log and not yet in the database. */
  #logPages = 0;

  /** Throws what SQLite throws, and Damage. */
  constructor(directory: string, bytesMax: number | undefined) {
    const files = journalFiles(directory);
    this.#file = files.database;
    createPrivate(files.database);
    const tornBytes = scanWal(files.log, PAGE_BYTES);
    if (tornBytes > 0) this.notes.push({ message: "the journal's end was incomplete and was cut", bytes: tornBytes });
    this.#database = openExclusively(files.database, bytesMax);
    this.#check();
    this.#position = this.#lastPosition();
    this.#compareWith(files.acknowledged);
    this.#acknowledged = new Acknowledged(files.acknowledged);
    this.#acknowledged.write(this.#position);
    this.#insert = this.#database.prepare("INSERT INTO rows (first, last, frames) VALUES (?, ?, ?)");
  }

  get position(): number {
    return this.#position;
  }

  /** Stores all rows or none, and comes back when they are on disk. */
  append(rows: readonly Row[]): void {
    for (const { first, frames } of rows) seal(frames, first);
    this.#transact(rows.length > 1, () => {
      for (const { first, last, frames } of rows) this.#insert.run(first, last, frames);
    });
    this.#position = rows.at(-1)?.last ?? this.#position;
    this.#acknowledged.write(this.#position);
    for (const { frames } of rows) this.#logPages += 1 + Math.ceil(frames.byteLength / PAGE_BYTES);
  }

  /** The rows from the one that holds `from`, or is the first behind it: some now, the others from `readOn`. */
  read(from: number): { readonly rows: readonly Row[]; readonly isLast: boolean } {
    const start = this.#database
      .prepare("SELECT coalesce(max(first), 0) AS first FROM rows WHERE first <= ?")
      .get(from);
    const select = this.#database.prepare("SELECT first, last, frames FROM rows WHERE first >= ? ORDER BY first");
    this.#rows = select.iterate(Number(start?.first));
    return this.readOn();
  }

  readOn(): { readonly rows: readonly Row[]; readonly isLast: boolean } {
    const rows: Row[] = [];
    for (let bytes = 0; bytes < READ_BYTES_TARGET; ) {
      const next = this.#rows?.next();
      if (next === undefined || next.done === true) {
        this.#rows = undefined;
        return { rows, isLast: true };
      }
      const row = checkedRow(next.value, this.#file);
      rows.push(row);
      bytes += row.frames.byteLength;
    }
    return { rows, isLast: false };
  }

  /** Deletes rows that hold nothing behind `upTo`, some at a time. Says whether all are gone. */
  truncate(upTo: number): boolean {
    const { changes } = this.#database
      .prepare("DELETE FROM rows WHERE first IN (SELECT first FROM rows WHERE last <= ? ORDER BY first LIMIT ?)")
      .run(upTo, TRUNCATE_ROWS_MAX);
    this.#logPages += 2 * Number(changes);
    return Number(changes) < TRUNCATE_ROWS_MAX;
  }

  /** Bytes of the records behind this position. */
  bytesAfter(position: number): number {
    const headers = `${FRAME_HEADER_BYTES} * (last - first + 1)`;
    const whole = this.#database
      .prepare(`SELECT coalesce(sum(length(frames) - ${headers}), 0) AS bytes FROM rows WHERE first > ?`)
      .get(position);
    let bytes = Number(whole?.bytes);
    const split = this.#database
      .prepare("SELECT first, last, frames FROM rows WHERE first <= ? ORDER BY first DESC LIMIT 1")
      .get(position);
    if (split === undefined) return bytes;
    const frames = framesOf(checkedRow(split, this.#file).frames);
    for (const { number, bytes: record } of frames) if (number > position) bytes += record.byteLength;
    return bytes;
  }

  /** Whether moving the log into the database pays as soon as there is nothing else to do. Not while somebody reads: SQLite refuses. */
  get wantsCheckpoint(): boolean {
    return this.#rows === undefined && this.#logPages > CHECKPOINT_IDLE_PAGES;
  }

  /** Whether it is time to do that now, whatever waits. */
  get needsCheckpoint(): boolean {
    return this.wantsCheckpoint && this.#logPages > CHECKPOINT_PAGES_MAX;
  }

  /** Moves the log into the database. On a full disk the log stays and is tried again later: it has all that counts. */
  checkpoint(): void {
    try {
      this.#database.exec("PRAGMA wal_checkpoint(PASSIVE)");
    } catch (error) {
      if (primaryCode(error) !== SQLITE_FULL) throw error;
    }
    this.#logPages = 0;
  }

  close(): void {
    this.#acknowledged[Symbol.dispose]();
    this.#database.close();
  }

  /** Throws what `run` throws, and the transaction is gone then. */
  #transact(isNeeded: boolean, run: () => void): void {
    try {
      if (isNeeded) this.#database.exec("BEGIN");
      run();
      if (isNeeded) this.#database.exec("COMMIT");
    } catch (error) {
      // SQLite has rolled back by itself where there was no space; a second time would be an error.
      if (this.#database.isTransaction) this.#database.exec("ROLLBACK");
      throw error;
    }
  }

  /** Whether this is a database of ours that SQLite finds whole. A new one is made. */
  #check(): void {
    const read = (pragma: string): unknown => Object.values(this.#database.prepare(`PRAGMA ${pragma}`).get() ?? {})[0];
    if (read("journal_mode") !== "wal") throw new Error(`${this.#file} cannot have a write-ahead log here`);
    if (read("application_id") === 0 && read("schema_version") === 0) {
      this.#database.exec(`BEGIN; PRAGMA application_id = ${APPLICATION_ID}; PRAGMA user_version = ${FORMAT};
        CREATE TABLE rows (first INTEGER PRIMARY KEY, last INTEGER NOT NULL, frames BLOB NOT NULL) STRICT; COMMIT`);
    }
    if (read("application_id") !== APPLICATION_ID) throw new Damage(`${this.#file} is not a journal`);
    const format = read("user_version");
    if (format !== FORMAT) throw new Damage(`${this.#file} has format ${format}, this version knows ${FORMAT}`);
    const found = read("quick_check(1)");
    if (found !== "ok") throw new Damage(`${this.#file}: ${found}`);
  }

  #lastPosition(): number {
    const last = this.#database.prepare("SELECT last FROM rows ORDER BY first DESC LIMIT 1").get();
    return Number(last?.last ?? 0);
  }

  #compareWith(acknowledgedFile: string): void {
    const acknowledged = acknowledgedIn(acknowledgedFile);
    if (acknowledged === undefined) {
      if (this.#position === 0) return;
      this.notes.push({ message: "nothing says where the journal should end: if its end was lost, nobody can tell" });
    } else if (acknowledged > this.#position) {
      throw new Damage(`${this.#file} ends at record ${this.#position}, but record ${acknowledged} was on disk`);
    }
  }
}

function openExclusively(file: string, bytesMax: number | undefined): DatabaseSync {
  const database = new DatabaseSync(file, { timeout: LOCK_WAIT_MS });
  // Locked before the log is looked at, so that its index is in this process's memory and not in a file.
  database.exec(`PRAGMA locking_mode = EXCLUSIVE; PRAGMA page_size = ${PAGE_BYTES}; PRAGMA journal_mode = WAL`);
  database.exec("PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 0; PRAGMA cell_size_check = ON");
  database.exec("BEGIN IMMEDIATE; COMMIT");
  if (bytesMax !== undefined)
    database.exec(`PRAGMA max_page_count = ${Math.max(1, Math.floor(bytesMax / PAGE_BYTES))}`);
  return database;
}

/** SQLite gives its other files the mode of this one. One that is there is not opened: closing it would give up SQLite's lock on it. */
function createPrivate(file: string): void {
  try {
    closeSync(openSync(file, "wx", 0o600));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
  }
}

function checkedRow({ first, last, frames }: Record<string, unknown>, file: string): Row {
  if (typeof first !== "number" || typeof last !== "number" || !(frames instanceof Uint8Array)) {
    throw new Damage(`${file} has a row that is none of ours`);
  }
  try {
    checkFrames(frames, first, last);
  } catch (error) {
    if (error instanceof Damage) throw new Damage(`${file}: ${error.message}`);
    throw error;
  }
  return { first, last, frames: frames as Uint8Array<ArrayBuffer> };
}
