import { CHECKPOINT_BYTES_MAX, PART_BYTES_MAX } from "@heddle/kernel";
import { CHECKPOINTS_MINOR, encodePayload, type Payload } from "@heddle/wire";
import { expect, onTestFinished, test } from "vitest";
import { CHECKPOINT_BACKLOG_BYTES } from "./limits.ts";
import { ADDRESS, Bench, type BenchOptions, type FakeWorker, settle } from "./testing.ts";

/** An agent of two slots with a chunk of three items in each. */
async function running(more: Omit<BenchOptions, "slots"> = {}): Promise<Bench> {
  const bench = await Bench.open(2, more);
  onTestFinished(() => bench[Symbol.asyncDispose]());
  bench.sendCode();
  bench.describe(1);
  for (const assignment of [1, 2]) bench.assign(assignment, 1, [1, 2, 3], { poolSlots: 2 });
  await settle();
  expect(bench.workers.map(({ chunks }) => chunks)).toEqual([[1], [2]]);
  return bench;
}

function state(value: unknown): Payload {
  const { encoding, count, bytes } = encodePayload([value], "value");
  return { encoding, count, size: bytes.length, data: bytes, partStream: 0 };
}

/** A worker has a checkpoint of so many bytes, larger than an entry, of the first item of its chunk. */
function saysLarge(worker: FakeWorker, assignment: number, size: number): void {
  const header = { ...state(""), size, data: new Uint8Array(0), partStream: 1 };
  worker.say({ $case: "checkpoint", value: { assignment, offset: 0, state: header } });
  worker.part(size, true);
}

const ends = (bench: Bench) =>
  bench.said("chunkFinished").map(({ assignment, outcome }) => [assignment, outcome?.$case]);

/** An item failed with so many done before it. */
function throws(completed: number) {
  const values = encodePayload(new Array(completed).fill(1), "result");
  const payload = {
    encoding: values.encoding,
    count: completed,
    size: values.bytes.length,
    data: values.bytes,
    partStream: 0,
  };
  const failure = { firstIndex: 0, offset: completed, summary: "AbortError", place: undefined, kind: undefined };
  return { $case: "error" as const, value: { completed, values: payload, failure: failure as never } };
}

test("an agent says when it ends, leaves in time and tells what runs; what that throws is no failure, what stays is stopped", async () => {
  const bench = await running({ lifetimeMs: 20_000 });
  expect(bench.said("registerNode")).toMatchObject([{ lifetime: { leftMs: 20_000, graceMs: 5_000 } }]);
  await bench.clock.advance(14_999);
  expect([bench.said("leaveNode"), bench.worker(0).told("stopNotice")]).toEqual([[], []]);
  await bench.clock.advance(1);
  expect(bench.said("leaveNode")).toMatchObject([{ lifetime: { leftMs: 5_000 } }]);
  const reason = "node n1 comes to its end: what runs on it is stopped in 3.8 s";
  expect(bench.workers.map((worker) => worker.told("stopNotice"))).toEqual([[{ reason }], [{ reason }]]);
  bench.worker(0).answers(1, throws(2));
  await settle();
  expect(ends(bench)).toEqual([[1, "partDone"]]);
  await bench.clock.advance(3_750);
  expect(bench.worker(1).signals).toEqual(["SIGTERM"]);
  bench.worker(1).answers(2, throws(0));
  await settle();
  expect(ends(bench)).toEqual([
    [1, "partDone"],
    [2, "stopped"],
  ]);
  for (const worker of bench.workers) worker.exit();
  expect(await bench.agent.ended).toEqual({ refused: undefined, isOfAge: true });
});

test("what a task throws while nobody has told it to end is its own", async () => {
  const bench = await running({ lifetimeMs: 20_000 });
  bench.worker(0).answers(1, throws(2));
  await settle();
  expect(ends(bench)).toEqual([[1, "itemError"]]);
});

