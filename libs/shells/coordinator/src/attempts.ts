import type { NodeView, Outcome } from "@heddle/core-scheduler";
import { type Millis, unreachable } from "@heddle/kernel";
import type { WorkerLoss } from "@heddle/wire";
import type { AssignmentRecord, JobRecord } from "./ledger.ts";
import { ATTEMPT_STDERR_LENGTH_MAX, ATTEMPT_SUMMARY_LENGTH_MAX, ATTEMPTS_MAX, JOB_ATTEMPTS_MAX } from "./limits.ts";
import { lastLines, plainLine } from "./plain.ts";
import type { Finish } from "./results.ts";

/** How an attempt ended that did not simply succeed. */
type AttemptEnd =
  | "item-error"
  | "item-overdue"
  | "worker-death"
  | "start-fault"
  | "init-failed"
  | "node-lost"
  /** Given back, or stopped, because its node is drained or leaves, is excluded, or since another node has idle slots. */
  | "drained"
  /** The same where its agent had said that the node ends now. */
  | "lifetime"
  | "excluded"
  | "handed-back"
  | "stopped"
  /** Another attempt had answered before, whatever this one said. */
  | "overtaken";

/** One placement that did not simply succeed. All texts may be shown. */
export interface Attempt {
  readonly job: JobRecord;
  readonly chunk: number;
  readonly offset: number;
  readonly count: number;
  readonly firstIndex: number;
  readonly attempt: number;
  readonly node: string;
  /** Of the worker; 0 when there was none, or it is not known. */
  readonly pid: number;
  readonly placedMs: Millis;
  readonly startedMs: Millis | undefined;
  readonly endedMs: Millis;
  readonly end: AttemptEnd;
  readonly summary: string;
  readonly loss:
    | { readonly exitCode: number | undefined; readonly signal: string; readonly rssBytes: number }
    | undefined;
  readonly stderr: readonly string[];
}

/** The attempts that did not simply succeed, of open jobs and of ended ones that are remembered: the newest of each, and of all. */
export class AttemptBook {
  /** Oldest first. Size <= ATTEMPTS_MAX. */
  readonly #all = new Set<Attempt>();
  readonly #ofJob = new Map<JobRecord, Set<Attempt>>();

  /** An assignment is over. `state`: of its node now, "lifetime" where that comes to its end, or "overtaken". What was simply done, and what is stopped because its job is over, is not kept. */
  finished(
    finish: Finish,
    outcome: Outcome,
    state: NodeView["state"] | "overtaken" | "lifetime" | undefined,
    nowMs: Millis,
  ): void {
    const end = state === "overtaken" ? state : endOf(outcome, state);
    if (end === undefined) return;
    const { assignment, failure, pid } = finish;
    const loss = failure?.kind?.$case === "workerLoss" ? failure.kind.value : undefined;
    const summary = failure?.summary ?? faultOf(outcome);
    this.#add({
      ...placeOf(assignment),
      pid,
      endedMs: nowMs,
      end,
      summary: plainLine(summary, ATTEMPT_SUMMARY_LENGTH_MAX),
      ...lossOf(loss),
    });
  }

  /** A node is gone with an assignment. */
  lost(assignment: AssignmentRecord, why: string, nowMs: Millis): void {
    const summary = plainLine(why, ATTEMPT_SUMMARY_LENGTH_MAX);
    this.#add({ ...placeOf(assignment), pid: 0, endedMs: nowMs, end: "node-lost", summary, ...lossOf(undefined) });
  }

  /** Those of a job, newest first. */
  of(job: JobRecord): Attempt[] {
    return [...(this.#ofJob.get(job) ?? [])].reverse();
  }

  /** An ended job is remembered no longer. */
  forget(job: JobRecord): void {
    for (const attempt of this.#ofJob.get(job) ?? []) this.#all.delete(attempt);
    this.#ofJob.delete(job);
  }

  #add(attempt: Attempt): void {
    const { job } = attempt;
    const own = this.#ofJob.get(job) ?? new Set();
    this.#ofJob.set(job, own.add(attempt));
    this.#all.add(attempt);
    if (own.size > JOB_ATTEMPTS_MAX) this.#drop(own.values().next().value);
    if (this.#all.size > ATTEMPTS_MAX) this.#drop(this.#all.values().next().value);
  }

  #drop(oldest: Attempt | undefined): void {
    if (oldest === undefined) return;
    this.#all.delete(oldest);
    const own = this.#ofJob.get(oldest.job);
    own?.delete(oldest);
    if (own?.size === 0) this.#ofJob.delete(oldest.job);
  }
}

function placeOf({ job, chunk, offset, count, firstIndex, attempt, node, placedMs, startedMs }: AssignmentRecord) {
  return { job, chunk, offset, count, firstIndex, attempt, node: node.name, placedMs, startedMs };
}

function endOf(outcome: Outcome, state: NodeView["state"] | "lifetime" | undefined): AttemptEnd | undefined {
  switch (outcome.type) {
    case "done":
    case "part-done":
      return undefined;
    case "not-started":
      if (outcome.fault !== undefined) return "start-fault";
      return takenFrom(state) ?? "handed-back";
    case "stopped":
      return takenFrom(state) ?? "stopped";
    case "item-error":
    case "item-overdue":
    case "worker-death":
    case "init-failed":
      return outcome.type;
    default:
      return unreachable(outcome);
  }
}

function takenFrom(state: NodeView["state"] | "lifetime" | undefined): AttemptEnd | undefined {
  if (state === "lifetime") return state;
  if (state === "draining" || state === "drained") return "drained";
  return state === "excluded" ? "excluded" : undefined;
}

function faultOf(outcome: Outcome): string {
  return "fault" in outcome ? (outcome.fault ?? "") : "";
}

function lossOf(loss: WorkerLoss | undefined): Pick<Attempt, "loss" | "stderr"> {
  if (loss === undefined) return { loss: undefined, stderr: [] };
  const { exitCode, rssBytes } = loss;
  const signal = plainLine(loss.signal, ATTEMPT_SUMMARY_LENGTH_MAX);
  return { loss: { exitCode, signal, rssBytes }, stderr: lastLines(loss.stderrTail, ATTEMPT_STDERR_LENGTH_MAX) };
}
