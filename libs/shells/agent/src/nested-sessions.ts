import type { WorkerKey } from "@heddle/core-pool";
import { NESTING_DEPTH_MAX, PART_BYTES_MAX, ProtocolError, SESSION_WINDOW_BYTES, unreachable } from "@heddle/kernel";
import { type Goodbye, isRefusal, type Session, type SessionEnd, type SessionHandler } from "@heddle/port-rpc";
import {
  type FabricError,
  JobOutcome,
  type NestedEntry,
  type NestedRequest,
  type OpenJob,
  type RunRequestEntry,
  type RunResponseEntry,
  type StartProcess,
  type WorkerRequestEntry,
} from "@heddle/wire";
import { NESTED_QUEUE_BYTES_MAX } from "./limits.ts";
import type { WorkerRecord } from "./records.ts";

/** A worker as far as its own calls of the fabric are concerned. */
export interface NestingWorker {
  readonly key: WorkerKey;
  /** Sends to the process. */
  readonly send: (entry: WorkerRequestEntry) => void;
  /** How many tasks the task that it runs is inside of. */
  readonly depth: () => number;
  /** The coordinator's number of the process that it is; 0 for a pool's worker. */
  readonly process: number;
}

/** Opens a session with the coordinator that this node belongs to. */
export type NestedDial = (handler: SessionHandler<RunResponseEntry>) => Session<RunRequestEntry>;

/** One session of one worker. */
interface Nested {
  readonly worker: NestingWorker;
  /** The worker counts its sessions: what it says of an earlier one was under way when that ended. */
  readonly number: number;
  readonly session: Session<RunRequestEntry>;
  /** Kept when it is over until the worker opens the next one or is gone, for its number. */
  isOver: boolean;
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
  /** The last one of each worker. */
  readonly #last = new Map<WorkerKey, Nested>();
  /** Set once no session may be opened any more. */
  #shut: Goodbye | undefined;

  constructor(dial: NestedDial) {
    this.#dial = dial;
  }

  /** What the worker says, in order; the first word of a session opens it. Throws ProtocolError for what no worker may say. */
  request(worker: NestingWorker, { session: number, entries }: NestedRequest): void {
    const nested = this.#numbered(worker, number);
    if (nested === undefined) return;
    let bulkBytes = 0;
    for (const one of entries) {
      this.#relay(nested, one);
      bulkBytes += one.bulkBytes ?? 0;
    }
    this.#took(nested, bulkBytes);
  }

  /** The worker needs its session no more: the coordinator hears goodbye. */
  close(worker: WorkerKey, number: number): void {
    const nested = this.#last.get(worker);
    if (nested?.number === number) leave(nested, "the task's session was closed");
  }

  /** The worker is gone, and with it what it has called. */
  gone(worker: WorkerKey): void {
    const nested = this.#last.get(worker);
    this.#last.delete(worker);
    if (nested !== undefined) leave(nested, "the task's worker is gone");
  }

  /** No session goes on: each worker is told why. It may open another. */
  endAll(why: Goodbye): void {
    for (const nested of this.#last.values()) {
      if (nested.isOver) continue;
      leave(nested, why.message);
      tellEnded(nested, why);
    }
  }

  /** As `endAll`, for good: the node is over. */
  shut(why: Goodbye): void {
    this.#shut = why;
    this.endAll(why);
  }

  /** The session of that number; undefined when it is over. A new number opens one. */
  #numbered(worker: NestingWorker, number: number): Nested | undefined {
    const last = this.#last.get(worker.key);
    if (last !== undefined && number <= last.number) return number < last.number || last.isOver ? undefined : last;
    if (last !== undefined) leave(last, "the task opened another session");
    if (this.#shut !== undefined) return void tellEnded({ worker, number }, this.#shut);
    return this.#open(worker, number);
  }

