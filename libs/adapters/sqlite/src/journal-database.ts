import type { StatementSync } from "node:sqlite";
import { Damage } from "./damage.ts";
import { DatabaseFile, type DatabaseKind, type DatabasePlace, PAGE_BYTES } from "./database-file.ts";
import { checkFrames, FRAME_HEADER_BYTES, framesOf, seal } from "./frames.ts";
import { TRUNCATE_ROWS_MAX } from "./limits.ts";
import type { Note, Row, Some } from "./messages.ts";
import { readSome } from "./read-some.ts";

const KIND: DatabaseKind = {
  what: "journal",
  unit: "record",
  applicationId: 0x4865646c, // "Hedl"
  format: 1,
  schema: "CREATE TABLE rows (first INTEGER PRIMARY KEY, last INTEGER NOT NULL, frames BLOB NOT NULL) STRICT",
  isShrinking: false,
  checkBytesMax: Number.POSITIVE_INFINITY,
};

/** The records of a journal in an SQLite database that no one else can open meanwhile. Synchronous: lives in a thread of its own. */
export class JournalDatabase {
  readonly #file: DatabaseFile;
  readonly #insert: StatementSync;
  #position: number;
  /** Those that are being read. */
  #rows: Iterator<Row> | undefined;

  /** Throws what SQLite throws, and Damage. */
  constructor(place: DatabasePlace) {
    this.#file = new DatabaseFile(place, KIND);
    const last = this.#file.database.prepare("SELECT last FROM rows ORDER BY first DESC LIMIT 1").get();
    this.#position = Number(last?.last ?? 0);
    this.#file.checkLast(this.#position);
    this.#insert = this.#file.database.prepare("INSERT INTO rows (first, last, frames) VALUES (?, ?, ?)");
  }

  get notes(): readonly Note[] {
    return this.#file.notes;
  }

  get position(): number {
    return this.#position;
  }

  /** Stores all rows or none, and comes back when they are on disk. */
  append(rows: readonly Row[]): void {
    for (const { first, frames } of rows) seal(frames, first);
    this.#file.transact(rows.length > 1, () => {
      for (const { first, last, frames } of rows) this.#insert.run(first, last, frames);
    });
    this.#position = rows.at(-1)?.last ?? this.#position;
    this.#file.acknowledge(this.#position);
    for (const { frames } of rows) this.#file.countPages(1 + Math.ceil(frames.byteLength / PAGE_BYTES));
  }

  /** The rows from the one that holds `from`, or is the first behind it: some now, the others from `readOn`. */
  read(from: number): Some<Row> {
    const start = this.#file.database
      .prepare("SELECT coalesce(max(first), 0) AS first FROM rows WHERE first <= ?")
      .get(from);
    const select = this.#file.database.prepare("SELECT first, last, frames FROM rows WHERE first >= ? ORDER BY first");
    this.#rows = checkedRows(select.iterate(Number(start?.first)), this.#file.path);
    return this.readOn();
  }

  readOn(): Some<Row> {
    const some = readSome(this.#rows, ({ frames }) => frames.byteLength);
    if (some.isLast) this.#rows = undefined;
    return some;
  }

  /** Deletes rows that hold nothing behind `upTo`, some at a time. Says whether all are gone. */
  truncate(upTo: number): boolean {
    const { changes } = this.#file.database
      .prepare("DELETE FROM rows WHERE first IN (SELECT first FROM rows WHERE last <= ? ORDER BY first LIMIT ?)")
      .run(upTo, TRUNCATE_ROWS_MAX);
    this.#file.countPages(2 * Number(changes));
    return Number(changes) < TRUNCATE_ROWS_MAX;
  }

  /** Bytes of the records behind this position. */
  bytesAfter(position: number): number {
    const headers = `${FRAME_HEADER_BYTES} * (last - first + 1)`;
    const whole = this.#file.database
      .prepare(`SELECT coalesce(sum(length(frames) - ${headers}), 0) AS bytes FROM rows WHERE first > ?`)
      .get(position);
    let bytes = Number(whole?.bytes);
    const split = this.#file.database
      .prepare("SELECT first, last, frames FROM rows WHERE first <= ? ORDER BY first DESC LIMIT 1")
      .get(position);
    if (split === undefined) return bytes;
    const frames = framesOf(checkedRow(split, this.#file.path).frames);
    for (const { number, bytes: record } of frames) if (number > position) bytes += record.byteLength;
    return bytes;
  }

  /** Whether moving the log into the database pays as soon as there is nothing else to do. Not while somebody reads: SQLite refuses. */
  get wantsTidying(): boolean {
    return this.#rows === undefined && this.#file.wantsCheckpoint;
  }

  /** Whether it is time to do that now, whatever waits. */
  get needsTidying(): boolean {
    return this.#rows === undefined && this.#file.needsCheckpoint;
  }

  tidy(): void {
    this.#file.checkpoint();
  }

  close(): void {
    this.#file.close();
  }
}

function* checkedRows(rows: Iterable<Record<string, unknown>>, file: string): Generator<Row> {
  for (const row of rows) yield checkedRow(row, file);
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
