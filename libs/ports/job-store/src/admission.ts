import { InvalidArgumentError, type JobId } from "@heddle/kernel";
import type { JobChange } from "./index.ts";

/** Of each job that is there: the number of its next chunk, or that its inputs were dropped. */
export type Chunks = Map<JobId, number | "ended">;

/** Undefined: the job is not there. */
type State = number | "ended" | undefined;

/** Decides which writes of a commit fit what is kept and what those before them will have made of it. */
export class Admission {
  readonly #kept: Chunks;
  /** What the admitted writes will have changed. */
  readonly #changed = new Map<JobId, State>();

  constructor(kept: Chunks) {
    this.#kept = kept;
  }

  /** Why a write cannot be made; undefined when it can, and those behind it are judged as if it were. */
  refusalOf(changes: readonly JobChange[]): InvalidArgumentError | undefined {
    const changed = new Map<JobId, State>();
    for (const change of changes) {
      if (change.type === "history-added") continue;
      const { type, job } = change;
      const state = changed.has(job) ? changed.get(job) : this.#stateOf(job);
      if (type === "job-added") {
        if (state !== undefined) return new InvalidArgumentError(`job ${job} is added, and is there`);
        changed.set(job, 0);
      } else if (type === "job-dropped") changed.set(job, undefined);
      else if (type === "inputs-dropped" && state !== undefined) changed.set(job, "ended");
      else if (type === "chunk-added" && typeof state === "number") {
        if (!Number.isInteger(change.chunk) || change.chunk < 0 || change.chunk > state)
          return new InvalidArgumentError(`chunk ${change.chunk} of job ${job} is added, and the next one is ${state}`);
        changed.set(job, Math.max(state, change.chunk + 1));
      }
    }
    for (const [job, state] of changed) this.#changed.set(job, state);
    return undefined;
  }

  /** What was admitted is kept. */
  settle(): void {
    for (const [job, state] of this.#changed) {
      if (state === undefined) this.#kept.delete(job);
      else this.#kept.set(job, state);
    }
  }

  #stateOf(job: JobId): State {
    return this.#changed.has(job) ? this.#changed.get(job) : this.#kept.get(job);
  }
}
