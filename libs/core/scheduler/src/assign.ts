import { isLoneSuspect } from "./blame.ts";
import { watchStart } from "./lifetimes.ts";
import { take } from "./needs.ts";
import { type Assignment, type Share, type Span, type State, tallyOf } from "./state.ts";
import type { AssignmentId } from "./types.ts";

/** Places a span on a node, as its next attempt, and charges its job for it. */
export function assign(state: State, span: Span, { node, slots }: Share): Assignment {
  span.attempt++;
  const { marks, offset, count, attempt, chunk } = span;
  const { job } = chunk;
  const id = ++state.assignmentsMinted as AssignmentId;
  const ofJob = tallyOf(job.placed, node);
  const ofPool = tallyOf(job.pool.placed, node);
  const assignment: Assignment = {
    id,
    node,
    job,
    span,
    attempt,
    marks,
    ofJob,
    ofPool,
    placedMs: state.nowMs,
    startedMs: undefined,
    revoked: "no",
    handedBack: false,
    twin: undefined,
    overtaken: false,
    backupAfterMs: 0,
  };
  state.assignments.set(id, assignment);
  node.assignments.add(assignment);
  if (job.depth === 0) node.outer++;
  if (job.needs !== undefined) take(node, job.needs, 1);
  job.spansPlaced++;
  ofJob.count++;
  ofPool.count++;
  state.queue.of(job).charge(job);
  state.fleet.filled(node);
  if (node.stopsAtMs !== undefined) watchStart(state, assignment);
  state.effects.push({
    type: "assign-chunk",
    node: node.key,
    assignment: id,
    job: job.key,
    chunk: chunk.index,
    offset,
    count,
    attempt,
    marks,
    poolSlots: slots,
    fresh: isLoneSuspect(span),
    grain: count > chunk.grain ? chunk.grain : 0,
  });
  return assignment;
}
