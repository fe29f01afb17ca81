import type { AssignmentId, Outcome } from "@heddle/core-scheduler";
import { ArtifactHash, CHECKPOINT_BYTES_MAX, ProtocolError, unreachable } from "@heddle/kernel";
import {
  type AttachRequestEntry,
  type ChunkCheckpointed,
  type ChunkFinished,
  type NodeLifetime,
  type Output,
  type PayloadFlow,
  type ProcessEnded,
  type ProcessStarted,
  whenEnded,
} from "@heddle/wire";
import type { AssignmentRecord, NodeRecord } from "./ledger.ts";
import { INIT_ERROR_BYTES_MAX, INIT_SUMMARY_LENGTH_MAX } from "./limits.ts";
import { announceValues, areValuesOf, type Finish, failureOf, userErrorOf } from "./results.ts";

/** What a node's entries ask of the coordinator. */
export interface NodeHost {
  readonly creditGranted: (node: NodeRecord, chunks: number) => void;
  readonly started: (assignment: AssignmentId) => void;
  readonly finished: (finish: Finish, outcome: Outcome, runMs: number) => void;
  readonly output: (node: NodeRecord, output: Output) => void;
  readonly wantArtifact: (node: NodeRecord, hash: ArtifactHash) => void;
  /** An item of the assignment has come to something. */
  readonly checkpointed: (assignment: AssignmentRecord, offset: number, state: PayloadFlow) => void;
  /** `lifetime`: as the agent says it now. */
  readonly leaving: (node: NodeRecord, lifetime: NodeLifetime | undefined) => void;
  readonly processStarted: (node: NodeRecord, started: ProcessStarted) => void;
  readonly processEnded: (node: NodeRecord, ended: ProcessEnded) => void;
}

/** Takes one entry of a registered node. Throws ProtocolError for what no agent may say. */
export function takeNodeEntry(host: NodeHost, node: NodeRecord, entry: AttachRequestEntry): void {
  const { kind } = entry;
  switch (kind?.$case) {
    case "chunkFinished":
      return takeFinished(host, node, kind.value);
    case "part":
      return node.inflow.part(kind.value);
    case "chunkStarted": {
      const assignment = node.assignments.get(kind.value.assignment);
      if (assignment !== undefined) host.started(assignment.id);
      return;
    }
    case "grantCredit":
      return host.creditGranted(node, kind.value.chunks);
    case "output":
      return host.output(node, kind.value);
    case "wantArtifact":
      return host.wantArtifact(node, ArtifactHash(kind.value.hash));
    case "leaveNode":
      return host.leaving(node, kind.value.lifetime);
    case "chunkCheckpointed":
      return takeCheckpoint(host, node, kind.value);
    case "processStarted":
      return host.processStarted(node, kind.value);
    case "processEnded":
      return host.processEnded(node, kind.value);
    case "registerNode":
      throw new ProtocolError("a node registered twice in one session");
    case undefined:
      return; // a newer peer's entry that this build does not know
    default:
      return unreachable(kind);
  }
}

/** Of an assignment that is over it is void. */
function takeCheckpoint(host: NodeHost, node: NodeRecord, checkpointed: ChunkCheckpointed): void {
  const { offset } = checkpointed;
  const state = node.inflow.open(checkpointed.state, true);
  if (state.size > CHECKPOINT_BYTES_MAX)
    throw new ProtocolError(`a checkpoint has ${state.size} bytes: CHECKPOINT_BYTES_MAX is ${CHECKPOINT_BYTES_MAX}`);
  const assignment = node.assignments.get(checkpointed.assignment);
  if (assignment === undefined) return;
  if (offset < assignment.offset || offset >= assignment.offset + assignment.count)
    throw new ProtocolError(`a checkpoint of item ${offset} came from an assignment that does not have it`);
  whenEnded([state], (aborted) => {
    const isHere = node.assignments.get(checkpointed.assignment) === assignment;
    if (!aborted && isHere) host.checkpointed(assignment, offset, state);
  });
}

