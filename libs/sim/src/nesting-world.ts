import {
  type Assignment,
  type JobNumber,
  type Effect as PoolEffect,
  type Input as PoolInput,
  type PoolNumber,
  type PoolOptions,
  type WorkerKey,
  WorkerPool,
} from "@heddle/core-pool";
import {
  type AssignmentId,
  type ClientKey,
  type Effect,
  type Input,
  type JobKey,
  type NodeKey,
  type PoolKey,
  Scheduler,
  type SchedulerOptions,
} from "@heddle/core-scheduler";
import { assert, type Random, seededRandom } from "@heddle/kernel";

/** A job without anything special, and a node. */
const plain = { collect: false, unreadBytesMax: undefined, ordered: false, requirements: undefined };
const bare = { labels: new Map<string, string>(), resources: new Map<string, number>() };

/** What a nesting world is made of. */
export interface NestingPlan {
  readonly seed: number;
  readonly nodes: number;
  readonly slots: number;
  /** Levels of tasks: a task of the last one calls nothing. */
  readonly depth: number;
  /** Chunks of each call. */
  readonly width: number;
  /** Of the first call, when not as many. */
  readonly widthFirst?: number;
  /** Bound of slots of each pool that a task makes; undefined for none. */
  readonly processes: number | undefined;
  /** A worker dies at about one step in so many; 0 for never. */
  readonly deathEvery: number;
  /** The first call's client leaves at about one step in so many; 0 for never. */
  readonly cancelEvery?: number;
  /** Other calls from outside that run meanwhile, of so many chunks, which call nothing. */
  readonly strangers?: number;
  /** Chunks run so long at most: short ones are sent ahead. */
  readonly runMsMost?: number;
  /** Plants bugs; the real cores by default. */
  readonly makeScheduler?: (options: SchedulerOptions) => Pick<Scheduler, "step" | "validate">;
  readonly makePool?: (options: PoolOptions) => Pick<WorkerPool, "step" | "validate">;
  /** Draws what happens next; from the seed by default. */
  readonly draw?: (bound: number) => number;
}

interface Task {
  readonly job: Call;
  readonly node: Node;
  readonly assignment: Assignment;
  state: "sent" | "waiting" | "answered";
}

interface Call {
  readonly key: JobKey;
  readonly pool: PoolKey;
  readonly client: ClientKey;
  readonly depth: number;
  /** Its tasks call nothing. */
  readonly isStranger: boolean;
  /** Who waits for it; undefined for the first call. */
  readonly caller: { readonly node: Node; readonly worker: WorkerKey; readonly task: Task } | undefined;
  isOver: boolean;
  /** Its client is gone, or has everything: nothing that comes later matters. */
  hasLeft: boolean;
}

interface Node {
  readonly key: NodeKey;
  readonly core: Pick<WorkerPool, "step" | "validate">;
  /** On their way to the node, and from it to the coordinator; each in order. */
  readonly down: Act[];
  readonly up: Act[];
  readonly workers: Map<WorkerKey, Task[]>;
  readonly spawning: Set<WorkerKey>;
  readonly dying: Set<WorkerKey>;
  readonly skips: Set<Assignment>;
  readonly described: Set<JobKey>;
  timerMs: number | undefined;
}

type Act = () => void;

/**
 * Both cores with tasks that call tasks. Whatever can happen may be next: a message arrives, in its order, a worker is ready, goes or dies,
 * a task calls, goes on or ends.
 */
export class NestingWorld {
  readonly #plan: NestingPlan;
  readonly #random: Random;
  readonly #draw: (bound: number) => number;
  readonly #scheduler: Pick<Scheduler, "step" | "validate">;
  readonly #nodes: Node[] = [];
  readonly #calls = new Map<JobKey, Call>();
  readonly #tasks = new Map<AssignmentId, Task>();
  readonly #facts: (() => void)[] = [];
  #nowMs = 0;
  #keys = 0;
  #timerMs: number | undefined;
  /** Most live workers seen on a node. */
  workersMost = 0;
  /** Tasks that ran to their end. */
  finished = 0;

