import { NESTING_DEPTH_MAX, PART_BYTES_MAX } from "@heddle/kernel";
import { JobOutcome, OpenJob, type RunRequestEntry } from "@heddle/wire";
import { expect, onTestFinished, test } from "vitest";
import { WORKER_WANTS_MAX } from "./limits.ts";
import { Bench, type FakeWorker, settle } from "./testing.ts";

type Kind = NonNullable<RunRequestEntry["kind"]>;

const register = {
  $case: "registerClient",
  value: { clientId: "a".repeat(32), description: "task" },
} as const satisfies Kind;
const cancel = (job: number): Kind => ({ $case: "cancelJob", value: { job, reason: "" } });
const openJob = (job: number): Kind => {
  return { $case: "openJob", value: OpenJob.fromPartial({ job, jobId: `nested-${job}`, poolId: "p" }) };
};
const part = (bytes: number, partStream = 1) => ({
  $case: "part" as const,
  value: { partStream, data: new Uint8Array(bytes), last: false, aborted: false },
  bulkBytes: bytes,
});

/** A worker that runs a task inside of `depth` others. */
async function nesting(depth = 0): Promise<readonly [Bench, FakeWorker]> {
  const bench = await Bench.open();
  onTestFinished(() => bench[Symbol.asyncDispose]());
  bench.describe(1, { depth });
  bench.assign(1, 1);
  await settle();
  expect(bench.worker(0).chunks).toEqual([1]);
  return [bench, bench.worker(0)];
}

test("what a task says reaches the coordinator as a client's, in order, and the answers reach the task", async () => {
  const [bench, worker] = await nesting();
  expect(bench.clients).toHaveLength(0);
  worker.nested(1, register, cancel(1));
  worker.nested(1, cancel(2));
  await settle();
  const [client] = bench.clients;
  expect(client?.heard).toEqual([register, cancel(1), cancel(2)]);
  client?.session.send({ kind: { $case: "capacity", value: { slots: 3, nodes: 1 } } });
  client?.session.send({ kind: { $case: "wantArtifact", value: { hash: "h" } } });
  await settle();
  expect(worker.told("nestedResponse").map(({ session, entries }) => [session, entries[0]?.kind?.$case])).toEqual([
    [1, "capacity"],
    [1, "wantArtifact"],
  ]);
  expect(bench.clients).toHaveLength(1);
});

test("a task is told of the bytes that left the machine once the coordinator takes them, and of all of them", async () => {
  const [bench, worker] = await nesting();
  const count = 24;
  worker.nested(1, register, ...Array.from({ length: count }, () => part(PART_BYTES_MAX)));
  expect(worker.told("nestedTaken")).toEqual([]);
  await settle();
  expect(worker.told("nestedTaken")).toEqual([{ bytes: count * PART_BYTES_MAX, session: 1 }]);
  worker.nested(1, part(10), part(20));
  expect(worker.told("nestedTaken").at(-1)).toEqual({ bytes: 30, session: 1 });
  await settle();
  expect(bench.clients[0]?.heard.filter(({ $case }) => $case === "part")).toHaveLength(count + 2);
});

test("a job of a task is one deeper than the task", async () => {
  const [bench, worker] = await nesting(3);
  worker.nested(1, register, openJob(1));
  await settle();
  expect(bench.clients[0]?.heard.at(-1)).toMatchObject({ $case: "openJob", value: { job: 1, depth: 4 } });
});

test("a job inside of too many tasks is refused here, in words and with the limit, and the session goes on", async () => {
  const [bench, worker] = await nesting(NESTING_DEPTH_MAX);
  worker.nested(1, register, openJob(1), cancel(7));
  await settle();
  expect(bench.clients[0]?.heard).toEqual([register, cancel(7)]);
  const error = {
    code: "limit",
    limitName: "NESTING_DEPTH_MAX",
    limit: NESTING_DEPTH_MAX,
    actual: NESTING_DEPTH_MAX + 1,
  };
  expect(worker.told("nestedResponse")[0]?.entries[0]?.kind).toMatchObject({
    $case: "jobEnded",
    value: { job: 1, outcome: JobOutcome.FAILED, error },
  });
});

test("a worker's death ends its session with a goodbye at once", async () => {
  const [bench, worker] = await nesting();
  worker.nested(1, register);
  await settle();
  worker.exit({ signal: "SIGKILL" });
  await settle();
  expect(bench.clients[0]?.end).toMatchObject({ reason: "goodbye", goodbye: { code: "closed" } });
});

