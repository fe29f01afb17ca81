import { type ErrorCode, foldedCount, ProtocolError } from "@heddle/kernel";
import {
  type ChunkFinished,
  type FabricError,
  type Failure,
  flowOf,
  type JobOutcome,
  type Payload,
  type PayloadFlow,
  type RunResponseEntry,
  type Span,
  type WorkerLoss,
} from "@heddle/wire";
import type { AssignmentRecord, ClientRecord } from "./ledger.ts";
import { SPILL_BACKLOG_BYTES } from "./limits.ts";

/** Values that were announced before they were complete. */
export interface Relay {
  /** They are: they count, or not. */
  end(aborted: boolean): void;
}

/** What came with a finished assignment, beside the fact that the core is told. */
export interface Finish {
  readonly assignment: AssignmentRecord;
  readonly pid: number;
  /** Values of the items that are done, complete or being relayed. */
  readonly values: PayloadFlow | undefined;
  /** Set when `values` were announced to the client as they began to arrive. */
  readonly relay: Relay | undefined;
  /** Why the item after them failed. */
  readonly failure: Failure | undefined;
  /** The user's own error, when `failure` has one. */
  readonly userError: PayloadFlow | undefined;
  /** What the pool's initializer threw; undefined when it did not. */
  readonly initError: Uint8Array | undefined;
  readonly runMicros: number;
}

/** Of an assignment that was lost with its node: it brings nothing. */
export function lostFinish(assignment: AssignmentRecord): Finish {
  const nothing = { values: undefined, relay: undefined, failure: undefined, userError: undefined };
  return { assignment, pid: 0, runMicros: 0, initError: undefined, ...nothing };
}

/** Announces values to the client before they are complete; `end` of what it returns decides whether they count. */
export function announceValues(assignment: AssignmentRecord, values: PayloadFlow, runMicros: number): Relay {
  const { job, chunk, offset, count } = assignment;
  const entry = entryOf(assignment, { offset, count }, runMicros);
  const { outlet } = job;
  if (outlet?.diverts(assignment, values.size)) return outlet.keep({ chunk, offset }, values, entry);
  const { client } = job.pool;
  noteDirect(client, values.size);
  client.relayedBytes += values.size;
  const outgoing = client.outflow.hold(values);
  client.session.send(entry(outgoing.header), outgoing.inlineBytes);
  outgoing.start();
  const end = (aborted: boolean): void => {
    client.relayedBytes -= values.size;
    outgoing.end(aborted);
    if (!aborted) outlet?.sent({ chunk, offset }, values.size);
  };
  return { end };
}

/** Before a result goes into the client's queue. */
function noteDirect(client: ClientRecord, size: number): void {
  if (client.session.queuedBytes < SPILL_BACKLOG_BYTES) client.directBytes = client.relayedBytes + size;
}

/** Sends complete values of consecutive items. */
export function sendValues({ assignment, values = noValues, runMicros }: Finish, offset: number, count: number): void {
  const { job, chunk } = assignment;
  const entry = entryOf(assignment, { offset, count }, runMicros);
  const { outlet } = job;
  const place = { chunk, offset };
  if (outlet?.diverts(place, values.size)) return outlet.keep(place, values, entry).end(false);
  const { client } = job.pool;
  if (outlet !== undefined) noteDirect(client, values.size);
  const outgoing = client.outflow.send(values);
  client.session.send(entry(outgoing.header), outgoing.inlineBytes);
  outgoing.start();
  outlet?.sent(place, values.size);
}

/** Sends an item's failure with where it ran last. */
export function sendItemFailed(
  finish: Finish,
  at: { readonly chunk: number; readonly offset: number; readonly attempt: number },
): void {
  const { assignment } = finish;
  const { client } = assignment.job.pool;
  const failure: Failure = {
    ...(finish.failure ?? lostFailure(assignment)),
    offset: at.offset,
    place: { node: assignment.node.name, pid: finish.pid, attempt: at.attempt },
  };
  const start = attachUserError(client, failure, finish.userError);
  const item = { job: assignment.job.number, chunk: at.chunk, failure };
  client.session.send({ kind: { $case: "itemFailed", value: item } }, start.inlineBytes + textBytes(failure));
  start.run();
}

