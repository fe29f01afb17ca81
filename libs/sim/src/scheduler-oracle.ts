import type {
  AssignmentId,
  ClientKey,
  Effect,
  Input,
  JobKey,
  NodeKey,
  NodeView,
  Outcome,
  PoolKey,
} from "@heddle/core-scheduler";
import type { Millis } from "@heddle/kernel";
import { isAnswer, judgeBackup, judgeOvertaken } from "./scheduler-backups.ts";
import { checkDrain, isEmptying, judgeRevoke, learnCordon } from "./scheduler-drains.ts";
import { checkExclusions, judgeExclusion, judgeReadmission, learnTrouble } from "./scheduler-exclusions.ts";
import {
  type ItemFacts,
  isReady,
  type JobFacts,
  learnOfJob,
  learnOutcome,
  type NodeFacts,
  newItem,
  newNode,
  type PoolFacts,
} from "./scheduler-facts.ts";
import { judgeBlame } from "./scheduler-failures.ts";
import { checkLack, hasLackedFor, judgeNeeds, judgeUnread, sharesRoom } from "./scheduler-needs.ts";
import { demand } from "./scheduler-promises.ts";
import { checkViews } from "./scheduler-views.ts";

type EffectOf<T extends Effect["type"]> = Extract<Effect, { readonly type: T }>;
type InputOf<T extends Input["type"]> = Extract<Input, { readonly type: T }>;

/** What a failure of an item is checked against beside the inputs: the truth of the workload. */
export interface Truth {
  /** Whether the item kills its worker; undefined when workers also die by chance, so that others may be blamed. */
  readonly isPoison: ((job: JobKey, chunk: number, offset: number) => boolean) | undefined;
  /** How long a job waits for a node that could run it, where there are others. */
  readonly unschedulableMs: Millis;
}

/**
 * Judges a scheduler by nothing but what it was told and what it wished. Knows the promises of types.ts and none of the core's code.
 * Every check throws PromiseBroken.
 */
export class SchedulerOracle {
  readonly #truth: Truth;
  readonly #clients = new Map<ClientKey, { throttled: boolean; left: boolean }>();
  readonly #pools = new Map<PoolKey, PoolFacts>();
  readonly #jobs = new Map<JobKey, JobFacts>();
  readonly #nodes = new Map<NodeKey, NodeFacts>();
  readonly #lostNodes = new Set<NodeKey>();
  readonly #placed = new Map<AssignmentId, EffectOf<"assign-chunk">>();
  /** Live assignments whose span was answered by another one: what they say counts no more. */
  readonly #overtaken = new Set<AssignmentId>();
  /** What this step is told of, after what was due: it was there when that was done. */
  #lost: { readonly key: NodeKey; readonly facts: NodeFacts } | undefined;
  #offered: { readonly job: JobKey; readonly chunk: number } | undefined;
  #lastAssignment = 0;
  #announced = { slots: 0, nodes: 0 };
  #faults = 0;
  #mayGiveUp = false;

  constructor(truth: Truth) {
    this.#truth = truth;
  }