test("an agent that is stopped ends by then, unless its life is over before", async () => {
  const bench = await running({ lifetimeMs: 4_000 });
  const drained = bench.agent.drain(60_000);
  await bench.clock.advance(3_999);
  expect(bench.said("leaveNode")).toMatchObject([{ lifetime: { leftMs: 4_000, graceMs: 1_000 } }]);
  await bench.clock.advance(1);
  await drained;
  expect(await bench.agent.ended).toEqual({ refused: undefined });
});

test("what an item has come to goes to the coordinator before the end of its chunk", async () => {
  const bench = await running();
  bench.worker(0).say({ $case: "checkpoint", value: { assignment: 1, offset: 1, state: state("half") } });
  bench.worker(0).say({ $case: "checkpoint", value: { assignment: 2, offset: 0, state: state("another's chunk") } });
  bench.worker(0).exit({ signal: "SIGKILL" });
  await settle();
  expect(bench.said("chunkCheckpointed")).toEqual([{ assignment: 1, offset: 1, state: state("half") }]);
  const cases = bench.heard.flat().map(({ $case }) => $case);
  expect(cases.indexOf("chunkCheckpointed")).toBeLessThan(cases.indexOf("chunkFinished"));
});

test("a coordinator of a build that knows no checkpoints is told of none, not even parts of one", async () => {
  const bench = await running({ minor: CHECKPOINTS_MINOR - 1 });
  saysLarge(bench.worker(0), 1, 2 * PART_BYTES_MAX);
  bench.worker(1).say({ $case: "checkpoint", value: { assignment: 2, offset: 0, state: state("small") } });
  await settle();
  bench.worker(0).returns(1, [1, 2, 3]);
  await settle();
  expect([bench.said("chunkCheckpointed"), bench.said("part")]).toEqual([[], []]);
  expect(ends(bench)).toEqual([[1, "done"]]);
});

test("what waits because the coordinator does not keep up is said once it does, the newest of each chunk, while that runs", async () => {
  const bench = await running();
  bench.network.cut(ADDRESS);
  const most = CHECKPOINT_BACKLOG_BYTES / CHECKPOINT_BYTES_MAX + 2;
  for (let said = 0; said < most; said++) saysLarge(bench.worker(0), 1, CHECKPOINT_BYTES_MAX);
  for (const word of ["older", "newer"])
    bench.worker(1).say({ $case: "checkpoint", value: { assignment: 2, offset: 0, state: state(word) } });
  await settle();
  expect(bench.said("chunkCheckpointed")).toEqual([]);
  await bench.clock.advance(5_000);
  const said = bench.said("chunkCheckpointed");
  expect(said.filter(({ assignment }) => assignment === 2)).toEqual([
    { assignment: 2, offset: 0, state: state("newer") },
  ]);
  expect(bench.said("part").filter(({ last }) => last)).toHaveLength(said.length - 1);
  expect([bench.sessions.length, ends(bench)]).toEqual([1, []]);
});

test.each([
  ["of an item that it does not have", { assignment: 1, offset: 3, state: state(1) }],
  [
    "that is too large",
    {
      assignment: 1,
      offset: 0,
      state: { ...state(1), size: CHECKPOINT_BYTES_MAX + 1, data: new Uint8Array(0), partStream: 1 },
    },
  ],
])("a worker with a checkpoint %s is killed", async (_what, value) => {
  const bench = await running();
  bench.worker(0).say({ $case: "checkpoint", value });
  await settle();
  expect(bench.worker(0).signals).toEqual(["SIGKILL"]);
});

test("what an attempt before has left goes to the worker with the chunk", async () => {
  const bench = await running();
  bench.assign(3, 1, [1, 2], { restored: { offset: 1, state: state("half") }, poolSlots: 2 });
  bench.worker(0).returns(1, [1, 2, 3]);
  await settle();
  expect(
    bench
      .worker(0)
      .told("runChunk")
      .map(({ restored }) => restored),
  ).toEqual([undefined, { offset: 1, state: state("half") }]);
});
