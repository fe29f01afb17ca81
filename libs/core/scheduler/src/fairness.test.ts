import { expect, test } from "vitest";
import { type ClientKey, type Effect, type JobKey, type NodeKey, type PoolKey, Scheduler } from "./index.ts";

const client = 1 as ClientKey;
const pool = 1 as PoolKey;
const node = 1 as NodeKey;
const LONG = 1 as JobKey;
const plain = { retries: 0, depth: 0, collect: false, unreadBytesMax: undefined, ordered: false };

/** One slot; runs what is placed there, and keeps as many jobs of one chunk waiting as it is asked to. */
class OneSlot {
  /** Which job was placed, in order. */
  readonly served: JobKey[] = [];
  readonly #scheduler = new Scheduler({ random: { float: () => 0.5, int: () => 0 } });
  readonly #runs: Extract<Effect, { type: "assign-chunk" }>[] = [];
  #nowMs = 0;
  #jobs = 0;

  constructor() {
    this.#step({ type: "client-joined", client });
    this.#step({ type: "pool-opened", pool, client, slotsMax: undefined, requirements: undefined });
    this.#step({ type: "node-joined", node, slots: 1, labels: new Map(), resources: new Map() });
    this.#step({ type: "credit-granted", node, chunks: 1 });
  }

  open(chunks: number): void {
    const job = ++this.#jobs as JobKey;
    this.#step({ type: "job-opened", job, pool, ...plain, requirements: undefined });
    for (let chunk = 0; chunk < chunks; chunk++) this.#step({ type: "chunk-offered", job, chunk, count: 1, grain: 0 });
    this.#step({ type: "job-sealed", job, chunks });
  }

  /** What runs takes so long, and ends. */
  run(runMs: number): void {
    const run = this.#runs.shift();
    if (run === undefined) throw new Error("nothing runs");
    this.#nowMs += runMs;
    this.#step({ type: "chunk-finished", assignment: run.assignment, outcome: { type: "done", bytes: 0 }, runMs });
  }

  #step(input: Parameters<Scheduler["step"]>[1]): void {
    for (const effect of this.#scheduler.step(this.#nowMs, input)) {
      if (effect.type !== "assign-chunk") continue;
      this.#runs.push(effect);
      this.served.push(effect.job);
    }
    this.#scheduler.validate();
  }
}

test("a job has its share beside jobs of one chunk that never cease to come", () => {
  const slot = new OneSlot();
  slot.open(100);
  for (let waiting = 0; waiting < 4; waiting++) slot.open(1);
  for (let n = 0; n < 5_000; n++) {
    const isLong = slot.served.at(-1) === LONG;
    if (!isLong) slot.open(1); // four wait at any time
    slot.run(isLong ? 100 : 1);
  }
  const turns = slot.served.flatMap((job, at) => (job === LONG ? [at] : []));
  const between = turns.slice(1).map((at, n) => at - (turns[n] ?? 0));
  // The first are placed before it is known that its chunks are dear. From then on its 100 ms are followed by as many of each of the four others, itself, and
  // one to come.
  for (const count of between.slice(3)) expect([count, count > 450, count < 650]).toEqual([count, true, true]);
  expect(between.length).toBeGreaterThan(8);
});