  #open(worker: NestingWorker, number: number): Nested {
    const nested: Nested = {
      worker,
      number,
      session: this.#dial({
        entries: (entries) => {
          if (!nested.isOver) for (const entry of entries) tell(nested, entry);
        },
        ended: (end) => {
          if (nested.isOver) return;
          nested.isOver = true;
          tellEnded(nested, goodbyeOf(end));
        },
      }),
      isOver: false,
      untold: 0,
      isDraining: false,
    };
    this.#last.set(worker.key, nested);
    return nested;
  }

  #relay(nested: Nested, { entry, bulkBytes }: NestedEntry): void {
    if (entry === undefined) return;
    checkSize(entry, bulkBytes);
    if (nested.session.queuedBytes > NESTED_QUEUE_BYTES_MAX)
      throw new ProtocolError(
        `a task said more than ${NESTED_QUEUE_BYTES_MAX} bytes that the coordinator has not taken`,
      );
    const depth = nested.worker.depth() + 1; // only the agent knows it
    if (entry.kind?.$case === "startProcess") return startNested(nested, entry.kind.value, depth);
    if (entry.kind?.$case !== "openJob") return nested.session.send(entry, bulkBytes);
    const job = entry.kind.value;
    // What is said later of a refused job goes on: the coordinator drops what belongs to no job.
    if (depth > NESTING_DEPTH_MAX) return tell(nested, tooDeep(job));
    nested.session.send({ kind: { $case: "openJob", value: { ...job, depth } } }, bulkBytes);
  }

  /** Tells the worker what left this process, so that it says no more than the coordinator takes. */
  #took(nested: Nested, bytes: number): void {
    if (bytes === 0) return;
    nested.untold += bytes;
    if (nested.isDraining) return;
    const tellTaken = (): void => {
      nested.isDraining = false;
      const value = { bytes: nested.untold, session: nested.number };
      nested.untold = 0;
      if (!nested.isOver) nested.worker.send({ kind: { $case: "nestedTaken", value } });
    };
    if (nested.session.queuedBytes < SESSION_WINDOW_BYTES) return tellTaken();
    nested.isDraining = true;
    nested.session.drained().then(tellTaken, tellTaken);
  }
}

/** A worker as its sessions see it. */
export function nestingWorker({ key, process, lastJob, lead }: WorkerRecord): NestingWorker {
  const depth = (): number => lead?.depth ?? lastJob?.description.depth ?? 0;
  return { key, send: (entry) => process.send(entry), depth, process: lead?.number ?? 0 };
}

/** A process that a task or another process starts. */
function startNested(nested: Nested, start: StartProcess, depth: number): void {
  const { session, worker } = nested;
  if (depth <= NESTING_DEPTH_MAX) {
    const value = { ...start, depth, parentProcess: worker.process };
    return session.send({ kind: { $case: "startProcess", value } });
  }
  const value = depthError(`process ${start.name} is started inside of ${NESTING_DEPTH_MAX} tasks and processes`);
  const ended = { process: start.process, end: { $case: "refused", value }, why: "" } as const;
  tell(nested, { kind: { $case: "processEnded", value: ended } });
}

/** What a session would put into a frame beyond its bounds must not be said to be small. */
function checkSize({ kind }: RunRequestEntry, bulkBytes = 0): void {
  const bytes = payloadBytes(kind);
  if (bytes > PART_BYTES_MAX || bytes > bulkBytes)
    throw new ProtocolError(
      `a task sent ${bytes} bytes in one entry and said ${bulkBytes}, the limit is ${PART_BYTES_MAX}`,
    );
}

function payloadBytes(kind: RunRequestEntry["kind"]): number {
  switch (kind?.$case) {
    case "part":
      return kind.value.data.length;
    case "offerChunk":
      return kind.value.input?.data.length ?? 0;
    case "artifactContent":
      return kind.value.content?.data.length ?? 0;
    default:
      return 0;
  }
}

/** Ends the session from here. Nothing more is heard of it. */
function leave(nested: Nested, message: string): void {
  nested.isOver = true;
  nested.session.close({ code: "closed", message }).catch(() => undefined);
}

function tell({ worker, number: session }: Nested, entry: RunResponseEntry): void {
  worker.send({ kind: { $case: "nestedResponse", value: { entries: [entry], session } } });
}

function tellEnded({ worker, number: session }: Pick<Nested, "worker" | "number">, { code, message }: Goodbye): void {
  worker.send({ kind: { $case: "nestedEnded", value: { code, message, session } } });
}

function tooDeep({ job, jobId }: OpenJob): RunResponseEntry {
  const error = depthError(`job ${jobId} is called by a task inside of ${NESTING_DEPTH_MAX} others`);
  return { kind: { $case: "jobEnded", value: { job, outcome: JobOutcome.FAILED, error } } };
}

function depthError(what: string): FabricError {
  const limit = NESTING_DEPTH_MAX;
  const message = `${what}: NESTING_DEPTH_MAX is ${limit}; call it from less deep, or compute here`;
  const limits = { limitName: "NESTING_DEPTH_MAX", limit, actual: limit + 1 };
  return { code: "limit", message, path: "", side: "", ...limits, cause: new Uint8Array(0) };
}

function goodbyeOf(end: SessionEnd): Goodbye {
  switch (end.reason) {
    case "goodbye":
      return end.goodbye;
    case "lost":
      return { code: isRefusal(end.error) ? end.error.code : "unavailable", message: end.message };
    case "expired":
      return { code: "unavailable", message: "the coordinator cannot be reached" };
    case "closed":
      return { code: "closed", message: "closed" };
    default:
      return unreachable(end);
  }
}
