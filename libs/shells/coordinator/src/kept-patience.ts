import type { Clock, Millis } from "@heddle/kernel";
import type { FabricError } from "@heddle/wire";
import type { KeptJob } from "./kept-job.ts";
import { KEPT_COMEBACK_MS } from "./limits.ts";
import { fabricError } from "./results.ts";

/** What is needed for jobs to be given up. */
export interface KeptPatienceOptions {
  readonly clock: Clock;
  readonly leaseMs: Millis;
  readonly stop: (job: KeptJob, error: FabricError) => void;
}

/** Gives up kept jobs that nobody has to do with any more, or that take longer than they may. */
export class KeptPatience {
  readonly #options: KeptPatienceOptions;
  #isFrozen = false;

  constructor(options: KeptPatienceOptions) {
    this.#options = options;
  }

  /** Whether anybody has to do with it may have changed. `isFound`: it was on disk before this coordinator began, and its client has yet to come back. */
  look(job: KeptJob, isFound = false): void {
    if (!isAlone(job) || this.#isFrozen) {
      job.absence?.[Symbol.dispose]();
      job.absence = undefined;
      return;
    }
    const { clock, leaseMs, stop } = this.#options;
    const waitMs = isFound || job.submission !== undefined ? leaseMs + KEPT_COMEBACK_MS : leaseMs;
    job.absence ??= clock.setTimer(clock.nowMs() + waitMs, () => {
      job.absence = undefined;
      const what =
        job.submission === undefined ? "no client listened to it" : "its client did not come back to submit the rest";
      const message = `job ${job.id} was cancelled: ${what} for ${Math.round(waitMs / 100) / 10} s`;
      stop(job, fabricError("cancelled", message));
    });
  }

  /** The time that it may take begins. */
  begin(job: KeptJob): void {
    const { timeoutMs } = job;
    if (timeoutMs === 0) return;
    const { clock, stop } = this.#options;
    job.deadline = clock.setTimer(clock.nowMs() + timeoutMs, () => {
      stop(job, fabricError("timeout", `job ${job.id} took longer than its ${timeoutMs} ms`));
    });
  }

  /** None is given up any more. */
  freeze(): void {
    this.#isFrozen = true;
  }
}

/** It needs somebody, and has nobody. */
function isAlone({ submission, run, isDetached, listeners, submitters }: KeptJob): boolean {
  if (submission !== undefined) return submission.client === undefined;
  return run !== undefined && !isDetached && listeners.size + submitters.size === 0;
}