/** A late or unknown assignment still has its payloads read, or the parts that follow would have no home. */
function takeFinished(host: NodeHost, node: NodeRecord, finished: ChunkFinished): void {
  const assignment = node.assignments.get(finished.assignment);
  const { outcome } = finished;
  if (outcome?.$case === "done") {
    const values = node.inflow.open(outcome.value, false);
    if (assignment !== undefined) takeDone(host, assignment, finished, values);
    return;
  }
  const failure = failureOf(outcome, assignment?.job.opened.itemTimeoutMs ?? 0);
  const userError = userErrorOf(failure);
  const flows: PayloadFlow[] = [];
  const values = firstValuesOf(node, outcome);
  if (values !== undefined) flows.push(values);
  const userErrorFlow = userError === undefined ? undefined : node.inflow.open(userError, true);
  if (userErrorFlow !== undefined) flows.push(userErrorFlow);
  if (assignment === undefined) return;
  const { pid, runMicros } = finished;
  const brought = { values, failure, userError: userErrorFlow, initError: initErrorOf(outcome) };
  const finish: Finish = { assignment, pid, runMicros, relay: undefined, ...brought };
  const known = outcomeOf(assignment, finished);
  whenEnded(flows, (aborted) => {
    if (!aborted) host.finished(finish, known, runMicros / 1_000);
  });
}

function takeDone(host: NodeHost, assignment: AssignmentRecord, finished: ChunkFinished, values: PayloadFlow): void {
  const { pid, runMicros } = finished;
  if (!areValuesOf(assignment, assignment.count, values))
    throw new ProtocolError(`${assignment.count} items were assigned, ${values.count} values came back`);
  const relay = values.state === "open" ? announceValues(assignment, values, runMicros) : undefined;
  const nothing = { failure: undefined, userError: undefined, initError: undefined };
  const finish: Finish = { assignment, pid, runMicros, values, relay, ...nothing };
  const outcome: Outcome = { type: "done", bytes: values.size };
  if (values.state === "complete") {
    host.finished(finish, outcome, runMicros / 1_000);
    return;
  }
  values.follow({
    piece: () => undefined,
    end: (aborted) => {
      if (aborted)
        relay?.end(true); // the node says later how it ended, or is lost
      else host.finished(finish, outcome, runMicros / 1_000);
    },
  });
}

/** Values of some first items, which are kept until they are complete. */
function firstValuesOf(node: NodeRecord, outcome: ChunkFinished["outcome"]): PayloadFlow | undefined {
  if (outcome?.$case !== "itemError" && outcome?.$case !== "partDone") return undefined;
  return node.inflow.open(outcome.value.values, true);
}

function initErrorOf(outcome: ChunkFinished["outcome"]): Uint8Array | undefined {
  if (outcome?.$case !== "initFailure") return undefined;
  const { error } = outcome.value;
  if (error.length > INIT_ERROR_BYTES_MAX)
    throw new ProtocolError(`an initializer's error has ${error.length} bytes, the limit is ${INIT_ERROR_BYTES_MAX}`);
  return error;
}

function outcomeOf(assignment: AssignmentRecord, { outcome }: ChunkFinished): Outcome {
  switch (outcome?.$case) {
    case "itemError":
    case "partDone": {
      const { completed, values } = outcome.value;
      if (completed >= assignment.count || values === undefined || !areValuesOf(assignment, completed, values))
        throw new ProtocolError(`${assignment.count} items were assigned, ${completed} are said to be done`);
      return { type: outcome.$case === "itemError" ? "item-error" : "part-done", completed, bytes: values.size };
    }
    case "itemOverdue":
      if (assignment.job.opened.itemTimeoutMs === 0)
        throw new ProtocolError(`an item of job ${assignment.job.id} is overdue, which sets no bound`);
      return { type: "item-overdue", offset: outcome.value.offset };
    case "initFailure":
      return { type: "init-failed", fault: outcome.value.summary.slice(0, INIT_SUMMARY_LENGTH_MAX) };
    case "workerDeath":
      return { type: "worker-death", markedOffset: outcome.value.markedOffset };
    case "notStarted":
      return { type: "not-started", fault: outcome.value.fault === "" ? undefined : outcome.value.fault };
    case "stopped":
      return { type: "stopped" };
    default:
      throw new ProtocolError("a finished chunk came without its outcome");
  }
}
