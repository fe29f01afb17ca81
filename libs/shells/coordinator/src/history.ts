import type { Environment, JobId, Millis } from "@heddle/kernel";
import { JobStoreFullError } from "@heddle/port-job-store";
import { JobHistoryEntry, type JobStatus } from "@heddle/wire";
import { endedStatus } from "./admin.ts";
import type { KeptSpace, KeptWrite } from "./kept-space.ts";
import type { EndedJob } from "./ledger.ts";
import { ENDED_JOB_AGE_MS, ENDED_JOBS_MAX, HISTORY_PAUSE_MS } from "./limits.ts";

/** What a history needs. */
export interface JobHistoryOptions {
  readonly env: Environment;
  readonly space: KeptSpace;
  /** The time of day; undefined when nobody knows. */
  readonly timeOfDayMs: (() => Millis) | undefined;
}

/** A job that ended before this coordinator began, or without its having run it. */
interface PastJob {
  readonly status: JobStatus;
  /** By this coordinator's clock, which it may be below 0 of. */
  readonly endedMs: Millis;
}

/**
 * What is said of jobs that have ended, also by the coordinator that comes after. Nobody waits for that to be on disk: it leaves HISTORY_PAUSE_MS after a
 * job's end at the latest, and ahead of whatever is written for a kept job before. So what ended before a kept job is on disk when that is.
 */
export class JobHistory {
  readonly #options: JobHistoryOptions;
  /** Oldest first. */
  #past: PastJob[] = [];
  /** Not on disk yet; beyond ENDED_JOBS_MAX the oldest never will be. */
  #waiting: EndedJob[] = [];
  #timer: Disposable | undefined;
  /** Of the writes for which it asks itself there is one at a time: while the disk is slow, more comes together. */
  #isWriting = false;

  constructor(options: JobHistoryOptions) {
    this.#options = options;
    options.space.ahead = () => this.#leaving();
  }

  /** What was said before this coordinator began, oldest first. What is too old, or cannot be read, is left out. */
  recover(entries: readonly Uint8Array[]): void {
    const { env, timeOfDayMs } = this.#options;
    const [nowMs, dayMs] = [env.clock.nowMs(), timeOfDayMs?.()];
    for (const bytes of entries) {
      const entry = this.#read(bytes);
      if (entry?.job === undefined) continue;
      const ageMs = dayMs === undefined || entry.endedAtMs === 0 ? 0 : Math.max(0, dayMs - entry.endedAtMs);
      if (ageMs <= ENDED_JOB_AGE_MS) this.#past.push({ status: entry.job, endedMs: nowMs - ageMs });
    }
  }

  /** A job that was not kept has ended. */
  ended(end: EndedJob): void {
    this.#waiting.push(end);
    if (this.#waiting.length > 2 * ENDED_JOBS_MAX) this.#waiting = this.#waiting.slice(-ENDED_JOBS_MAX);
    this.#writeSoon();
  }

  /** One has ended that did not run in this life. */
  add(status: JobStatus): void {
    this.#past.push({ status, endedMs: this.#options.env.clock.nowMs() });
  }

  /** The entry of a job that ends now. */
  entryOf(status: JobStatus): Uint8Array {
    return this.#entry(status, this.#options.env.clock.nowMs());
  }

  /** As operators see them, newest first, at most so many. */
  statuses(countMax: number): JobStatus[] {
    const nowMs = this.#options.env.clock.nowMs();
    this.#past = this.#past.filter(({ endedMs }) => nowMs - endedMs <= ENDED_JOB_AGE_MS).slice(-ENDED_JOBS_MAX);
    const newest = countMax <= 0 ? [] : this.#past.slice(-countMax).reverse();
    return newest.map(({ status, endedMs }) => agedStatus(status, nowMs - endedMs));
  }

  /** Undefined: nothing is remembered of it here. */
  find(id: JobId): JobStatus | undefined {
    return this.statuses(ENDED_JOBS_MAX).find(({ jobId }) => jobId === id);
  }

  /** All of it is on disk, unless that has no room. */
  async flushed(): Promise<void> {
    this.#timer?.[Symbol.dispose]();
    this.#timer = undefined;
    await this.#write();
  }

  #writeSoon(): void {
    const { clock } = this.#options.env;
    if (this.#isWriting) return;
    this.#timer ??= clock.setTimer(clock.nowMs() + HISTORY_PAUSE_MS, () => {
      this.#timer = undefined;
      void this.#writeOnce();
    });
  }

  async #writeOnce(): Promise<void> {
    this.#isWriting = true;
    await this.#write();
    this.#isWriting = false;
    if (this.#waiting.length > 0) this.#writeSoon();
  }

  /** What waits leaves ahead of any write, so of one that brings nothing. Resolves when all that left is on disk, or has no room there. */
  #write(): Promise<void> {
    return this.#options.space.write([], 0).catch(onlyFull);
  }

  /** What waits, which is on its way from now on; undefined for nothing. */
  #leaving(): KeptWrite | undefined {
    const entries = this.#waiting
      .slice(-ENDED_JOBS_MAX)
      .map((end) => this.#entry(endedStatus(end, end.endedMs), end.endedMs));
    this.#waiting = [];
    if (entries.length === 0) return undefined;
    const bytes = entries.reduce((sum, entry) => sum + entry.byteLength, 0);
    const changes = entries.map((entry) => ({ type: "history-added", entry }) as const);
    return { changes, bytes, resolve: () => undefined, reject: (error) => this.#lost(error, entries.length) };
  }

  #lost(error: unknown, jobs: number): void {
    onlyFull(error);
    this.#options.env.log.warn("the history of jobs lacks some: the disk is full", { jobs });
  }

  #entry(job: JobStatus, endedMs: Millis): Uint8Array {
    const { env, timeOfDayMs } = this.#options;
    const dayMs = timeOfDayMs?.() ?? 0;
    const endedAtMs = dayMs === 0 ? 0 : Math.max(0, Math.round(dayMs - (env.clock.nowMs() - endedMs)));
    return JobHistoryEntry.encode({ job, endedAtMs }).finish();
  }

  #read(bytes: Uint8Array): JobHistoryEntry | undefined {
    try {
      return JobHistoryEntry.decode(bytes);
    } catch (cause) {
      this.#options.env.log.warn("an entry of the history of jobs cannot be read", { cause: String(cause) });
      return undefined;
    }
  }
}

/** Throws what is not a full disk. */
function onlyFull(error: unknown): void {
  if (!(error instanceof JobStoreFullError)) throw error;
}

/** Of a job that ended so long ago. */
function agedStatus(status: JobStatus, sinceMs: Millis): JobStatus {
  return { ...status, ageMs: status.durationMs + Math.round(sinceMs), listeners: 0 };
}
