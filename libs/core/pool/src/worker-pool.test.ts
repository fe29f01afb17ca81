import { InvalidArgumentError, type Millis } from "@heddle/kernel";
import { describe, expect, it } from "vitest";
import type { Assignment, Effect, Input, JobNumber, PoolNumber, WorkerKey } from "./types.ts";
import { WorkerPool } from "./worker-pool.ts";

const job = 1 as JobNumber;
const pool = 1 as PoolNumber;
const described: Input = { type: "job-described", job, pool, depth: 0 };
const ready: Input = { type: "job-ready", job };

const assigned = (assignment: number, poolSlots = 8): Input => {
  return { type: "chunk-assigned", assignment: assignment as Assignment, job, poolSlots, fresh: false };
};
const workerReady = (worker: number): Input => ({ type: "worker-ready", worker: worker as WorkerKey });

/** A started core whose workers are ready. */
function warmPool(slots: number): WorkerPool {
  const core = new WorkerPool({ slots });
  core.step(0, { type: "started" });
  for (let worker = 1; worker <= slots; worker++) core.step(0, workerReady(worker));
  return core;
}

interface Load {
  readonly slots: number;
  readonly chunks: number;
  readonly runMs: (chunk: number) => Millis;
}

/** Runs chunks of one pool through ready workers that answer at once; the coordinator keeps to the credit. */
class Mill {
  readonly effects: Effect[] = [];
  credit = 0;
  heldMost = 0;
  readonly #load: Load;
  readonly #core: WorkerPool;
  readonly #held = new Map<WorkerKey, Assignment[]>();
  #nowMs = 0;
  #unfinished = 0;

  constructor(load: Load) {
    this.#load = load;
    this.#core = warmPool(load.slots);
    this.credit = this.#core.view().credit;
  }

  run(): this {
    this.#step(described);
    this.#step(ready);
    for (let next = 1; next <= this.#load.chunks || this.#unfinished > 0; ) {
      for (; next <= this.#load.chunks && this.#unfinished < this.credit; next++) this.#assign(next);
      for (const worker of this.#held.keys()) this.#answer(worker);
    }
    this.#core.validate();
    return this;
  }

  #assign(chunk: number): void {
    this.#unfinished++;
    this.#step(assigned(chunk));
  }

  #answer(worker: WorkerKey): void {
    const assignment = this.#held.get(worker)?.shift();
    if (assignment === undefined) return;
    const runMs = this.#load.runMs(assignment);
    if (Number.isFinite(runMs)) this.#nowMs += Math.max(0, runMs) / this.#load.slots;
    this.#step({ type: "chunk-returned", worker, assignment, skipped: false, runMs });
  }

  #step(input: Input): void {
    for (const effect of this.#core.step(this.#nowMs, input)) {
      this.effects.push(effect);
      if (effect.type === "grant-credit") this.credit = effect.chunks;
      if (effect.type === "finish-returned") this.#unfinished--;
      if (effect.type === "run-chunk") this.#hold(effect.worker, effect.assignment);
    }
  }

  #hold(worker: WorkerKey, assignment: Assignment): void {
    const held = this.#held.get(worker) ?? [];
    held.push(assignment);
    this.#held.set(worker, held);
    this.heldMost = Math.max(this.heldMost, held.length);
  }

  count(type: Effect["type"]): number {
    return this.effects.filter((effect) => effect.type === type).length;
  }
}

