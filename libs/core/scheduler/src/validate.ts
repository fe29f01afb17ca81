import { assert, type Heap } from "@heddle/kernel";
import { hasPlaceable } from "./fairness.ts";
import { placedSpans } from "./spans.ts";
import {
  type Assignment,
  type Chunk,
  isEmptying,
  isReady,
  type Job,
  loadOf,
  type Node,
  type Pool,
  type Span,
  type State,
} from "./state.ts";

/** Throws InvariantViolation unless every invariant of STATES.md holds. */
export function validateState(state: State): void {
  state.queue.validate();
  state.fleet.validate();
  for (const node of state.fleet.nodes.values()) validateNode(state, node);
  for (const job of state.jobs.values()) validateJob(state, job);
  for (const pool of state.pools.values()) validatePool(state, pool);
  for (const [id, assignment] of state.assignments) {
    assert(assignment.id === id && assignment.node.assignments.has(assignment), "an assignment is with its node");
    assert(state.jobs.get(assignment.job.key) === assignment.job, "an assignment belongs to a known job");
  }
  validateWork(state);
  validateStarts(state);
  validateBackups(state);
  const asked = state.assignments.values().filter(({ handedBack }) => handedBack);
  assert(asked.toArray().length === state.tail.asked, "what is asked back for idle slots is counted");
}

/** S3 and what the order of the free nodes rests on. */
function validateNode(state: State, node: Node): void {
  for (const assignment of node.assignments) {
    assert(
      state.assignments.get(assignment.id) === assignment && assignment.node === node,
      "a node holds known assignments",
    );
  }
  const outer = [...node.assignments].filter(({ job }) => job.depth === 0).length;
  assert(node.outer === outer, "a node counts what it holds of jobs from outside");
  for (const [name, held] of heldBy(node)) {
    assert(Math.abs((node.taken.get(name) ?? 0) - held) < 1e-3, "amounts that its assignments hold are counted");
    assert(held <= (node.resources.get(name) ?? 0) + 1e-3, "no node gives more than it has");
  }
  assert(
    node.isOverfull === (node.outer > node.slots && !node.silent && !isEmptying(node)),
    "overfull nodes are known",
  );
  const takesWork = isReady(node) && node.heldUntilMs === undefined && node.credit > 0 && node.slots > 0;
  assert(node.takesWork === takesWork, "takesWork follows from the node's flags");
  assert(node.drain === undefined || node.cordoned, "what is drained is cordoned");
  assert(node.load === loadOf(node), "load follows from the assignments");
  assert(node.rankAt >= 0 === (takesWork && node.outer < node.credit), "exactly the nodes with room are free");
}

function heldBy(node: Node): Map<string, number> {
  const held = new Map<string, number>();
  for (const name of node.taken.keys()) held.set(name, 0);
  for (const { job } of node.assignments)
    for (const [name, amount] of job.needs?.resources ?? []) held.set(name, (held.get(name) ?? 0) + amount);
  return held;
}

/** S1, S5: each span is in one place, and the spans of a chunk make up its open items without overlap. */
function validateJob(state: State, job: Job): void {
  const placed = [...placedSpans(job)];
  assert(placed.length === job.spansPlaced, "placed spans are counted");
  for (const [node, { count }] of job.placed) assertPlaced(state, node, count, (it) => it.job === job);
  if (job.state === "ended") {
    assert(job.spansPlaced > 0 && job.spansOpen === 0, "an ended job is kept for its last assignments only");
    return;
  }
  const pending = [...job.fresh, ...drained(job.again), ...drained(job.unbegun), ...job.delayed.keys()];
  assert(!job.collect || job.state === "running", "a job that collects is never failing");
  assert(job.unreadBytes >= 0, "nothing is taken that was not delivered");
  assert(job.state === "running" || pending.length === 0, "a failing job has nothing pending");
  const spans = [...pending, ...placed.filter(isFirst).map((it) => it.span)];
  assert(new Set(spans).size === spans.length, "a span is in one place");
  assert(spans.length === job.spansOpen, "open spans are counted");
  assert(
    spans.length > 0 || (job.state === "running" && job.chunksSealed === undefined),
    "a job with nothing left ends",
  );
  for (const [chunk, parts] of Map.groupBy(spans, (span) => span.chunk)) validateChunk(chunk, parts);
}

/** Of the assignments of a span the one that is not its backup; none that was overtaken. */
function isFirst({ twin, overtaken, id }: Assignment): boolean {
  return !overtaken && (twin === undefined || id < twin.id);
}

