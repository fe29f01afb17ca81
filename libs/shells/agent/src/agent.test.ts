import { PART_BYTES_MAX } from "@heddle/kernel";
import { expect, onTestFinished, test } from "vitest";
import type { ChunkRecord, WorkerRecord } from "./records.ts";
import { deathReport, notStartedReport } from "./reports.ts";
import { Bench, settle } from "./testing.ts";

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
  const fn = {
    artifact: "f".repeat(64),
    exportName: "default",
    displayName: "fn",
    closure: false,
    captured: new Uint8Array(0),
    capturedArtifact: "",
  };
  const value = { job: 1, jobId: "job-1", pool: 1, function: fn, name: "", spread: false, depth: 0 };
  bench.tell({ $case: "describeJob", value }, 0);
  bench.assign(1, 1);
  await settle();
  expect(bench.said("wantArtifact")).toEqual([{ hash: fn.artifact }]);
  const missing = "no client has it";
  bench.tell({ $case: "artifactContent", value: { hash: fn.artifact, content: undefined, missing } });
  await settle();
  expect(bench.said("chunkFinished")).toMatchObject([{ outcome: { $case: "notStarted", value: { fault: missing } } }]);
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
  expect(await bench.agent.ended).toEqual({ refused: "the coordinator was stopped" });
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
