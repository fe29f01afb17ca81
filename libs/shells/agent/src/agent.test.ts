import { FOLD_BLOCK_ITEMS, PART_BYTES_MAX } from "@heddle/kernel";
import { sha256Hex } from "@heddle/port-blobs";
import type { FabricError, Failure } from "@heddle/wire";
import { describe, expect, onTestFinished, test } from "vitest";
import type { ChunkRecord, WorkerRecord } from "./records.ts";
import { deathReport, notStartedReport } from "./reports.ts";
import { Bench, functionRef, inline, settle } from "./testing.ts";

const LARGE = 2 * PART_BYTES_MAX;

async function open(slots?: number): Promise<Bench> {
  const bench = await Bench.open(slots);
  onTestFinished(() => bench[Symbol.asyncDispose]());
  return bench;
}

/** Assignment 1 of job 1 runs on worker 0. */
async function running(): Promise<Bench> {
  const bench = await open();
  bench.describe(1);
  bench.assign(1, 1);
  await settle();
  expect(bench.worker(0).chunks).toEqual([1]);
  return bench;
}

test("an agent registers, grants credit, runs what it is assigned and reports it once", async () => {
  const bench = await running();
  expect(bench.said("registerNode")).toMatchObject([{ name: "n1", slots: 1 }]);
  expect(bench.said("grantCredit").at(-1)?.chunks).toBeGreaterThan(0);
  bench.worker(0).returns(1, [42]);
  bench.worker(0).returns(1, [43]);
  await settle();
  expect(bench.said("chunkFinished")).toMatchObject([{ assignment: 1, pid: 100, outcome: { $case: "done" } }]);
});

test("large values go on as they arrive", async () => {
  const bench = await running();
  bench.worker(0).announce(1, LARGE);
  bench.worker(0).part(PART_BYTES_MAX, false);
  await settle();
  expect(bench.said("chunkFinished")).toHaveLength(1);
  expect(bench.said("part")).toMatchObject([{ last: false }]);
  bench.worker(0).part(PART_BYTES_MAX, true);
  await settle();
  expect(bench.said("part").map(({ last, aborted }) => [last, aborted])).toEqual([
    [false, false],
    [false, false],
    [true, false],
  ]);
});

test("a worker that dies in the middle of its values aborts them, and then its death is told", async () => {
  const bench = await running();
  bench.worker(0).announce(1, LARGE);
  bench.worker(0).part(PART_BYTES_MAX, false);
  bench.worker(0).exit({ signal: "SIGKILL" });
  await settle();
  expect(bench.said("part").at(-1)).toMatchObject({ last: true, aborted: true });
  expect(bench.said("chunkFinished").map(({ outcome }) => outcome?.$case)).toEqual(["done", "workerDeath"]);
});

test("a worker that says more than it announced dies, and what was announced is aborted", async () => {
  const bench = await running();
  bench.worker(0).announce(1, LARGE);
  bench.worker(0).part(PART_BYTES_MAX, true);
  await settle();
  expect(bench.worker(0).signals).toContain("SIGKILL");
  bench.worker(0).exit({ signal: "SIGKILL" });
  await settle();
  expect(bench.said("part").at(-1)).toMatchObject({ last: true, aborted: true });
  expect(bench.said("chunkFinished").at(-1)?.outcome?.$case).toBe("workerDeath");
});

test("a worker that returns more values than it was given items dies for it, and its node goes on", async () => {
  const bench = await running();
  bench.worker(0).returns(1, [1, 2]);
  await settle();
  expect(bench.worker(0).signals).toContain("SIGKILL");
  bench.worker(0).exit({ signal: "SIGKILL" });
  await settle();
  const [finished] = bench.said("chunkFinished");
  expect(finished?.outcome).toMatchObject({
    $case: "workerDeath",
    value: { loss: { stderrTail: "a worker returned 2 values for 1 items" } },
  });
});

test("values of a lost session never reach the next one, neither their parts nor their abort", async () => {
  const bench = await running();
  bench.worker(0).announce(1, LARGE);
  bench.worker(0).part(PART_BYTES_MAX / 2, false);
  await settle();
  await bench.loseSession();
  expect(bench.sessions).toHaveLength(2);
  bench.worker(0).part(PART_BYTES_MAX / 2, false);
  bench.worker(0).exit();
  await settle();
  expect(bench.said("registerNode")).toHaveLength(1);
  expect(bench.said("part")).toEqual([]);
});

