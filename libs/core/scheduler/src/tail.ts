import { revoke } from "./jobs.ts";
import type { Assignment, Node, State } from "./state.ts";

/**
 * Looks whether nothing is left to place, slots idle, and elsewhere chunks wait for slots: then sets an alarm, and when it has rung and this is
 * still so, asks for chunks. One alarm at a time, and no next one before anything about this has changed. O(1) but for the asking. Call when
 * all is placed.
 */
export function watchTail(state: State): void {
  const { fleet, queue, tail, timers, limits } = state;
  const isTail = fleet.slotsForTail > 0 && queue.outer.peek() === undefined && queue.nested.peek() === undefined;
  if (tail.alarm === "rung") {
    tail.alarm = "none";
    if (isTail) handBack(state);
  }
  if (!isTail || !fleet.tailChanged || tail.alarm === "set") return;
  tail.alarm = "set";
  timers.add(state.nowMs + limits.handBackAfterMs, { type: "hand-back" });
}

/**
 * Asks the newest chunks back that wait at full nodes, as many as idle slots would begin at once: they are placed there when they come.
 * O(nodes + chunks at full nodes), at most once in `handBackAfterMs`.
 */
function handBack(state: State): void {
  const { fleet, tail } = state;
  fleet.tailChanged = false;
  if (fleet.slotsForTail <= tail.asked) return;
  const idle = new Map<Node, number>();
  for (const node of fleet.nodes.values()) if (node.idleSlots > 0) idle.set(node, node.idleSlots);
  for (const assignment of waiting(state)) {
    if (fleet.slotsForTail <= tail.asked) return;
    if (state.nowMs - assignment.placedMs < state.limits.handBackAfterMs) {
      fleet.tailChanged = true; // to be looked at again
      continue;
    }
    if (!takeSlot(state, idle, assignment)) continue;
    assignment.handedBack = true;
    tail.asked++;
    revoke(state, assignment, "if-unstarted");
  }
}

/** Chunks of jobs from outside that wait for a slot at a full node and were not asked back, the newest of all first. */
function waiting(state: State): Assignment[] {
  const all: Assignment[] = [];
  for (const node of state.fleet.nodes.values()) {
    if (!node.isOverfull) continue;
    const beyond = [...node.assignments].filter(({ job }) => job.depth === 0).slice(node.slots);
    all.push(...beyond.filter((it) => it.startedMs === undefined && it.revoked === "no" && it.job.state === "running"));
  }
  return all.sort((a, b) => b.id - a.id);
}

/** Sets aside the slot of a node that would begin the chunk at once; all of its slots when more is counted than slots. */
function takeSlot({ fleet }: State, idle: Map<Node, number>, { job }: Assignment): boolean {
  for (const [node, slots] of idle) {
    if (!fleet.wouldBegin(node, job)) continue;
    if (slots === 1 || job.needs !== undefined || job.pool.slotsMax !== undefined) idle.delete(node);
    else idle.set(node, slots - 1);
    return true;
  }
  return false;
}
