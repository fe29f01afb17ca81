import { Fifo, Heap, type Millis, type Random } from "@heddle/kernel";
import type { JobQueues } from "./fairness.ts";
import { type Health, newHealth } from "./health.ts";
import type { SchedulerLimits } from "./limits.ts";
import type { Fleet } from "./placement.ts";
import type { Ranked } from "./ranking.ts";
import { RunTimes } from "./run-times.ts";
import type { PendingAlarm, Timers } from "./timers.ts";
import type { AssignmentId, ClientKey, Effect, Input, JobKey, NodeKey, PoolKey, Requirements } from "./types.ts";
import { WaitingJobs } from "./waiting-jobs.ts";

type InputOf<T extends Input["type"]> = Extract<Input, { readonly type: T }>;

/** Everything the scheduler knows. Written by the functions of this folder only, within one step. */
export interface State {
  /** Time of the step that runs. */
  nowMs: Millis;
  /** Wishes of the step that runs, in order. */
  effects: Effect[];
  readonly limits: SchedulerLimits;
  readonly random: Random;
  readonly clients: Map<ClientKey, Client>;
  /** Open pools, and closed ones until their last assignment is finished. */
  readonly pools: Map<PoolKey, Pool>;
  /** Open jobs, and ended ones until their last assignment is finished. */
  readonly jobs: Map<JobKey, Job>;
  /** Spans that are LEASED or RUNNING. */
  readonly assignments: Map<AssignmentId, Assignment>;
  readonly fleet: Fleet;
  readonly queue: JobQueues;
  readonly timers: Timers;
  assignmentsMinted: number;
  readonly tail: Tail;
  readonly speculation: Speculation;
}

/** What is known of jobs whose stragglers are backed up. */
interface Speculation {
  /** rung: in this step. */
  alarm: "none" | "set" | "rung";
  /** Those that run. */
  readonly jobs: Set<Job>;
  /** Backups whose original lives, in the order in which they were placed. */
  readonly backups: Set<Assignment>;
  /** How many there were, and how many of them answered first. */
  started: number;
  won: number;
}

/** What is known of idle slots beside nodes that hold chunks beyond theirs. */
interface Tail {
  /** rung: in this step. */
  alarm: "none" | "set" | "rung";
  /** Assignments that were asked back for idle slots and are not answered. */
  asked: number;
}

export interface Client {
  readonly key: ClientKey;
  readonly pools: Set<Pool>;
  /** Its jobs get no new chunk, nor what was given back unbegun; what was begun and came back is still placed. */
  throttled: boolean;
}

export interface Pool {
  readonly key: PoolKey;
  readonly client: Client;
  readonly slotsMax: number | undefined;
  /** What its nodes must have; undefined for nothing. */
  readonly needs: Requirements | undefined;
  /** It had a job of a task: what leaves a node may have kept another of its jobs out. */
  isNested: boolean;
  closed: boolean;
  /** Its jobs that have not ended. */
  readonly jobs: Set<Job>;
  /** Nodes that were given chunks of it and not yet told to retire it, with its assignments there. */
  readonly placed: Map<Node, Tally>;
  /** Its slots on each node, none for a node with share 0. Empty when unbounded. Computed anew when `sharesVersion` is not the fleet's. */
  shares: Share[];
  sharesVersion: number;
  /** Nodes that got none of them, though some were left: they do not last for what there was to run then. */
  passedOver: readonly Node[];
  /** Nodes on which one of them is kept for a job with needs of its own, also while it has nothing to run, and for which. */
  keptOn: ReadonlyMap<Node, Job>;
  /** When bounded: its open jobs with needs of their own, by kind, each in the order in which they were opened. */
  readonly kinds: Map<string, Set<Job>>;
  /** Its shares leave a slot for each of these kinds. */
  keepsForAll: boolean;
  /** Jobs that could be placed, were there a node with a share and room. Not in the queue. */
  readonly parked: Set<Job>;
  /** Faults in a row, each on a node that was not on hold; back to 0 when a chunk of it was run. */
  faults: number;
  /** Failures of its initializer in a row; back to 0 when a chunk of it was run. */
  initFailures: number;
  /** Nodes that could not start a worker for it since a chunk of it was run. */
  readonly faultyNodes: Set<Node>;
}

