import { closeSync, openSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { Acknowledged, acknowledgedIn } from "./acknowledged.ts";
import { Damage } from "./damage.ts";
import {
  CHECKPOINT_IDLE_PAGES,
  CHECKPOINT_PAGES_MAX,
  FREE_PAGES_KEPT,
  LOG_BYTES_KEPT,
  VACUUM_PAGES_MAX,
} from "./limits.ts";
import type { Note } from "./messages.ts";
import { primaryCode, SQLITE_FULL } from "./sqlite-errors.ts";
import { scanWal } from "./wal-scan.ts";

export const PAGE_BYTES = 4_096;

/** What tells one kind of database of ours from another. */
export interface DatabaseKind {
  /** What is kept in it; its file has this name, with dashes for spaces. */
  readonly what: string;
  /** What of it is numbered: whoever writes acknowledges these. */
  readonly unit: string;
  /** Says whose database it is. */
  readonly applicationId: number;
  readonly format: number;
  /** Statements that make its tables. */
  readonly schema: string;
  /** Whether it gives space back to the disk; see `vacuum`. */
  readonly isShrinking: boolean;
  /** Size above which it is not looked at as a whole when it is opened, in bytes: what its rows are is for who reads them. */
  readonly checkBytesMax: number;
}

/** Where a database is, and how it is opened. */
export interface DatabasePlace {
  readonly directory: string;
  readonly bytesMax: number | undefined;
  /** How long another owner may take to let go of it. */
  readonly lockWaitMs: number;
  /** Called once it is this one's: before it is looked at as a whole, which may take long, and before anything new is written. */
  readonly onLocked?: (() => void) | undefined;
}

/** A database that no one else can open meanwhile, with what makes damage to it be noticed. Synchronous: lives in a thread of its own. */
export class DatabaseFile {
  readonly notes: Note[] = [];
  readonly path: string;
  readonly database: DatabaseSync;
  readonly #kind: DatabaseKind;
  readonly #acknowledgedPath: string;
  #acknowledged: Acknowledged | undefined;
  /** About how many pages are in the write-ahead log and not yet in the database. */
  #logPages = 0;

  /** Opens or makes it. Throws what SQLite throws, and Damage. */
  constructor({ directory, bytesMax, lockWaitMs, onLocked }: DatabasePlace, kind: DatabaseKind) {
    this.#kind = kind;
    this.path = join(directory, `${kind.what.replaceAll(" ", "-")}.db`);
    this.#acknowledgedPath = join(directory, "acknowledged");
    createPrivate(this.path);
    const bytes = scanWal(`${this.path}-wal`, PAGE_BYTES);
    if (bytes > 0) this.notes.push({ message: `the ${kind.what}'s end was incomplete and was cut`, bytes });
    this.database = openExclusively(this.path, kind.isShrinking, bytesMax, lockWaitMs);
    onLocked?.();
    this.#check();
  }

  /** Compares the number of what was stored last, 0 when nothing was, with what was acknowledged. Once, before the first `acknowledge`. */
  checkLast(last: number): void {
    const { what, unit } = this.#kind;
    const acknowledged = acknowledgedIn(this.#acknowledgedPath);
    if (acknowledged === undefined && last > 0) {
      const message = `nothing says where the ${what} should end: if its end was lost, nobody can tell`;
      this.notes.push({ message });
    } else if (acknowledged !== undefined && acknowledged > last)
      throw new Damage(`${this.path} ends at ${unit} ${last}, but ${unit} ${acknowledged} was on disk`);
    this.#acknowledged = new Acknowledged(this.#acknowledgedPath);
    this.#acknowledged.write(last);
  }

  /** What has this number is on disk, and so is all before it. */
  acknowledge(number: number): void {
    this.#acknowledged?.write(number);
  }

  /** Throws what `run` throws, and the transaction is gone then. `isNeeded`: not for a single statement. */
  transact(isNeeded: boolean, run: () => void): void {
    try {
      if (isNeeded) this.database.exec("BEGIN");
      run();
      if (isNeeded) this.database.exec("COMMIT");
    } catch (error) {
      // SQLite has rolled back by itself where there was no space; a second time would be an error.
      if (this.database.isTransaction) this.database.exec("ROLLBACK");
      throw error;
    }
  }

  /** About so many pages were written into the log. */
  countPages(pages: number): void {
    this.#logPages += pages;
  }

  /** Whether moving the log into the database pays as soon as there is nothing else to do. */
  get wantsCheckpoint(): boolean {
    return this.#logPages > CHECKPOINT_IDLE_PAGES;
  }

  /** Whether it is time to do that now, whatever waits. */
  get needsCheckpoint(): boolean {
    return this.#logPages > CHECKPOINT_PAGES_MAX;
  }

  /** Moves the log into the database. Not while a statement is read. On a full disk the log stays and is tried again later: it has all that counts. */
  checkpoint(): void {
    try {
      this.database.exec("PRAGMA wal_checkpoint(PASSIVE)");
    } catch (error) {
      if (primaryCode(error) !== SQLITE_FULL) throw error;
    }
    this.#logPages = 0;
  }

  /**
   * Gives some of the free space back to the disk, moving to it what lies at the end of the file. Says whether there is more to give back:
   * what a few commits take stays. On a full disk nothing is given back now.
   */
  vacuum(): boolean {
    if (!this.#kind.isShrinking || Number(this.#pragma("freelist_count")) <= FREE_PAGES_KEPT) return false;
    try {
      this.database.exec(`PRAGMA incremental_vacuum(${VACUUM_PAGES_MAX})`);
    } catch (error) {
      if (primaryCode(error) !== SQLITE_FULL) throw error;
      return false;
    }
    this.countPages(VACUUM_PAGES_MAX);
    return true;
  }

  close(): void {
    this.#acknowledged?.[Symbol.dispose]();
    this.database.close();
  }

  /** Whether this is a database of ours that SQLite finds whole. A new one is made. */
  #check(): void {
    const { what, applicationId, format, schema, checkBytesMax } = this.#kind;
    if (this.#pragma("journal_mode") !== "wal") throw new Error(`${this.path} cannot have a write-ahead log here`);
    if (this.#pragma("application_id") === 0 && this.#pragma("schema_version") === 0) {
      this.database.exec(`BEGIN; PRAGMA application_id = ${applicationId}; PRAGMA user_version = ${format};
        ${schema}; COMMIT`);
    }
    if (this.#pragma("application_id") !== applicationId) throw new Damage(`${this.path} is not a ${what}`);
    const found = this.#pragma("user_version");
    if (found !== format) throw new Damage(`${this.path} has format ${found}, this version knows ${format}`);
    const bytes = Number(this.#pragma("page_count")) * PAGE_BYTES;
    if (bytes > checkBytesMax) {
      this.notes.push({ message: `the ${what} is too large to be checked as a whole: what is read of it is`, bytes });
      return;
    }
    const state = this.#pragma("integrity_check(1)");
    if (state !== "ok") throw new Damage(`${this.path}: ${state}`);
  }

  #pragma(name: string): unknown {
    return Object.values(this.database.prepare(`PRAGMA ${name}`).get() ?? {})[0];
  }
}

function openExclusively(
  file: string,
  isShrinking: boolean,
  bytesMax: number | undefined,
  lockWaitMs: number,
): DatabaseSync {
  const database = new DatabaseSync(file, { timeout: lockWaitMs });
  // Locked before the log is looked at, so that its index is in this process's memory and not in a file.
  database.exec(`PRAGMA locking_mode = EXCLUSIVE; PRAGMA page_size = ${PAGE_BYTES}`);
  if (isShrinking) database.exec(`PRAGMA auto_vacuum = INCREMENTAL; PRAGMA journal_size_limit = ${LOG_BYTES_KEPT}`);
  database.exec("PRAGMA journal_mode = WAL");
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
