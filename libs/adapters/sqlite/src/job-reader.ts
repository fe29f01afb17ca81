import type { StatementSync } from "node:sqlite";
import type { PieceName } from "@heddle/port-job-store";
import { Damage } from "./damage.ts";
import type { DatabaseFile } from "./database-file.ts";
import type { IndexedJob, JobIndex } from "./job-index.ts";
import type { JobRow } from "./job-messages.ts";
import { headOf, KINDS, RowReader, type SqlRow, sumOf } from "./job-rows.ts";
import type { Dropped } from "./job-sweeper.ts";

/** Reads jobs, and throws Damage when one is not as it was stored. */
export class JobReader {
  readonly #file: DatabaseFile;
  readonly #rows: RowReader;
  readonly #selectPiece: StatementSync;
  readonly #selectCode: StatementSync;

  constructor(file: DatabaseFile) {
    const columns = "number, head, sum, about, bytes";
    this.#file = file;
    this.#rows = new RowReader(file.path);
    this.#selectPiece = file.database.prepare(
      `SELECT ${columns} FROM pieces WHERE job = ? AND kind = ? AND number = ?`,
    );
    this.#selectCode = file.database.prepare(`SELECT ${columns} FROM pieces WHERE job = ? AND kind = ? AND about = ?`);
  }

  /** How often the database was written. */
  writes(): number {
    const row = this.#file.database.prepare("SELECT count FROM writes").get();
    if (row === undefined) throw new Damage(`${this.#file.path} does not say how often it was written`);
    return this.#rows.number(row, "count");
  }

  /** Throws Damage when rows are missing that others tell of. */
  checkRows(): void {
    const { database, path } = this.#file;
    const note = database.prepare("SELECT job FROM notes WHERE job NOT IN (SELECT job FROM jobs)").get();
    if (note !== undefined) throw new Damage(`${path} has a note of job ${note.job}, which is not there`);
    const counts = database
      .prepare(`SELECT (SELECT count(*) FROM pieces NOT INDEXED) AS rows,
        (SELECT count(*) FROM pieces INDEXED BY pieces_by_name) AS names`)
      .get();
    if (counts?.rows !== counts?.names) throw new Damage(`${path} has ${counts?.rows} of ${counts?.names} pieces`);
  }

  /** Puts the jobs that are kept into an empty index. Gives what was dropped and is not deleted yet. */
  fill(index: JobIndex): Dropped[] {
    const select = this.#file.database.prepare("SELECT job, state, id, length(spec) AS size FROM jobs ORDER BY job");
    return select.all().flatMap((row): Dropped[] => {
      const job = this.#rows.number(row, "job");
      const { inputBytes, inputCount, answerBytes } = this.#measured(job);
      const state = this.#rows.state(row);
      if (state === "dropped") return [{ job, what: "all", bytes: inputBytes + answerBytes }];
      const id = this.#rows.text(row, "id");
      const specBytes = this.#rows.number(row, "size");
      const isEnded = state === "ended";
      if (index.get(id) !== undefined) throw new Damage(`${this.#file.path} has job ${id} twice`);
      index.set(id, { job, isEnded, specBytes, inputBytes: isEnded ? 0 : inputBytes, answerBytes });
      return isEnded && inputCount > 0 ? [{ job, what: "inputs", bytes: inputBytes }] : [];
    });
  }

  /** Everything but the bytes of pieces. */
  *all(): Generator<JobRow> {
    const jobs = this.#file.database.prepare(`SELECT jobs.job, state, jobs.sum, id, spec, note, notes.sum AS note_sum
      FROM jobs LEFT JOIN notes ON notes.job = jobs.job ORDER BY jobs.job`);
    for (const row of jobs.iterate()) {
      if (this.#rows.state(row) === "dropped") continue;
      const job = this.#job(row);
      yield job;
      yield* this.#pieces(this.#rows.number(row, "job"), job.isEnded);
    }
    for (const row of this.#file.database.prepare("SELECT entry, sum, bytes FROM history ORDER BY entry").iterate()) {
      const number = this.#rows.number(row, "entry");
      const entry = this.#rows.bytes(row, "bytes");
      this.#rows.check(
        `entry ${number} of the history`,
        this.#rows.number(row, "sum"),
        sumOf(entry, "history", number),
      );
      yield { type: "history", entry };
    }
  }

  /** The bytes of a piece; undefined when it is not there. */
  read({ job }: IndexedJob, name: PieceName): Uint8Array<ArrayBuffer> | undefined {
    const row = this.#select(job, name);
    if (row === undefined) return undefined;
    const bytes = this.#rows.bytes(row, "bytes");
    const number = this.#rows.number(row, "number");
    const sum = this.#rows.number(row, "sum");
    const what = `${name.type} ${number} of job ${name.job}`;
    const head = headOf(this.#rows.bytes(row, "about"), { job, kind: name.type, number, size: bytes.byteLength, sum });
    this.#rows.check(what, this.#rows.number(row, "head"), head);
    this.#rows.check(what, sum, sumOf(bytes));
    return bytes;
  }

  #select(job: number, name: PieceName): SqlRow | undefined {
    switch (name.type) {
      case "input":
        return this.#selectPiece.get(job, KINDS.input, name.chunk);
      case "answer":
        return this.#selectPiece.get(job, KINDS.answer, name.answer);
      case "code":
        return this.#selectCode.get(job, KINDS.code, Buffer.from(name.hash));
    }
  }

  #measured(job: number): { readonly inputBytes: number; readonly inputCount: number; readonly answerBytes: number } {
    const row = this.#file.database
      .prepare(`SELECT total(iif(kind < ?1, length(bytes), 0)) AS inputs, total(kind < ?1) AS count,
        total(iif(kind = ?1, length(bytes), 0)) AS answers FROM pieces WHERE job = ?2`)
      .get(KINDS.answer, job);
    return { inputBytes: Number(row?.inputs), inputCount: Number(row?.count), answerBytes: Number(row?.answers) };
  }

  #job(row: SqlRow): JobRow & { readonly type: "job" } {
    const job = this.#rows.number(row, "job");
    const id = this.#rows.text(row, "id");
    const spec = this.#rows.bytes(row, "spec");
    this.#rows.check(`job ${id}`, this.#rows.number(row, "sum"), sumOf(spec, "job", job, id));
    const note = row.note === null ? undefined : this.#rows.bytes(row, "note");
    if (note !== undefined)
      this.#rows.check(`the note of job ${id}`, this.#rows.number(row, "note_sum"), sumOf(note, "note", job));
    return { type: "job", id, isEnded: this.#rows.state(row) === "ended", spec, note };
  }

  /** The inputs of a job that has ended are not of it any more, though they may be there. */
  *#pieces(job: number, isEnded: boolean): Generator<JobRow> {
    const select = this.#file.database.prepare(`SELECT kind, number, head, sum, about, length(bytes) AS size FROM pieces
      WHERE job = ? AND kind >= ? ORDER BY kind, number`);
    let next = 0;
    for (const row of select.iterate(job, isEnded ? KINDS.answer : KINDS.input)) {
      const kind = this.#rows.kind(row);
      const number = this.#rows.number(row, "number");
      const about = this.#rows.bytes(row, "about");
      const size = this.#rows.number(row, "size");
      const sum = this.#rows.number(row, "sum");
      this.#rows.check(
        `${kind} ${number} of the job at ${job}`,
        this.#rows.number(row, "head"),
        headOf(about, { job, kind, number, size, sum }),
      );
      if (kind === "input" && number !== next++)
        throw new Damage(`${this.#file.path}: input ${next - 1} of the job at ${job} is missing`);
      yield { type: kind, number, about, size };
    }
  }
}
