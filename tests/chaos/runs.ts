import { createHash } from "node:crypto";
import { appendFileSync, existsSync, readFileSync } from "node:fs";
import { task } from "heddle";

/** How often items of a run's jobs have begun. */
export interface Runs {
  /** Runs that were noted. */
  readonly runs: number;
  /** Items that have them. */
  readonly items: number;
}

/** Bytes by which a run is noted: of the hash of its item. */
const NOTE_BYTES = 8;

/** Notes, in a task, that its item begins to run: in the file CHAOS_RUNS, where the environment has one, which no fault of a host touches. */
export function noteRun(): void {
  const file = process.env.CHAOS_RUNS;
  if (file === undefined) return;
  const { jobId, index } = task();
  // one small write at the end of a file is whole, whoever else writes
  appendFileSync(file, createHash("sha256").update(`${jobId} ${index}`).digest().subarray(0, NOTE_BYTES));
}

/** What was noted in a file, or in none. */
export function runsIn(file: string): Runs {
  if (!existsSync(file)) return { runs: 0, items: 0 };
  const bytes = readFileSync(file);
  const runs = Math.floor(bytes.length / NOTE_BYTES);
  const notes = BigUint64Array.from({ length: runs }, (_, at) => bytes.readBigUInt64LE(at * NOTE_BYTES)).sort();
  return { runs, items: notes.reduce((items, note, at) => (at > 0 && note === notes[at - 1] ? items : items + 1), 0) };
}
