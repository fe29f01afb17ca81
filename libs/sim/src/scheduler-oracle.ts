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

type EffectOf<T extends Effect["type"]> = Extract<Effect, { readonly type: T }>;
type InputOf<T extends Input["type"]> = Extract<Input, { readonly type: T }>;

/** A promise of the scheduler that a run has seen broken. */
class PromiseBroken extends Error {
  override readonly name = "PromiseBroken";
}

interface ItemFacts {
  state: "open" | "delivered" | "failed";
  attempt: number;
  /** Its own errors, worker deaths with it in the span, and lost nodes with it in the span, as told to the core. */
  errors: number;
  deaths: number;
  losses: number;
  placedIn: AssignmentId | undefined;
}

interface JobFacts {
  readonly pool: PoolKey;
  readonly retries: number;
  readonly depth: number;
  readonly chunks: Map<number, ItemFacts[]>;
  readonly released: Set<number>;
  failedItems: number;
  ended: string | undefined;
  cancelRequested: boolean;
}

interface NodeFacts {
  slots: number;
  credit: number;
  silent: boolean;
  cordoned: boolean;
  draining: boolean;
  drained: boolean;
  readonly live: Map<AssignmentId, EffectOf<"assign-chunk">>;
  /** Jobs and pools it was given chunks of and not told to forget. */
  readonly jobs: Set<JobKey>;
  readonly pools: Set<PoolKey>;
}

/** What a failure of an item is checked against beside the inputs: the truth of the workload. */
export interface Truth {
  /** Whether the item kills its worker; undefined when workers also die by chance, so that others may be blamed. */
  readonly isPoison: ((job: JobKey, chunk: number, offset: number) => boolean) | undefined;
}

/**
 * Judges a scheduler by nothing but what it was told and what it wished. Knows the promises of types.ts and none of the core's code.
 * Every check throws PromiseBroken.
 */
export class SchedulerOracle {
  readonly #truth: Truth;
  readonly #clients = new Map<ClientKey, { throttled: boolean; left: boolean }>();
  readonly #pools = new Map<PoolKey, { client: ClientKey; slotsMax: number | undefined; closed: boolean }>();
  readonly #jobs = new Map<JobKey, JobFacts>();
  readonly #nodes = new Map<NodeKey, NodeFacts>();
  readonly #lostNodes = new Set<NodeKey>();
  readonly #placed = new Map<AssignmentId, EffectOf<"assign-chunk">>();
  #lastAssignment = 0;
  #announced = { slots: 0, nodes: 0 };
  #faults = 0;

  constructor(truth: Truth) {
    this.#truth = truth;
  }

  /** One step: what was told, and what was wished for. */
  observe(input: Input, effects: readonly Effect[], nodes: readonly NodeView[]): void {
    const finished = this.#learn(input);
    for (const effect of effects) this.#judge(effect, finished);
    this.#checkNodes(nodes);
  }

