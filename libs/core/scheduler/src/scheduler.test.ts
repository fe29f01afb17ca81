import { describe, expect, test } from "vitest";
import {
  type AssignmentId,
  type ClientKey,
  type Effect,
  type Input,
  type JobKey,
  type NodeKey,
  type Outcome,
  type PoolKey,
  Scheduler,
} from "./index.ts";

const client = 1 as ClientKey;
const pool = 1 as PoolKey;
const job = 1 as JobKey;
const node = (key: number): NodeKey => key as NodeKey;
const id = (key: number): AssignmentId => key as AssignmentId;

/** A job without anything special, and a node. */
const plain = { collect: false, unreadBytesMax: undefined, ordered: false, requirements: undefined };
const bare = { labels: new Map<string, string>(), resources: new Map<string, number>() };

/** A scheduler whose jitter is always in the middle, with a client, a pool and a job. */
function started(options: { readonly retries?: number; readonly slotsMax?: number } = {}): Scheduler {
  const scheduler = new Scheduler({ random: { float: () => 0.5, int: (bound) => bound >> 1 } });
  scheduler.step(0, { type: "client-joined", client });
  scheduler.step(0, { type: "pool-opened", pool, client, slotsMax: options.slotsMax, requirements: undefined });
  scheduler.step(0, { type: "job-opened", job, pool, retries: options.retries ?? 0, depth: 0, ...plain });
  return scheduler;
}

function joinNode(scheduler: Scheduler, key: number, slots: number, credit = slots): void {
  scheduler.step(0, { type: "node-joined", node: node(key), slots, ...bare });
  scheduler.step(0, { type: "credit-granted", node: node(key), chunks: credit });
}

const offered = (chunk: number, count = 1, of = job): Input => ({
  type: "chunk-offered",
  job: of,
  chunk,
  count,
  grain: 0,
});
const finished = (assignment: number, outcome: Outcome = { type: "done", bytes: 0 }, runMs = 10): Input => ({
  type: "chunk-finished",
  assignment: id(assignment),
  outcome,
  runMs,
});

const assign = (assignment: number, onto: number, chunk: number, more: object = {}): Effect => ({
  type: "assign-chunk",
  node: node(onto),
  assignment: id(assignment),
  job,
  chunk,
  offset: 0,
  count: 1,
  attempt: 1,
  marks: false,
  poolSlots: 1,
  fresh: false,
  grain: 0,
  ...more,
});

