import { type Random, seededRandom } from "@heddle/kernel";
import { expect, test } from "vitest";
import {
  type AssignmentId,
  type ClientKey,
  type Effect,
  type Input,
  type JobKey,
  type NodeKey,
  type PoolKey,
  Scheduler,
} from "./index.ts";

const RUNS = 20;
const STEPS = 400;

/** What is placed, and not over. */
interface Placed {
  readonly assignment: AssignmentId;
  readonly node: NodeKey;
  readonly job: JobKey;
  /** The least that was expected since then. */
  neededMs: number;
  begun: boolean;
}

/** Jobs whose chunks take about 1, 2, 4, ... seconds, on nodes that end, and come anew. */
class Stage {
  readonly placed = new Map<AssignmentId, Placed>();
  readonly ends = new Map<NodeKey, number>();
  /** What the scheduler has been told of the run times of a job, newest weighing most, as it does. */
  readonly means = new Map<JobKey, number>();
  nowMs = 0;
  #lastNode = 0;
  readonly #random: Random;
  readonly #core: Scheduler;

  constructor(seed: number) {
    this.#random = seededRandom(seed, "lifetimes");
    this.#core = new Scheduler({ random: this.#random });
    this.feed({ type: "client-joined", client: 1 as ClientKey });
    for (let pool = 1; pool <= 3; pool++) {
      const slotsMax = pool === 1 ? undefined : pool;
      const requirements = pool === 3 ? { labels: new Map(), resources: new Map([["gpu", 1]]) } : undefined;
      this.feed({ type: "pool-opened", pool: pool as PoolKey, client: 1 as ClientKey, slotsMax, requirements });
    }
    for (let job = 1; job <= 6; job++) this.#open(job as JobKey);
  }

  step(): void {
    const draw = this.#random.float();
    if (draw < 0.1) this.#join();
    else if (draw < 0.2) this.#offer();
    else if (draw < 0.8) this.#answer();
    else this.wait(this.#random.int(3_000));
    for (const [node, stopsAtMs] of this.ends) if (this.nowMs >= stopsAtMs) this.#end(node);
  }

  wait(ms: number): void {
    this.nowMs += ms;
    this.feed({ type: "timer-fired" });
  }

  feed(input: Input): void {
    const effects = this.#core.step(this.nowMs, input);
    this.#core.validate();
    for (const effect of effects) this.#see(effect);
  }

  #see(effect: Effect): void {
    if (effect.type === "assign-chunk") {
      const { assignment, node, job } = effect;
      expect(this.#isTooLate(node, job)).toBe(false);
      const neededMs = this.means.get(job) ?? 5_000;
      this.placed.set(assignment, { assignment, node, job, neededMs, begun: false });
    } else if (effect.type === "revoke-chunk" && !effect.stop) {
      const placed = this.placed.get(effect.assignment);
      if (placed?.begun !== false) return;
      this.placed.delete(effect.assignment);
      const outcome = { type: "not-started", fault: undefined } as const;
      queueMicrotask(() => this.feed({ type: "chunk-finished", assignment: effect.assignment, outcome, runMs: 0 }));
    }
  }

  /** By what is expected of the job, 5 s where nothing is known. */
  #isTooLate(node: NodeKey, job: JobKey): boolean {
    return this.nowMs + (this.means.get(job) ?? 5_000) >= (this.ends.get(node) ?? Number.POSITIVE_INFINITY);
  }

