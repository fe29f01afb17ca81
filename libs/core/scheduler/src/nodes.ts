import type { Millis } from "@heddle/kernel";
import { judgeLoss } from "./blame.ts";
import { announceCapacity } from "./capacity.ts";
import { keepShare, readmit } from "./exclusion.ts";
import { endIfComplete, type KeyBook, letGo, revoke, separate } from "./jobs.ts";
import { nodeCame, nodeGoes } from "./lack.ts";
import { expectedMs, forgetStarts, wasToEnd, watchStart } from "./lifetimes.ts";
import { announceDrained, followVerdict } from "./outcomes.ts";
import { requeue } from "./spans.ts";
import type { Drain, Node, State } from "./state.ts";
import type { Input, NodeKey } from "./types.ts";

export function onNodeJoined(state: State, keys: KeyBook, joined: Extract<Input, { type: "node-joined" }>): void {
  if (!keys.nodes.claim(joined.node)) return;
  nodeCame(state, state.fleet.join(joined));
  announceCapacity(state);
}

export function onCreditGranted(state: State, key: NodeKey, chunks: number): void {
  const node = state.fleet.nodes.get(key);
  if (node === undefined) return;
  const hasMore = chunks > node.credit;
  node.credit = chunks;
  state.fleet.refresh(node);
  if (hasMore) state.fleet.wakeNested();
}

export function onNodeSilent(state: State, key: NodeKey, silent: boolean): void {
  const node = state.fleet.nodes.get(key);
  if (node === undefined) return;
  node.silent = silent;
  readinessChanged(state, node);
}

export function onNodeCordoned(state: State, key: NodeKey, cordoned: boolean): void {
  const node = state.fleet.nodes.get(key);
  if (node === undefined) return;
  node.cordoned = cordoned;
  if (!cordoned) {
    node.drain = undefined;
    readmit(state, node);
  }
  readinessChanged(state, node);
}

/** What was asked back comes back, also when the drain is undone before that. */
export function onNodeDrainRequested(state: State, key: NodeKey, stopAfterMs: Millis): void {
  const node = state.fleet.nodes.get(key);
  if (node === undefined) return;
  const drain: Drain = { stopAtMs: state.nowMs + Math.max(0, stopAfterMs) };
  node.cordoned = true;
  node.drain = drain;
  if (drain.stopAtMs > state.nowMs) state.timers.add(drain.stopAtMs, { type: "stop-drained", node, drain });
  empty(state, node, drain.stopAtMs > state.nowMs ? "if-unstarted" : "stop");
}

export function onNodeLeaving(state: State, key: NodeKey): void {
  const node = state.fleet.nodes.get(key);
  if (node === undefined || node.leaving) return;
  node.leaving = true;
  nodeGoes(state, node);
  empty(state, node, "if-unstarted");
}

/** The time of a drain is over: unless it was replaced or undone, what is left is stopped, and placed elsewhere without blame. */
export function stopDrained(state: State, node: Node, drain: Drain): void {
  if (node.drain !== drain || !state.fleet.nodes.has(node.key)) return;
  for (const assignment of node.assignments) revoke(state, assignment, "stop");
}

/** For some that have not begun on the node it may be too late now. O(assignments of the node) */
export function startBy(state: State, node: Node): void {
  node.startBy = undefined;
  const endsMs = node.stopsAtMs ?? Number.POSITIVE_INFINITY;
  for (const assignment of node.assignments) {
    const { startedMs, revoked, job } = assignment;
    if (startedMs !== undefined || revoked !== "no") continue;
    const neededMs = expectedMs(job, state.limits);
    if (state.nowMs < endsMs - neededMs) watchStart(state, assignment);
    else if (neededMs > state.limits.lifetimeMinMs) revoke(state, assignment, "if-unstarted");
  }
}

function empty(state: State, node: Node, how: "if-unstarted" | "stop"): void {
  for (const assignment of node.assignments)
    if (how === "stop" || assignment.startedMs === undefined) revoke(state, assignment, how);
  readinessChanged(state, node);
  announceDrained(state, node);
}

/** Everything it held is lost with it, in the order in which it was placed. */
export function onNodeLost(state: State, key: NodeKey): void {
  const node = state.fleet.nodes.get(key);
  if (node === undefined) return;
  const lost = [...node.assignments];
  state.fleet.remove(node);
  forgetStarts(state, node);
  for (const job of state.jobs.values()) job.placed.delete(node);
  for (const pool of state.pools.values()) {
    pool.placed.delete(node);
    pool.faultyNodes.delete(node);
  }
  for (const assignment of lost) {
    state.assignments.delete(assignment.id);
    assignment.job.spansPlaced--;
    if (assignment.handedBack) state.tail.asked--;
  }
  for (const assignment of lost) {
    if (assignment.job.state === "ended" || assignment.overtaken || separate(state, assignment)) continue;
    if (assignment.revoked === "stop" || wasToEnd(state, node))
      requeue(state, assignment.span); // a drain, or the node itself, was past its time: it was to be stopped anyway
    else
      followVerdict(state, assignment, judgeLoss(assignment.span, state.limits), {
        cause: "node-loss",
        died: undefined,
      });
  }
  for (const { job } of lost) {
    endIfComplete(state, job);
    letGo(state, job);
  }
  nodeGoes(state, node);
  keepShare(state);
  announceCapacity(state);
}

function readinessChanged(state: State, node: Node): void {
  state.fleet.refresh(node);
  keepShare(state);
  announceCapacity(state);
}