  /** One step: what was told, and what was wished for. */
  observe(nowMs: Millis, input: Input, effects: readonly Effect[], nodes: readonly NodeView[]): void {
    for (const node of this.#nodes.values()) node.stopBeforeMs = node.stopAtMs;
    this.#lost = undefined;
    this.#offered = input.type === "chunk-offered" ? input : undefined;
    const finished = this.#learn(nowMs, input);
    for (const effect of effects) {
      if (effect.type === "readmit-node") {
        judgeReadmission(nowMs, this.#nodes, effect.node, { input, lost: this.#lostFacts(effect.node) });
        if (finished?.assign.node === effect.node)
          // what was due came first
          learnTrouble(this.#nodes.get(effect.node), finished.assign, finished.outcome);
      } else this.#judge(nowMs, effect, finished);
    }
    checkViews(nodes, this.#nodes, this.#announced);
    for (const [key, node] of this.#nodes) checkDrain(nowMs, key, node);
    for (const id of this.#overtaken) judgeOvertaken(id, this.#nodes.get(this.#placed.get(id)?.node as NodeKey));
    checkExclusions(nowMs, this.#nodes);
    for (const [key, job] of this.#jobs) checkLack(nowMs, key, job, this.#nodes, this.#truth.unschedulableMs);
  }

  /** The end of a run: every job has ended, every node knows what to forget. */
  checkQuiet(): void {
    for (const [key, job] of this.#jobs) demand(job.ended !== undefined, `job ${key} never ended`);
    for (const [key, node] of this.#nodes) {
      demand(node.excludedUntilMs === undefined, `node ${key} is excluded for ever`);
      demand(node.live.size === 0, `node ${key} holds ${[...node.live.keys()].join(" ")} for ever`);
      for (const job of node.jobs) demand(false, `node ${key} was never told to forget job ${job}`);
      for (const pool of node.pools) {
        demand(this.#pools.get(pool)?.closed !== true, `node ${key} was never told to retire pool ${pool}`);
      }
    }
  }

  /** How a job ended, or undefined. */
  endOf(job: JobKey): string | undefined {
    return this.#jobs.get(job)?.ended;
  }

  /** Takes the input in; returns the assignment that it finishes, if it is a live one. */
  #learn(
    nowMs: Millis,
    input: Input,
  ): { readonly assign: EffectOf<"assign-chunk">; readonly outcome: Outcome } | undefined {
    switch (input.type) {
      case "client-joined":
        if (!this.#clients.has(input.client)) this.#clients.set(input.client, { throttled: false, left: false });
        return undefined;
      case "client-left":
        this.#learnClientLeft(input.client);
        return undefined;
      case "client-throttled": {
        const client = this.#clients.get(input.client);
        if (client !== undefined) client.throttled = input.throttled;
        return undefined;
      }
      case "pool-opened": {
        const { pool, client, slotsMax, requirements: wants } = input;
        const closed = this.#clients.get(client)?.left !== false;
        if (!this.#pools.has(pool)) this.#pools.set(pool, { client, slotsMax, wants, closed, initFailures: 0 });
        return undefined;
      }
      case "pool-closed":
        this.#learnPoolClosed(input.pool);
        return undefined;
      case "job-opened":
        this.#learnJobOpened(input);
        return undefined;
      case "chunk-offered":
        this.#learnChunk(input);
        return undefined;
      case "results-taken":
      case "job-throttled":
      case "job-cancel-requested":
        learnOfJob(this.#jobs.get(input.job), input);
        return undefined;
      case "job-sealed":
      case "timer-fired":
        return undefined;
      case "chunk-finished":
        return this.#learnFinish(input);
      case "chunk-started": {
        const node = this.#nodes.get(this.#placed.get(input.assignment)?.node as NodeKey);
        node?.started.add(input.assignment);
        return undefined;
      }
      case "node-joined":
      case "credit-granted":
      case "node-silent":
      case "node-cordoned":
      case "node-drain-requested":
      case "node-leaving":
      case "node-lost":
        this.#learnNode(nowMs, input);
        return undefined;
    }
  }

  #learnClientLeft(key: ClientKey): void {
    const client = this.#clients.get(key);
    if (client !== undefined) client.left = true;
    for (const [pool, facts] of this.#pools) if (facts.client === key) this.#learnPoolClosed(pool);
  }

  #learnPoolClosed(key: PoolKey): void {
    const pool = this.#pools.get(key);
    if (pool !== undefined) pool.closed = true;
    for (const job of this.#jobs.values()) if (job.pool === key) job.cancelRequested = true;
  }

  #learnJobOpened({ job, requirements, unreadBytesMax, resumed, speculate, ...opened }: InputOf<"job-opened">): void {
    if (this.#jobs.has(job)) return;
    const pool = this.#pools.get(opened.pool);
    this.#jobs.set(job, {
      ...opened,
      speculate: speculate === true,
      unreadBytesMax: unreadBytesMax ?? Number.POSITIVE_INFINITY,
      wants: [requirements, pool?.wants],
      unreadBytes: unreadBytesMax === undefined ? 0 : (resumed?.unreadBytes ?? 0),
      gapChunks: resumed?.gapChunks ?? 0,
      grains: new Map(),
      chunks: new Map(),
      released: new Set(),
      failedItems: 0,
      ended: undefined,
      lackingSinceMs: undefined,
      throttled: false,
      cancelRequested: pool?.closed !== false,
    });
  }

  #learnChunk({ job: key, chunk, count, grain, settled = [] }: InputOf<"chunk-offered">): void {
    const job = this.#jobs.get(key);
    if (job === undefined || job.chunks.has(chunk)) return;
    job.grains.set(chunk, grain);
    const items = Array.from({ length: count }, newItem);
    for (const span of settled)
      for (const one of items.slice(span.offset, span.offset + span.count)) one.state = "delivered";
    job.chunks.set(chunk, items);
  }

  #learnFinish({ assignment, outcome }: InputOf<"chunk-finished">) {
    const assign = this.#placed.get(assignment);
    if (assign === undefined) return undefined;
    const items = this.#itemsOf(assign);
    const twin = [items[0]?.placedIn, items[0]?.backupIn].find((id) => id !== undefined && id !== assignment);
    const isOvertaken = this.#overtaken.has(assignment);
    this.#unplace(assign);
    learnTrouble(this.#nodes.get(assign.node), assign, outcome);
    this.#learnPool(assign.job, outcome);
    if (isOvertaken) return { assign, outcome: { type: "stopped" } as const };
    const counts = isAnswer(assign, outcome);
    if (twin !== undefined && counts) {
      this.#overtaken.add(twin);
      for (const item of items) item.placedIn = item.backupIn = undefined;
    } else if (twin !== undefined && outcome.type !== "worker-death") return { assign, outcome };
    learnOutcome(items, assign.offset, outcome);
    return { assign, outcome };
  }

  /** What an answer says of its pool's initializer, and of faults. */
  #learnPool(key: JobKey, outcome: Outcome): void {
    const pool = this.#pools.get(this.#jobs.get(key)?.pool as PoolKey);
    if (outcome.type === "not-started" && outcome.fault !== undefined) this.#faults++;
    if (pool === undefined || outcome.type === "not-started" || outcome.type === "stopped") return;
    pool.initFailures = outcome.type === "init-failed" ? pool.initFailures + 1 : 0;
    if (this.#faults >= 5 || pool.initFailures >= 3) this.#mayGiveUp = true;
  }

  #learnNode(nowMs: Millis, input: InputOf<NodeFact>): void {
    const node = this.#nodes.get(input.node);
    if (input.type === "node-joined") {
      if (node !== undefined || this.#lostNodes.has(input.node)) return;
      this.#nodes.set(input.node, newNode(input));
      return;
    }
    if (node === undefined) return;
    if (input.type === "credit-granted") node.credit = input.chunks;
    if (input.type === "node-silent") node.silent = input.silent;
    if (input.type === "node-cordoned") learnCordon(node, input.cordoned);
    if (input.type === "node-drain-requested") {
      learnCordon(node, true);
      node.stopAtMs = nowMs + input.stopAfterMs;
      node.drained = false;
    }
    if (input.type === "node-leaving") {
      node.drained &&= node.leaving;
      node.leaving = true;
    }
    if (input.type !== "node-lost") return;
    this.#lost = { key: input.node, facts: node };
    this.#nodes.delete(input.node);
    this.#lostNodes.add(input.node);
    for (const assign of node.live.values()) {
      const isOvertaken = this.#overtaken.has(assign.assignment);
      this.#unplace(assign);
      if (isOvertaken) continue;
      if (node.revoked.get(assign.assignment) === "stop") continue; // it was to end in any case
      for (const item of this.#itemsOf(assign)) item.losses++;
    }
  }

  #judge(
    nowMs: Millis,
    effect: Exclude<Effect, { readonly type: "readmit-node" }>,
    finished: { assign: EffectOf<"assign-chunk">; outcome: Outcome } | undefined,
  ): void {
    switch (effect.type) {
      case "assign-chunk":
        this.#judgeAssign(effect);
        return;
      case "revoke-chunk": {
        const { assignment } = effect;
        const lost = this.#lostFacts(effect.node);
        const assign = this.#placed.get(assignment) ?? lost?.live.get(assignment) ?? finished?.assign;
        const job = this.#jobs.get(assign?.job as JobKey);
        const isSpare = this.#overtaken.has(assignment) || (assign && this.#isBackup(assign));
        const isGivenUp = this.#mayGiveUp || this.#faults >= 5;
        const mayStop = isSpare || isGivenUp || hasLackedFor(job, this.#truth.unschedulableMs, nowMs);
        const known = { job, mayStop, ended: finished?.assign.assignment };
        judgeRevoke(nowMs, effect, this.#nodes.get(effect.node) ?? lost, known);
        return;
      }
      case "deliver-span":
        this.#judgeDelivery(effect, finished);
        return;
      case "fail-item":
        this.#judgeFailure(effect, finished?.assign);
        return;
      case "end-job":
        this.#judgeEnd(nowMs, effect);
        return;
      case "release-chunk":
        this.#judgeRelease(nowMs, effect);
        return;
      case "forget-job":
        this.#judgeForget(effect);
        return;
      case "retire-pool": {
        const node = this.#nodes.get(effect.node);
        demand(node?.pools.delete(effect.pool), `pool ${effect.pool} retired where it was not`);
        demand(this.#pools.get(effect.pool)?.closed, `pool ${effect.pool} retired, but not closed`);
        return;
      }
      case "node-drained": {
        const node = this.#nodes.get(effect.node);
        const isEmpty = node !== undefined && isEmptying(node) && node.live.size === 0;
        demand(isEmpty && !node.drained, `node ${effect.node} is not just drained`);
        if (node !== undefined) node.drained = true;
        return;
      }
      case "exclude-node":
        judgeExclusion(this.#nodes, effect);
        return;
      case "announce-capacity":
        this.#announced = { slots: effect.slots, nodes: effect.nodes };
        return;
      case "set-timer":
        return;
    }
  }

  #judgeAssign(effect: EffectOf<"assign-chunk">): void {
    const { assignment, attempt, poolSlots } = effect;
    const node = this.#nodes.get(effect.node);
    const job = this.#jobs.get(effect.job);
    const what = `assignment ${assignment}`;
    demand(node && isReady(node), `${what} to node ${effect.node}, not ready`);
    const goesOn = job && job.ended === undefined && (job.collect || job.failedItems === 0);
    demand(goesOn, `${what} of job ${effect.job}, which is over`);
    if (node === undefined || job === undefined) return;
    demand(assignment > this.#lastAssignment, `${what} was used before`);
    this.#lastAssignment = assignment;
    demand(sharesRoom(node, job, this.#jobs) < node.credit, `${what} is beyond the credit of ${node.credit}`);
    demand(!job.released.has(effect.chunk), `${what} of a released chunk`);
    const pool = this.#pools.get(job.pool);
    demand(pool && !pool.closed, `${what} of a closed pool`);
    demand(poolSlots >= 1 && poolSlots <= Math.min(node.slots, pool?.slotsMax ?? node.slots), `${what} has no share`);
    const throttled = pool !== undefined && this.#clients.get(pool.client)?.throttled === true;
    const isNew = attempt === 1 || this.#itemsOf(effect).some(({ isUnbegun }) => isUnbegun);
    demand(!throttled || !isNew, `${what} is new work for a throttled client`);
    judgeNeeds(
      effect,
      node,
      job,
      node.live.values().map((held) => this.#jobs.get(held.job)),
    );
    if (isNew) judgeUnread(effect, job);
    const grain = job.grains.get(effect.chunk) ?? 0;
    demand(effect.grain === (effect.count > grain ? grain : 0), `${what} has a grain of ${effect.grain}`);
    const items = this.#itemsOf(effect);
    const last = effect.offset + effect.count - 1;
    const isOneGrain = grain === 0 || Math.floor(effect.offset / grain) === Math.floor(last / grain);
    demand(isOneGrain || !items.some((item) => item.cut), `${what} puts grains together that came back apart`);
    const isSuspect = items.length === 1 && items.every((item) => item.deaths + item.losses > 0);
    demand(!effect.fresh || isSuspect, `${what} wants a fresh worker for no suspect`);
    const original = this.#placed.get(items[0]?.placedIn as AssignmentId);
    if (original !== undefined) judgeBackup(effect, original, { items, job, nodes: this.#nodes, jobs: this.#jobs });
    for (const item of items) {
      const isFree = item.state === "open" && item.placedIn === original?.assignment;
      demand(isFree, `${what} runs what is done or running`);
      demand(attempt > item.attempt, `${what} does not raise the attempt`);
      item.attempt = attempt;
      item.isUnbegun = false;
      if (original === undefined) item.placedIn = assignment;
      else item.backupIn = assignment;
    }
    this.#placed.set(assignment, effect);
    node.live.set(assignment, effect);
    node.jobs.add(effect.job);
    node.pools.add(job.pool);
  }

  #judgeDelivery(
    effect: EffectOf<"deliver-span">,
    finished: { assign: EffectOf<"assign-chunk">; outcome: Outcome } | undefined,
  ): void {
    const what = `delivery of ${effect.job}/${effect.chunk} ${effect.offset}+${effect.count}`;
    demand(finished?.assign.assignment === effect.assignment, `${what} from an assignment that did not just finish`);
    if (finished === undefined) return;
    const { assign, outcome } = finished;
    const done = outcome.type === "done" ? assign.count : "completed" in outcome ? outcome.completed : 0;
    demand(effect.job === assign.job && effect.chunk === assign.chunk, `${what} is another chunk's`);
    demand(effect.offset === assign.offset && effect.count === done, `${what} is not what ran`);
    const job = this.#judgeOpen(effect.job, what);
    if (job !== undefined && "bytes" in outcome) job.unreadBytes += outcome.bytes;
    for (const item of this.#itemsOf(effect)) {
      demand(item.state === "open", `${what}: an item has its outcome already (${item.state})`);
      item.state = "delivered";
    }
  }

  #judgeFailure(effect: EffectOf<"fail-item">, finished: EffectOf<"assign-chunk"> | undefined): void {
    const { job: key, chunk, offset } = effect;
    const what = `failure of ${key}/${chunk}/${offset}`;
    const job = this.#judgeOpen(key, what);
    const item = job?.chunks.get(chunk)?.[offset];
    demand(job !== undefined && item?.state === "open", `${what}: not open`);
    if (job === undefined || item === undefined) return;
    item.state = "failed";
    job.failedItems++;
    judgeBlame(effect, item, { job, finished, isPoison: this.#truth.isPoison });
  }

  #judgeEnd(nowMs: Millis, { job: key, outcome, fault }: EffectOf<"end-job">): void {
    const what = `end of job ${key} as ${outcome}`;
    const job = this.#judgeOpen(key, what);
    if (job === undefined) return;
    job.ended = outcome;
    if (outcome === "cancelled") demand(job.cancelRequested, `${what}: nobody asked`);
    if (outcome === "failed") {
      demand((job.failedItems > 0 && !job.collect) || fault !== undefined, `${what}: nothing failed`);
      const isPool = fault?.code === "pool-init";
      demand(!isPool || this.#faults >= 5 || this.#mayGiveUp, `${what}: after ${this.#faults} faults`);
      const isLack = fault?.code === "unschedulable";
      demand(!isLack || hasLackedFor(job, this.#truth.unschedulableMs, nowMs), `${what}: a node could run it`);
    }
    for (const [chunk, items] of job.chunks) {
      const isLate = this.#offered?.job === key && this.#offered.chunk === chunk; // what was due, as this end, came first
      demand(job.released.has(chunk) || isLate, `${what}: chunk ${chunk} is not released`);
      const delivered = items.every(({ state }) => state === "delivered" || (job.collect && state === "failed"));
      demand(outcome !== "done" || delivered, `${what}: chunk ${chunk} has items without a result`);
    }
  }

  #judgeRelease(nowMs: Millis, { job: key, chunk }: EffectOf<"release-chunk">): void {
    const job = this.#jobs.get(key);
    if (job === undefined || job.ended !== undefined) return; // offered too late: released each time
    demand(!job.released.has(chunk), `chunk ${key}/${chunk} is released twice`);
    job.released.add(chunk);
    const isLost = hasLackedFor(job, this.#truth.unschedulableMs, nowMs);
    const goesOn = !job.cancelRequested && (job.collect || job.failedItems === 0) && !isLost;
    const isOpen = job.chunks.get(chunk)?.some((item) => item.state === "open") === true;
    const inUse = goesOn && isOpen && this.#faults < 5 && !this.#mayGiveUp;
    demand(!inUse, `chunk ${key}/${chunk} is released with items open`);
  }

  #judgeForget({ node: nodeKey, job: key }: EffectOf<"forget-job">): void {
    const node = this.#nodes.get(nodeKey);
    demand(node?.jobs.delete(key), `job ${key} is forgotten at node ${nodeKey}, which did not know it`);
    demand(this.#jobs.get(key)?.ended !== undefined, `job ${key} is forgotten before its end`);
    for (const assign of node?.live.values() ?? []) demand(assign.job !== key, `job ${key} is forgotten while it runs`);
  }

  #judgeOpen(key: JobKey, what: string): JobFacts | undefined {
    const job = this.#jobs.get(key);
    demand(job !== undefined && job.ended === undefined, `${what}: the job is over or unknown`);
    return job;
  }

  #itemsOf(span: { job: JobKey; chunk: number; offset: number; count: number }): ItemFacts[] {
    const { job, chunk, offset, count } = span;
    const items =
      this.#jobs
        .get(job)
        ?.chunks.get(chunk)
        ?.slice(offset, offset + count) ?? [];
    demand(items.length === count, `${job}/${chunk} has no items ${offset}+${count}`);
    return items;
  }

  #unplace(assign: EffectOf<"assign-chunk">): void {
    const { assignment } = assign;
    this.#placed.delete(assignment);
    const isOvertaken = this.#overtaken.delete(assignment);
    const node = this.#nodes.get(assign.node);
    node?.live.delete(assignment);
    node?.started.delete(assignment);
    node?.revoked.delete(assignment);
    if (isOvertaken) return; // its items are settled or in other places
    for (const item of this.#itemsOf(assign)) {
      if (item.placedIn === assignment) item.placedIn = item.backupIn;
      item.backupIn = undefined;
    }
  }

  /** Of a node that this step tells to be lost. */
  #lostFacts(key: NodeKey): NodeFacts | undefined {
    return this.#lost?.key === key ? this.#lost.facts : undefined;
  }

  #isBackup(assign: EffectOf<"assign-chunk">): boolean {
    return this.#itemsOf(assign).some(({ backupIn }) => backupIn === assign.assignment);
  }
}

type NodeFact =
  | ("node-joined" | "credit-granted" | "node-silent" | "node-lost")
  | ("node-cordoned" | "node-drain-requested" | "node-leaving");