describe("the worker pool", () => {
  it("starts one blank worker per slot and grants one chunk each", () => {
    const core = new WorkerPool({ slots: 2 });
    expect(core.step(5, { type: "started" })).toEqual([
      { type: "grant-credit", chunks: 2 },
      { type: "spawn-worker", worker: 1 },
      { type: "spawn-worker", worker: 2 },
      { type: "set-timer", atMs: 30_005 },
    ]);
    expect(core.view()).toEqual({
      workers: { spawning: 2, blank: 0, idle: 0, busy: 0, stopping: 0 },
      queued: 0,
      running: 0,
      credit: 2,
    });
  });

  it("refuses options that are no numbers of things", () => {
    expect(() => new WorkerPool({ slots: 0 })).toThrow(InvalidArgumentError);
    expect(() => new WorkerPool({ slots: 1.5 })).toThrow(InvalidArgumentError);
    expect(() => new WorkerPool({ slots: 1, chunksPerWorkerMax: 0 })).toThrow(InvalidArgumentError);
  });

  it("runs a chunk and reports it exactly once", () => {
    const core = warmPool(1);
    core.step(1, described);
    core.step(1, ready);
    expect(core.step(2, assigned(7))).toEqual([
      { type: "run-chunk", worker: 1, assignment: 7 },
      { type: "report-started", assignment: 7 },
    ]);
    const returned: Input = {
      type: "chunk-returned",
      worker: 1 as WorkerKey,
      assignment: 7 as Assignment,
      skipped: false,
      runMs: 60,
    };
    expect(core.step(62, returned)).toEqual([{ type: "finish-returned", assignment: 7, worker: 1 }]);
    expect(core.step(63, returned)).toEqual([]);
    expect(core.step(64, assigned(7))).toEqual([]);
  });

  it("takes the numbers of an earlier coordinator for new ones", () => {
    const core = warmPool(1);
    core.step(1, assigned(7));
    core.step(2, { type: "coordinator-lost" });
    core.step(3, described);
    core.step(3, ready);
    expect(core.step(4, assigned(7))).toContainEqual({ type: "run-chunk", worker: 1, assignment: 7 });
  });

  it("spends two effects on a tiny chunk: no timer, no report, no credit", () => {
    const mill = new Mill({ slots: 4, chunks: 20_000, runMs: () => 0.01 }).run();
    expect(mill.count("finish-returned")).toBe(20_000);
    expect(mill.effects.length).toBeLessThan(40_020);
    expect(mill.heldMost).toBeGreaterThan(200);
    expect(mill.heldMost).toBeLessThanOrEqual(257);
  });

  it("grants about twice what its workers hold of tiny chunks, at most 512 per slot beyond the running one", () => {
    expect(new Mill({ slots: 4, chunks: 5_000, runMs: () => 0.01 }).run().credit).toBe(4 * (1 + 256));
    expect(new Mill({ slots: 4, chunks: 5_000, runMs: () => 0 }).run().credit).toBe(4 * (1 + 512));
    expect(new Mill({ slots: 4, chunks: 5_000, runMs: () => 0.5 }).run().credit).toBe(4 * (1 + 8));
  });

  it("grants one chunk beyond the running one from 2.5 ms on, and none above 50 ms", () => {
    expect(new Mill({ slots: 4, chunks: 500, runMs: () => 20 }).run().credit).toBe(8);
    expect(new Mill({ slots: 4, chunks: 500, runMs: () => 80 }).run().credit).toBe(4);
  });

  it("does not change its mind about the credit when run times scatter", () => {
    const noisy = new Mill({ slots: 4, chunks: 20_000, runMs: (chunk) => 0.02 * (0.5 + ((chunk * 7919) % 97) / 97) });
    expect(noisy.run().count("grant-credit")).toBeLessThan(8);
    const paused = new Mill({ slots: 4, chunks: 20_000, runMs: (chunk) => (chunk % 2_000 === 1_999 ? 30 : 0.02) });
    expect(paused.run().count("grant-credit")).toBeLessThan(8);
  });

  it("never lets a worker hold more than its head while chunks are long", () => {
    expect(new Mill({ slots: 4, chunks: 500, runMs: () => 3 }).run().heldMost).toBe(1);
  });

  it("believes no run time that cannot be one", () => {
    for (const runMs of [Number.NaN, -1, Number.POSITIVE_INFINITY]) {
      const mill = new Mill({ slots: 1, chunks: 50, runMs: () => runMs }).run();
      expect(mill.count("finish-returned")).toBe(50);
      expect(Number.isSafeInteger(mill.credit)).toBe(true);
    }
  });
});