test("what operators want of the node is said again to the next coordinator, and forgotten with it", async () => {
  const bench = await open();
  expect(bench.said("registerNode")[0]?.cordon).toBeUndefined();
  const cordon = { reason: "new disks", drained: true };
  bench.tell({ $case: "nodeCordonChanged", value: { cordon } });
  await bench.loseSession();
  expect(bench.said("registerNode")).toMatchObject([{ cordon }]);
  bench.tell({ $case: "nodeCordonChanged", value: { cordon: undefined } });
  await bench.loseSession();
  expect(bench.said("registerNode")[0]?.cordon).toBeUndefined();
});

test("a worker of a lost session cannot answer for an assignment of the next one with the same number", async () => {
  const bench = await running();
  await bench.loseSession();
  const old = bench.worker(0);
  bench.describe(1);
  bench.assign(1, 1);
  await settle();
  old.announce(1, LARGE);
  old.part(LARGE, true);
  old.returns(1, ["stale"]);
  await settle();
  expect(bench.said("chunkFinished")).toEqual([]);
  old.exit();
  const fresh = bench.worker(1);
  fresh.say({ $case: "workerReady", value: {} as never });
  await settle();
  expect(fresh.chunks).toEqual([1]);
  fresh.returns(1, ["fresh"]);
  await settle();
  expect(bench.said("chunkFinished")).toMatchObject([{ assignment: 1, pid: 101 }]);
});

test("what a worker of a lost session prints is nobody's output", async () => {
  const bench = await running();
  bench.worker(0).print("mine");
  await settle();
  expect(bench.said("output").map(({ text }) => text)).toEqual(["mine"]);
  await bench.loseSession();
  bench.describe(1);
  await settle();
  bench.worker(0).print("late");
  await settle();
  expect(bench.said("output")).toEqual([]);
});

test("a revocation that overtakes its assignment takes it back when it arrives", async () => {
  const bench = await open();
  bench.describe(1);
  bench.assign(1, 1);
  bench.assign(2, 1);
  bench.tell({ $case: "revokeChunk", value: { assignment: 2, stop: true } }); // control: arrives first
  await settle();
  expect(bench.said("chunkFinished")).toMatchObject([{ assignment: 2, outcome: { $case: "notStarted" } }]);
  bench.worker(0).returns(1, [1]);
  bench.tell({ $case: "revokeChunk", value: { assignment: 1, stop: true } });
  await settle();
  expect(bench.said("chunkFinished").map(({ assignment }) => assignment)).toEqual([2, 1]);
});

test("code that nobody has ends its chunks as not started, with the words of the coordinator", async () => {
  const bench = await open();
  const fn = functionRef({ artifact: "f".repeat(64) });
  bench.describe(1, { function: fn });
  bench.assign(1, 1);
  await settle();
  expect(bench.said("wantArtifact")).toEqual([{ hash: fn.artifact }]);
  const missing = "no client has it";
  bench.tell({ $case: "artifactContent", value: { hash: fn.artifact, content: undefined, missing } });
  await settle();
  expect(bench.said("chunkFinished")).toMatchObject([{ outcome: { $case: "notStarted", value: { fault: missing } } }]);
});

test("what a worker gives back of a chunk of many grains is told with the values of the rest", async () => {
  const bench = await open();
  bench.describe(1);
  bench.assign(1, 1, [1, 2, 3, 4], { grain: 2 });
  await settle();
  expect(bench.worker(0).told("runChunk")).toMatchObject([{ grain: 2 }]);
  bench.worker(0).answers(1, { $case: "part", value: { completed: 2, values: inline([10, 20]) } });
  await settle();
  const value = { completed: 2, values: { count: 2 } };
  expect(bench.said("chunkFinished")).toMatchObject([
    { assignment: 1, runMicros: 5, outcome: { $case: "partDone", value } },
  ]);
});

test.each([
  ["of a chunk that is one", 0, 1, [1]],
  ["that is none of it", 1, 0, []],
  ["that is all of it", 1, 2, [1, 2]],
  ["with another number of values", 1, 1, [1, 2]],
])("a worker dies for a part %s", async (_what, grain, completed, values) => {
  const bench = await open();
  bench.describe(1);
  bench.assign(1, 1, [1, 2], { grain });
  await settle();
  bench.worker(0).answers(1, { $case: "part", value: { completed, values: inline(values) } });
  await settle();
  expect(bench.worker(0).signals).toEqual(["SIGKILL"]);
});

const noFabricError: FabricError = {
  ...{ code: "internal", message: "", path: "", side: "", limitName: "", limit: 0, actual: 0 },
  cause: new Uint8Array(0),
};
const noPlace = { offset: 1, place: undefined };

