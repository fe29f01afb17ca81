import { judgeLoss } from "./blame.ts";
import { endIfComplete, type KeyBook, letGo, revoke } from "./jobs.ts";
import { announceDrained, followVerdict } from "./outcomes.ts";
import type { Node, State } from "./state.ts";
import type { Input, NodeKey } from "./types.ts";

export function onNodeJoined(state: State, keys: KeyBook, joined: Extract<Input, { type: "node-joined" }>): void {
  if (!keys.nodes.claim(joined.node)) return;
  state.fleet.join(joined);
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
  readinessChanged(state, node);
}

export function onNodeDrainRequested(state: State, key: NodeKey): void {
  const node = state.fleet.nodes.get(key);
  if (node === undefined || node.draining) return;
  node.draining = true;
  for (const assignment of node.assignments) if (!assignment.started) revoke(state, assignment, "if-unstarted");
  readinessChanged(state, node);
  announceDrained(state, node);
}

/** Everything it held is lost with it, in the order in which it was placed. */
export function onNodeLost(state: State, key: NodeKey): void {
  const node = state.fleet.nodes.get(key);
  if (node === undefined) return;
  const lost = [...node.assignments];
  state.fleet.remove(node);
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
    if (assignment.job.state === "ended") continue;
    followVerdict(state, assignment, judgeLoss(assignment.span, state.limits), "node-loss");
  }
  for (const { job } of lost) {
    endIfComplete(state, job);
    letGo(state, job);
  }
  announceCapacity(state);
}

function readinessChanged(state: State, node: Node): void {
  state.fleet.refresh(node);
  announceCapacity(state);
}

function announceCapacity(state: State): void {
  const changed = state.fleet.changedCapacity();
  if (changed !== undefined) state.effects.push({ type: "announce-capacity", ...changed });
}
