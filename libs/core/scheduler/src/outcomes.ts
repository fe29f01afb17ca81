import { type Millis, unreachable } from "@heddle/kernel";
import {
  failuresAt,
  grainsFrom,
  holds,
  itemAt,
  judgeDeath,
  partsAround,
  restFrom,
  tryElsewhere,
  type Verdict,
} from "./blame.ts";
import { hold, noteDeath, noteStartFault, speakFor } from "./exclusion.ts";
import { noteAnswer } from "./health.ts";
import { abandonJob, endIfComplete, failJob, letGo, overtake, poolFault, separate } from "./jobs.ts";
import { take } from "./needs.ts";
import { placedSpans, putBack, replaceSpan, requeue, settleItems } from "./spans.ts";
import {
  type Assignment,
  type Death,
  isEmptying,
  type Job,
  type Node,
  type Pool,
  type Span,
  type State,
} from "./state.ts";
import type { AssignmentId, Effect, Outcome } from "./types.ts";

type FailureCause = Extract<Effect, { readonly type: "fail-item" }>["cause"];

export function onChunkStarted(state: State, id: AssignmentId): void {
  const assignment = state.assignments.get(id);
  if (assignment === undefined) return;
  assignment.startedMs ??= state.nowMs;
  if (!assignment.handedBack) return;
  assignment.handedBack = false; // it will not come: another may
  state.tail.asked--;
  state.fleet.tailChanged = true;
}

/** The one answer to an assignment: a second one, or one from a node that was lost, finds nothing. */
export function onChunkFinished(state: State, id: AssignmentId, outcome: Outcome, runMs: Millis): void {
  const assignment = state.assignments.get(id);
  if (assignment === undefined) return;
  takeBack(state, assignment);
  noteStart(state, assignment, outcome);
  if (assignment.job.state !== "ended") {
    if (!assignment.overtaken) settle(state, assignment, outcome, runMs);
    endIfComplete(state, assignment.job);
    if (assignment.job.unreadBytesMax !== undefined) state.queue.refresh(assignment.job);
  }
  if (state.fleet.lifetimes.isAwaitedByAny) state.fleet.timesChanged(assignment.job);
  letGo(state, assignment.job);
  announceDrained(state, assignment.node);
}

/** Carries out what was decided about a span that the system ended. `died`: of a worker's death, which goes on with the items that may have caused it. */
export function followVerdict(
  state: State,
  assignment: Assignment,
  verdict: Verdict,
  { cause, died }: { readonly cause: FailureCause; readonly died: Omit<Death, "items"> | undefined },
): void {
  const { span } = assignment;
  if (verdict.type === "quarantine") {
    failItem(state, assignment, span.offset, span.offset, cause);
    return;
  }
  const successors = replaceSpan(state, span, verdict.spans);
  const suspect = successors.length === 1 ? successors[0] : successors.find(({ deaths }) => deaths > 0);
  if (suspect !== undefined && died !== undefined) suspect.died = { ...died, items: suspect.count };
  for (const successor of successors) requeue(state, successor);
}

/** Tells that nothing is left of a node that drains or leaves, when it is so. */
export function announceDrained(state: State, node: Node): void {
  if (isEmptying(node) && node.assignments.size === 0) state.effects.push({ type: "node-drained", node: node.key });
}

/** Frees the place of an assignment on its node. */
function takeBack(state: State, assignment: Assignment): void {
  const { id, node, job } = assignment;
  state.assignments.delete(id);
  node.assignments.delete(assignment);
  job.spansPlaced--;
  assignment.ofJob.count--;
  assignment.ofPool.count--;
  if (job.depth === 0) node.outer--;
  if (job.needs !== undefined) take(node, job.needs, -1);
  if (assignment.handedBack) state.tail.asked--;
  state.fleet.freed(node, job);
}

/** The node can start workers, also for this pool; unless it was stopped meanwhile, its initializer is through in one of them. */
function noteStart({ nowMs, limits }: State, { node, job: { pool } }: Assignment, outcome: Outcome): void {
  if (outcome.type === "not-started" || outcome.type === "init-failed") return;
  if (outcome.type !== "stopped") {
    pool.initFailures = 0;
    noteAnswer(node.health, outcome.type === "worker-death", nowMs, limits);
  }
  node.faults = 0;
  pool.faults = 0;
  if (pool.faultyNodes.size > 0) pool.faultyNodes.clear();
}

/**
 * Of two assignments of one span the first that tells something of its items counts. One that ends by the system's doing leaves them to the other,
 * as if it had never been there, but for what that says of its node and pool.
 */
