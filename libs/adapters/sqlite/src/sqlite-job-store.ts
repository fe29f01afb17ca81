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
import { becomeOwner, checkOwner, resign } from "./owner.ts";
import { packed } from "./packing.ts";
import { privateDirectory } from "./private-directory.ts";
import { type StorageKind, threadBeside } from "./storage.ts";
import { ThreadClient } from "./thread-client.ts";

const KIND: StorageKind = {
  what: "job store",
  thread: threadBeside(import.meta.url, "job-store-thread"),
  FullError: JobStoreFullError,
  FailedError: JobStoreFailedError,
  DamagedError: JobStoreDamagedError,
  LockedError: JobStoreLockedError,
};

export interface SqliteJobStoreOptions {
  readonly log: Logger;
  /** Size of the database above which writes reject with JobStoreFullError, in bytes. The disk's unless given. */
  readonly bytesMax?: number;
}

/**
 * Opens the jobs that are kept in a directory, and nothing else (made, 0700, unless it is there), which nobody else can open until the store
 * is disposed or this process ends. Rejects with JobStoreLockedError when a living process owns it, JobStoreDamagedError when its database
 * is not as it was stored, PermissionError when the directory is another user's, JobStoreFullError or JobStoreFailedError when it cannot be
 * written.
 */
export async function sqliteJobStore(directory: string, { log, bytesMax }: SqliteJobStoreOptions): Promise<JobStore> {
  privateDirectory(directory);
  checkOwner(directory, KIND);
  const start = { kind: KIND, directory, bytesMax, log };
  const { thread, opened } = await ThreadClient.start<JobRequest, JobAnswer>(start);
  try {
    const nonce = becomeOwner(directory, KIND, log);
    return jobStoreOn(new SqliteShelf({ directory, log, thread, nonce, bytes: opened.bytes }));
  } catch (error) {
    await thread.stop();
    throw error;
  }
}

interface Opened {
  readonly directory: string;
  readonly log: Logger;
  readonly thread: ThreadClient<JobRequest, JobAnswer>;
  readonly nonce: string;
  readonly bytes: number;
}

class SqliteShelf implements JobShelf {
  readonly isKilled = false;
  readonly #opened: Opened;
  #bytes: number;

  constructor(opened: Opened) {
    this.#opened = opened;
    this.#bytes = opened.bytes;
  }

  get bytes(): number {
    return this.#bytes;
  }

  async recover(): Promise<ShelvedJobs> {
    const { thread } = this.#opened;
    const gathered = new Gathered();
    for (let type: "recover" | "recover-on" = "recover"; ; type = "recover-on") {
      const { rows, isLast } = await thread.ask({ type }, "rows");
      for (const row of rows) gathered.add(row);
      if (isLast) return gathered;
    }
  }

  async commit(changes: readonly JobChange[]): Promise<void> {
    const { changes: copies, transfer } = packed(changes);
    const request: JobRequest = { type: "commit", changes: copies, historyMax: HISTORY_MAX };
    this.#bytes = (await this.#opened.thread.ask(request, "committed", transfer)).bytes;
  }

  async read(name: PieceName): Promise<Uint8Array | undefined> {
    return (await this.#opened.thread.ask({ type: "read", name }, "piece")).bytes;
  }

  async close(): Promise<void> {
    const { directory, log, thread, nonce } = this.#opened;
    try {
      await thread.ask({ type: "close" }, "done");
    } catch (error) {
      log.warn("the job store could not be closed in order", { directory, why: String(error) });
    }
    await thread.stop();
    resign(directory, nonce);
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
