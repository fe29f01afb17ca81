import { HEARTBEAT_MS, type WriteOutcome } from "@heddle/kernel";
import { MemoryJobs, PIECE_BYTES_MAX } from "@heddle/port-job-store";
import { adminDescribeJob, adminListJobs } from "@heddle/wire";
import { expect, onTestFinished, test } from "vitest";
import {
  attach,
  CODE,
  ID,
  keeper,
  Lives,
  offerAll,
  openKept,
  seal,
  sendCode,
  submit,
  told,
  work,
} from "./kept-testing.ts";
import {
  CLIENT_RESULT_BACKLOG_BYTES,
  HISTORY_PAUSE_MS,
  KEPT_FULL_PAUSE_MS,
  KEPT_JOB_CHUNKS_MAX,
  KEPT_JOBS_MAX,
  KEPT_RUN_BYTES_MAX,
} from "./limits.ts";
import { type Bench, type BenchOptions, type Client, finish, inline, type Node, settle, small } from "./testing.ts";

/** A disk that answers as a test wants. */
class Disk {
  outcome: () => WriteOutcome | Promise<WriteOutcome> = () => "kept";
  /** Nothing is too much for it that brings no bytes. */
  mayDrop = false;
  readonly jobs = new MemoryJobs((bytes) => (this.mayDrop && bytes === 0 ? "kept" : this.outcome()));
}

async function openStage(options: BenchOptions = {}) {
  const disk = new Disk();
  const lives = new Lives(onTestFinished, disk.jobs, options);
  const bench = await lives.next();
  const node = await bench.node("n1", 8, { slots: 8 });
  return { disk, lives, bench, node, client: await keeper(bench) };
}

const MIB = 1024 * 1024;
const big = (bytes: number) => ({
  encoding: 6 as const,
  count: 1,
  size: bytes,
  data: new Uint8Array(bytes),
  partStream: 0,
});

function offerBig(client: Client, job: number, chunk: number, bytes: number): void {
  const value = { job, chunk, firstIndex: chunk, input: big(bytes), grain: 0, settled: [] };
  client.say({ $case: "offerChunk", value }, bytes);
}

function finishBig(node: Node, at: number, bytes: number): void {
  finish(node, node.said("assignChunk")[at]?.assignment, { $case: "done", value: big(bytes) });
}

test("a job that finds the disk full is refused in words, and another is kept once there is room", async () => {
  const { disk, client } = await openStage();
  openKept(client, 1);
  await settle();
  disk.outcome = () => "full";
  offerAll(client, 1, [1]);
  await settle();
  expect(client.said("jobEnded")).toMatchObject([{ job: 1, error: { code: "limit", limitName: "DISK_SPACE" } }]);
  expect(client.said("jobEnded")[0]?.error?.message).toContain(
    "the coordinator's disk is full, it cannot keep the job",
  );
  disk.outcome = () => "kept";
  await submit(client, 2, [1]);
  expect(told(client).at(-1)).toBe("2 kept 1 whole");
});

test("what is on disk of a job stays while the disk is full and its client is away", async () => {
  const { disk, bench, client } = await openStage();
  openKept(client, 1);
  await settle();
  offerAll(client, 1, [1, 2]);
  await settle();
  const written = Promise.withResolvers<WriteOutcome>();
  disk.outcome = () => written.promise;
  offerAll(client, 1, [1, 2, 3], 2);
  await settle();
  const again = await bench.client({}, undefined, ID);
  await settle();
  disk.outcome = () => "full";
  written.resolve("full");
  await settle();
  disk.outcome = () => "kept";
  openKept(again, 2, {}, { jobId: "job-1" });
  await settle();
  offerAll(again, 2, [1, 2, 3], 2);
  seal(again, 2, 3);
  await settle();
  expect([told(client).at(-1), told(again)]).toEqual(["1 kept 2", ["2 kept 2", "2 kept 3", "2 kept 3 whole"]]);
});