function settle(state: State, assignment: Assignment, outcome: Outcome, runMs: Millis): void {
  if (assignment.twin === undefined) settleAlone(state, assignment, outcome, runMs);
  else if (isAnswer(assignment.span, outcome)) {
    overtake(state, assignment);
    settleAlone(state, assignment, outcome, runMs);
  } else {
    separate(state, assignment);
    leaveToTwin(state, assignment, outcome, runMs);
  }
}

/** Whether it tells what became of an item. */
function isAnswer(span: Span, outcome: Outcome): boolean {
  switch (outcome.type) {
    case "done":
      return true;
    case "item-error":
      return holds(span, span.offset + outcome.completed);
    case "part-done":
      return outcome.completed > 0 && holds(span, span.offset + outcome.completed);
    case "item-overdue":
      return holds(span, outcome.offset);
    case "worker-death":
    case "not-started":
    case "init-failed":
    case "stopped":
      return false;
    default:
      return unreachable(outcome);
  }
}

function leaveToTwin(state: State, assignment: Assignment, outcome: Outcome, runMs: Millis): void {
  const { span, node, job } = assignment;
  switch (outcome.type) {
    case "init-failed":
      noteInitFailure(state, job.pool, outcome.fault);
      return;
    case "not-started":
      if (outcome.fault !== undefined) noteFault(state, assignment, outcome.fault);
      return;
    case "stopped":
    case "part-done":
      return;
    case "worker-death":
      span.died ??= { ...noteDeath(state, node, runMs), items: span.count };
      return;
    case "done":
    case "item-error":
    case "item-overdue":
      noteDeath(state, node, 0); // what it says cannot be: a worker out of its mind
      return;
    default:
      unreachable(outcome);
  }
}

function settleAlone(state: State, assignment: Assignment, outcome: Outcome, runMs: Millis): void {
  const { span, job } = assignment;
  switch (outcome.type) {
    case "done":
      state.queue.observe(job, runMs);
      job.runTimes?.observe(runMs, span.count);
      deliver(state, assignment, span.count, outcome.bytes);
      replaceSpan(state, span, []);
      if (span.died !== undefined) speakFor(state, span);
      return;
    case "item-error":
      state.queue.observe(job, runMs);
      settleItemError(state, assignment, outcome.completed, outcome.bytes);
      return;
    case "part-done":
      settlePart(state, assignment, outcome, runMs);
      return;
    case "item-overdue":
      settleOverdue(state, assignment, outcome.offset);
      return;
    case "init-failed":
      requeue(state, span);
      noteInitFailure(state, job.pool, outcome.fault);
      return;
    case "worker-death":
      settleDeath(state, assignment, outcome.markedOffset, runMs);
      return;
    case "not-started":
      requeue(state, span);
      if (outcome.fault !== undefined) noteFault(state, assignment, outcome.fault);
      return;
    case "stopped":
      requeue(state, span);
      return;
    default:
      unreachable(outcome);
  }
}

/** A count that the span cannot have comes from a worker out of its mind: that is a death. */
function settleItemError(state: State, assignment: Assignment, completed: number, bytes: number): void {
  const { span, job } = assignment;
  const offset = span.offset + completed;
  if (!holds(span, offset)) {
    settleDeath(state, assignment, undefined, 0);
    return;
  }
  if (completed > 0) deliver(state, assignment, completed, bytes);
  if (span.died !== undefined && span.count === 1) speakFor(state, span);
  const failures = failuresAt(span, offset);
  if (failures > job.retries) failItem(state, assignment, offset, offset, "item-error");
  else retryFrom(state, replaceSpan(state, span, restFrom(span, offset, failures)), offset);
}

/** What was not begun goes on in parts, so that it spreads over idle slots. */
function settlePart(
  state: State,
  assignment: Assignment,
  { completed, bytes }: Extract<Outcome, { type: "part-done" }>,
  runMs: Millis,
): void {
  const { span, job } = assignment;
  const from = span.offset + completed;
  if (!holds(span, from)) {
    settleDeath(state, assignment, undefined, 0);
    return;
  }
  if (completed > 0) {
    state.queue.observe(job, runMs);
    job.runTimes?.observe(runMs, completed);
    deliver(state, assignment, completed, bytes);
  }
  for (const rest of replaceSpan(state, span, grainsFrom(span, from))) putBack(state, rest);
}

/** Only the overdue item is to blame; nothing is known of the others, which run again. */
function settleOverdue(state: State, assignment: Assignment, offset: number): void {
  const { span, job } = assignment;
  if (!holds(span, offset)) {
    settleDeath(state, assignment, undefined, 0);
    return;
  }
  const failures = failuresAt(span, offset);
  if (failures > job.retries) {
    failItem(state, assignment, span.offset, offset, "item-overdue");
    return;
  }
  const others = partsAround(span, span.offset, offset);
  retryFrom(state, replaceSpan(state, span, [...others, itemAt(span, offset, failures)]), offset);
}

