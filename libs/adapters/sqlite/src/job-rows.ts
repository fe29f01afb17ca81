/** How jobs lie in their database, and what tells that a row is as it was stored. */
import { crc32 } from "node:zlib";
import { Damage } from "./damage.ts";
import type { DatabaseKind } from "./database-file.ts";
import { JOBS_CHECK_BYTES_MAX } from "./limits.ts";

export const JOB_STORE: DatabaseKind = {
  what: "job store",
  unit: "write",
  applicationId: 0x4864_6c6a, // "Hdlj"
  format: 1,
  schema: `CREATE TABLE writes (one INTEGER PRIMARY KEY, count INTEGER NOT NULL) STRICT; INSERT INTO writes VALUES (1, 0);
    CREATE TABLE jobs (job INTEGER PRIMARY KEY, state INTEGER NOT NULL, sum INTEGER NOT NULL, id TEXT NOT NULL, spec BLOB NOT NULL) STRICT;
    CREATE TABLE notes (job INTEGER PRIMARY KEY, sum INTEGER NOT NULL, note BLOB NOT NULL) STRICT;
    CREATE TABLE pieces (piece INTEGER PRIMARY KEY, job INTEGER NOT NULL, kind INTEGER NOT NULL, number INTEGER NOT NULL, head INTEGER NOT NULL,
      sum INTEGER NOT NULL, about BLOB NOT NULL, bytes BLOB NOT NULL) STRICT;
    CREATE UNIQUE INDEX pieces_by_name ON pieces (job, kind, number);
    CREATE TABLE history (entry INTEGER PRIMARY KEY, sum INTEGER NOT NULL, bytes BLOB NOT NULL) STRICT`,
  isShrinking: true,
  checkBytesMax: JOBS_CHECK_BYTES_MAX,
};

/** What is kept of a job. No flipped bit makes one of these another. */
export const STATES = { open: 0x5a17_c3e9, ended: 0x2cd8_4b96, dropped: 0x71b2_f40d } as const;
export type JobState = keyof typeof STATES;

/** Which of a job's pieces one is. Inputs and code come first: they go when the job has ended. */
export const KINDS = { input: 0, code: 1, answer: 2 } as const;
export type PieceKind = keyof typeof KINDS;

export type SqlRow = Readonly<Record<string, unknown>>;

/** Throws Damage, which says what is wrong in this file. */
export class RowReader {
  readonly #file: string;

  constructor(file: string) {
    this.#file = file;
  }

  number(row: SqlRow, column: string): number {
    const found = row[column];
    return typeof found === "number" ? found : this.#none(column, found);
  }

  text(row: SqlRow, column: string): string {
    const found = row[column];
    return typeof found === "string" ? found : this.#none(column, found);
  }

  bytes(row: SqlRow, column: string): Uint8Array<ArrayBuffer> {
    const found = row[column];
    return found instanceof Uint8Array ? (found as Uint8Array<ArrayBuffer>) : this.#none(column, found);
  }

  state(row: SqlRow): JobState {
    const found = this.number(row, "state");
    for (const state of ["open", "ended", "dropped"] as const) if (STATES[state] === found) return state;
    return this.#none("state", found);
  }

  kind(row: SqlRow): PieceKind {
    const found = this.number(row, "kind");
    for (const kind of ["input", "code", "answer"] as const) if (KINDS[kind] === found) return kind;
    return this.#none("kind", found);
  }

  /** `what` is not as it was stored unless the sums are the same. */
  check(what: string, sum: number, expected: number): void {
    if (sum !== expected) throw new Damage(`${this.#file}: ${what} is not what was stored`);
  }

  #none(column: string, found: unknown): never {
    throw new Damage(`${this.#file} has a row that is none of ours: its ${column} is ${typeof found} ${found}`);
  }
}

/** The sum of bytes in the place that `place` tells. */
export function sumOf(bytes: Uint8Array, ...place: readonly (string | number)[]): number {
  return crc32(bytes, crc32(place.join(" ")));
}

/** What a piece's head is the sum of, but for what is said of it. */
export interface PieceHead {
  readonly job: number;
  readonly kind: PieceKind;
  readonly number: number;
  readonly size: number;
  /** Of its bytes. */
  readonly sum: number;
}

export function headOf(about: Uint8Array, { job, kind, number, size, sum }: PieceHead): number {
  return sumOf(about, kind, job, number, size, sum);
}
