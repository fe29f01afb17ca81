import { JobId, type Logger } from "@heddle/kernel";
import {
  HISTORY_MAX,
  type JobChange,
  type JobShelf,
  type JobStore,
  JobStoreDamagedError,
  JobStoreFailedError,
  JobStoreFullError,
  JobStoreLockedError,
  jobStoreOn,
  type PieceName,
  type ShelvedJobs,
  type StoredJob,
  type StoredPiece,
} from "@heddle/port-job-store";
import type { JobAnswer, JobRequest, JobRow } from "./job-messages.ts";
import { packed } from "./packing.ts";
import { type StorageKind, threadBeside } from "./storage.ts";
import { type OwnerOptions, ThreadClient } from "./thread-client.ts";

const KIND: StorageKind = {
  what: "job store",
  thread: threadBeside(import.meta.url, "job-store-thread"),
  FullError: JobStoreFullError,
  FailedError: JobStoreFailedError,
  DamagedError: JobStoreDamagedError,
  LockedError: JobStoreLockedError,
};

/** How large a job store may become, and whose it is. */
export interface SqliteJobStoreOptions {
  /** Warned of what people should know of it: a directory that is taken over, an end that was cut, a database too large to be checked as a whole, a disk without space. */
  readonly log: Logger;
  /** Size of the database above which writes reject with JobStoreFullError, in bytes. The disk's unless given. */
  readonly bytesMax?: number;
  /** Whose it is to be; of a program of this machine unless given. */
  readonly owner?: OwnerOptions;
}

/**
 * Opens the jobs that are kept in a directory, and nothing else (made, 0700, unless it is there), which nobody else can open until the store
 * is disposed or this process ends. Rejects with JobStoreLockedError when a living process owns it, JobStoreDamagedError when its database
 * is not as it was stored, PermissionError when the directory is another user's, JobStoreFullError or JobStoreFailedError when it cannot be
 * written.
 */
export async function sqliteJobStore(directory: string, options: SqliteJobStoreOptions): Promise<JobStore> {
  const { log, bytesMax, owner } = options;
  const start = { kind: KIND, directory, bytesMax, log, owner };
  const { thread, opened } = await ThreadClient.start<JobRequest, JobAnswer>(start);
  return jobStoreOn(new SqliteShelf(thread, opened.bytes));
}

class SqliteShelf implements JobShelf {
  readonly isKilled = false;
  readonly #thread: ThreadClient<JobRequest, JobAnswer>;
  #bytes: number;

  constructor(thread: ThreadClient<JobRequest, JobAnswer>, bytes: number) {
    this.#thread = thread;
    this.#bytes = bytes;
  }

  get bytes(): number {
    return this.#bytes;
  }

  async recover(): Promise<ShelvedJobs> {
    const gathered = new Gathered();
    for (let type: "recover" | "recover-on" = "recover"; ; type = "recover-on") {
      const { rows, isLast } = await this.#thread.ask({ type }, "rows");
      for (const row of rows) gathered.add(row);
      if (isLast) return gathered;
    }
  }

  async commit(changes: readonly JobChange[]): Promise<void> {
    const { changes: copies, transfer } = packed(changes);
    const request: JobRequest = { type: "commit", changes: copies, historyMax: HISTORY_MAX };
    this.#bytes = (await this.#thread.ask(request, "committed", transfer)).bytes;
  }

  async read(name: PieceName): Promise<Uint8Array | undefined> {
    return (await this.#thread.ask({ type: "read", name }, "piece")).bytes;
  }

  async close(isInOrder: boolean): Promise<void> {
    await this.#thread.close(isInOrder);
  }
}

interface GatheredJob extends StoredJob {
  readonly chunks: StoredPiece[];
  readonly answers: StoredPiece[];
  readonly code: string[];
}

/** Rows, put together. */
class Gathered implements ShelvedJobs {
  readonly jobs: GatheredJob[] = [];
  readonly history: Uint8Array[] = [];
  readonly ended = new Set<JobId>();

  add(row: JobRow): void {
    if (row.type === "history") this.history.push(row.entry);
    else if (row.type === "job") {
      const id = JobId(row.id);
      this.jobs.push({ id, spec: row.spec, note: row.note, chunks: [], answers: [], code: [] });
      if (row.isEnded) this.ended.add(id);
    } else this.#addPiece(row);
  }

  #addPiece({ type, number, about, size }: Exclude<JobRow, { readonly type: "history" | "job" }>): void {
    const job = this.jobs.at(-1);
    switch (type) {
      case "input":
        job?.chunks.push({ number, about, size });
        return;
      case "answer":
        job?.answers.push({ number, about, size });
        return;
      case "code":
        job?.code.push(new TextDecoder().decode(about));
        return;
    }
  }
}