/** A count that is shared by who counts and who asks, so that the hot path looks nothing up. */
export interface Tally {
  count: number;
}

/** Slots of a bounded pool on one node. */
export interface Share {
  readonly node: Node;
  readonly slots: number;
}

/** running: gets placed; failing: an item failed for good, what runs may end; ended: `end-job` is out, late results are dropped. */
export type JobState = "running" | "failing" | "ended";

export interface Job extends Ranked {
  readonly key: JobKey;
  readonly pool: Pool;
  readonly retries: number;
  /** How many tasks it is inside of. */
  readonly depth: number;
  /** An item that fails for good settles alone. */
  readonly collect: boolean;
  readonly ordered: boolean;
  readonly unreadBytesMax: number | undefined;
  /** Result bytes delivered and not taken; 0 when there is no bound. */
  unreadBytes: number;
  /** There is no room for more results of it. */
  throttled: boolean;
  /** Number of the highest chunk with a result, and offset of its last one; -1 and 0 before the first. Of a resumed job: the first chunk behind all gaps. */
  furthest: { readonly chunk: number; readonly offset: number };
  /** What its nodes must have, those of its pool included, the same object when it asks for no more; undefined for nothing. */
  readonly needs: Requirements | undefined;
  /** The same for jobs for which there is always room at the same time. */
  readonly kind: string;
  /** Of a job with needs: nodes that take work and have what it needs when they are empty. Computed anew when `fittingVersion` is not the fleet's. */
  fitting: readonly Node[];
  fittingVersion: number;
  /** Since when there are nodes, none of which could run it, were it empty; undefined when one could, or there is none. */
  lackingSinceMs: Millis | undefined;
  /** The node whose room had it woken in this step: if it goes elsewhere, the next that waits there is woken. */
  wokenBy: Node | undefined;
  state: JobState;
  /** PENDING spans that were never placed: whole chunks, or what is not settled of them, ascending. */
  readonly fresh: Fifo<Span>;
  /** PENDING spans that were placed before, lowest first; they go before `fresh`. */
  again: Heap<Span>;
  /** PENDING spans that a worker gave back in a part without having begun them, lowest first; they are held back as `fresh` is, before which they go. */
  unbegun: Heap<Span>;
  /** PENDING spans that wait for their backoff, with its end. */
  readonly delayed: Map<Span, Millis>;
  /** Spans not settled: fresh + again + unbegun + delayed + placed, when not ended. */
  spansOpen: number;
  /** Assignments: of spans that are LEASED or RUNNING, two of a span with a backup; overtaken ones and those of an ended job until they were given back. */
  spansPlaced: number;
  chunksOffered: number;
  itemsOffered: number;
  itemsDone: number;
  chunksDone: number;
  /** Number of chunks the client says there are; undefined while it may offer more. */
  chunksSealed: number | undefined;
  /** Nodes that were given chunks of it and not yet told to forget it, with its assignments there. */
  readonly placed: Map<Node, Tally>;
  /** Virtual time at which its next chunk is due: what it was charged so far, never behind the queue when it enters. */
  dueMs: number;
  /** Order among jobs with the same `dueMs`. */
  turn: number;
  /** Mean run time of its chunks; undefined until the first has finished. */
  meanMs: Millis | undefined;
  /** How long its items take; undefined when its stragglers are not backed up. */
  readonly runTimes: RunTimes | undefined;
}

export interface Chunk {
  readonly job: Job;
  readonly index: number;
  /** Items of each of the small chunks that it is made of; 0 when it is one. */
  readonly grain: number;
  /** Spans of it not settled or dropped; at 0 it is released. */
  spansOpen: number;
  /** Items of it not delivered, failed or dropped. */
  itemsOpen: number;
}

