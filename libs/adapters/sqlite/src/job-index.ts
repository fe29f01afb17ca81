/** What is known of a job without looking into the database. */
export interface IndexedJob {
  /** Its number in the database. */
  readonly job: number;
  /** Whether its inputs were dropped. */
  readonly isEnded: boolean;
  readonly specBytes: number;
  /** Of inputs and code. */
  readonly inputBytes: number;
  readonly answerBytes: number;
}

/** The jobs that are kept, by their ids. What one transaction did to it can be undone. */
export class JobIndex {
  /** Of specs, inputs, code and answers. */
  bytes = 0;
  readonly #jobs = new Map<string, IndexedJob>();
  /** What this transaction has changed, as it was before. */
  readonly #before = new Map<string, IndexedJob | undefined>();

  get(id: string): IndexedJob | undefined {
    return this.#jobs.get(id);
  }

  /** Undefined: it is not kept any more. */
  set(id: string, job: IndexedJob | undefined): void {
    if (!this.#before.has(id)) this.#before.set(id, this.#jobs.get(id));
    this.#put(id, job);
  }

  /** What was set stays. */
  commit(): void {
    this.#before.clear();
  }

  /** All is as at the last commit. */
  rollBack(): void {
    for (const [id, job] of this.#before) this.#put(id, job);
    this.#before.clear();
  }

  #put(id: string, job: IndexedJob | undefined): void {
    this.bytes += bytesOf(job) - bytesOf(this.#jobs.get(id));
    if (job === undefined) this.#jobs.delete(id);
    else this.#jobs.set(id, job);
  }
}

function bytesOf(job: IndexedJob | undefined): number {
  return job === undefined ? 0 : job.specBytes + job.inputBytes + job.answerBytes;
}