  /** The end of a run: every job has ended, every node knows what to forget. */
  checkQuiet(): void {
    for (const [key, job] of this.#jobs) demand(job.ended !== undefined, `job ${key} never ended`);
    for (const [key, node] of this.#nodes) {
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
  #learn(input: Input): { readonly assign: EffectOf<"assign-chunk">; readonly outcome: Outcome } | undefined {
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
        const { pool, client, slotsMax } = input;
        const known = this.#clients.get(client)?.left === false;
        if (!this.#pools.has(pool)) this.#pools.set(pool, { client, slotsMax, closed: !known });
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
      case "job-sealed":
      case "timer-fired":
        return undefined;
      case "job-cancel-requested": {
        const job = this.#jobs.get(input.job);
        if (job !== undefined) job.cancelRequested = true;
        return undefined;
      }
      case "chunk-finished":
        return this.#learnFinish(input);
      case "chunk-started":
        return undefined;
      case "node-joined":
      case "credit-granted":
      case "node-silent":
      case "node-cordoned":
      case "node-drain-requested":
      case "node-lost":
        this.#learnNode(input);
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

  #learnJobOpened({ job, pool, retries, depth }: InputOf<"job-opened">): void {
    if (this.#jobs.has(job)) return;
    const cancelRequested = this.#pools.get(pool)?.closed !== false;
    const [chunks, released] = [new Map<number, ItemFacts[]>(), new Set<number>()];
    const facts = { pool, retries, depth, chunks, released, failedItems: 0, ended: undefined, cancelRequested };
    this.#jobs.set(job, facts);
  }

  #learnChunk({ job: key, chunk, count }: InputOf<"chunk-offered">): void {
    const job = this.#jobs.get(key);
    if (job === undefined || job.chunks.has(chunk)) return;
    const item = (): ItemFacts => ({ state: "open", attempt: 0, errors: 0, deaths: 0, losses: 0, placedIn: undefined });
    job.chunks.set(chunk, Array.from({ length: count }, item));
  }

  #learnFinish({ assignment, outcome }: InputOf<"chunk-finished">) {
    const assign = this.#placed.get(assignment);
    if (assign === undefined) return undefined;
    this.#unplace(assign);
    const items = this.#itemsOf(assign);
    if (outcome.type === "worker-death") for (const item of items) item.deaths++;
    if (outcome.type === "item-error") for (const item of items.slice(outcome.completed).slice(0, 1)) item.errors++;
    if (outcome.type === "not-started" && outcome.fault !== undefined) this.#faults++;
    return { assign, outcome };
  }

  #learnNode(
    input: InputOf<
      "node-joined" | "credit-granted" | "node-silent" | "node-cordoned" | "node-drain-requested" | "node-lost"
    >,
  ): void {
    const node = this.#nodes.get(input.node);
    if (input.type === "node-joined") {
      if (node !== undefined || this.#lostNodes.has(input.node)) return;
      const flags = { silent: false, cordoned: false, draining: false, drained: false };
      const given = { live: new Map(), jobs: new Set<JobKey>(), pools: new Set<PoolKey>() };
      this.#nodes.set(input.node, { slots: input.slots, credit: 0, ...flags, ...given });
      return;
    }
    if (node === undefined) return;
    if (input.type === "credit-granted") node.credit = input.chunks;
    if (input.type === "node-silent") node.silent = input.silent;
    if (input.type === "node-cordoned") node.cordoned = input.cordoned;
    if (input.type === "node-drain-requested") node.draining = true;
    if (input.type !== "node-lost") return;
    this.#nodes.delete(input.node);
    this.#lostNodes.add(input.node);
    for (const assign of node.live.values()) {
      this.#unplace(assign);
      for (const item of this.#itemsOf(assign)) item.losses++;
    }
  }

  #judge(effect: Effect, finished: { assign: EffectOf<"assign-chunk">; outcome: Outcome } | undefined): void {
    switch (effect.type) {
      case "assign-chunk":
        this.#judgeAssign(effect);
        return;
      case "revoke-chunk":
        demand(this.#nodes.get(effect.node)?.live.has(effect.assignment), `revoke of ${effect.assignment}, not live`);
        return;
      case "deliver-span":
        this.#judgeDelivery(effect, finished);
        return;
      case "fail-item":
        this.#judgeFailure(effect, finished?.assign);
        return;
      case "end-job":
        this.#judgeEnd(effect);
        return;
      case "release-chunk":
        this.#judgeRelease(effect);
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
        demand(node?.draining && !node.drained && node.live.size === 0, `node ${effect.node} is not just drained`);
        if (node !== undefined) node.drained = true;
        return;
      }
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
    demand(node && !node.silent && !node.cordoned && !node.draining, `${what} to node ${effect.node}, not ready`);
    demand(job && job.ended === undefined && job.failedItems === 0, `${what} of job ${effect.job}, which is over`);
    if (node === undefined || job === undefined) return;
    demand(assignment > this.#lastAssignment, `${what} was used before`);
    this.#lastAssignment = assignment;
    demand(this.#sharesRoom(node, job) < node.credit, `${what} is beyond the credit of ${node.credit}`);
    demand(!job.released.has(effect.chunk), `${what} of a released chunk`);
    const pool = this.#pools.get(job.pool);
    demand(pool && !pool.closed, `${what} of a closed pool`);
    demand(poolSlots >= 1 && poolSlots <= Math.min(node.slots, pool?.slotsMax ?? node.slots), `${what} has no share`);
    const throttled = pool !== undefined && this.#clients.get(pool.client)?.throttled === true;
    demand(!throttled || attempt > 1, `${what} is new work for a throttled client`);
    const items = this.#itemsOf(effect);
    const isSuspect = items.length === 1 && items.every((item) => item.deaths + item.losses > 0);
    demand(!effect.fresh || isSuspect, `${what} wants a fresh worker for no suspect`);
    for (const item of items) {
      demand(item.state === "open" && item.placedIn === undefined, `${what} runs what is done or running`);
      demand(attempt > item.attempt, `${what} does not raise the attempt`);
      item.attempt = attempt;
      item.placedIn = assignment;
    }
    this.#placed.set(assignment, effect);
    node.live.set(assignment, effect);
    node.jobs.add(effect.job);
    node.pools.add(job.pool);
  }

  /** What a node holds that takes room from a job: all that is from outside, or all of its own pool for a job of a task. */
  #sharesRoom(node: NodeFacts, job: JobFacts): number {
    const jobs = node.live.values().map((assign) => this.#jobs.get(assign.job));
    return jobs.filter((other) => (job.depth > 0 ? other?.pool === job.pool : other?.depth === 0)).toArray().length;
  }

  #judgeDelivery(
    effect: EffectOf<"deliver-span">,
    finished: { assign: EffectOf<"assign-chunk">; outcome: Outcome } | undefined,
  ): void {
    const what = `delivery of ${effect.job}/${effect.chunk} ${effect.offset}+${effect.count}`;
    demand(finished?.assign.assignment === effect.assignment, `${what} from an assignment that did not just finish`);
    if (finished === undefined) return;
    const { assign, outcome } = finished;
    const done = outcome.type === "done" ? assign.count : outcome.type === "item-error" ? outcome.completed : 0;
    demand(effect.job === assign.job && effect.chunk === assign.chunk, `${what} is another chunk's`);
    demand(effect.offset === assign.offset && effect.count === done, `${what} is not what ran`);
    this.#judgeOpen(effect.job, what);
    for (const item of this.#itemsOf(effect)) {
      demand(item.state === "open", `${what}: an item has its outcome already (${item.state})`);
      item.state = "delivered";
    }
  }

  #judgeFailure(effect: EffectOf<"fail-item">, finished: EffectOf<"assign-chunk"> | undefined): void {
    const { job: key, chunk, offset, cause } = effect;
    const what = `failure of ${key}/${chunk}/${offset} by ${cause}`;
    const job = this.#judgeOpen(key, what);
    const item = job?.chunks.get(chunk)?.[offset];
    demand(job !== undefined && item?.state === "open", `${what}: not open`);
    if (job === undefined || item === undefined) return;
    item.state = "failed";
    job.failedItems++;
    if (cause === "item-error") demand(item.errors === job.retries + 1, `${what}: ${item.errors} errors`);
    const blamed = item.deaths + Math.max(0, item.losses - 2); // from the third on, a lost node counts as a death
    const told = `${what}: ${item.deaths} deaths, ${item.losses} losses`;
    if (cause === "node-loss") demand(item.losses >= 3 && blamed >= 2, told);
    if (cause === "worker-death") {
      demand(item.deaths >= 1 && blamed >= 2, told);
      demand(finished?.fresh === true && finished.count === 1, `${what}: not alone in a fresh worker`);
      demand(this.#truth.isPoison?.(key, chunk, offset) ?? true, `${what}: it is innocent`);
    }
  }

  #judgeEnd({ job: key, outcome, fault }: EffectOf<"end-job">): void {
    const what = `end of job ${key} as ${outcome}`;
    const job = this.#judgeOpen(key, what);
    if (job === undefined) return;
    job.ended = outcome;
    if (outcome === "cancelled") demand(job.cancelRequested, `${what}: nobody asked`);
    if (outcome === "failed") {
      demand(job.failedItems > 0 || fault !== undefined, `${what}: nothing failed`);
      demand(fault === undefined || this.#faults >= 5, `${what}: after ${this.#faults} faults`);
    }
    for (const [chunk, items] of job.chunks) {
      demand(job.released.has(chunk), `${what}: chunk ${chunk} is not released`);
      const delivered = items.every((item) => item.state === "delivered");
      demand(outcome !== "done" || delivered, `${what}: chunk ${chunk} has items without a result`);
    }
  }

  #judgeRelease({ job: key, chunk }: EffectOf<"release-chunk">): void {
    const job = this.#jobs.get(key);
    if (job === undefined || job.ended !== undefined) return; // offered too late: released each time
    demand(!job.released.has(chunk), `chunk ${key}/${chunk} is released twice`);
    job.released.add(chunk);
    const wanted = (item: ItemFacts): boolean => item.state === "open" && !job.cancelRequested && job.failedItems === 0;
    const inUse = job.chunks.get(chunk)?.some(wanted) === true && this.#faults < 5;
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

  #checkNodes(views: readonly NodeView[]): void {
    let [slots, ready] = [0, 0];
    for (const node of this.#nodes.values()) {
      if (node.silent || node.cordoned || node.draining) continue;
      slots += node.slots;
      ready++;
    }
    demand(this.#announced.slots === slots && this.#announced.nodes === ready, "the announced capacity is stale");
    demand(views.length === this.#nodes.size, "the nodes shown are those that joined and were not lost");
    for (const view of views) {
      demand(view.chunks === this.#nodes.get(view.node)?.live.size, `node ${view.node} shows a wrong count`);
    }
  }

  #itemsOf(span: { job: JobKey; chunk: number; offset: number; count: number }): ItemFacts[] {
    const items =
      this.#jobs
        .get(span.job)
        ?.chunks.get(span.chunk)
        ?.slice(span.offset, span.offset + span.count) ?? [];
    demand(items.length === span.count, `${span.job}/${span.chunk} has no items ${span.offset}+${span.count}`);
    return items;
  }

  #unplace(assign: EffectOf<"assign-chunk">): void {
    this.#placed.delete(assign.assignment);
    this.#nodes.get(assign.node)?.live.delete(assign.assignment);
    for (const item of this.#itemsOf(assign)) item.placedIn = undefined;
  }
}

function demand(ok: unknown, broken: string): void {
  if (ok !== true) throw new PromiseBroken(broken);
}