test("ended jobs go one by one where the disk has no room for what runs, and for what is submitted", async () => {
  const { disk, node, client } = await openStage();
  for (const job of [1, 2, 3]) await submit(client, job, [1]);
  await work(node);
  await submit(client, 4, [1]);
  const kept = () => disk.jobs.recovered().jobs.map(({ id }) => id);
  disk.outcome = () => (kept().some((id) => id === "job-1") ? "full" : "kept");
  disk.mayDrop = true;
  await work(node, 3);
  expect(kept()).toEqual(["job-2", "job-3", "job-4"]);
  disk.outcome = () => (kept().some((id) => id === "job-2") ? "full" : "kept");
  openKept(client, 5);
  await settle();
  expect([kept(), told(client).at(-1)]).toEqual([["job-3", "job-4", "job-5"], "5 kept 0"]);
});

test("a running job waits for a full disk, hands out nothing meanwhile, and goes on when there is room", async () => {
  const { disk, bench, node, client } = await openStage();
  await submit(client, 1, [1, 1]);
  attach(client, 2);
  disk.outcome = () => "full";
  await work(node);
  await bench.clock.advance(10 * KEPT_FULL_PAUSE_MS);
  expect(told(client).slice(3)).toEqual(["2 attached to 2"]);
  expect(bench.logged.filter(({ message }) => message === "the store of jobs is full: the job waits")).toHaveLength(1);
  disk.outcome = () => "kept";
  await bench.clock.advance(KEPT_FULL_PAUSE_MS);
  expect(told(client).slice(3)).toEqual(["2 attached to 2", "2 0+1: 0", "2 1+1: 10", "2 ended 1"]);
});

test("a job that is cancelled while the last of it is being written is not kept, nor run", async () => {
  const { disk, bench, node, client } = await openStage();
  openKept(client, 1);
  await settle();
  offerAll(client, 1, [1]);
  await settle();
  const written = Promise.withResolvers<WriteOutcome>();
  disk.outcome = () => written.promise;
  seal(client, 1, 1);
  await settle();
  client.say({ $case: "cancelJob", value: { job: 1, reason: "" } });
  await settle();
  disk.outcome = () => "kept";
  written.resolve("kept");
  await settle();
  expect(told(client)).toEqual(["1 kept 0", "1 kept 1", "1 ended 3 cancelled"]);
  expect([node.said("assignChunk"), await bench.jobs(), disk.jobs.recovered().jobs]).toEqual([[], [], []]);
});

test("an answer is told when it is on disk, and not before", async () => {
  const { disk, node, client } = await openStage();
  await submit(client, 1, [1]);
  attach(client, 2);
  const written = Promise.withResolvers<WriteOutcome>();
  disk.outcome = () => written.promise;
  await work(node);
  expect(told(client).slice(3)).toEqual(["2 attached to 1"]);
  written.resolve("kept");
  await settle();
  expect(told(client).slice(3)).toEqual(["2 attached to 1", "2 0+1: 0", "2 ended 1"]);
});

test.each(["failed-kept", "failed-lost"] as const)(
  "a disk that fails (%s) ends the coordinator: nobody hears of what it was asked to keep, and the next has each answer once",
  async (outcome) => {
    const { disk, lives, bench, node, client } = await openStage();
    await submit(client, 1, [1, 1]);
    attach(client, 2);
    await work(node, 0, 1);
    disk.outcome = () => outcome;
    await work(node, 1);
    expect((await bench.shell.failed).message).toContain("may be kept or not");
    expect(bench.shell.readiness().isReady).toBe(false);
    expect(told(client).slice(3)).toEqual(["2 attached to 2", "2 0+1: 0"]);
    disk.outcome = () => "kept";
    const later = await lives.next();
    const listener = await later.client();
    attach(listener, 1, "job-1", [{ firstIndex: 0, count: 1 }]);
    const done = await work(await later.node("n1", 1));
    expect(done).toBe(outcome === "failed-kept" ? 0 : 1);
    expect(told(listener)).toEqual(["1 attached to 2", "1 1+1: 10", "1 ended 1"]);
  },
);

