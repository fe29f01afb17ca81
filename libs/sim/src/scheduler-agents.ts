import type { AssignmentId, Effect, Input, JobKey, NodeKey, Outcome } from "@heddle/core-scheduler";
import type { Millis, Random } from "@heddle/kernel";
import type { SwarmOptions } from "./scheduler-faults.ts";

type Assign = Extract<Effect, { readonly type: "assign-chunk" }>;

/** What the coordinator sends to a node. */
export type ToNode = Extract<Effect, { readonly type: "assign-chunk" | "revoke-chunk" }>;
/** What a node sends to the coordinator. */
export type FromNode = Extract<Input, { readonly type: "credit-granted" | "chunk-started" | "chunk-finished" }>;

/** The user code of the run: what each item does when it runs. Written by the items themselves, as user code has state. */
export interface Workload {
  /** poison: the worker dies. error: it throws. */
  run(job: JobKey, chunk: number, offset: number): "ok" | "error" | "overdue" | "poison";
}

/** What a node has beside slots. */
export type Equipment = Pick<Extract<Input, { readonly type: "node-joined" }>, "labels" | "resources">;

/** What an agent needs of the world around it. */
export interface AgentWorld {
  readonly options: SwarmOptions;
  readonly random: Random;
  readonly workload: Workload;
  /** Whether faults still happen. */
  readonly faulty: boolean;
  after(delayMs: Millis, run: () => void): void;
  send(agent: ModelAgent, message: FromNode): void;
}

interface Held {
  readonly assign: Assign;
  running: boolean;
}

/** One life of a modelled agent: a queue, `slots` workers, items that take time, throw or kill. Its node key ends with it. */
export class ModelAgent {
  readonly key: NodeKey;
  readonly slots: number;
  readonly credit: number;
  readonly equipment: Equipment;
  /** The machine is gone: nothing that was planned happens. */
  dead = false;
  /** Its workers die, whatever they run, as long as faults happen. */
  readonly isSick: boolean;
  /** It cannot start workers until then. */
  brokenUntilMs = 0;
  readonly #world: AgentWorld;
  readonly #held = new Map<AssignmentId, Held>();
  /** Everything it ever heard of, so that repetitions and revokes that come first are understood. */
  readonly #seen = new Set<AssignmentId>();
  #running = 0;

  constructor(world: AgentWorld, key: NodeKey, equipment: Equipment, isSick: boolean) {
    this.isSick = isSick;
    this.equipment = equipment;
    this.#world = world;
    this.key = key;
    this.slots = 1 + world.random.int(world.options.slotsMax);
    this.credit = this.slots + world.random.int(world.options.prefetchMax + 1);
  }

  grant(): void {
    this.#world.send(this, { type: "credit-granted", node: this.key, chunks: this.credit });
  }

  receive(message: ToNode, nowMs: Millis): void {
    if (this.dead) return;
    if (message.type === "revoke-chunk") this.#revoke(message.assignment, message.stop);
    else if (!this.#seen.has(message.assignment)) {
      this.#seen.add(message.assignment);
      this.#held.set(message.assignment, { assign: message, running: false });
    }
    this.#startNext(nowMs);
  }

  #revoke(id: AssignmentId, stop: boolean): void {
    const held = this.#held.get(id);
    if (held === undefined && this.#seen.has(id)) return; // already finished
    this.#seen.add(id);
    if (held?.running === true && !stop) return;
    this.#finish(id, held?.running === true ? { type: "stopped" } : { type: "not-started", fault: undefined }, 0);
  }

  #startNext(nowMs: Millis): void {
    for (const [id, held] of this.#held) {
      if (this.#running === this.slots) return;
      if (held.running) continue;
      if (this.#world.faulty && nowMs < this.brokenUntilMs) {
        this.#finish(id, { type: "not-started", fault: "no memory for a worker" }, 0);
        continue;
      }
      if (this.#world.faulty && this.#world.random.float() < this.#world.options.initFailures) {
        this.#finish(id, { type: "init-failed", fault: "no database" }, 0);
        continue;
      }
      held.running = true;
      this.#running++;
      this.#run(held.assign, nowMs);
    }
  }

  /** Decides how the span will end, and lets it end then. Code that is revoked or lost meanwhile has run all the same. */
  #run(assign: Assign, nowMs: Millis): void {
    const { random, options } = this.#world;
    if (random.float() < 0.5) this.#world.send(this, { type: "chunk-started", assignment: assign.assignment });
    const stopsAt = random.float() < options.parts ? random.int(assign.count) : -1;
    const isKilled = this.#world.faulty && (this.isSick || random.float() < options.kills);
    const killedAt = isKilled ? random.int(assign.count) : -1;
    const straggles = options.stragglers > 0 && random.float() < options.stragglers;
    let runMs = straggles ? random.int(4_000) : 0;
    let bytes = 0;
    let outcome: Outcome = { type: "done", bytes };
    for (let at = 0; at < assign.count && outcome.type === "done"; at++) {
      if (at === stopsAt) {
        outcome = { type: "part-done", completed: at, bytes };
        break;
      }
      const offset = assign.offset + at;
      runMs += random.int(options.itemMsMax) + 1;
      const fate = at === killedAt ? "poison" : this.#world.workload.run(assign.job, assign.chunk, offset);
      if (fate === "error") outcome = { type: "item-error", completed: at, bytes };
      if (fate === "overdue") outcome = { type: "item-overdue", offset };
      if (fate === "poison") outcome = { type: "worker-death", markedOffset: this.#mark(assign, offset) };
      bytes += offset % 7;
      if (outcome.type === "done") outcome = { type: "done", bytes };
    }
    this.#world.after(runMs, () => {
      if (this.dead || this.#held.get(assign.assignment)?.running !== true) return;
      this.#finish(assign.assignment, outcome, runMs);
      this.#startNext(nowMs + runMs);
    });
  }

  #mark(assign: Assign, offset: number): number | undefined {
    const { random, options, faulty } = this.#world;
    return assign.marks && !(faulty && random.float() < options.markLoss) ? offset : undefined;
  }

  #finish(id: AssignmentId, outcome: Outcome, runMs: Millis): void {
    if (this.#held.get(id)?.running === true) this.#running--;
    this.#held.delete(id);
    this.#world.send(this, { type: "chunk-finished", assignment: id, outcome, runMs });
  }
}

/** One life of a node as the coordinator's side sees it: the agent and the link to it. */
export interface NodeLife {
  readonly agent: ModelAgent;
  /** The link is broken: what is sent waits. */
  broken: boolean;
  /** The core was told that it is lost. */
  lost: boolean;
  /** Its agent ends when nothing is left. */
  leaving: boolean;
  /** What waits for the link to heal, in order. */
  readonly waiting: (() => void)[];
  /** Stream model: nothing arrives before what was sent earlier, by direction. */
  readonly arrivedMs: [toNode: Millis, fromNode: Millis];
}

/** One that has just joined. */
export function newLife(agent: ModelAgent): NodeLife {
  return { agent, broken: false, lost: false, leaving: false, waiting: [], arrivedMs: [0, 0] };
}
