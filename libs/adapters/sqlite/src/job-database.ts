import type { StatementSync } from "node:sqlite";
import type { JobChange, PieceName } from "@heddle/port-job-store";
import { DatabaseFile, type DatabasePlace } from "./database-file.ts";
import { JobIndex } from "./job-index.ts";
import type { JobRow } from "./job-messages.ts";
import { JobReader } from "./job-reader.ts";
import { JOB_STORE } from "./job-rows.ts";
import { JobSweeper } from "./job-sweeper.ts";
import { JobWriter } from "./job-writer.ts";
import type { Note, Some } from "./messages.ts";
import { readSome } from "./read-some.ts";
import { primaryCode, SQLITE_FULL } from "./sqlite-errors.ts";

/** Jobs in an SQLite database that no one else can open meanwhile. Synchronous: lives in a thread of its own. */
export class JobDatabase {
  readonly #file: DatabaseFile;
  readonly #index = new JobIndex();
  readonly #reader: JobReader;
  readonly #writer: JobWriter;
  readonly #sweeper: JobSweeper;
  readonly #updateWrites: StatementSync;
  /** Commits, ever. */
  #writes: number;
  /** Those that are being read. */
  #rows: Iterator<JobRow> | undefined;
  /** Whether there may be space to give back. */
  #mayVacuum = true;

  /** Throws what SQLite throws, and Damage. */
  constructor(place: DatabasePlace) {
    this.#file = new DatabaseFile(place, JOB_STORE);
    this.#reader = new JobReader(this.#file);
    this.#writes = this.#reader.writes();
    this.#file.checkLast(this.#writes);
    this.#reader.checkRows();
    this.#writer = new JobWriter(this.#file, this.#index);
    this.#sweeper = new JobSweeper(this.#file);
    this.#updateWrites = this.#file.database.prepare("UPDATE writes SET count = ?");
    this.#sweeper.add(this.#reader.fill(this.#index));
    this.#index.commit();
  }

  get notes(): readonly Note[] {
    return this.#file.notes;
  }

  /** Of specs, inputs, code and answers that are kept. */
  get bytes(): number {
    return this.#index.bytes;
  }

  /** Everything but the bytes of pieces: some now, the rest from `recoverOn`. */
  recover(): Some<JobRow> {
    this.#rows = this.#reader.all();
    return this.recoverOn();
  }

  recoverOn(): Some<JobRow> {
    const some = readSome(this.#rows, bytesInMemory);
    if (some.isLast) this.#rows = undefined;
    return some;
  }

  /** Makes all changes in order, or none, and comes back when they are on disk. Of the history so many entries stay. */
  commit(changes: readonly JobChange[], historyMax: number): void {
    try {
      this.#commit(changes, historyMax);
    } catch (error) {
      if (primaryCode(error) !== SQLITE_FULL || !this.#makeRoom()) throw error;
      this.#commit(changes, historyMax);
    }
  }

  #commit(changes: readonly JobChange[], historyMax: number): void {
    try {
      this.#file.transact(true, () => {
        for (const change of changes) this.#writer.apply(change, historyMax);
        this.#updateWrites.run(this.#writes + 1);
      });
    } catch (error) {
      this.#writer.rollBack();
      throw error;
    }
    this.#writes++;
    this.#file.acknowledge(this.#writes);
    this.#sweeper.add(this.#writer.commit());
  }

  /** Deletes all that was dropped: its space is needed now. Says whether any was. */
  #makeRoom(): boolean {
    if (!this.#sweeper.hasWork) return false;
    this.#file.checkpoint();
    while (this.#sweeper.hasWork) this.#sweeper.step();
    return true;
  }

  /** The bytes of a piece; undefined when it is not there. Throws Damage when they are not what was stored. */
  read(name: PieceName): Uint8Array<ArrayBuffer> | undefined {
    const job = this.#index.get(name.job);
    if (job === undefined || (job.isEnded && name.type !== "answer")) return undefined;
    return this.#reader.read(job, name);
  }

  /** Whether something pays as soon as nothing else comes. Not while somebody recovers: SQLite refuses. */
  get wantsTidying(): boolean {
    if (this.#rows !== undefined) return false;
    return this.#sweeper.hasWork || this.#mayVacuum || this.#file.wantsCheckpoint;
  }

  /** Whether it is time for that now, whatever waits. */
  get needsTidying(): boolean {
    return this.#rows === undefined && (this.#file.needsCheckpoint || this.#sweeper.isUrgent);
  }

  /** Moves the log into the database, deletes what was dropped, or gives space back: one of these, and some of it. */
  tidy(): void {
    if (this.#file.needsCheckpoint) this.#file.checkpoint();
    else if (this.#sweeper.hasWork) {
      this.#sweeper.step();
      this.#mayVacuum = true;
    } else if (this.#mayVacuum) this.#mayVacuum = this.#file.vacuum();
    else this.#file.checkpoint();
  }

  close(): void {
    this.#file.close();
  }
}

function bytesInMemory(row: JobRow): number {
  switch (row.type) {
    case "job":
      return row.spec.byteLength + (row.note?.byteLength ?? 0);
    case "history":
      return row.entry.byteLength;
    case "input":
    case "answer":
    case "code":
      return row.about.byteLength + 64; // about what lies around it
  }
}