/** The part that begins with the failed item waits, the others do not. */
function retryFrom(state: State, parts: readonly Span[], offset: number): void {
  for (const part of parts) {
    if (part.offset === offset) retryLater(state, part);
    else requeue(state, part);
  }
}

/** Two deaths of an item on one node tell of the node as much as of the item: while others could run it, the second one is not counted. */
function settleDeath(state: State, assignment: Assignment, markedOffset: number | undefined, livedMs: Millis): void {
  const { span, node, job, marks } = assignment;
  const died = noteDeath(state, node, livedMs);
  const isRepeat = span.count === 1 && span.died?.node === node && state.fleet.hasOther(node, job);
  if (isRepeat) hold(state, node, ++node.health.repeats);
  const verdict = isRepeat ? tryElsewhere(span) : judgeDeath(span, marks, markedOffset, state.limits);
  followVerdict(state, assignment, verdict, { cause: "worker-death", died });
}

function noteUnread(job: Job, chunk: number, offset: number, bytes: number): void {
  if (bytes > 0) job.unreadBytes += bytes;
  const { furthest } = job;
  if (chunk > furthest.chunk || (chunk === furthest.chunk && offset > furthest.offset))
    job.furthest = { chunk, offset };
}

/** The first `count` items of the span are done. */
function deliver(state: State, { id, span, job }: Assignment, count: number, bytes: number): void {
  settleItems(span.chunk, count);
  job.itemsDone += count;
  const { chunk, offset } = span;
  if (job.unreadBytesMax !== undefined) noteUnread(job, chunk.index, offset + count - 1, bytes);
  state.effects.push({ type: "deliver-span", job: job.key, chunk: chunk.index, offset, count, assignment: id });
}

/**
 * The item at `offset` failed for good. With it the rest of the span, from item `from` on, gets no result and the job is failing; of a job
 * that collects, it settles alone and the rest runs again.
 */
function failItem(state: State, assignment: Assignment, from: number, offset: number, cause: FailureCause): void {
  const { id, span, job, attempt } = assignment;
  const { chunk } = span;
  state.effects.push({ type: "fail-item", job: job.key, chunk: chunk.index, offset, assignment: id, cause, attempt });
  if (job.collect) {
    settleItems(chunk, 1);
    for (const part of replaceSpan(state, span, partsAround(span, from, offset))) requeue(state, part);
    return;
  }
  settleItems(chunk, span.offset + span.count - from);
  replaceSpan(state, span, []);
  failJob(state, job);
}

/** Puts a span whose first item failed aside: 0.1 s, doubled with each further failure, +-50 %. */
function retryLater(state: State, span: Span): void {
  const { job } = span.chunk;
  if (job.state !== "running") {
    requeue(state, span); // drops it
    return;
  }
  const { retryFirstMs, retryMaxMs } = state.limits;
  const delayMs = Math.min(retryMaxMs, retryFirstMs * 2 ** Math.min(span.failures - 1, 30));
  const atMs = state.nowMs + Math.round(delayMs * (0.5 + state.random.float()));
  job.delayed.set(span, atMs);
  state.timers.add(atMs, { type: "retry", span });
}

/**
 * The node could not start a worker. What it gives back while on hold belongs to the same trouble. The pool gives up when that went on
 * too often, unless a node that is not known to be faulty still has a chunk of it: its answer will tell.
 */
function noteFault(state: State, { node, span, job: { pool } }: Assignment, fault: string): void {
  pool.faultyNodes.add(node);
  if (node.heldUntilMs === undefined) {
    pool.faults++;
    hold(state, node, ++node.faults);
    noteAnswer(node.health, true, state.nowMs, state.limits);
    noteStartFault(state, node, span.chunk, fault);
  }
  if (pool.faults < state.limits.poolFaultsMax || hasHopefulNode(pool)) return;
  pool.faults = 0;
  for (const job of pool.jobs) abandonJob(state, job, "failed", poolFault(fault));
}

/** The pool's initializer fails again and again: it gives up, whatever its nodes hold. */
function noteInitFailure(state: State, pool: Pool, fault: string): void {
  pool.initFailures++;
  if (pool.initFailures < state.limits.poolInitFailuresMax) return;
  pool.initFailures = 0;
  for (const job of pool.jobs) abandonJob(state, job, "failed", poolFault(fault));
}

function hasHopefulNode(pool: Pool): boolean {
  const isHopeful = (job: Job): boolean =>
    placedSpans(job).some((it) => !it.overtaken && !pool.faultyNodes.has(it.node));
  return [...pool.jobs].some(isHopeful);
}