test.each<[string, Failure | undefined]>([
  ["without its failure", undefined],
  ["described at great length", { ...noPlace, summary: "x".repeat(20_000), kind: undefined }],
  [
    "of the fabric described at great length",
    { ...noPlace, summary: "", kind: { $case: "fabricError", value: { ...noFabricError, path: "x".repeat(20_000) } } },
  ],
])("a worker dies for an error %s: the coordinator would drop its whole node", async (_what, failure) => {
  const bench = await open();
  bench.describe(1);
  bench.assign(1, 1, [1, 2]);
  await settle();
  bench.worker(0).answers(1, { $case: "error", value: { completed: 1, values: inline([1]), failure } });
  await settle();
  expect(bench.worker(0).signals).toEqual(["SIGKILL"]);
});

test("values of a job that folds are counted as it folds them", async () => {
  const bench = await open();
  bench.describe(1, { combine: functionRef({ exportName: "add" }) });
  bench.assign(1, 1, new Array(FOLD_BLOCK_ITEMS + 1).fill(0), { firstIndex: FOLD_BLOCK_ITEMS });
  await settle();
  expect(bench.worker(0).told("prepareJob")).toMatchObject([{ combine: { exportName: "add" } }]);
  bench.worker(0).returns(1, [7, 8]);
  await settle();
  expect(bench.said("chunkFinished")).toMatchObject([{ outcome: { $case: "done", value: { count: 2 } } }]);
});

describe("an initializer", () => {
  const initializer = { function: functionRef({ exportName: "init" }), args: new Uint8Array(0), argsArtifact: "" };
  const failure = { summary: "Error: no", error: Uint8Array.of(1) };

  test("is told to a worker until it has run it", async () => {
    const bench = await open();
    bench.describe(1, { initializer });
    bench.describe(2, { initializer });
    bench.assign(1, 1);
    await settle();
    bench.worker(0).say({ $case: "workerJoined", value: {} });
    bench.worker(0).returns(1, [1]);
    bench.assign(2, 2);
    await settle();
    const [first, second] = bench.worker(0).told("prepareJob");
    expect(first?.initializer).toMatchObject({ function: { exportName: "init" } });
    expect(second?.initializer).toBe(undefined);
  });

  test("that fails ends its worker and its chunk, and the next worker starts", async () => {
    const bench = await open();
    bench.describe(1, { initializer });
    bench.assign(1, 1);
    await settle();
    bench.worker(0).answers(1, { $case: "initFailure", value: failure });
    await settle();
    expect(bench.said("chunkFinished")).toMatchObject([{ outcome: { $case: "initFailure", value: failure } }]);
    expect(bench.worker(0).signals).toEqual(["SIGTERM"]);
    expect(bench.workers).toHaveLength(2);
  });

  test("that its worker does not survive has failed, in words about the death", async () => {
    const bench = await open();
    bench.describe(1, { initializer });
    bench.assign(1, 1);
    await settle();
    bench.worker(0).exit({ signal: null, exitCode: 3, stderrTail: "out\nof luck\n" });
    await settle();
    const summary = "a worker process exited with code 3 while it ran the initializer: out of luck";
    expect(bench.said("chunkFinished")).toMatchObject([{ outcome: { $case: "initFailure", value: { summary } } }]);
  });

  test("cannot fail where there is none, or once it is through", async () => {
    const bench = await open();
    bench.describe(1, { initializer });
    bench.assign(1, 1);
    await settle();
    bench.worker(0).say({ $case: "workerJoined", value: {} });
    bench.worker(0).answers(1, { $case: "initFailure", value: failure });
    await settle();
    expect(bench.worker(0).signals).toEqual(["SIGKILL"]);
  });

  test("brings its code and its arguments along before a chunk runs", async () => {
    const bench = await open();
    const args = new TextEncoder().encode("arguments");
    bench.describe(1, { initializer: { ...initializer, argsArtifact: sha256Hex(args) } });
    bench.assign(1, 1);
    await settle();
    expect(bench.worker(0).chunks).toEqual([]);
    expect(bench.said("wantArtifact")).toEqual([{ hash: sha256Hex(args) }]);
    bench.sendCode(args);
    await settle();
    expect(bench.worker(0).chunks).toEqual([1]);
    expect(bench.worker(0).told("prepareJob")[0]?.initializer?.argsLocation).not.toBe("");
  });
});