function validateBackups(state: State): void {
  const twins = state.assignments.values().filter(({ twin }) => twin !== undefined);
  for (const assignment of twins) {
    const { twin, span, node, job, overtaken, id, attempt } = assignment;
    assert(twin?.twin === assignment && twin.span === span && twin.node !== node, "twins have one span, on two nodes");
    assert(!overtaken && state.assignments.get(twin.id) === twin, "twins live");
    assert(job.runTimes !== undefined && job.state !== "ended", "a job with backups asked for them, and is open");
    assert(id < twin.id === attempt < twin.attempt, "a backup is a later attempt");
    assert(state.speculation.backups.has(assignment) === id > twin.id, "backups are listed");
  }
  for (const backup of state.speculation.backups) assert(backup.twin !== undefined, "what is a backup backs up");
  for (const job of state.jobs.values()) {
    const speculates = job.runTimes !== undefined && job.state === "running";
    assert(state.speculation.jobs.has(job) === speculates, "jobs that speculate are listed while they run");
  }
  for (const { overtaken, revoked } of state.assignments.values())
    assert(!overtaken || revoked === "stop", "what was overtaken was told to stop");
}

function validateChunk(chunk: Chunk, spans: readonly Span[]): void {
  assert(chunk.spansOpen === spans.length, "a chunk counts its spans");
  assert(
    chunk.itemsOpen === spans.reduce((sum, span) => sum + span.count, 0),
    "the spans of a chunk hold its open items",
  );
  let end = 0;
  for (const span of spans.toSorted((a, b) => a.offset - b.offset)) {
    assert(span.count >= 1 && span.offset >= end, "spans hold items and do not overlap");
    end = span.offset + span.count;
  }
}

function validatePool(state: State, pool: Pool): void {
  for (const [node, { count }] of pool.placed) assertPlaced(state, node, count, (it) => it.job.pool === pool);
  assert(
    !pool.closed || (pool.jobs.size === 0 && pool.placed.size > 0),
    "a closed pool is kept for its last assignments only",
  );
  const own = [...pool.jobs].filter(({ needs }) => pool.slotsMax !== undefined && needs !== pool.needs);
  const listed = [...pool.kinds.values()].reduce((sum, { size }) => sum + size, 0);
  assert(listed === own.length, "jobs with needs of their own are listed by kind");
  for (const job of own) assert(pool.kinds.get(job.kind)?.has(job) === true, "each job is listed among its kind");
  for (const job of pool.jobs)
    assert(job.state !== "ended" && state.jobs.get(job.key) === job, "a pool lists its open jobs");
  for (const job of pool.parked)
    assert(hasPlaceable(job) && job.rankAt < 0, "a parked job has work and is not in the queue");
}

/** A step leaves no chunk waiting that could be placed. Looks only: a parked pool's shares are always the newest. */
function validateWork(state: State): void {
  assert(
    (!state.fleet.hasRoom || state.queue.outer.peek() === undefined) && state.queue.nested.peek() === undefined,
    "no node with room idles while a job is in the queue",
  );
  for (const job of state.jobs.values()) {
    const { parked } = job.pool;
    assert(hasPlaceable(job) === (job.rankAt >= 0 || parked.has(job)), "exactly the jobs with work wait for a node");
    assert(!parked.has(job) || state.fleet.peek(job) === undefined, "a parked job fits on no node");
  }
}

/** However much was placed, there are no more alarms for it than nodes. */
function validateStarts({ timers, fleet }: State): void {
  for (const pending of timers) {
    const { alarm } = pending;
    if (alarm.type !== "start-by") continue;
    assert(alarm.node.startBy === pending, "a node has one alarm for what has to begin there");
    assert(fleet.nodes.get(alarm.node.key) === alarm.node, "nothing has to begin on a lost node");
  }
}

function assertPlaced(state: State, node: Node, count: number, belongs: (assignment: Assignment) => boolean): void {
  assert(state.fleet.nodes.get(node.key) === node, "only known nodes were given chunks");
  assert([...node.assignments].filter(belongs).length === count, "assignments on a node are counted");
}

/** The spans in the heap, which stays as it was. */
function drained(heap: Heap<Span>): Span[] {
  const spans: Span[] = [];
  for (let span = heap.pop(); span !== undefined; span = heap.pop()) spans.push(span);
  for (const span of spans) heap.push(span);
  return spans;
}