/** Consecutive items of one chunk that travel together. Spans of a chunk never overlap. */
export interface Span {
  readonly chunk: Chunk;
  readonly offset: number;
  readonly count: number;
  /** Placements of these items so far. */
  attempt: number;
  /** The next attempt marks each item. */
  readonly marks: boolean;
  /** Own errors of its first item so far. */
  readonly failures: number;
  /** Deaths that count: with its only item, or without a mark though marks were on. */
  readonly deaths: number;
  /** Nodes lost with it. Each has a key of its own, so no node counts twice. */
  readonly losses: number;
  /** The last death that these items may have caused or that node; undefined when there was none, or it is known to be the node's. */
  died: Death | undefined;
}

/** A worker died. */
export interface Death {
  readonly node: Node;
  /** So long after it had begun these items. */
  readonly livedMs: Millis;
  /** How many items may have caused it, if the node did not: only when all of them have run it was the node. */
  readonly items: number;
}

/** What a new span has beside its chunk. */
export type SpanSeed = Omit<Span, "chunk" | "died">;

export interface Assignment {
  readonly id: AssignmentId;
  readonly node: Node;
  readonly job: Job;
  readonly span: Span;
  readonly attempt: number;
  readonly marks: boolean;
  /** Assignments of its job and of its pool on its node, this one included. */
  readonly ofJob: Tally;
  readonly ofPool: Tally;
  readonly placedMs: Millis;
  /** Since when it is RUNNING, as far as the node told. */
  startedMs: Millis | undefined;
  revoked: "no" | "if-unstarted" | "stop";
  /** It was asked back for an idle slot. */
  handedBack: boolean;
  /** The other assignment of the same span, on another node, while both live: a backup or what it backs up. */
  twin: Assignment | undefined;
  /** Its twin answered first: it was told to stop, its span is settled or in other places, and what it answers is dropped. */
  overtaken: boolean;
  /** It is not backed up before it has run for so long. */
  backupAfterMs: Millis;
}

export interface Node extends Ranked {
  readonly key: NodeKey;
  readonly slots: number;
  readonly labels: ReadonlyMap<string, string>;
  readonly resources: ReadonlyMap<string, number>;
  /** When what runs there is told to come to an end; undefined: nobody knows of that. */
  readonly stopsAtMs: Millis | undefined;
  /** When something that was placed there has to have begun; undefined when nothing is watched. */
  startBy: PendingAlarm | undefined;
  /** What its assignments hold of its resources. */
  readonly taken: Map<string, number>;
  /** Place in the order of joining. */
  readonly joined: number;
  credit: number;
  silent: boolean;
  cordoned: boolean;
  /** What is not over by then is stopped; undefined when nobody wants it drained. Implies `cordoned`. */
  drain: Drain | undefined;
  /** Its agent ends. */
  leaving: boolean;
  /** It gets nothing before; undefined when not on hold. */
  heldUntilMs: Millis | undefined;
  /** Faults in a row, for the length of the hold. */
  faults: number;
  /** How well it runs what it is given. Replaced by exclusion.ts only. */
  health: Health;
  readonly assignments: Set<Assignment>;
  /** Those of them that are of jobs from outside: only they are held against its credit. */
  outer: number;
  /** Assignments per slot: what the order of the free nodes looks at. Written with `assignments`. */
  load: number;
  /** Ready, not on hold, has credit: it counts for the shares of bounded pools. */
  takesWork: boolean;
  /** Bounded pools with parked jobs that may use it when it has room. */
  readonly waiting: Set<Pool>;
  /** Parked jobs with needs that may use it when it has room. */
  readonly waitingJobs: WaitingJobs;
  /** Slots without an assignment, when it has room. Written by the fleet, as the next. */
  idleSlots: number;
  /** It answers and holds more of jobs from outside than it has slots. */
  isOverfull: boolean;
}

/** What an operator wants of a node; another wish is another object. */
export interface Drain {
  readonly stopAtMs: Millis;
}

/** The tally of a node, a new one when it has none. */
export function tallyOf(placed: Map<Node, Tally>, node: Node): Tally {
  const known = placed.get(node);
  if (known !== undefined) return known;
  const tally: Tally = { count: 0 };
  placed.set(node, tally);
  return tally;
}

