import type { WorkerKey } from "@heddle/core-pool";
import { NESTING_DEPTH_MAX, SESSION_WINDOW_BYTES } from "@heddle/kernel";
import type { Session, SessionEnd, SessionHandler } from "@heddle/port-rpc";
import {
  JobOutcome,
  type NestedEntry,
  type OpenJob,
  type RunRequestEntry,
  type RunResponseEntry,
  type WorkerRequestEntry,
} from "@heddle/wire";

/** A worker as far as its own calls of the fabric are concerned. */
export interface NestingWorker {
  readonly key: WorkerKey;
  /** Sends to the process. */
  readonly send: (entry: WorkerRequestEntry) => void;
  /** How many tasks the task that it runs is inside of. */
  readonly depth: () => number;
}

/** Opens a session with the coordinator that this node belongs to. */
export type NestedDial = (handler: SessionHandler<RunResponseEntry>) => Session<RunRequestEntry>;

interface Nested {
  readonly session: Session<RunRequestEntry>;
  /** Jobs that were refused here: what is still said of them is dropped. */
  readonly refusedJobs: Set<number>;
  readonly refusedStreams: Set<number>;
  /** Bulk bytes that the worker was not told of. */
  untold: number;
  isDraining: boolean;
}

/**
 * The sessions that workers have with the coordinator, for calls of the fabric by tasks. The agent holds them, so that a task that
 * computes for long loses none; a session ends with its worker, and with it all its jobs.
 */
export class NestedSessions {
  readonly #dial: NestedDial;
  /** At most one for each worker. */
  readonly #sessions = new Map<WorkerKey, Nested>();

  constructor(dial: NestedDial) {
    this.#dial = dial;
  }

  /** What the worker says, in order; the first word opens the session. */
  request(worker: NestingWorker, entries: readonly NestedEntry[]): void {
    const nested = this.#sessions.get(worker.key) ?? this.#open(worker);
    for (const { entry, bulkBytes } of entries) {
      if (entry !== undefined && !this.#isRefused(worker, nested, entry))
        nested.session.send(stamped(worker, entry), bulkBytes);
      this.#took(worker, nested, bulkBytes ?? 0);
    }
  }

  /** The worker is gone, or needs it no more: the coordinator hears goodbye. */
  close(worker: WorkerKey): void {
    const nested = this.#sessions.get(worker);
    this.#sessions.delete(worker);
    void nested?.session.close({ code: "closed", message: "the task's worker is gone" });
  }

  closeAll(): void {
    for (const worker of [...this.#sessions.keys()]) this.close(worker);
  }

  #open(worker: NestingWorker): Nested {
    const nested: Nested = {
      session: this.#dial({
        entries: (entries) => {
          if (this.#sessions.get(worker.key) !== nested) return;
          for (const entry of entries) worker.send({ kind: { $case: "nestedResponse", value: { entries: [entry] } } });
        },
        ended: (end) => {
          if (this.#sessions.get(worker.key) !== nested) return;
          this.#sessions.delete(worker.key);
          worker.send({ kind: { $case: "nestedEnded", value: goodbyeOf(end) } });
        },
      }),
      refusedJobs: new Set(),
      refusedStreams: new Set(),
      untold: 0,
      isDraining: false,
    };
    this.#sessions.set(worker.key, nested);
    return nested;
  }

  /** Answers a job that is too deep, and drops what belongs to it. */
  #isRefused(worker: NestingWorker, { refusedJobs, refusedStreams }: Nested, { kind }: RunRequestEntry): boolean {
    switch (kind?.$case) {
      case "openJob": {
        if (worker.depth() < NESTING_DEPTH_MAX) return false;
        refusedJobs.add(kind.value.job);
        worker.send({ kind: { $case: "nestedResponse", value: { entries: [tooDeep(kind.value)] } } });
        return true;
      }
      case "offerChunk": {
        if (!refusedJobs.has(kind.value.job)) return false;
        const stream = kind.value.input?.partStream ?? 0;
        if (stream !== 0) refusedStreams.add(stream);
        return true;
      }
      case "part": {
        const { partStream, last, aborted } = kind.value;
        if (!refusedStreams.has(partStream)) return false;
        if (last || aborted) refusedStreams.delete(partStream);
        return true;
      }
      case "sealJob":
      case "cancelJob":
        return refusedJobs.has(kind.value.job);
      default:
        return false;
    }
  }

  /** Tells the worker what left this process, so that it says no more than the coordinator takes. */
  #took(worker: NestingWorker, nested: Nested, bytes: number): void {
    if (bytes === 0) return;
    nested.untold += bytes;
    if (nested.isDraining) return;
    const tell = (): void => {
      nested.isDraining = false;
      const told = nested.untold;
      nested.untold = 0;
      if (this.#sessions.get(worker.key) === nested)
        worker.send({ kind: { $case: "nestedTaken", value: { bytes: told } } });
    };
    if (nested.session.queuedBytes < SESSION_WINDOW_BYTES) return tell();
    nested.isDraining = true;
    nested.session.drained().then(tell, tell);
  }
}

/** How deep a job is only the agent knows. */
function stamped(worker: NestingWorker, entry: RunRequestEntry): RunRequestEntry {
  if (entry.kind?.$case !== "openJob") return entry;
  return { kind: { $case: "openJob", value: { ...entry.kind.value, depth: worker.depth() + 1 } } };
}

function tooDeep({ job, jobId }: OpenJob): RunResponseEntry {
  const limit = NESTING_DEPTH_MAX;
  const message = `job ${jobId} is called by a task inside of ${limit} others: NESTING_DEPTH_MAX is ${limit}; call it from less deep, or compute here`;
  const error = {
    code: "limit",
    message,
    path: "",
    side: "",
    limitName: "NESTING_DEPTH_MAX",
    limit,
    actual: limit + 1,
  };
  return { kind: { $case: "jobEnded", value: { job, outcome: JobOutcome.FAILED, error } } };
}

function goodbyeOf(end: SessionEnd): { readonly code: string; readonly message: string } {
  switch (end.reason) {
    case "goodbye":
      return end.goodbye;
    case "lost":
      return { code: "unavailable", message: end.message };
    case "expired":
      return { code: "unavailable", message: "the coordinator cannot be reached" };
    case "closed":
      return { code: "closed", message: "closed" };
  }
}