describe("Scheduler", () => {
  test("a chunk goes to a node with credit, its result is delivered, its input released, and the sealed job ends", () => {
    const scheduler = started();
    joinNode(scheduler, 1, 1);
    expect(scheduler.step(1, offered(0, 3))).toEqual([assign(1, 1, 0, { count: 3 })]);
    expect(scheduler.step(2, { type: "job-sealed", job, chunks: 1 })).toEqual([]);
    expect(scheduler.step(3, finished(1))).toEqual([
      { type: "deliver-span", job, chunk: 0, offset: 0, count: 3, assignment: 1 },
      { type: "release-chunk", job, chunk: 0 },
      { type: "end-job", job, outcome: "done", fault: undefined },
      { type: "forget-job", node: 1, job },
    ]);
    expect(scheduler.jobs()).toEqual([]);
    scheduler.validate();
  });

  test("two jobs with chunks of the same length take turns, and the later one is owed nothing for the time before", () => {
    const scheduler = started();
    joinNode(scheduler, 1, 1);
    for (let chunk = 0; chunk < 50; chunk++) scheduler.step(0, offered(chunk));
    for (let assignment = 1; assignment <= 20; assignment++) scheduler.step(assignment, finished(assignment));
    const late = 2 as JobKey;
    scheduler.step(20, { type: "job-opened", job: late, pool, retries: 0, depth: 0, ...plain });
    for (let chunk = 0; chunk < 50; chunk++) scheduler.step(20, offered(chunk, 1, late));
    const served: number[] = [];
    for (let assignment = 21; assignment <= 28; assignment++) {
      for (const effect of scheduler.step(assignment, finished(assignment))) {
        if (effect.type === "assign-chunk") served.push(effect.job);
      }
    }
    expect(served).toEqual([2, 2, 1, 2, 1, 2, 1, 2]); // the late job's first chunk was charged by a guess, a little too low
  });

  test("a bounded pool has no more slots over all nodes than its bound, whoever comes and goes", () => {
    const scheduler = started({ slotsMax: 3 });
    const shares = new Map<number, number>();
    const see = (effects: readonly Effect[]): void => {
      for (const effect of effects) if (effect.type === "assign-chunk") shares.set(effect.node, effect.poolSlots);
    };
    for (let chunk = 0; chunk < 20; chunk++) scheduler.step(0, offered(chunk));
    for (const key of [1, 2, 3]) {
      see(scheduler.step(0, { type: "node-joined", node: node(key), slots: 2, ...bare }));
      see(scheduler.step(0, { type: "credit-granted", node: node(key), chunks: 2 }));
    }
    expect(shares).toEqual(
      new Map([
        [1, 2],
        [2, 1],
      ]),
    );
    see(scheduler.step(1, { type: "node-lost", node: node(1) }));
    see(scheduler.step(1, finished(3)));
    shares.delete(1);
    expect(shares).toEqual(
      new Map([
        [2, 2],
        [3, 1],
      ]),
    );
  });

  test.each([
    { float: 0, atMs: 1_050 },
    { float: 0.999, atMs: 1_150 },
  ])("the jitter of a retry goes from half to one and a half of the backoff: $float", ({ float, atMs }) => {
    const scheduler = new Scheduler({ random: { float: () => float, int: () => 0 } });
    scheduler.step(0, { type: "client-joined", client });
    scheduler.step(0, { type: "pool-opened", pool, client, slotsMax: undefined, requirements: undefined });
    scheduler.step(0, { type: "job-opened", job, pool, retries: 1, depth: 0, ...plain });
    joinNode(scheduler, 1, 1);
    scheduler.step(0, offered(0));
    expect(scheduler.step(1_000, finished(1, { type: "item-error", completed: 0, bytes: 0 }))).toEqual([
      { type: "set-timer", atMs },
    ]);
  });

  test("limits are the caller's to change", () => {
    const scheduler = new Scheduler({ random: { float: () => 0.5, int: () => 0 }, limits: { deathsMax: 1 } });
    scheduler.step(0, { type: "client-joined", client });
    scheduler.step(0, { type: "pool-opened", pool, client, slotsMax: undefined, requirements: undefined });
    scheduler.step(0, { type: "job-opened", job, pool, retries: 0, depth: 0, ...plain });
    joinNode(scheduler, 1, 1);
    scheduler.step(0, offered(0));
    expect(scheduler.step(1, finished(1, { type: "worker-death", markedOffset: undefined }))[0]).toEqual({
      type: "fail-item",
      job,
      chunk: 0,
      offset: 0,
      assignment: 1,
      cause: "worker-death",
      attempt: 1,
    });
  });

  test("an error after more items than were assigned is a worker out of its mind: nothing is delivered, it counts as a death", () => {
    const scheduler = started();
    joinNode(scheduler, 1, 1);
    scheduler.step(0, offered(0, 2));
    expect(scheduler.step(1, finished(1, { type: "item-error", completed: 2, bytes: 0 }))).toEqual([
      assign(2, 1, 0, { count: 2, attempt: 2, marks: true }),
    ]);
  });

  test("time that runs backwards is taken for standing still", () => {
    const scheduler = started({ retries: 1 });
    joinNode(scheduler, 1, 1);
    scheduler.step(1_000, offered(0));
    expect(scheduler.step(10, finished(1, { type: "item-error", completed: 0, bytes: 0 }))).toEqual([
      { type: "set-timer", atMs: 1_100 },
    ]);
  });

  test("what is over leaves nothing behind", () => {
    const scheduler = started();
    joinNode(scheduler, 1, 2);
    scheduler.step(0, offered(0));
    scheduler.step(0, { type: "client-left", client });
    expect(scheduler.jobs().map((view) => view.state)).toEqual(["cancelling"]);
    expect(scheduler.step(1, finished(1, { type: "stopped" }))).toEqual([
      { type: "forget-job", node: 1, job },
      { type: "retire-pool", node: 1, pool },
    ]);
    expect(scheduler.step(2, { type: "node-lost", node: node(1) })).toEqual([
      { type: "announce-capacity", slots: 0, nodes: 0 },
    ]);
    expect([scheduler.jobs(), scheduler.nodes()]).toEqual([[], []]);
    scheduler.validate();
  });
});
