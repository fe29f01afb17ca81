import type { Environment, JobId } from "@heddle/kernel";
import type { KeptJob } from "./kept-job.ts";
import type { KeptShare } from "./kept-shares.ts";
import type { KeptSpace } from "./kept-space.ts";
import { KeptWriter } from "./kept-writer.ts";
import { ENDED_JOB_AGE_MS, ENDED_JOBS_MAX } from "./limits.ts";

/** What is needed for jobs to go. */
export interface EndedKeptJobsOptions {
  readonly env: Environment;
  readonly space: KeptSpace;
  /** Somebody may still want it: it goes for the room alone. */
  readonly isNeeded: (job: KeptJob) => boolean;
  /** It is not kept any more. */
  readonly dropped: (job: KeptJob) => void;
}

/** Kept jobs that have ended: they go when they are old or many, or others need the room; not while somebody listens. */
export class EndedKeptJobs {
  readonly #options: EndedKeptJobsOptions;
  /** The one that ended longest ago first. */
  readonly #ended = new Set<KeptJob>();
  /** Those that are not gone from the disk yet. */
  readonly #dropping = new Map<JobId, Promise<void>>();
  readonly #drops: KeptWriter;
  #expiry: Disposable | undefined;
  #isFrozen = false;

  constructor(options: EndedKeptJobsOptions) {
    const { env, space } = options;
    this.#options = options;
    this.#drops = new KeptWriter({ env, space, job: "", waits: true, isDropping: true, refused: () => undefined });
    space.makeRoom = (of) => this.#makeRoom(of);
  }

  get size(): number {
    return this.#ended.size;
  }

  add(job: KeptJob): void {
    this.#ended.add(job);
    this.look();
  }

  /** Time has passed, or somebody wants one no more. */
  look(): void {
    const { clock } = this.#options.env;
    this.#expiry?.[Symbol.dispose]();
    this.#expiry = undefined;
    if (this.#isFrozen) return;
    const nowMs = clock.nowMs();
    let count = this.#ended.size;
    for (const job of [...this.#ended]) {
      const dueMs = (job.end?.endedMs ?? nowMs) + ENDED_JOB_AGE_MS;
      if (count <= ENDED_JOBS_MAX && dueMs > nowMs) {
        this.#expiry = clock.setTimer(dueMs, () => this.look());
        return;
      }
      if (job.listeners.size > 0 || this.#options.isNeeded(job)) continue;
      count--;
      this.drop(job);
    }
  }

  /** Has any job go, one that has not ended too. */
  drop(job: KeptJob): void {
    const { id } = job;
    this.#ended.delete(job);
    job.leaveShare();
    this.#options.dropped(job);
    const gone = Promise.withResolvers<void>();
    this.#dropping.set(id, gone.promise);
    this.#drops.push({ type: "job-dropped", job: id }, -job.bytes, () => {
      if (this.#dropping.get(id) === gone.promise) this.#dropping.delete(id);
      gone.resolve();
    });
  }

  /** When a job of this id that was dropped is gone from the disk; undefined when it is, or there was none. */
  gone(id: JobId): Promise<void> | undefined {
    return this.#dropping.get(id);
  }

  /** None goes any more. */
  freeze(): void {
    this.#isFrozen = true;
    this.#expiry?.[Symbol.dispose]();
  }

  flushed(): Promise<void> {
    return this.#drops.flushed();
  }

  /** For others: the one that has ended longest ago, of those in a share where one is given, if nobody listens to it. */
  #makeRoom(share?: KeptShare): Promise<void> | undefined {
    for (const job of this.#ended) {
      if (job.listeners.size > 0 || (share !== undefined && job.share !== share)) continue;
      this.drop(job);
      return this.gone(job.id);
    }
    return undefined;
  }
}