/** Words count too, or a frame of many failures would be larger than a message may be. */
function textBytes({ summary, kind }: Failure): number {
  if (kind?.$case === "workerLoss") return summary.length + kind.value.stderrTail.length;
  if (kind?.$case !== "fabricError") return summary.length;
  const { message, path, cause } = kind.value;
  return summary.length + message.length + path.length + cause.length;
}

/** What is said of an item whose nodes kept dying under it. */
function lostFailure(assignment: AssignmentRecord): Failure {
  return {
    offset: undefined,
    place: undefined,
    summary: `node ${assignment.node.name} was lost while it ran this item, as nodes before it`,
    kind: { $case: "workerLoss", value: unknownLoss },
  };
}

function attachUserError(client: ClientRecord, failure: Failure, flow: PayloadFlow | undefined) {
  if (flow === undefined) return { inlineBytes: 0, run: () => undefined };
  const outgoing = client.outflow.send(flow);
  failure.kind = { $case: "userError", value: outgoing.header };
  return { inlineBytes: outgoing.inlineBytes, run: () => outgoing.start() };
}

/** An error of the fabric as it travels. `cause`: the user's own error behind it. */
export function fabricError(code: ErrorCode, message: string, cause: Uint8Array = noBytes): FabricError {
  return { code, message, path: "", side: "", limitName: "", limit: 0, actual: 0, cause };
}

/** Ends a job at its client: one that was open, or one that is refused. */
export function sendJobEnded(
  client: ClientRecord,
  job: number,
  outcome: JobOutcome,
  error: FabricError | undefined,
): void {
  const bytes = error === undefined ? 0 : error.message.length + error.cause.length;
  client.session.send({ kind: { $case: "jobEnded", value: { job, outcome, error } } }, bytes);
}

/** How many values the first `count` items of an assignment come down to. */
function valueCount({ job, firstIndex }: AssignmentRecord, count: number): number {
  return job.opened.combine === undefined ? count : foldedCount(firstIndex, count);
}

/** Whether these are values of the first `count` items of an assignment. A job without a function has none, or one for each item. */
export function areValuesOf(assignment: AssignmentRecord, count: number, values: Pick<Payload, "count">): boolean {
  return values.count === valueCount(assignment, count) || (assignment.job.opened.prime && values.count === 0);
}

/** The payload inside a failure that came from a node, if it is the user's own error. */
export function userErrorOf(failure: Failure | undefined): Payload | undefined {
  return failure?.kind?.$case === "userError" ? failure.kind.value : undefined;
}

/** The failure that a finished assignment brought. `timeoutMs`: what its job allows an item. Throws ProtocolError when it should have and has not. */
export function failureOf(outcome: ChunkFinished["outcome"], timeoutMs: number): Failure | undefined {
  switch (outcome?.$case) {
    case "itemError": {
      if (outcome.value.failure === undefined) throw new ProtocolError("an item error came without its failure");
      return outcome.value.failure;
    }
    case "workerDeath": {
      const loss = outcome.value.loss ?? unknownLoss;
      return {
        offset: undefined,
        place: undefined,
        summary: deathSummary(loss),
        kind: { $case: "workerLoss", value: loss },
      };
    }
    case "itemOverdue":
      return {
        offset: undefined,
        place: undefined,
        summary: `item ran for longer than ${timeoutMs} ms`,
        kind: { $case: "itemTimeout", value: { timeoutMs } },
      };
    default:
      return undefined;
  }
}

const noBytes = new Uint8Array(0);

/** An empty payload, for outcomes that bring no values. */
const noValues: PayloadFlow = flowOf({ encoding: 0, count: 0, bytes: noBytes });

/** Nothing is known of how it died. */
const unknownLoss: WorkerLoss = { signal: "", exitCode: undefined, rssBytes: 0, stderrTail: "" };

function deathSummary(loss: WorkerLoss): string {
  if (loss.signal !== "") return `the worker process was killed by ${loss.signal}`;
  return loss.exitCode === undefined
    ? "the worker process died"
    : `the worker process exited with code ${loss.exitCode}`;
}

/** Makes the entry that announces values of a span of an assignment; holds on to nothing of it. */
function entryOf(
  { job: { number: job }, chunk, isWhole, count: assigned }: AssignmentRecord,
  { offset, count }: Span,
  runMicros: number,
): (values: Payload) => RunResponseEntry {
  const span = isWhole && count === assigned ? undefined : { offset, count };
  return (values) => ({ kind: { $case: "spanDone", value: { job, chunk, span, values, runMicros } } });
}
