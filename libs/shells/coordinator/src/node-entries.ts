import type { AssignmentId, Outcome } from "@heddle/core-scheduler";
import { ArtifactHash, ProtocolError, unreachable } from "@heddle/kernel";
import { type AttachRequestEntry, type ChunkFinished, type Output, type PayloadFlow, whenEnded } from "@heddle/wire";
import type { AssignmentRecord, NodeRecord } from "./ledger.ts";
import { announceValues, type Finish, failureOf, userErrorOf } from "./results.ts";

/** What a node's entries ask of the coordinator. */
export interface NodeHost {
  readonly creditGranted: (node: NodeRecord, chunks: number) => void;
  readonly started: (assignment: AssignmentId) => void;
  readonly finished: (finish: Finish, outcome: Outcome, runMs: number) => void;
  readonly output: (node: NodeRecord, output: Output) => void;
  readonly wantArtifact: (node: NodeRecord, hash: ArtifactHash) => void;
  readonly leaving: (node: NodeRecord) => void;
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
      return host.leaving(node);
    case "registerNode":
      throw new ProtocolError("a node registered twice in one session");
    case undefined:
      return; // a newer peer's entry that this build does not know
    default:
      return unreachable(kind);
  }
}

/** A late or unknown assignment still has its payloads read, or the parts that follow would have no home. */
function takeFinished(host: NodeHost, node: NodeRecord, finished: ChunkFinished): void {
  const assignment = node.assignments.get(finished.assignment);
  const { outcome } = finished;
  const runMs = finished.runMicros / 1_000;
  if (outcome?.$case === "done") {
    const values = node.inflow.open(outcome.value, false);
    if (assignment !== undefined) takeDone(host, assignment, finished.pid, values, runMs);
    return;
  }
  const failure = failureOf(outcome);
  const userError = userErrorOf(failure);
  const flows: PayloadFlow[] = [];
  const values = outcome?.$case === "itemError" ? node.inflow.open(outcome.value.values, true) : undefined;
  if (values !== undefined) flows.push(values);
  const userErrorFlow = userError === undefined ? undefined : node.inflow.open(userError, true);
  if (userErrorFlow !== undefined) flows.push(userErrorFlow);
  if (assignment === undefined) return;
  const finish: Finish = { assignment, pid: finished.pid, values, relay: undefined, failure, userError: userErrorFlow };
  const known = outcomeOf(assignment, finished);
  whenEnded(flows, (aborted) => {
    if (!aborted) host.finished(finish, known, runMs);
  });
}

function takeDone(host: NodeHost, assignment: AssignmentRecord, pid: number, values: PayloadFlow, runMs: number): void {
  if (values.count !== assignment.count)
    throw new ProtocolError(`${assignment.count} items were assigned, ${values.count} values came back`);
  const relay = values.state === "open" ? announceValues(assignment, values) : undefined;
  const finish: Finish = { assignment, pid, values, relay, failure: undefined, userError: undefined };
  values.follow({
    piece: () => undefined,
    end: (aborted) => {
      if (aborted)
        relay?.end(true); // the node says later how it ended, or is lost
      else host.finished(finish, { type: "done" }, runMs);
    },
  });
}

function outcomeOf(assignment: AssignmentRecord, finished: ChunkFinished): Outcome {
  const { outcome } = finished;
  switch (outcome?.$case) {
    case "itemError": {
      const { completed, values } = outcome.value;
      if (completed >= assignment.count || values?.count !== completed)
        throw new ProtocolError(`an item error names ${completed} completed items of ${assignment.count}`);
      return { type: "item-error", completed };
    }
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