  #open(job: JobKey): void {
    const pool = (1 + (job % 3)) as PoolKey;
    const modes = { retries: 0, depth: job === 4 ? 1 : 0, collect: false, unreadBytesMax: undefined, ordered: false };
    this.feed({ type: "job-opened", job, pool, ...modes, requirements: undefined });
  }

  readonly #offered = new Map<JobKey, number>();

  #offer(): void {
    const job = (1 + this.#random.int(6)) as JobKey;
    for (let more = this.#random.int(6); more >= 0; more--) {
      const chunk = this.#offered.get(job) ?? 0;
      this.#offered.set(job, chunk + 1);
      this.feed({ type: "chunk-offered", job, chunk, count: 1, grain: 0 });
    }
  }

  #join(): void {
    const node = ++this.#lastNode as NodeKey;
    const lastsMs = this.#random.int(5) === 0 ? undefined : this.#random.int(60_000);
    if (lastsMs !== undefined) this.ends.set(node, this.nowMs + lastsMs);
    const has = { labels: new Map<string, string>(), resources: new Map([["gpu", this.#random.int(3)]]) };
    this.feed({ type: "node-joined", node, slots: 1 + this.#random.int(2), ...has, lastsMs });
    this.feed({ type: "credit-granted", node, chunks: 1 + this.#random.int(4) });
  }

  /** Something that is placed begins, or ends after about as long as chunks of its job do. */
  #answer(): void {
    const all = [...this.placed.values()];
    const one = all[this.#random.int(Math.max(1, all.length))];
    if (one === undefined) return;
    if (!one.begun) {
      one.begun = true;
      // too late by all that was expected since it was placed: then it was asked back
      const leftMs = (this.ends.get(one.node) ?? Number.POSITIVE_INFINITY) - this.nowMs;
      expect(one.neededMs > 5_000 && one.neededMs >= leftMs).toBe(false);
      return this.feed({ type: "chunk-started", assignment: one.assignment });
    }
    this.placed.delete(one.assignment);
    const runMs = Math.round(1_000 * 2 ** (one.job - 1) * (0.5 + this.#random.float()));
    const before = this.means.get(one.job);
    const mean = before === undefined ? runMs : before + 0.2 * (runMs - before);
    this.means.set(one.job, mean);
    for (const other of this.placed.values())
      if (other.job === one.job) other.neededMs = Math.min(other.neededMs, mean);
    const outcome = { type: "done", bytes: 0 } as const;
    this.feed({ type: "chunk-finished", assignment: one.assignment, outcome, runMs });
  }

  #end(node: NodeKey): void {
    this.ends.delete(node);
    for (const { assignment, node: on } of this.placed.values()) if (on === node) this.placed.delete(assignment);
    this.feed({ type: "node-lost", node });
  }
}

test("nothing starts on a node that would not be over before its end, by what is known of its job, and nothing waits that could start", async () => {
  for (let seed = 1; seed <= RUNS; seed++) {
    const stage = new Stage(seed);
    for (let step = 0; step < STEPS; step++) {
      stage.step();
      await Promise.resolve();
    }
  }
});

test("however much was placed on a node that ends, and is over, one alarm stands for it, and none when the node is lost", () => {
  const core = new Scheduler({ random: seededRandom(1, "alarms") });
  const timers: number[] = [];
  let nowMs = 0;
  const feed = (input: Input): Effect[] => {
    const effects = [...core.step(nowMs, input)];
    core.validate(); // a node has one alarm at most for what has to begin there
    for (const effect of effects) if (effect.type === "set-timer") timers.push(effect.atMs);
    return effects;
  };
  const [client, pool, job, node] = [1 as ClientKey, 1 as PoolKey, 1 as JobKey, 1 as NodeKey];
  feed({ type: "client-joined", client });
  feed({ type: "pool-opened", pool, client, slotsMax: undefined, requirements: undefined });
  const modes = { retries: 0, depth: 0, collect: false, unreadBytesMax: undefined, ordered: false };
  feed({ type: "job-opened", job, pool, ...modes, requirements: undefined });
  const lastsMs = 10_000_000;
  feed({ type: "node-joined", node, slots: 1, labels: new Map(), resources: new Map(), lastsMs });
  feed({ type: "credit-granted", node, chunks: 1 });
  for (let chunk = 0; chunk < 200; chunk++) {
    const assigned = feed({ type: "chunk-offered", job, chunk, count: 1, grain: 0 });
    const assignment = assigned.find((effect) => effect.type === "assign-chunk")?.assignment;
    if (assignment === undefined) throw new Error(`chunk ${chunk} was not placed`);
    const runMs = 6_000 + 100 * (chunk % 100); // its latest time to begin comes nearer, and goes back
    nowMs += runMs;
    feed({ type: "chunk-started", assignment });
    feed({ type: "chunk-finished", assignment, outcome: { type: "done", bytes: 0 }, runMs });
  }
  const earliestMs = Math.min(...timers);
  expect(earliestMs).toBeGreaterThan(lastsMs - 20_000);
  feed({ type: "node-lost", node });
  nowMs = earliestMs; // the shell's timer fires once; nothing is set anew
  expect(feed({ type: "timer-fired" })).toEqual([]);
  nowMs = lastsMs;
  expect(feed({ type: "timer-fired" })).toEqual([]);
});