test("where there is no room for a job ended ones go, the oldest first, but for those that somebody listens to", async () => {
  const { disk, node, client } = await openStage({ keptBytesMax: 4 * MIB });
  for (const job of [1, 2]) {
    await submit(client, job, [1]);
    await settle();
    finishBig(node, job - 1, 1.5 * MIB);
    await settle();
  }
  const listener = client;
  openKept(listener, 3);
  await settle();
  offerBig(client, 3, 0, 1.5 * MIB);
  seal(client, 3, 1);
  await settle();
  expect(told(client).at(-1)).toBe("3 kept 1 whole");
  expect(disk.jobs.recovered().jobs.map(({ id }) => id)).toEqual(["job-2", "job-3"]);
});

test("a job for which there is no room is refused, and one whose results do not fit fails: what is answered stays", async () => {
  const { bench, node, client } = await openStage({ keptBytesMax: 4 * MIB });
  openKept(client, 1);
  openKept(client, 2);
  await settle();
  offerBig(client, 1, 0, 5 * MIB);
  offerAll(client, 2, [1, 1, 1]);
  seal(client, 2, 3);
  await settle();
  expect(client.said("jobEnded")).toMatchObject([
    { job: 1, error: { code: "limit", limitName: "KEPT_BYTES_MAX", limit: 4 * MIB } },
  ]);
  await work(node, 0, 1);
  finishBig(node, 1, 5 * MIB);
  await settle();
  attach(client, 9, "job-2");
  await settle();
  expect(told(client).slice(-3)).toEqual(["9 attached to 3", "9 0+1: 0", "9 ended 2 limit"]);
  expect(client.said("jobEnded").at(-1)?.error?.message).toContain("KEPT_BYTES_MAX");
  expect((await bench.jobs())[0]).toMatchObject({ jobId: "job-2", state: "failed" });
});

test("there are bounds of kept jobs that have not ended, of the chunks of one, and of a chunk", async () => {
  const { client } = await openStage();
  openKept(client, 1);
  await settle();
  offerBig(client, 1, 0, PIECE_BYTES_MAX + 1);
  for (let job = 2; job < KEPT_JOBS_MAX + 3; job++) openKept(client, job);
  await settle();
  await settle();
  expect(client.said("jobEnded")).toMatchObject([
    { job: KEPT_JOBS_MAX + 1, error: { limitName: "KEPT_JOBS_MAX", limit: KEPT_JOBS_MAX, actual: KEPT_JOBS_MAX + 1 } },
    { job: KEPT_JOBS_MAX + 2, error: { limitName: "KEPT_JOBS_MAX" } },
    { job: 1, error: { limitName: "PIECE_BYTES_MAX", limit: PIECE_BYTES_MAX, actual: PIECE_BYTES_MAX + 1 } },
  ]);
});

test("a job with more chunks than one may have fails by that name", async () => {
  const { client } = await openStage();
  openKept(client, 1);
  await settle();
  offerAll(
    client,
    1,
    Array.from({ length: KEPT_JOB_CHUNKS_MAX }, () => 1),
  );
  for (let turns = 0; turns < 200 && client.said("jobKept").at(-1)?.chunks !== KEPT_JOB_CHUNKS_MAX; turns++)
    await settle();
  offerBig(client, 1, KEPT_JOB_CHUNKS_MAX, 1);
  await settle();
  expect(client.said("jobEnded")).toMatchObject([
    { job: 1, error: { code: "limit", limitName: "KEPT_JOB_CHUNKS_MAX", actual: KEPT_JOB_CHUNKS_MAX + 1 } },
  ]);
});

test("of a running job's inputs a bounded part is in memory, and all of it runs", async () => {
  const { node, client } = await openStage();
  openKept(client, 1);
  await settle();
  const chunks = 2 * (KEPT_RUN_BYTES_MAX / (16 * MIB));
  for (let chunk = 0; chunk < chunks; chunk++) {
    offerBig(client, 1, chunk, 16 * MIB);
    await settle();
  }
  node.say({ $case: "grantCredit", value: { chunks: 100 } });
  seal(client, 1, chunks);
  await settle();
  expect(node.said("assignChunk")).toHaveLength(KEPT_RUN_BYTES_MAX / (16 * MIB));
  expect(await work(node)).toBe(chunks);
});

