import { InvalidArgumentError, type JobId, unreachable } from "@heddle/kernel";
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
      const { job } = change;
      const state = stateAfter(change, changed.has(job) ? changed.get(job) : this.#stateOf(job));
      if (state instanceof InvalidArgumentError) return state;
      changed.set(job, state);
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

type ChangeOfJob = Exclude<JobChange, { readonly type: "history-added" }>;

/** What a change makes of its job, or why it cannot be made. */
function stateAfter(change: ChangeOfJob, state: State): State | InvalidArgumentError {
  const { job } = change;
  switch (change.type) {
    case "job-added":
      return state === undefined ? 0 : new InvalidArgumentError(`job ${job} is added, and is there`);
    case "chunk-added":
      if (typeof state !== "number") return state;
      if (isNumber(change.chunk) && change.chunk <= state) return Math.max(state, change.chunk + 1);
      return new InvalidArgumentError(`chunk ${change.chunk} of job ${job} is added, and the next one is ${state}`);
    case "answer-added":
      return isNumber(change.answer)
        ? state
        : new InvalidArgumentError(`answer ${change.answer} of job ${job} is added: they are numbered 0, 1, 2, ...`);
    case "inputs-dropped":
      return state === undefined ? state : "ended";
    case "job-dropped":
      return undefined;
    case "job-noted":
    case "code-added":
      return state;
    default:
      return unreachable(change);
  }
}

function isNumber(number: number): boolean {
  return Number.isSafeInteger(number) && number >= 0;
}
