import { describe, expect, test } from "vitest";
import {
  type AssignmentId,
  type ClientKey,
  type Effect,
  type JobKey,
  type NodeKey,
  type Outcome,
  type PoolKey,
  Scheduler,
  type SchedulerLimits,
} from "./index.ts";

const [client, pool, job] = [1 as ClientKey, 1 as PoolKey, 1 as JobKey];
const dies: Outcome = { type: "worker-death", markedOffset: undefined };
const cannotStart: Outcome = { type: "not-started", fault: "EAGAIN" };
const done: Outcome = { type: "done", bytes: 0 };

/** One job, nodes of one slot, and a clock. */
class Table {
  readonly core: Scheduler;
  readonly placed: Extract<Effect, { type: "assign-chunk" }>[] = [];
  readonly said: Effect[] = [];
  nowMs = 0;
  #chunks = 0;

  constructor(nodes: number, limits: Partial<SchedulerLimits> = {}) {
    this.core = new Scheduler({ random: { float: () => 0.5, int: (bound) => bound >> 1 }, limits });
    this.feed({ type: "client-joined", client });
    this.feed({ type: "pool-opened", pool, client, slotsMax: undefined, requirements: undefined });
    const plain = { collect: false, unreadBytesMax: undefined, ordered: false, requirements: undefined };
    this.feed({ type: "job-opened", job, pool, retries: 0, depth: 0, ...plain });
    for (let node = 1; node <= nodes; node++) this.join(node);
  }

  join(node: number): void {
    const bare = { labels: new Map<string, string>(), resources: new Map<string, number>() };
    this.feed({ type: "node-joined", node: node as NodeKey, slots: 1, ...bare });
    this.feed({ type: "credit-granted", node: node as NodeKey, chunks: 1 });
  }

  feed(input: Parameters<Scheduler["step"]>[1]): void {
    const effects = this.core.step(this.nowMs, input);
    this.core.validate();
    for (const effect of effects) {
      this.said.push(effect);
      if (effect.type === "assign-chunk") this.placed.push(effect);
    }
  }

  wait(ms: number): void {
    this.nowMs += ms;
    this.feed({ type: "timer-fired" });
  }

  offer(chunks: number): void {
    for (let at = 0; at < chunks; at++)
      this.feed({ type: "chunk-offered", job, chunk: this.#chunks++, count: 1, grain: 0, settled: [] });
  }

  start(node: number): void {
    this.feed({ type: "chunk-started", assignment: this.#on(node) });
  }

  /** What the node has had for longest ends so. */
  end(node: number, outcome: Outcome): void {
    const assignment = this.#on(node);
    this.#ended.add(assignment);
    this.feed({ type: "chunk-finished", assignment, outcome, runMs: 1 });
  }

  states(): string[] {
    return this.core.nodes().map(({ state }) => state);
  }

  readonly #ended = new Set<AssignmentId>();

  #on(node: number): AssignmentId {
    const found = this.placed.find((it) => it.node === node && !this.#ended.has(it.assignment));
    if (found === undefined) throw new Error(`node ${node} has nothing`);
    return found.assignment;
  }
}

describe("a node is excluded", () => {
  test("only while a third of the nodes that would take work, rounded up, goes on with it", () => {
    const table = new Table(4, { exclusionCauses: 1, exclusionRateFactor: 0 });
    table.offer(4);
    for (const node of [1, 2, 3]) table.end(node, cannotStart);
    expect(table.states()).toEqual(["excluded", "excluded", "ready", "ready"]);
  });

  test("never when it is the only one", () => {
    const table = new Table(1, { exclusionCauses: 1 });
    table.offer(1);
    table.end(1, cannotStart);
    expect(table.states()).toEqual(["ready"]);
  });

  test("and comes back before its time, the first to come back first, when others that take work go away", () => {
    const table = new Table(4, { exclusionCauses: 1, exclusionRateFactor: 0 });
    table.offer(4);
    table.end(2, cannotStart);
    table.wait(1);
    table.end(1, cannotStart);
    table.feed({ type: "node-cordoned", node: 3 as NodeKey, cordoned: true });
    expect(table.states()).toEqual(["excluded", "excluded", "cordoned", "ready"]);
    table.feed({ type: "node-lost", node: 4 as NodeKey });
    expect(table.states()).toEqual(["excluded", "ready", "cordoned"]);
    table.wait(100);
    expect(table.placed.at(-1)).toMatchObject({ node: 2 });
  });

  test("unless it fails no more of its chunks than the others do", () => {
    const table = new Table(3, { exclusionCauses: 2, exclusionRateMin: 0, hold: { firstMs: 1, maxMs: 1 } });
    table.offer(40);
    for (const node of [2, 3]) {
      for (let runs = 0; runs < 3; runs++) table.end(node, done);
      table.end(node, cannotStart);
    }
    table.wait(10);
    for (let faults = 0; faults < 3; faults++) {
      table.end(1, cannotStart);
      table.wait(10);
    }
    expect(table.states()).toEqual(["ready", "ready", "ready"]);
  });

  test("unless what it fails is next to nothing of what it runs", () => {
    const run = (runs: number): string[] => {
      const table = new Table(2, { exclusionCauses: 2, exclusionRateMin: 0.05, hold: { firstMs: 1, maxMs: 1 } });
      table.offer(runs + 20);
      for (let at = 0; at < runs; at++) table.end(1, done);
      for (let faults = 0; faults < 2; faults++) {
        table.end(1, cannotStart);
        table.end(2, done); // has taken the chunk over
        table.wait(10);
      }
      return table.states();
    };
    expect([run(10), run(100)]).toEqual([
      ["excluded", "ready"],
      ["ready", "ready"],
    ]);
  });

  test("not for what happened longer ago than causes count", () => {
    const table = new Table(2, { exclusionCauses: 2, causeAgeMs: 1_000, hold: { firstMs: 1, maxMs: 1 } });
    const fault = (): void => {
      table.end(1, cannotStart);
      table.end(2, done);
      table.wait(10);
    };
    table.offer(20);
    fault();
    table.wait(2_000);
    fault();
    expect(table.states()).toEqual(["ready", "ready"]);
    fault();
    expect(table.states()).toEqual(["excluded", "ready"]);
  });

  test("for long chunks that died there once they have been running elsewhere for long: they need not end first", () => {
    const table = new Table(1, { survivalMs: 1_000, exclusionCauses: 2 });
    table.offer(1);
    const dieAndMove = (node: number): void => {
      table.end(1, dies);
      table.join(node);
      table.end(1, dies); // on hold: the new node takes it
      table.start(node);
      table.wait(2_000);
      table.offer(1);
    };
    dieAndMove(2);
    dieAndMove(3);
    expect(table.states()).toEqual(["ready", "ready", "ready"]);
    table.end(1, dies);
    expect(table.states()).toEqual(["excluded", "ready", "ready"]);
  });
});
