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

/** A scheduler whose jitter is always in the middle, with a client, a pool and a job. */
function started(options: { readonly retries?: number; readonly slotsMax?: number } = {}): Scheduler {
  const scheduler = new Scheduler({ random: { float: () => 0.5, int: (bound) => bound >> 1 } });
  scheduler.step(0, { type: "client-joined", client });
  scheduler.step(0, { type: "pool-opened", pool, client, slotsMax: options.slotsMax });
  scheduler.step(0, { type: "job-opened", job, pool, retries: options.retries ?? 0 });
  return scheduler;
}

function joinNode(scheduler: Scheduler, key: number, slots: number, credit = slots): void {
  scheduler.step(0, { type: "node-joined", node: node(key), slots });
  scheduler.step(0, { type: "credit-granted", node: node(key), chunks: credit });
}

const offered = (chunk: number, count = 1, of = job): Input => ({ type: "chunk-offered", job: of, chunk, count });
const finished = (assignment: number, outcome: Outcome = { type: "done" }, runMs = 10): Input => ({
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
});
