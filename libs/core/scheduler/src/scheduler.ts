import { assert, type Millis, type Random, unreachable } from "@heddle/kernel";
import { assign } from "./assign.ts";
import { readmit } from "./exclusion.ts";
import { type SpanView, spansOf, type Wait, waitsOf } from "./explain.ts";
import { JobQueues } from "./fairness.ts";
import {
  KeyBook,
  onChunkOffered,
  onClientJoined,
  onClientLeft,
  onClientThrottled,
  onJobCancelRequested,
  onJobOpened,
  onJobSealed,
  onJobThrottled,
  onPoolClosed,
  onPoolOpened,
  onResultsTaken,
} from "./jobs.ts";
import { giveUpLacking } from "./lack.ts";
import { SCHEDULER_LIMITS, type SchedulerLimits } from "./limits.ts";
import {
  onCreditGranted,
  onNodeCordoned,
  onNodeDrainRequested,
  onNodeJoined,
  onNodeLeaving,
  onNodeLost,
  onNodeSilent,
  startBy,
  stopDrained,
} from "./nodes.ts";
import { onChunkFinished, onChunkStarted } from "./outcomes.ts";
import { Fleet } from "./placement.ts";
import { watchStragglers } from "./speculation.ts";
import type { Job, Share, State } from "./state.ts";
import { watchTail } from "./tail.ts";
import { type Alarm, Timers } from "./timers.ts";
import type { AssignmentId, Effect, Input, JobKey, JobView, NodeKey, NodeView } from "./types.ts";
import { validateState } from "./validate.ts";
import { jobView, nodeView } from "./views.ts";

/** What the core is told once. */
export interface SchedulerOptions {
  /** Jitter of delays, nothing else. */
  readonly random: Random;
  readonly limits?: Partial<SchedulerLimits> | undefined;
}

/**
 * Decides which chunk runs where and what becomes of it. Synchronous and deterministic: the same inputs at the same times with the same
 * random numbers give the same effects. STATES.md has the tables.
 */
export class Scheduler {
  readonly #keys = new KeyBook();
  readonly #state: State;

