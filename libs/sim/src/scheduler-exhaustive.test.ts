import {
  type AssignmentId,
  type ClientKey,
  type Effect,
  type Input,
  type JobKey,
  type NodeKey,
  type Outcome,
  type PoolKey,
  SCHEDULER_LIMITS,
  Scheduler,
} from "@heddle/core-scheduler";
import { expect, test } from "vitest";
import { SchedulerOracle } from "./scheduler-oracle.ts";

/** Every sequence of `depth` events is tried; then the rest of the job runs undisturbed. */
interface Scope {
  readonly depth: number;
  /** The job collects, and items may also be overdue, spans come back in part and the initializer fail. */
  readonly whole: boolean;
  /** Either node may also be drained, with time or without, and uncordoned. */
  readonly drains: boolean;
  /** What runs is backed up after a millisecond, once one chunk is done: every chunk says when it begins. */
  readonly speculates: boolean;
}

const [client, pool, job] = [1 as ClientKey, 1 as PoolKey, 1 as JobKey];

/** A job without anything special, and a node. */
const plain = { collect: false, unreadBytesMax: undefined, ordered: false, requirements: undefined };
const bare = { labels: new Map<string, string>(), resources: new Map<string, number>() };

/*
 * Small scope, all of it: one job of two chunks (two items and one), one retry, two nodes of one slot. At each point every live assignment
 * may be done, throw, or lose its worker with or without a mark; either node may be lost (and joins anew), the last answer may come again,
 * that of the last lost assignment may come late, and the client may cancel.
 */
test.each<Scope & { ends: readonly string[] }>([
  { depth: 5, whole: false, drains: false, speculates: false, ends: ["cancelled", "done", "failed"] },
  { depth: 4, whole: true, drains: false, speculates: false, ends: ["cancelled", "done", "failed"] },
  { depth: 4, whole: false, drains: true, speculates: false, ends: ["cancelled", "done", "failed"] },
  { depth: 5, whole: false, drains: false, speculates: true, ends: ["cancelled", "done", "failed"] },
  { depth: 4, whole: false, drains: true, speculates: true, ends: ["cancelled", "done", "failed"] },
])(
  "every order of $depth events keeps every promise, and the job ends (whole pool: $whole, drains: $drains, speculation: $speculates)",
  (scope) => {
    const ends = new Map<string, number>();
    let runs = 0;
    const explore = (path: readonly number[]): void => {
      const moves = replay(path, scope).moves().length;
      for (let move = 0; move < moves; move++) {
        const longer = [...path, move];
        const table = replay(longer, scope);
        if (table.end === undefined && longer.length < scope.depth) explore(longer);
        const end = table.finish();
        ends.set(end, (ends.get(end) ?? 0) + 1);
        runs++;
      }
    };
    explore([]);
    expect(runs).toBeGreaterThan(10_000);
    expect([...ends.keys()].sort()).toEqual(scope.ends);
  },
);

function replay(path: readonly number[], scope: Scope): Table {
  const table = new Table(scope);
  for (const [at, move] of path.entries()) {
    table.checked = at === path.length - 1; // the shorter paths were checked before
    table.play(move);
  }
  return table;
}

/** One scheduler on the table, and the moves that the world may make. */
class Table {
  /** Whether the core checks itself after each step. */
  checked = false;
  readonly #core: Scheduler;
  readonly #oracle = new SchedulerOracle({ isPoison: undefined, unschedulableMs: SCHEDULER_LIMITS.unschedulableMs });
  readonly #live = new Map<AssignmentId, Extract<Effect, { type: "assign-chunk" }>>();
  readonly #nodes: NodeKey[] = [];
  /** Those that were told to stop: they may say that they have. */
  readonly #stopped = new Set<AssignmentId>();
  readonly #path: Input[] = [];
  #lastAnswer: Input | undefined;
  #lastLost: AssignmentId | undefined;
  #timerMs: number | undefined;
  #nowMs = 0;
  #lastNode = 0;

  readonly #whole: boolean;
  readonly #drains: boolean;
  readonly #speculates: boolean;