test("a job whose answers wait for the disk is held back, one that is awaited goes on", async () => {
  const { disk, bench, node, client } = await openStage();
  node.say({ $case: "grantCredit", value: { chunks: 2 } });
  await submit(client, 1, [1, 1, 1, 1]);
  const written = Promise.withResolvers<WriteOutcome>();
  disk.outcome = () => written.promise;
  finishBig(node, 0, CLIENT_RESULT_BACKLOG_BYTES + 1);
  await settle();
  finishBig(node, 1, 1);
  await settle();
  expect(node.said("assignChunk")).toHaveLength(3);
  const asked = { jobId: "job-1", chunk: undefined, item: undefined };
  const { waits } = await bench.network.call(adminDescribeJob, "coordinator", asked, { timeoutMs: 1_000 });
  expect(waits).toMatchObject([{ cause: "throttled-client", detail: expect.stringContaining("coordinator's disk") }]);
  small(client, 5);
  await settle();
  expect(node.said("describeJob").map(({ jobId }) => jobId)).toEqual(["job-1", "job-5"]);
  disk.outcome = () => "kept";
  written.resolve("kept");
  await settle();
  finishBig(node, 2, 1);
  await settle();
  expect(node.said("assignChunk")).toHaveLength(5);
});

test("a listener that does not read is told as much as waits for it, and the rest when it has read", async () => {
  const { bench, node, client } = await openStage();
  await submit(client, 1, [1, 1, 1, 1]);
  await bench.network.listen("slow", bench.shell.routes);
  const [slow, quick] = [await bench.client({}, undefined, "3".repeat(32), "slow"), await bench.client()];
  attach(slow, 1);
  attach(quick, 1);
  await settle();
  bench.network.blackhole("slow", true);
  for (const at of [0, 1, 2, 3]) {
    finishBig(node, at, CLIENT_RESULT_BACKLOG_BYTES);
    await settle();
  }
  expect(quick.said("keptSpanDone")).toHaveLength(4);
  expect(held(bench)).toBeLessThan(2 * CLIENT_RESULT_BACKLOG_BYTES);
  bench.network.blackhole("slow", false);
  await bench.clock.advance(3 * HEARTBEAT_MS);
  for (let turns = 0; turns < 100 && slow.said("jobEnded").length === 0; turns++) await bench.clock.advance(100);
  expect([slow.said("keptSpanDone").length, slow.said("jobEnded").length]).toEqual([4, 1]);
});

/** Bytes that wait to be sent to clients. */
function held(bench: Bench): number {
  return numbersOf(bench, "heddle_coordinator_held_bytes").results ?? Number.NaN;
}

function numbersOf(bench: Bench, name: string): Readonly<Record<string, number>> {
  const metric = bench.shell.metrics().find((one) => one.name === name);
  if (metric === undefined || !("value" in metric)) return {};
  if (typeof metric.value === "number") return { all: metric.value };
  return "values" in metric.value ? metric.value.values : {};
}

