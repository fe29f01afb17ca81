import { seededRandom } from "@heddle/kernel";
import { describe, expect, test } from "vitest";
import { type ClientKey, type Effect, type JobKey, type NodeKey, type PoolKey, Scheduler } from "./index.ts";

const client = 1 as ClientKey;
const pool = 1 as PoolKey;
const node = 1 as NodeKey;
const LONG = 1 as JobKey;
const plain = { retries: 0, depth: 0, collect: false, unreadBytesMax: undefined, ordered: false };

/** One slot, and what is placed there. */
class OneSlot {
  /** Which job was placed, in order, and what it was charged for that: the mean of its own run times, or of all. */
  readonly served: JobKey[] = [];
  readonly charged: number[] = [];
  readonly #means = new Map<JobKey | "all", number>([["all", 1]]);
  /** Jobs that have always more to do, with the number of the next chunk. */
  readonly #endless = new Map<JobKey, number>();
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

  /** `endless`: has always more to do. */
  open(chunks: number | "endless"): JobKey {
    const job = ++this.#jobs as JobKey;
    this.#step({ type: "job-opened", job, pool, ...plain, requirements: undefined });
    const count = chunks === "endless" ? 2 : chunks;
    for (let chunk = 0; chunk < count; chunk++) this.#offer(job, chunk);
    if (chunks === "endless") this.#endless.set(job, count);
    else this.#step({ type: "job-sealed", job, chunks });
    return job;
  }

  /** What runs takes so long, and ends. */
  run(runMs: number): void {
    const run = this.#runs.shift();
    if (run === undefined) throw new Error("nothing runs");
    this.#nowMs += runMs;
    const next = this.#endless.get(run.job);
    if (next !== undefined) {
      this.#endless.set(run.job, next + 1);
      this.#offer(run.job, next);
    }
    for (const whose of [run.job, "all"] as const) {
      const mean = this.#means.get(whose) ?? runMs;
      this.#means.set(whose, mean + 0.2 * (runMs - mean));
    }
    this.#step({ type: "chunk-finished", assignment: run.assignment, outcome: { type: "done", bytes: 0 }, runMs });
  }

  #offer(job: JobKey, chunk: number): void {
    this.#step({ type: "chunk-offered", job, chunk, count: 1, grain: 0 });
  }

  #step(input: Parameters<Scheduler["step"]>[1]): void {
    for (const effect of this.#scheduler.step(this.#nowMs, input)) {
      if (effect.type !== "assign-chunk") continue;
      this.#runs.push(effect);
      this.served.push(effect.job);
      this.charged.push(this.#means.get(effect.job) ?? this.#means.get("all") ?? Number.NaN);
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

const seed = Number(process.env.SEED ?? Date.now() % 1_000_000);
const seeds = Array.from({ length: 40 }, (_, at) => seed + at);

/** A slot with jobs that have always more to do, and how long chunks run of each: of all jobs the same, as is guessed at first, so that many are due at one time; or not. */
function busySlot(random: ReturnType<typeof seededRandom>) {
  const slot = new OneSlot();
  const isSame = random.int(2) === 0;
  const newMs = (): number => (isSame ? 1 : 1 + random.int(50));
  const times = new Map<JobKey, number>();
  const open = (chunks: number | "endless"): JobKey => {
    const job = slot.open(chunks);
    times.set(job, newMs());
    return job;
  };
  const run = (): void => slot.run(times.get(slot.served.at(-1) ?? LONG) ?? 0);
  const busy = Array.from({ length: 1 + random.int(20) }, () => open("endless"));
  for (let left = busy.length * (1 + random.int(5)) + random.int(busy.length); left > 0; left--) run();
  return { slot, times, open, run, busy };
}

const sum = (numbers: readonly number[]): number => numbers.reduce((total, one) => total + one, 0);

describe(`(seed ${seed})`, () => {
  test.each(seeds)("a job of one chunk beside busy ones has the next slot, however many they are (seed %i)", (own) => {
    const { slot, open, run, busy } = busySlot(seededRandom(own));
    const job = open(1);
    run();
    expect([busy.length, slot.served.at(-1)]).toEqual([busy.length, job]);
  });

  test.each(seeds)(
    "jobs of one chunk that follow each other wait no longer than their turns make the queue go on (seed %i)",
    (own) => {
      const random = seededRandom(own);
      const { slot, open, run, busy } = busySlot(random);
      const few = new Set(busy);
      for (let job = open(1); job < busy.length + 30; job = open(1)) {
        const from = slot.served.length;
        while (slot.served.at(-1) !== job) run();
        const dearest = (isFew: boolean): number =>
          Math.max(0, ...slot.charged.filter((_, at) => few.has(slot.served[at] ?? LONG) === isFew));
        const most = busy.length * (dearest(false) / (busy.length + 2) + dearest(true));
        const before = sum(slot.charged.slice(from, -1));
        expect([before, most, before <= most]).toEqual([before, most, true]);
        for (let more = random.int(3); more > 0; more--) run();
      }
    },
  );

  test.each(seeds)(
    "a job that is far ahead of its share waits no longer than its lead, beside jobs that stay and jobs that cease not to come (seed %i)",
    (own) => {
      const random = seededRandom(own);
      const { slot, times, open, run, busy } = busySlot(random);
      const long = open("endless");
      times.set(long, 100 + random.int(1_000));
      const others = random.int(10);
      for (let job = 0; job < others; job++) open(1);
      const waiting = busy.length + others + 1;
      const turns: number[] = [];
      for (let n = 0; n < 1_500; n++) {
        const last = slot.served.at(-1) ?? LONG;
        if (last === long) turns.push(slot.served.length - 1);
        else if (!busy.includes(last)) open(1);
        run();
      }
      for (const [n, from] of turns.slice(0, -1).entries()) {
        const between = slot.charged.slice(from + 1, turns[n + 1]);
        const most = (2 * waiting + 2) * ((slot.charged[from] ?? 0) + Math.max(0, ...between));
        expect([sum(between), most, sum(between) <= most]).toEqual([sum(between), most, true]);
      }
      expect(turns.length).toBeGreaterThan(1);
    },
  );
});