  constructor({ whole, drains, speculates }: Scope) {
    this.#whole = whole;
    this.#drains = drains;
    this.#speculates = speculates;
    const limits = speculates ? { backupMinMs: 1, backupAnswersMin: 1, backupMedianFactor: 0 } : {};
    this.#core = new Scheduler({ random: { float: () => 0.5, int: (bound) => bound >> 1 }, limits });
    this.#feed({ type: "client-joined", client });
    this.#feed({ type: "pool-opened", pool, client, slotsMax: undefined, requirements: undefined });
    this.#feed({
      type: "job-opened",
      job,
      pool,
      retries: 1,
      depth: 0,
      ...plain,
      collect: whole,
      speculate: speculates,
    });
    this.#feed({ type: "chunk-offered", job, chunk: 0, count: 2, grain: whole ? 1 : 0 });
    this.#feed({ type: "chunk-offered", job, chunk: 1, count: 1, grain: 0 });
    this.#feed({ type: "job-sealed", job, chunks: 2 });
    this.#joinNode();
    this.#joinNode();
  }

  get end(): string | undefined {
    return this.#oracle.endOf(job);
  }

  /** What may happen now. */
  moves(): Input[] {
    const moves: Input[] = [{ type: "job-cancel-requested", job }];
    if (this.#timerMs !== undefined) moves.push({ type: "timer-fired" });
    for (const node of this.#nodes) moves.push({ type: "node-lost", node });
    if (this.#drains) for (const node of this.#nodes) moves.push(...drainMoves(node));
    if (this.#lastAnswer !== undefined) moves.push(this.#lastAnswer);
    if (this.#lastLost !== undefined) moves.push(answer(this.#lastLost, { type: "done", bytes: 0 }));
    for (const [id, { offset, count }] of this.#live) {
      moves.push(answer(id, { type: "done", bytes: 0 }));
      moves.push(answer(id, { type: "item-error", completed: count - 1, bytes: 0 }));
      moves.push(answer(id, { type: "worker-death", markedOffset: undefined }));
      if (this.#drains && this.#stopped.has(id)) moves.push(answer(id, { type: "stopped" }));
      if (this.#whole) {
        moves.push(answer(id, { type: "part-done", completed: count - 1, bytes: 0 }));
        moves.push(answer(id, { type: "item-overdue", offset }));
        moves.push(answer(id, { type: "init-failed", fault: "no database" }));
      }
      moves.push(answer(id, { type: "worker-death", markedOffset: offset + count - 1 }));
    }
    return moves;
  }

  play(at: number): void {
    const move = this.moves()[at];
    if (move !== undefined) this.#feed(move);
  }

  /** Everything goes well from here on: the job must end. */
  finish(): string {
    this.checked = false;
    for (let round = 0; round < 50 && (this.end === undefined || this.#live.size > 0); round++) {
      if (this.#drains) for (const node of this.#nodes) this.#feed({ type: "node-cordoned", node, cordoned: false });
      for (const id of [...this.#live.keys()]) this.#feed(answer(id, { type: "done", bytes: 0 }));
      this.#feed({ type: "timer-fired" });
    }
    const told = JSON.stringify(this.#path.slice(10));
    if (this.end === undefined || this.#core.jobs().length > 0) throw new Error(`no end after ${told}`);
    this.#core.validate();
    this.#oracle.checkQuiet();
    return this.end;
  }

  #feed(input: Input): void {
    this.#path.push(input);
    if (input.type === "timer-fired" && this.#timerMs !== undefined) {
      this.#nowMs = Math.max(this.#nowMs, this.#timerMs);
      this.#timerMs = undefined;
    }
    this.#note(input);
    const effects = this.#core.step(this.#nowMs, input);
    try {
      if (this.checked) this.#core.validate();
      this.#oracle.observe(this.#nowMs, input, effects, this.#core.nodes());
    } catch (error) {
      throw new Error(`after ${JSON.stringify(this.#path.slice(10))}`, { cause: error });
    }
    for (const effect of effects) {
      if (effect.type === "assign-chunk") this.#live.set(effect.assignment, effect);
      if (effect.type === "revoke-chunk" && effect.stop) this.#stopped.add(effect.assignment);
      if (effect.type === "set-timer") this.#timerMs = effect.atMs;
    }
    if (input.type === "node-lost") this.#joinNode();
    if (!this.#speculates) return;
    for (const effect of effects)
      if (effect.type === "assign-chunk") this.#feed({ type: "chunk-started", assignment: effect.assignment });
  }

  #note(input: Input): void {
    if (input.type === "chunk-finished" && this.#live.delete(input.assignment)) this.#lastAnswer = input;
    if (input.type !== "node-lost") return;
    this.#nodes.splice(this.#nodes.indexOf(input.node), 1);
    for (const [id, { node }] of this.#live) {
      if (node !== input.node) continue;
      this.#live.delete(id);
      this.#lastLost = id;
    }
  }

  #joinNode(): void {
    const node = ++this.#lastNode as NodeKey;
    this.#nodes.push(node);
    this.#feed({ type: "node-joined", node, slots: 1, ...bare });
    this.#feed({ type: "credit-granted", node, chunks: 1 });
  }
}

function drainMoves(node: NodeKey): Input[] {
  const drain = (stopAfterMs: number): Input => ({ type: "node-drain-requested", node, stopAfterMs });
  return [drain(0), drain(5), { type: "node-cordoned", node, cordoned: false }];
}

function answer(assignment: AssignmentId, outcome: Outcome): Input {
  return { type: "chunk-finished", assignment, outcome, runMs: 10 };
}