test("what is awaited costs the disk an entry of the history, which nobody waits for and which leaves with others", async () => {
  const { disk, lives, bench, node, client } = await openStage();
  let writes = 0;
  disk.outcome = () => (++writes > 0 ? "kept" : "full");
  for (const job of [1, 2, 3]) small(client, job);
  await work(node);
  expect(client.said("jobEnded")).toHaveLength(3);
  expect(writes).toBe(0);
  await bench.clock.advance(HISTORY_PAUSE_MS);
  expect(writes).toBe(1);
  small(client, 4);
  await settle();
  const failure = { offset: 0, summary: "Error: no", place: undefined, kind: undefined };
  finish(node, node.said("assignChunk")[3]?.assignment, {
    $case: "itemError",
    value: { completed: 0, values: inline([]), failure },
  });
  await bench.shell.stop(0);
  expect(writes).toBe(2);
  const later = await lives.next();
  const { jobs } = await later.network.call(adminListJobs, "coordinator", {}, { timeoutMs: 1_000 });
  expect(jobs).toMatchObject([
    { jobId: "job-4", state: "failed", failure: "Error: no", kept: false, chunksDone: 0, client: "test" },
    { jobId: "job-3", state: "done", itemsDone: 1, itemsOffered: 1, chunksDone: 1 },
    { jobId: "job-2", state: "done" },
    { jobId: "job-1", state: "done" },
  ]);
});

test("what is written for a kept job takes along what is said of jobs that ended before", async () => {
  const { disk, lives, node, client } = await openStage();
  small(client, 4);
  await work(node);
  expect([client.said("jobEnded").length, disk.jobs.recovered().history]).toEqual([1, []]);
  let writes = 0;
  disk.outcome = () => (++writes === 1 ? "kept" : new Promise(() => undefined));
  openKept(client, 5);
  await settle();
  const { jobs } = await (await lives.next()).network.call(adminListJobs, "coordinator", {}, { timeoutMs: 1_000 });
  expect(jobs).toMatchObject([
    { jobId: "job-5", state: "submitting" },
    { jobId: "job-4", state: "done", itemsDone: 1, kept: false },
  ]);
});

test("what is said of jobs that ended while the disk was slow is written when it has done, once", async () => {
  const { disk, bench, node, client } = await openStage();
  const gates: (() => void)[] = [];
  disk.outcome = () => new Promise((resolve) => gates.push(() => resolve("kept")));
  for (const [at, writes] of [1, 1, 2].entries()) {
    small(client, at + 1);
    await work(node, at);
    await bench.clock.advance(2 * HISTORY_PAUSE_MS);
    expect(gates).toHaveLength(writes);
    if (at === 1) gates[0]?.();
  }
  gates[1]?.();
  await bench.clock.advance(2 * HISTORY_PAUSE_MS);
  expect([gates.length, disk.jobs.recovered().history.length]).toEqual([2, 3]);
});

test("a coordinator that is stopped has what it took on disk, and fails nothing by that", async () => {
  const { lives, bench, node, client } = await openStage();
  await submit(client, 1, [1, 1]);
  const written = Promise.withResolvers<WriteOutcome>();
  await work(node, 0, 1);
  const stopped = bench.shell.stop(60_000);
  written.resolve("kept");
  await bench.clock.advance(3_000);
  await stopped;
  const later = await lives.next();
  const listener = await later.client();
  attach(listener, 1);
  await work(await later.node("n1", 1));
  expect(told(listener)).toEqual(["1 attached to 2", "1 0+1: 0", "1 1+1: 10", "1 ended 1"]);
});

test("a coordinator that is stopped while its disk is full does not wait for that", async () => {
  const { disk, bench, node, client } = await openStage();
  await submit(client, 1, [1]);
  disk.outcome = () => "full";
  await work(node);
  const stopped = bench.shell.stop(0).then(() => "stopped");
  await bench.clock.advance(10_000);
  expect(await Promise.race([stopped, settle()])).toBe("stopped");
});

test("metrics tell of kept jobs, their bytes, and the answers that were written", async () => {
  const { bench, node, client } = await openStage();
  await submit(client, 1, [1]);
  await work(node);
  await submit(client, 2, [1, 1]);
  openKept(client, 3);
  await sendCode(client);
  await work(node, 1, 1);
  expect(numbersOf(bench, "heddle_coordinator_kept_jobs")).toEqual({ submitting: 1, running: 1, ended: 1 });
  expect(numbersOf(bench, "heddle_coordinator_kept_answers_total")).toEqual({ all: 2 });
  expect(numbersOf(bench, "heddle_coordinator_kept_bytes").all).toBeGreaterThan(CODE.byteLength);
});