test("a session that the task closes is told goodbye, and what it still says in it is dropped", async () => {
  const [bench, worker] = await nesting();
  worker.nested(1, register);
  await settle();
  worker.say({ $case: "nestedClose", value: { session: 1 } });
  worker.nested(1, cancel(1));
  worker.nested(2, register, cancel(2));
  worker.say({ $case: "nestedClose", value: { session: 1 } });
  worker.nested(1, cancel(3));
  await settle();
  expect(bench.clients.map(({ heard }) => heard)).toEqual([[register], [register, cancel(2)]]);
  expect(bench.clients.map(({ end }) => end?.reason)).toEqual(["goodbye", undefined]);
  expect(worker.told("nestedEnded")).toEqual([]);
});

test("a task is told why its session ended, and what it says before it knows opens no other", async () => {
  const [bench, worker] = await nesting();
  worker.nested(1, register);
  await settle();
  await bench.clients[0]?.session.close({ code: "protocol", message: "it said something wrong" });
  await settle();
  expect(worker.told("nestedEnded")).toEqual([{ code: "protocol", message: "it said something wrong", session: 1 }]);
  worker.nested(1, cancel(1), part(10));
  await settle();
  expect(bench.clients).toHaveLength(1);
  worker.nested(2, register);
  await settle();
  expect(bench.clients).toHaveLength(2);
  expect(bench.said("registerNode")).toHaveLength(1);
});

test("with the coordinator each task loses its session, and is told", async () => {
  const [bench, worker] = await nesting();
  worker.returns(1, [1]); // an idle worker stays when the coordinator is lost
  worker.nested(1, register);
  await settle();
  await bench.loseSession();
  expect(worker.told("nestedEnded")).toMatchObject([{ code: "unavailable", session: 1 }]);
  expect(bench.clients[0]?.end).toMatchObject({ reason: "goodbye" });
});

test("a drained node leaves no session behind, and opens none", async () => {
  const [bench, worker] = await nesting();
  worker.nested(1, register);
  await settle();
  const drained = bench.agent.drain(1_000);
  await bench.clock.advance(1_000);
  await drained;
  expect(bench.clients[0]?.end).toMatchObject({ reason: "goodbye" });
  worker.nested(2, register);
  worker.nested(2, cancel(1));
  await settle();
  expect(bench.clients).toHaveLength(1);
  expect(worker.told("nestedEnded").at(-1)).toEqual({
    code: "unavailable",
    message: "the node was drained",
    session: 2,
  });
});

test.each([
  ["an entry larger than any part", { ...part(PART_BYTES_MAX + 1) }],
  ["bytes that it says are fewer", { ...part(1_000), bulkBytes: 999 }],
  ["bytes in the lane for small words", { ...part(1_000), bulkBytes: undefined }],
])("a worker that says %s dies for it, alone", async (_what, entry) => {
  const [bench, worker] = await nesting();
  worker.nested(1, register);
  await settle();
  worker.nested(1, entry as never);
  worker.nested(1, cancel(1));
  await settle();
  expect(worker.signals).toEqual(["SIGKILL"]);
  worker.exit({ signal: "SIGKILL" });
  await settle();
  expect(bench.clients[0]?.heard).toEqual([register]);
  expect(bench.clients[0]?.end?.reason).toBe("goodbye");
  expect(bench.said("chunkFinished")).toMatchObject([{ outcome: { $case: "workerDeath" } }]);
  expect(bench.sessions).toHaveLength(1);
});

test("a worker that asks for more artifacts than any task needs dies for it, alone", async () => {
  const [bench, worker] = await nesting();
  const hash = (at: number): string => at.toString(16).padStart(64, "0");
  for (let at = 0; at <= WORKER_WANTS_MAX; at++) worker.say({ $case: "wantArtifact", value: { hash: hash(at) } });
  await settle();
  expect(worker.signals).toEqual(["SIGKILL"]);
  expect(bench.said("wantArtifact")).toHaveLength(WORKER_WANTS_MAX);
});

test("a task that waits for the fabric lends its slot to a chunk of what it waits for", async () => {
  const [bench, worker] = await nesting();
  bench.describe(2, { pool: 2, depth: 1 });
  bench.assign(2, 2);
  await settle();
  worker.say({ $case: "taskWaiting", value: { waiting: true } });
  await settle();
  for (const other of bench.workers.slice(1)) other.say({ $case: "workerReady", value: { pid: other.pid } as never });
  await settle();
  expect(bench.workers.slice(1).flatMap(({ chunks }) => chunks)).toEqual([2]);
});
