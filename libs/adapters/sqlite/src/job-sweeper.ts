import type { StatementSync } from "node:sqlite";
import { type DatabaseFile, PAGE_BYTES } from "./database-file.ts";
import { KINDS } from "./job-rows.ts";
import { SWEEP_BACKLOG_BYTES, SWEEP_BYTES_TARGET, SWEEP_PIECES_MAX } from "./limits.ts";
import { primaryCode, SQLITE_FULL } from "./sqlite-errors.ts";

/** What was dropped of a job and is not deleted yet. */
export interface Dropped {
  /** Its number in the database. */
  readonly job: number;
  /** All of it, or only what goes when it has ended. */
  readonly what: "all" | "inputs";
  /** About how much that is. */
  readonly bytes: number;
}

/** Deletes what was dropped, some at a time, so that nobody waits long behind it. */
export class JobSweeper {
  readonly #file: DatabaseFile;
  readonly #queue: Dropped[] = [];
  readonly #select: StatementSync;
  readonly #deletePiece: StatementSync;
  readonly #deleteNote: StatementSync;
  readonly #deleteJob: StatementSync;
  #backlogBytes = 0;
  /** Set when there was no space to delete anything: the next write that finds some tries again. */
  #isStuck = false;

  constructor(file: DatabaseFile) {
    const { database } = file;
    this.#file = file;
    this.#select = database.prepare(
      "SELECT piece, length(bytes) AS size FROM pieces WHERE job = ? AND kind <= ? ORDER BY kind, number LIMIT ?",
    );
    this.#deletePiece = database.prepare("DELETE FROM pieces WHERE piece = ?");
    this.#deleteNote = database.prepare("DELETE FROM notes WHERE job = ?");
    this.#deleteJob = database.prepare("DELETE FROM jobs WHERE job = ?");
  }

  /** These were dropped, and it is on disk. */
  add(dropped: readonly Dropped[]): void {
    this.#isStuck = false;
    for (const one of dropped) {
      this.#queue.push(one);
      this.#backlogBytes += one.bytes;
    }
  }

  get hasWork(): boolean {
    return this.#queue.length > 0 && !this.#isStuck;
  }

  /** Whether so much is to be deleted that it cannot wait until nothing else comes. */
  get isUrgent(): boolean {
    return this.hasWork && this.#backlogBytes > SWEEP_BACKLOG_BYTES;
  }

  /** Deletes some. */
  step(): void {
    try {
      this.#step();
    } catch (error) {
      if (primaryCode(error) !== SQLITE_FULL) throw error;
      this.#isStuck = true;
    }
  }

  #step(): void {
    const [next] = this.#queue;
    if (next === undefined) return;
    const { pieces, bytes, isLast } = this.#somePieces(next);
    this.#file.transact(true, () => {
      for (const piece of pieces) this.#deletePiece.run(piece);
      if (!isLast || next.what === "inputs") return;
      this.#deleteNote.run(next.job);
      this.#deleteJob.run(next.job);
    });
    this.#file.countPages(2 * pieces.length + Math.ceil(bytes / PAGE_BYTES / 100));
    this.#backlogBytes -= isLast ? next.bytes : bytes;
    this.#queue.shift();
    if (!isLast) this.#queue.unshift({ ...next, bytes: next.bytes - bytes });
  }

  #somePieces({ job, what }: Dropped): Batch {
    const rows = this.#select.all(job, what === "all" ? KINDS.answer : KINDS.code, SWEEP_PIECES_MAX);
    const pieces: number[] = [];
    let bytes = 0;
    for (const { piece, size } of rows) {
      if (bytes >= SWEEP_BYTES_TARGET) return { pieces, bytes, isLast: false };
      pieces.push(Number(piece));
      bytes += Number(size);
    }
    return { pieces, bytes, isLast: rows.length < SWEEP_PIECES_MAX };
  }
}

interface Batch {
  readonly pieces: readonly number[];
  readonly bytes: number;
  readonly isLast: boolean;
}