/** Neither silent nor cordoned nor leaving nor excluded. */
export function isReady(node: Node): boolean {
  return !node.silent && !node.cordoned && !node.leaving && node.health.exclusion === undefined;
}

/** What it holds is to be over. */
export function isEmptying(node: Node): boolean {
  return node.leaving || node.drain !== undefined;
}

/** Assignments per slot. */
export function loadOf(node: Node): number {
  return node.assignments.size / Math.max(1, node.slots);
}

/** The heap for requeued spans: lowest chunk first, lowest offset first. */
export function spanHeap(): Heap<Span> {
  return new Heap<Span>((a, b) =>
    a.chunk.index === b.chunk.index ? a.offset < b.offset : a.chunk.index < b.chunk.index,
  );
}

/** A job of an open pool, with no chunk yet. */
export function newJob(opened: InputOf<"job-opened">, pool: Pool, needs: Requirements | undefined): Job {
  return {
    key: opened.job,
    pool,
    retries: opened.retries,
    depth: depthOf(opened.depth),
    collect: opened.collect,
    ordered: opened.ordered,
    unreadBytesMax: opened.unreadBytesMax,
    unreadBytes: opened.unreadBytesMax === undefined ? 0 : Math.max(0, opened.resumed?.unreadBytes ?? 0),
    throttled: false,
    furthest: { chunk: opened.resumed?.gapChunks ?? -1, offset: 0 },
    needs,
    kind: kindOf(pool, depthOf(opened.depth), needs),
    fitting: [],
    fittingVersion: -1,
    lackingSinceMs: undefined,
    wokenBy: undefined,
    state: "running",
    fresh: new Fifo(),
    again: spanHeap(),
    unbegun: spanHeap(),
    delayed: new Map(),
    spansOpen: 0,
    spansPlaced: 0,
    chunksOffered: 0,
    itemsOffered: 0,
    itemsDone: 0,
    chunksDone: 0,
    chunksSealed: undefined,
    placed: new Map(),
    dueMs: 0,
    turn: 0,
    meanMs: undefined,
    runTimes: opened.speculate === true && depthOf(opened.depth) === 0 ? new RunTimes() : undefined,
    rankAt: -1,
  };
}

/** Room is a matter of the pool, of whether it is a job of a task, and of needs. */
function kindOf({ key }: Pool, depth: number, needs: Requirements | undefined): string {
  if (needs === undefined) return "";
  return JSON.stringify([key, depth > 0, [...needs.labels].sort(), [...needs.resources].sort()]);
}

/** An open pool with no job yet. */
export function newPool(opened: InputOf<"pool-opened">, client: Client, needs: Requirements | undefined): Pool {
  return {
    key: opened.pool,
    client,
    slotsMax: opened.slotsMax,
    needs,
    isNested: false,
    closed: false,
    jobs: new Set(),
    placed: new Map(),
    shares: [],
    sharesVersion: -1,
    passedOver: [],
    keptOn: new Map(),
    kinds: new Map(),
    keepsForAll: true,
    parked: new Set(),
    faults: 0,
    initFailures: 0,
    faultyNodes: new Set(),
  };
}

/** A node that has just joined: ready, without credit. */
export function newNode(told: InputOf<"node-joined">, joined: number, nowMs: Millis): Node {
  const { node, slots, labels, resources, lastsMs } = told;
  return {
    key: node,
    slots,
    labels,
    resources,
    stopsAtMs: lastsMs === undefined ? undefined : nowMs + lastsMs,
    startBy: undefined,
    taken: new Map(),
    joined,
    credit: 0,
    silent: false,
    cordoned: false,
    drain: undefined,
    leaving: false,
    heldUntilMs: undefined,
    faults: 0,
    health: newHealth(),
    assignments: new Set(),
    outer: 0,
    load: 0,
    takesWork: false,
    waiting: new Set(),
    waitingJobs: new WaitingJobs(),
    idleSlots: 0,
    isOverfull: false,
    rankAt: -1,
  };
}

/** What is no depth counts as none. */
function depthOf(depth: number): number {
  return Number.isInteger(depth) && depth > 0 ? depth : 0;
}