  constructor(plan: NestingPlan) {
    this.#plan = plan;
    this.#random = seededRandom(plan.seed);
    this.#draw = plan.draw ?? ((bound) => this.#random.int(bound));
    const make = plan.makeScheduler ?? ((options) => new Scheduler(options));
    this.#scheduler = make({ random: seededRandom(plan.seed, "jitter") });
    for (let at = 0; at < plan.nodes; at++) this.#join();
  }

  /**
   * Runs the first call to its end, and the strangers' to theirs. Throws when nothing can happen any more before that. Returns
   * the steps after which each call from outside was over, the first call's first.
   */
  run(): readonly number[] {
    const calls = [this.#open(0, undefined, this.#plan.widthFirst ?? this.#plan.width)];
    const { strangers = 0, cancelEvery = 0 } = this.#plan;
    if (strangers > 0) calls.push(this.#open(0, undefined, strangers));
    const overAt = calls.map(() => 0);
    for (let steps = 1; calls.some((call) => !call.isOver); steps++) {
      assert(steps < 200_000, "a world of this size ends");
      if (cancelEvery > 0 && calls[0]?.isOver === false && this.#draw(cancelEvery) === 0) this.#cancel(calls[0]);
      this.#act();
      for (const [at, call] of calls.entries()) if (call.isOver) overAt[at] ||= steps;
    }
    this.#settle();
    return overAt;
  }

  /** Everything that is left over arrives: no worker may be busy then. */
  #settle(): void {
    for (let steps = 0; this.#nodes.some((node) => this.#actsOf(node).length > 0); steps++) {
      assert(steps < 200_000, "what is left over ends");
      this.#act(false);
    }
    for (const { workers } of this.#nodes)
      for (const tasks of workers.values()) assert(tasks.length === 0, "no task is left when all calls are over");
  }

  /** The first call's client is gone. */
  #cancel(call: Call): void {
    call.isOver = true;
    this.#leave(call);
  }

  #act(mayDie = true): void {
    const acts = this.#nodes.flatMap((node) => this.#actsOf(node));
    const { deathEvery } = this.#plan;
    if (mayDie && deathEvery > 0 && this.#draw(deathEvery) === 0) return this.#kill();
    const act = acts.length === 0 ? undefined : acts[acts.length === 1 ? 0 : this.#draw(acts.length)];
    if (act === undefined) return this.#passTime();
    act();
    this.#scheduler.validate();
    for (const { core, workers } of this.#nodes) {
      core.validate();
      this.workersMost = Math.max(this.workersMost, workers.size);
    }
  }

  #actsOf(node: Node): Act[] {
    const acts: Act[] = [];
    for (const lane of [node.down, node.up]) if (lane.length > 0) acts.push(() => lane.shift()?.());
    for (const worker of node.spawning) acts.push(() => this.#ready(node, worker));
    for (const worker of node.dying) acts.push(() => this.#exit(node, worker));
    for (const [worker, tasks] of node.workers) {
      const head = tasks[0];
      if (head !== undefined && !node.dying.has(worker) && head.state !== "waiting")
        acts.push(() => this.#go(node, worker, head));
    }
    return acts;
  }

  #ready(node: Node, worker: WorkerKey): void {
    node.spawning.delete(worker);
    this.#feedPool(node, { type: "worker-ready", worker });
  }

  #exit(node: Node, worker: WorkerKey): void {
    node.dying.delete(worker);
    node.spawning.delete(worker);
    const tasks = node.workers.get(worker) ?? [];
    node.workers.delete(worker);
    for (const call of this.#calls.values())
      if (call.caller?.worker === worker && call.caller.node === node) node.up.push(() => this.#leave(call));
    const mark = tasks[0] === undefined ? null : { assignment: tasks[0].assignment, offset: 0 };
    this.#feedPool(node, { type: "worker-exited", worker, mark, fault: undefined });
  }

  /** The head goes on by one step: it is left out as asked, calls, or ends. */
  #go(node: Node, worker: WorkerKey, task: Task): void {
    const { assignment, job } = task;
    if (task.state === "sent" && node.skips.has(assignment)) return this.#answer(node, worker, task, true);
    if (task.state === "sent" && job.depth < this.#plan.depth && !job.isStranger) {
      task.state = "waiting";
      this.#feedPool(node, { type: "task-waiting", worker, waiting: true });
      this.#open(job.depth + 1, { node, worker, task }, this.#plan.width);
      return;
    }
    this.finished++;
    this.#answer(node, worker, task, false);
  }

  #answer(node: Node, worker: WorkerKey, task: Task, skipped: boolean): void {
    const tasks = node.workers.get(worker);
    tasks?.splice(tasks.indexOf(task), 1);
    node.skips.delete(task.assignment);
    const { assignment } = task;
    this.#feedPool(node, {
      type: "chunk-returned",
      worker,
      assignment,
      skipped,
      runMs: this.#random.float() * (this.#plan.runMsMost ?? 40),
    });
  }

  #kill(): void {
    const node = this.#nodes[this.#draw(this.#nodes.length)];
    const workers = [...(node?.workers.keys() ?? [])];
    const worker = workers[workers.length === 0 ? 0 : this.#draw(workers.length)];
    if (node !== undefined && worker !== undefined) this.#exit(node, worker);
  }

  #passTime(): void {
    const timers = [this.#timerMs, ...this.#nodes.map(({ timerMs }) => timerMs)].filter((at) => at !== undefined);
    assert(timers.length > 0, "nothing can happen any more, and the call is not over");
    this.#nowMs = Math.max(this.#nowMs, Math.min(...timers));
    if (this.#timerMs !== undefined && this.#timerMs <= this.#nowMs) {
      this.#timerMs = undefined;
      this.#feed({ type: "timer-fired" });
    }
    for (const node of this.#nodes) {
      if (node.timerMs === undefined || node.timerMs > this.#nowMs) continue;
      node.timerMs = undefined;
      this.#feedPool(node, { type: "timer-fired" });
    }
  }

  #join(): void {
    const { slots } = this.#plan;
    const node: Node = {
      key: ++this.#keys as NodeKey,
      core: this.#plan.makePool?.({ slots }) ?? new WorkerPool({ slots }),
      down: [],
      up: [],
      workers: new Map(),
      spawning: new Set(),
      dying: new Set(),
      skips: new Set(),
      described: new Set(),
      timerMs: undefined,
    };
    this.#nodes.push(node);
    this.#feed({ type: "node-joined", node: node.key, slots, ...bare });
    this.#feedPool(node, { type: "started" });
  }

  /** Every call is of a client and a pool of its own. */
  #open(depth: number, caller: Call["caller"], width: number): Call {
    const client = ++this.#keys as ClientKey;
    const pool = ++this.#keys as PoolKey;
    const job = ++this.#keys as JobKey;
    const isStranger = depth === 0 && this.#calls.size > 0;
    const call: Call = { key: job, pool, client, depth, isStranger, caller, isOver: false, hasLeft: false };
    this.#calls.set(job, call);
    const offer = (): void => {
      if (!call.hasLeft) this.#offer(call, client, width);
    };
    if (caller === undefined) offer();
    else caller.node.up.push(offer);
    return call;
  }

