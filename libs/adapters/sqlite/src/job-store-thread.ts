/** The thread in which a job store waits for its disk. Loads nothing but Node and what lies beside it. */
import { Damage } from "./damage.ts";
import { JobDatabase } from "./job-database.ts";
import type { JobAnswer, JobRequest } from "./job-messages.ts";
import { type Served, serve } from "./serve.ts";

class ServedJobs implements Served<JobRequest, JobAnswer> {
  readonly #database: JobDatabase;

  constructor(database: JobDatabase) {
    this.#database = database;
  }

  get opened(): JobAnswer {
    return { type: "opened", bytes: this.#database.bytes, notes: this.#database.notes };
  }

  get wantsTidying(): boolean {
    return this.#database.wantsTidying;
  }

  get needsTidying(): boolean {
    return this.#database.needsTidying;
  }

  tidy(): void {
    this.#database.tidy();
  }

  answer(request: JobRequest): JobAnswer {
    switch (request.type) {
      case "recover":
        return { type: "rows", ...this.#database.recover() };
      case "recover-on":
        return { type: "rows", ...this.#database.recoverOn() };
      case "commit":
        this.#database.commit(request.changes, request.historyMax);
        return { type: "committed", bytes: this.#database.bytes };
      case "read":
        return { type: "piece", bytes: this.#database.read(request.name) };
      case "close":
        this.#database.close();
        return { type: "done" };
    }
  }

  isFound({ type }: JobRequest): boolean {
    return type !== "commit" && type !== "close";
  }

  /** Bytes of one piece are wrong: SQLite finds the database whole. */
  isAlone({ type }: JobRequest, error: unknown): boolean {
    return type === "read" && error instanceof Damage;
  }

  transferOf(answer: JobAnswer): ArrayBuffer[] {
    return answer.type === "piece" && answer.bytes !== undefined ? [answer.bytes.buffer] : [];
  }
}

serve((directory, bytesMax) => new ServedJobs(new JobDatabase(directory, bytesMax)));