  constructor(options: SchedulerOptions) {
    const limits = { ...SCHEDULER_LIMITS, ...options.limits };
    const queue = new JobQueues(limits.costMinMs);
    this.#state = {
      nowMs: Number.NEGATIVE_INFINITY,
      effects: [],
      limits,
      random: options.random,
      clients: new Map(),
      pools: new Map(),
      jobs: new Map(),
      assignments: new Map(),
      fleet: new Fleet(queue, limits.lifetimeMinMs),
      queue,
      timers: new Timers(),
      assignmentsMinted: 0,
      tail: { alarm: "none", asked: 0 },
      speculation: { alarm: "none", jobs: new Set(), backups: new Set(), started: 0, won: 0 },
    };
  }

  /** Takes one fact at `nowMs` (monotonic) and returns the wishes that follow from it, to be performed in order. */
  step(nowMs: Millis, input: Input): readonly Effect[] {
    const state = this.#state;
    state.nowMs = Math.max(nowMs, state.nowMs);
    state.effects = [];
    state.fleet.lifetimes.nowMs = state.nowMs;
    for (let alarm = state.timers.takeDue(state.nowMs); alarm; alarm = state.timers.takeDue(state.nowMs)) {
      ring(state, alarm);
    }
    this.#take(input);
    placeAll(state);
    watchTail(state);
    watchStragglers(state);
    const atMs = state.timers.arm();
    if (atMs !== undefined) state.effects.push({ type: "set-timer", atMs });
    return state.effects;
  }

  /** Jobs with anything left to do, in the order in which they were opened. */
  jobs(): JobView[] {
    return this.#state.jobs.values().map(jobView).toArray();
  }

  /** Why what waits of an open job waits; empty for one that is over. Costs as much as the job has chunks and there are nodes. */
  waits(key: JobKey): Wait[] {
    const job = this.#state.jobs.get(key);
    return job === undefined ? [] : waitsOf(this.#state, job);
  }

  /** What is left of a chunk of an open job, in order. */
  spans(key: JobKey, chunk: number): SpanView[] {
    const job = this.#state.jobs.get(key);
    return job === undefined ? [] : spansOf(job, chunk);
  }

  /** Whether its items were answered by another attempt: what it says changes nothing. */
  isOvertaken(id: AssignmentId): boolean {
    return this.#state.assignments.get(id)?.overtaken === true;
  }

  /** Backups of stragglers so far: all, and those that answered before what they backed up. */
  backups(): { readonly started: number; readonly won: number } {
    const { started, won } = this.#state.speculation;
    return { started, won };
  }

  /** A node, as `nodes` shows it; undefined for one that is not there. */
  node(key: NodeKey): NodeView | undefined {
    const node = this.#state.fleet.nodes.get(key);
    return node && nodeView(node);
  }

  /** Nodes in the order in which they joined. */
  nodes(): NodeView[] {
    return this.#state.fleet.nodes.values().map(nodeView).toArray();
  }

  /** Checks every invariant of STATES.md; throws InvariantViolation. Costs as much as there is state. */
  validate(): void {
    validateState(this.#state);
  }

  #take(input: Input): void {
    const state = this.#state;
    switch (input.type) {
      case "chunk-finished":
        onChunkFinished(state, input.assignment, input.outcome, input.runMs);
        return;
      case "chunk-started":
        onChunkStarted(state, input.assignment);
        return;
      case "chunk-offered":
        onChunkOffered(state, input);
        return;
      case "credit-granted":
        onCreditGranted(state, input.node, input.chunks);
        return;
      case "client-joined":
        onClientJoined(state, this.#keys, input.client);
        return;
      case "client-left":
        onClientLeft(state, input.client);
        return;
      case "client-throttled":
        onClientThrottled(state, input.client, input.throttled);
        return;
      case "pool-opened":
        onPoolOpened(state, this.#keys, input);
        return;
      case "pool-closed":
        onPoolClosed(state, input.pool);
        return;
      case "job-opened":
        onJobOpened(state, this.#keys, input);
        return;
      case "job-sealed":
        onJobSealed(state, input.job, input.chunks);
        return;
      case "results-taken":
        onResultsTaken(state, input.job, input.bytes);
        return;
      case "job-throttled":
        onJobThrottled(state, input.job, input.throttled);
        return;
      case "job-cancel-requested":
        onJobCancelRequested(state, input.job);
        return;
      case "node-joined":
        onNodeJoined(state, this.#keys, input);
        return;
      case "node-silent":
        onNodeSilent(state, input.node, input.silent);
        return;
      case "node-cordoned":
        onNodeCordoned(state, input.node, input.cordoned);
        return;
      case "node-drain-requested":
        onNodeDrainRequested(state, input.node, input.stopAfterMs);
        return;
      case "node-leaving":
        onNodeLeaving(state, input.node);
        return;
      case "node-lost":
        onNodeLost(state, input.node);
        return;
      case "timer-fired":
        return;
      default:
        unreachable(input);
    }
  }
}

function ring(state: State, alarm: Alarm): void {
  switch (alarm.type) {
    case "retry": {
      const { job } = alarm.span.chunk;
      if (!job.delayed.delete(alarm.span)) return; // dropped meanwhile
      job.again.push(alarm.span);
      state.queue.refresh(job);
      return;
    }
    case "release-hold":
      alarm.node.heldUntilMs = undefined;
      if (state.fleet.nodes.has(alarm.node.key)) state.fleet.refresh(alarm.node);
      return;
    case "stop-drained":
      stopDrained(state, alarm.node, alarm.drain);
      return;
    case "readmit":
      if (alarm.node.health.exclusion === alarm.exclusion) readmit(state, alarm.node);
      return;
    case "give-up-lacking":
      giveUpLacking(state, alarm.job, alarm.sinceMs);
      return;
    case "start-by":
      startBy(state, alarm.node);
      return;
    case "hand-back":
      state.tail.alarm = "rung";
      return;
    case "back-up":
      state.speculation.alarm = "rung";
      return;
    default:
      unreachable(alarm);
  }
}

/** Places chunks as long as there is a job to serve and a node with room. */
function placeAll(state: State): void {
  const { queue, fleet } = state;
  for (;;) {
    // Asked each time: room for one kind of job may wake the other kind, if a pool has both.
    fleet.wakeStirred();
    const job = queue.nested.peek() ?? (fleet.hasRoom ? queue.outer.peek() : undefined);
    if (job === undefined) return;
    placeNext(state, job);
  }
}

/** Places one chunk of the job, or parks it until its pool has room. */
function placeNext(state: State, job: Job): void {
  const { queue, fleet } = state;
  const share = fleet.choose(job);
  if (share !== undefined) place(state, job, share);
  else {
    queue.of(job).park(job);
    fleet.awaitRoom(job);
  }
  if (job.wokenBy !== undefined) fleet.passOn(job);
}

function place(state: State, job: Job, share: Share): void {
  const span = job.again.pop() ?? job.unbegun.pop() ?? job.fresh.shift();
  assert(span !== undefined, "a job in the queue has a span to place");
  assign(state, span, share);
}
