import type { StatementSync } from "node:sqlite";
import type { JobChange } from "@heddle/port-job-store";
import { type DatabaseFile, PAGE_BYTES } from "./database-file.ts";
import type { IndexedJob, JobIndex } from "./job-index.ts";
import { headOf, KINDS, type PieceKind, STATES, sumOf } from "./job-rows.ts";
import type { Dropped } from "./job-sweeper.ts";

/** A change of a job that is there. */
type ChangeOfJob = Exclude<JobChange, { readonly type: "job-added" | "history-added" }>;

interface NewPiece {
  readonly kind: PieceKind;
  readonly number: number;
  readonly about: Uint8Array;
  readonly bytes: Uint8Array;
}

interface Numbers {
  readonly job: number;
  readonly entry: number;
}

/** Makes changes to jobs, in a transaction that is somebody else's business. */
export class JobWriter {
  readonly #file: DatabaseFile;
  readonly #index: JobIndex;
  readonly #insertJob: StatementSync;
  readonly #updateState: StatementSync;
  readonly #replaceNote: StatementSync;
  readonly #insertPiece: StatementSync;
  readonly #selectCode: StatementSync;
  readonly #insertEntry: StatementSync;
  readonly #deleteEntries: StatementSync;
  /** Numbers of the job and the entry that were added last, and those that are on disk. */
  #last: Numbers;
  #committed: Numbers;
  #dropped: Dropped[] = [];

  constructor(file: DatabaseFile, index: JobIndex) {
    const { database } = file;
    this.#file = file;
    this.#index = index;
    this.#insertJob = database.prepare("INSERT INTO jobs (job, state, sum, id, spec) VALUES (?, ?, ?, ?, ?)");
    this.#updateState = database.prepare("UPDATE jobs SET state = ? WHERE job = ?");
    this.#replaceNote = database.prepare("INSERT OR REPLACE INTO notes (job, sum, note) VALUES (?, ?, ?)");
    this.#insertPiece = database.prepare(`INSERT INTO pieces (job, kind, number, head, sum, about, bytes)
      VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (job, kind, number) DO NOTHING`);
    this.#selectCode = database.prepare(
      "SELECT count(*) AS count, total(about = ?) AS same FROM pieces WHERE job = ? AND kind = ?",
    );
    this.#insertEntry = database.prepare("INSERT INTO history (entry, sum, bytes) VALUES (?, ?, ?)");
    this.#deleteEntries = database.prepare("DELETE FROM history WHERE entry <= ?");
    const last = database
      .prepare("SELECT (SELECT max(job) FROM jobs) AS job, (SELECT max(entry) FROM history) AS entry")
      .get();
    this.#committed = { job: Number(last?.job), entry: Number(last?.entry) };
    this.#last = this.#committed;
  }

  /** What was applied is on disk. Gives what was dropped. */
  commit(): readonly Dropped[] {
    const dropped = this.#dropped;
    this.#dropped = [];
    this.#index.commit();
    this.#committed = this.#last;
    return dropped;
  }

  /** What was applied is gone. */
  rollBack(): void {
    this.#dropped = [];
    this.#index.rollBack();
    this.#last = this.#committed;
  }

  /** Of the history so many entries stay. */
  apply(change: JobChange, historyMax: number): void {
    if (change.type === "history-added") {
      this.#addEntry(change.entry, historyMax);
    } else if (change.type === "job-added") {
      this.#addJob(change.job, change.spec);
    } else {
      const job = this.#index.get(change.job);
      if (job !== undefined) this.#applyTo(job, change);
    }
  }

  #applyTo(job: IndexedJob, change: ChangeOfJob): void {
    const { job: id } = change;
    switch (change.type) {
      case "code-added":
        if (!job.isEnded) this.#addCode(id, job, change);
        return;
      case "chunk-added": {
        const { chunk: number, about, input: bytes } = change;
        if (!job.isEnded) this.#addPiece(id, job, { kind: "input", number, about, bytes });
        return;
      }
      case "answer-added": {
        const { answer: number, about, bytes } = change;
        this.#addPiece(id, job, { kind: "answer", number, about, bytes });
        return;
      }
      case "job-noted":
        this.#replaceNote.run(job.job, sumOf(change.note, "note", job.job), change.note);
        this.#count(change.note.byteLength);
        return;
      case "inputs-dropped":
        if (job.isEnded) return;
        this.#updateState.run(STATES.ended, job.job);
        this.#index.set(id, { ...job, isEnded: true, inputBytes: 0 });
        this.#dropped.push({ job: job.job, what: "inputs", bytes: job.inputBytes });
        return;
      case "job-dropped":
        this.#updateState.run(STATES.dropped, job.job);
        this.#index.set(id, undefined);
        this.#dropped.push({ job: job.job, what: "all", bytes: job.inputBytes + job.answerBytes });
        return;
    }
  }

  #addJob(id: string, spec: Uint8Array): void {
    const job = this.#last.job + 1;
    this.#last = { ...this.#last, job };
    this.#insertJob.run(job, STATES.open, sumOf(spec, "job", job, id), id, spec);
    this.#index.set(id, { job, isEnded: false, specBytes: spec.byteLength, inputBytes: 0, answerBytes: 0 });
    this.#count(spec.byteLength);
  }

  #addCode(id: string, job: IndexedJob, { hash, bytes }: { readonly hash: string; readonly bytes: Uint8Array }): void {
    const about = Buffer.from(hash);
    const found = this.#selectCode.get(about, job.job, KINDS.code);
    if (Number(found?.same) === 0)
      this.#addPiece(id, job, { kind: "code", number: Number(found?.count), about, bytes });
  }

  /** Unless one of this kind has the number already. */
  #addPiece(id: string, job: IndexedJob, { kind, number, about, bytes }: NewPiece): void {
    const sum = sumOf(bytes);
    const head = headOf(about, { job: job.job, kind, number, size: bytes.byteLength, sum });
    const { changes } = this.#insertPiece.run(job.job, KINDS[kind], number, head, sum, about, bytes);
    if (Number(changes) === 0) return;
    const which = kind === "answer" ? "answerBytes" : "inputBytes";
    this.#index.set(id, { ...job, [which]: job[which] + bytes.byteLength });
    this.#count(about.byteLength + bytes.byteLength);
  }

  #addEntry(entry: Uint8Array, historyMax: number): void {
    const number = this.#last.entry + 1;
    this.#last = { ...this.#last, entry: number };
    this.#insertEntry.run(number, sumOf(entry, "history", number), entry);
    this.#deleteEntries.run(number - historyMax);
    this.#count(entry.byteLength);
  }

  /** So many bytes went into the log, with what lies around them. */
  #count(bytes: number): void {
    this.#file.countPages(2 + Math.ceil(bytes / PAGE_BYTES));
  }
}