test("an item that runs for too long ends its worker, and what is returned of it then counts no more", async () => {
  const bench = await open();
  bench.describe(1, { itemTimeoutMs: 100 });
  bench.assign(1, 1, [1, 2, 3]);
  await settle();
  const worker = bench.worker(0);
  expect(worker.told("prepareJob")).toMatchObject([{ watched: true }]);
  worker.seen = { assignment: 1, offset: 1, forMs: 60 };
  await bench.clock.advance(100);
  expect(worker.signals).toEqual([]);
  worker.seen = { assignment: 1, offset: 1, forMs: 100 };
  await bench.clock.advance(40);
  expect(worker.signals).toEqual(["SIGTERM"]);
  worker.returns(1, [1, 2, 3]);
  await bench.clock.advance(1_000);
  expect(worker.signals).toEqual(["SIGTERM", "SIGKILL"]);
  expect(bench.said("chunkFinished")).toEqual([]);
  worker.exit();
  await settle();
  expect(bench.said("chunkFinished")).toMatchObject([{ outcome: { $case: "itemOverdue", value: { offset: 1 } } }]);
});

test("large values of a chunk whose item is overdue are aborted before it is told so", async () => {
  const bench = await open();
  bench.describe(1, { itemTimeoutMs: 100 });
  bench.assign(1, 1);
  await settle();
  bench.worker(0).seen = { assignment: 1, offset: 0, forMs: 100 };
  await bench.clock.advance(100);
  bench.worker(0).announce(1, LARGE);
  bench.worker(0).part(PART_BYTES_MAX, false);
  bench.worker(0).part(PART_BYTES_MAX, true);
  await settle();
  bench.worker(0).exit();
  await settle();
  // once: another end of the same parts would be against the rules, and cost the node its session
  expect(bench.said("part").filter(({ last }) => last)).toMatchObject([{ aborted: true }]);
  const told = (bench.heard.at(-1) ?? [])
    .map(({ $case }) => $case)
    .filter((kind) => kind === "chunkFinished" || kind === "part");
  expect(told).toEqual(["chunkFinished", "part", "part", "part", "chunkFinished"]);
  expect(bench.said("chunkFinished").map(({ outcome }) => outcome?.$case)).toEqual(["done", "itemOverdue"]);
});

test("each grain that ran counts as a chunk in the life of a worker", async () => {
  const bench = await open();
  bench.describe(1, { chunksPerWorker: 3 });
  bench.assign(1, 1, [1, 2, 3, 4], { grain: 2 });
  await settle();
  bench.worker(0).returns(1, [1, 2, 3, 4]);
  await settle();
  expect(bench.worker(0).signals).toEqual([]);
  bench.assign(2, 1, [1, 2, 3, 4], { grain: 2 });
  await settle();
  const first = { completed: 2, values: inline([1, 2]) };
  bench.worker(0).answers(2, { $case: "part", value: first });
  await settle();
  expect(bench.worker(0).signals).toEqual(["SIGTERM"]);
});

test("a worker that has grown too large is replaced", async () => {
  const bench = await open();
  bench.describe(1, { rssBytesPerWorker: 1_000 });
  bench.assign(1, 1);
  await settle();
  expect(bench.worker(0).told("prepareJob")).toMatchObject([{ weighed: true }]);
  const outcome = { $case: "done", value: inline([1]) } as const;
  const value = { assignment: 1, runMicros: 5, wroteOutput: false, rssBytes: 1_001, outcome };
  bench.worker(0).say({ $case: "chunkReturned", value });
  await settle();
  expect(bench.worker(0).signals).toEqual(["SIGTERM"]);
});

test("an agent that loses its coordinator while it drains ends, and dials no more", async () => {
  const bench = await running();
  const drained = bench.agent.drain(60_000);
  await settle();
  await bench.loseSession();
  await drained;
  await bench.clock.advance(10_000);
  expect(bench.sessions).toHaveLength(1);
  expect(bench.network.linkCount("coordinator")).toBe(0);
});

test("an agent whose name was taken ends as refused, and dials no more", async () => {
  const bench = await running();
  await bench.loseSession("conflict");
  expect(await bench.agent.ended).toEqual({ refused: "the coordinator was stopped", final: "replaced" });
  await bench.clock.advance(10_000);
  expect(bench.sessions).toHaveLength(1);
});

test("a drain that takes too long ends at its deadline", async () => {
  const bench = await running();
  const drained = bench.agent.drain(5_000);
  await settle();
  expect(bench.said("leaveNode")).toHaveLength(1);
  await bench.clock.advance(5_000);
  await drained;
  expect(await bench.agent.ended).toEqual({ refused: undefined });
});

test("words of a report count as bytes of its frame, so that many reports do not outgrow a message", () => {
  const exit = { exitCode: null, signal: "SIGKILL", mark: null, rssBytes: 0, stderrTail: "x".repeat(4_096) };
  const chunk = { assign: { assignment: 1 } } as ChunkRecord;
  const worker = { process: { pid: 7 }, exit } as unknown as WorkerRecord;
  expect(deathReport(chunk, worker, 0).bytes).toBe(4_096);
  expect(notStartedReport(1, "no memory").bytes).toBe(9);
});