  #offer({ key: job, pool, depth }: Call, client: ClientKey, width: number): void {
    const { processes } = this.#plan;
    this.#feed({ type: "client-joined", client });
    this.#feed({
      type: "pool-opened",
      pool,
      client,
      slotsMax: depth === 0 ? undefined : processes,
      requirements: undefined,
    });
    this.#feed({ type: "job-opened", job, pool, retries: 0, depth, ...plain });
    for (let chunk = 0; chunk < width; chunk++) this.#feed({ type: "chunk-offered", job, chunk, count: 1, grain: 0 });
    this.#feed({ type: "job-sealed", job, chunks: width });
  }

  #leave(call: Call): void {
    if (call.hasLeft) return;
    call.hasLeft = true;
    this.#feed({ type: "client-left", client: call.client });
  }

  #ended(job: JobKey, outcome: string): void {
    const call = this.#calls.get(job);
    if (call === undefined || call.hasLeft) return;
    call.isOver = true;
    const isCalm = this.#plan.deathEvery === 0 && !this.#plan.cancelEvery;
    assert(outcome === "done" || !isCalm, `a call ended as ${outcome}`);
    this.#leave(call);
    const { caller } = call;
    caller?.node.down.push(() => this.#goesOn(caller.node, caller.worker, caller.task));
  }

  /** What a task waited for is there. */
  #goesOn(node: Node, worker: WorkerKey, task: Task): void {
    if (!node.workers.get(worker)?.includes(task)) return;
    task.state = "answered";
    this.#feedPool(node, { type: "task-waiting", worker, waiting: false });
  }

  #feed(input: Input): void {
    this.#post(() => {
      for (const effect of this.#scheduler.step(this.#nowMs, input)) this.#perform(effect);
    });
  }

  /** Facts in the order in which they came about, each with all its wishes before the next. */
  #post(fact: () => void): void {
    this.#facts.push(fact);
    if (this.#facts.length > 1) return;
    for (let next = this.#facts[0]; next !== undefined; next = this.#facts[0]) {
      next();
      this.#facts.shift();
    }
  }

  #perform(effect: Effect): void {
    switch (effect.type) {
      case "assign-chunk":
        return this.#assign(effect);
      case "revoke-chunk": {
        const assignment = effect.assignment as number as Assignment;
        return this.#tell(effect.node, { type: "revoke-requested", assignment, stop: effect.stop });
      }
      case "forget-job":
        return this.#tell(effect.node, { type: "job-forgotten", job: effect.job as number as JobNumber });
      case "retire-pool":
        return this.#tell(effect.node, { type: "pool-retired", pool: effect.pool as number as PoolNumber });
      case "end-job":
        return this.#ended(effect.job, effect.outcome);
      case "set-timer":
        this.#timerMs = effect.atMs;
        return;
      default:
    }
  }

  #assign(effect: Extract<Effect, { type: "assign-chunk" }>): void {
    const node = this.#nodeOf(effect.node);
    const call = this.#calls.get(effect.job);
    assert(call !== undefined, "a known job");
    const job = effect.job as number as JobNumber;
    if (!node.described.has(effect.job)) {
      node.described.add(effect.job);
      const pool = call.pool as number as PoolNumber;
      this.#tell(node.key, { type: "job-described", job, pool, depth: call.depth });
      this.#tell(node.key, { type: "job-ready", job });
    }
    const assignment = effect.assignment as number as Assignment;
    this.#tasks.set(effect.assignment, { job: call, node, assignment, state: "sent" });
    const { poolSlots, fresh } = effect;
    this.#tell(node.key, { type: "chunk-assigned", assignment, job, poolSlots, fresh });
  }

  #tell(key: NodeKey, input: PoolInput): void {
    const node = this.#nodeOf(key);
    node.down.push(() => this.#feedPool(node, input));
  }

  #nodeOf(key: NodeKey): Node {
    const node = this.#nodes.find((one) => one.key === key);
    assert(node !== undefined, "a known node");
    return node;
  }

  #feedPool(node: Node, input: PoolInput): void {
    this.#post(() => {
      for (const effect of node.core.step(this.#nowMs, input)) this.#performPool(node, effect);
    });
  }

  #performPool(node: Node, effect: PoolEffect): void {
    const finish = (assignment: Assignment, outcome: Extract<Input, { type: "chunk-finished" }>["outcome"]): void => {
      const id = assignment as number as AssignmentId;
      this.#tasks.delete(id);
      node.up.push(() => this.#feed({ type: "chunk-finished", assignment: id, outcome, runMs: 1 }));
    };
    switch (effect.type) {
      case "spawn-worker":
        node.workers.set(effect.worker, []);
        node.spawning.add(effect.worker);
        return;
      case "run-chunk": {
        const task = this.#tasks.get(effect.assignment as number as AssignmentId);
        if (task !== undefined) {
          task.state = "sent";
          node.workers.get(effect.worker)?.push(task);
        }
        return;
      }
      case "skip-chunk":
        node.skips.add(effect.assignment);
        return;
      case "kill-worker":
        if (node.workers.has(effect.worker)) node.dying.add(effect.worker);
        return;
      case "finish-returned":
        return finish(effect.assignment, { type: "done", bytes: 0 });
      case "finish-death":
        return finish(effect.assignment, { type: "worker-death", markedOffset: effect.markedOffset });
      case "finish-not-started":
        return finish(effect.assignment, { type: "not-started", fault: effect.fault });
      case "finish-stopped":
        return finish(effect.assignment, { type: "stopped" });
      case "grant-credit":
        node.up.push(() => this.#feed({ type: "credit-granted", node: node.key, chunks: effect.chunks }));
        return;
      case "set-timer":
        node.timerMs = effect.atMs;
        return;
      default:
    }
  }
}
