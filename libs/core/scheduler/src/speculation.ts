import type { Millis } from "@heddle/kernel";
import { assign } from "./assign.ts";
import { revoke } from "./jobs.ts";
import { placedSpans } from "./spans.ts";
import type { Assignment, Job, Node, Share, State } from "./state.ts";

/**
 * Backs up stragglers of jobs that want it with slots that idle, and stops backups that stand in somebody's way. Call when all is placed. O(1)
 * while no job speculates; looks at what runs of those that do at most once in `backupEveryMs`.
 */
export function watchStragglers(state: State): void {
  const { speculation, timers, limits } = state;
  const isDue = speculation.alarm === "rung";
  if (isDue) speculation.alarm = "none";
  if (speculation.backups.size > 0) giveWay(state);
  if (speculation.jobs.size === 0 || speculation.alarm === "set" || !hasIdleSlot(state)) return;
  const nextMs = isDue ? backUp(state) : state.nowMs + limits.backupEveryMs;
  speculation.alarm = "set";
  timers.add(nextMs, { type: "back-up" });
}

/** Slots idle that nothing waits for, and nothing is on its way to. */
function hasIdleSlot({ fleet, queue, tail }: State): boolean {
  return fleet.idleSlots > tail.asked && queue.outer.peek() === undefined && queue.nested.peek() === undefined;
}

/** Ends backups where others could use the slot: one at a time for what no node has room for. */
function giveWay(state: State): void {
  let isWanted = state.queue.outer.peek() !== undefined;
  for (const backup of [...state.speculation.backups].reverse()) {
    if (backup.revoked === "stop" || !(isWanted || isInTheWay(backup))) continue;
    revoke(state, backup, "stop");
    isWanted = false;
  }
}

function isInTheWay({ node, job }: Assignment): boolean {
  return node.isOverfull || isWaitedFor(node, job);
}

/** Others wait for what a chunk of the job takes there: a slot of its pool, or what the node has. */
function isWaitedFor(node: Node, { pool }: Job): boolean {
  return !node.waitingJobs.isEmpty || (pool.slotsMax !== undefined && pool.parked.size > 0);
}

/** Places backups of what has run for too long, the longest first, and returns when to look again. O(nodes + assignments of jobs that speculate). */
function backUp(state: State): Millis {
  const { nowMs, limits } = state;
  const stragglers: Assignment[] = [];
  let nextMs = nowMs + limits.backupLookMaxMs;
  for (const job of state.speculation.jobs) {
    const unusualMs = hasPending(job) ? undefined : job.runTimes?.unusualMs(limits);
    if (unusualMs === undefined) continue;
    for (const assignment of placedSpans(job)) {
      if (assignment.twin !== undefined || assignment.overtaken || assignment.revoked === "stop") continue;
      const dueMs = dueAt(state, assignment, unusualMs);
      if (dueMs <= nowMs) stragglers.push(assignment);
      else nextMs = Math.min(nextMs, dueMs);
    }
  }
  if (stragglers.length > 0) backUpEach(state, stragglers);
  return Math.max(nextMs, nowMs + limits.backupEveryMs);
}

/** When it has run for so long that it is a straggler; of one that has not begun, as if it did now. */
function dueAt({ nowMs, limits }: State, assignment: Assignment, unusualMs: Millis): Millis {
  const { startedMs, span, backupAfterMs } = assignment;
  const runMs = Math.max(limits.backupMinMs, backupAfterMs, unusualMs * span.count);
  return (startedMs ?? nowMs) + runMs;
}

/** More of the job is to be placed. What waits for its backoff waits in any case. */
function hasPending({ fresh, again, unbegun }: Job): boolean {
  return fresh.size + again.size + unbegun.size > 0;
}

function backUpEach(state: State, stragglers: Assignment[]): void {
  const { fleet, speculation, limits, nowMs } = state;
  const most = Math.max(1, Math.floor(limits.backupShareMax * fleet.capacity().slots));
  stragglers.sort((a, b) => (a.startedMs ?? 0) - (b.startedMs ?? 0) || a.id - b.id);
  for (const straggler of stragglers) {
    if (speculation.backups.size >= most || !hasIdleSlot(state)) return;
    const share = shareFor(state, straggler);
    if (share === undefined) continue;
    const ranMs = nowMs - (straggler.startedMs ?? nowMs);
    straggler.backupAfterMs = 2 * ranMs; // so that backups that come to nothing grow rarer
    const backup = assign(state, straggler.span, share);
    backup.twin = straggler;
    straggler.twin = backup;
    speculation.backups.add(backup);
    speculation.started++;
  }
}

/** The emptiest other node that would begin it at once, in nobody's way. O(nodes) */
function shareFor({ fleet }: State, { node: own, job }: Assignment): Share | undefined {
  let best: Node | undefined;
  for (const node of fleet.nodes.values()) {
    if (node === own || !fleet.wouldBegin(node, job) || isWaitedFor(node, job)) continue;
    if (best === undefined || node.load < best.load) best = node;
  }
  if (best === undefined) return undefined;
  const { pool } = job;
  if (pool.slotsMax === undefined) return { node: best, slots: best.slots };
  return pool.shares.find(({ node }) => node === best);
}
