import { FOLD_BLOCK_ITEMS, PART_BYTES_MAX } from "@heddle/kernel";
import { type ChunkFinished, type Failure, JobOutcome, type OpenJob, type OpenPool, type Payload } from "@heddle/wire";
import { expect, onTestFinished, test } from "vitest";
import { ENDED_JOBS_MAX } from "./limits.ts";
import { type Client, finish, inline, type Node, offer, openBench, openJob, POOL, settle, small } from "./testing.ts";

const fn = {
  artifact: "1".repeat(64),
  exportName: "default",
  displayName: "fn",
  closure: false,
  captured: new Uint8Array(0),
  capturedArtifact: "",
};
const initializer = { function: fn, args: Uint8Array.of(0x91, 1), argsArtifact: "" };
const failure: Failure = { offset: undefined, place: undefined, summary: "no", kind: undefined };

/** A payload of so many values without bytes: nobody here reads them. */
function values(count: number): Payload {
  return { encoding: 0, count, size: 0, data: new Uint8Array(0), partStream: 0 };
}

async function clientAndNode(pool: Partial<OpenPool> = {}, credit = 4): Promise<[Client, Node]> {
  const bench = await openBench(onTestFinished);
  return [await bench.client(pool), await bench.node("n1", credit)];
}

/** A job of one chunk, sealed. */
function oneChunk(client: Client, input: Payload, more: Partial<OpenJob> = {}, grain = 0): void {
  openJob(client, 1, { open: more });
  offer(client, 1, 0, input, { grain });
  client.say({ $case: "sealJob", value: { job: 1, chunkCount: 1 } }, 0);
}

/** Answers the node's newest assignment. */
async function answer(node: Node, outcome: ChunkFinished["outcome"]): Promise<void> {
  finish(node, node.said("assignChunk").at(-1)?.assignment, outcome);
  await settle();
}

test("a node is told everything that the pool and the job ask of its workers", async () => {
  const [client, node] = await clientAndNode({ initializer, chunksPerWorker: 7, rssBytesPerWorker: 2 ** 33 });
  const asked = { itemTimeoutMs: 50, concurrency: 8, seedLow: 1, seedHigh: 2, combine: fn, prime: false };
  oneChunk(client, inline([1]), asked);
  await settle();
  expect(node.said("describeJob")).toMatchObject([
    { initializer, chunksPerWorker: 7, rssBytesPerWorker: 2 ** 33, ...asked },
  ]);
});

test("a job that only has workers join their pool names no function and brings no value", async () => {
  const [client, node] = await clientAndNode({ initializer });
  oneChunk(client, inline([null]), { prime: true, function: undefined });
  await settle();
  expect(node.said("describeJob")).toMatchObject([{ prime: true, function: undefined, initializer }]);
  await answer(node, { $case: "done", value: values(0) });
  expect(client.said("jobEnded")).toMatchObject([{ outcome: JobOutcome.DONE }]);
});

test("a job that collects goes on behind an item that failed for good, and ends as done", async () => {
  const [client, node] = await clientAndNode();
  oneChunk(client, inline([1, 2, 3]), { collect: true });
  await settle();
  await answer(node, { $case: "itemError", value: { completed: 1, values: values(1), failure } });
  expect(client.said("itemFailed")).toMatchObject([{ failure: { offset: 1, summary: "no" } }]);
  expect(node.said("assignChunk").at(-1)).toMatchObject({ span: { offset: 2, count: 1 }, attempt: 2 });
  await answer(node, { $case: "done", value: values(1) });
  expect(client.said("spanDone").map(({ span }) => span)).toEqual([
    { offset: 0, count: 1 },
    { offset: 2, count: 1 },
  ]);
  expect(client.said("jobEnded")).toMatchObject([{ outcome: JobOutcome.DONE }]);
});

test("operators see a chunk as done once each of its items is, failed ones of a job that collects included", async () => {
  const bench = await openBench(onTestFinished);
  const [client, node] = [await bench.client(), await bench.node("n1", 4)];
  openJob(client, 1, { open: { collect: true } });
  offer(client, 1, 0, inline([1, 2, 3]));
  await settle();
  await answer(node, { $case: "itemError", value: { completed: 1, values: values(1), failure } });
  expect(await bench.jobs()).toMatchObject([{ itemsDone: 1, itemsOffered: 3, chunksDone: 0, chunksOffered: 1 }]);
  await answer(node, { $case: "done", value: values(1) });
  expect(await bench.jobs()).toMatchObject([{ itemsDone: 2, itemsOffered: 3, chunksDone: 1, chunksOffered: 1 }]);
});

test("small chunks that travel together come back in grains when a worker gives them back", async () => {
  const [client, node] = await clientAndNode();
  oneChunk(client, inline([1, 2, 3, 4, 5]), {}, 2);
  await settle();
  expect(node.said("assignChunk")).toMatchObject([{ span: undefined, grain: 2 }]);
  await answer(node, { $case: "partDone", value: { completed: 2, values: values(2) } });
  expect(client.said("spanDone")).toMatchObject([{ span: { offset: 0, count: 2 }, runMicros: 5 }]);
  expect(node.said("assignChunk").slice(1)).toMatchObject([
    { span: { offset: 2, count: 2 }, grain: 0 },
    { span: { offset: 4, count: 1 }, grain: 0 },
  ]);
});

test("an item that ran for too long fails with the bound that it broke", async () => {
  const [client, node] = await clientAndNode();
  oneChunk(client, inline([1, 2]), { itemTimeoutMs: 250 });
  await settle();
  await answer(node, { $case: "itemOverdue", value: { offset: 1 } });
  const kind = { $case: "itemTimeout", value: { timeoutMs: 250 } };
  expect(client.said("itemFailed")).toMatchObject([
    { failure: { offset: 1, summary: "item ran for longer than 250 ms", kind } },
  ]);
  expect(client.said("jobEnded")).toMatchObject([{ outcome: JobOutcome.FAILED, error: undefined }]);
});

test("a pool whose initializer keeps failing fails its jobs with what it threw last", async () => {
  const [client, node] = await clientAndNode({ initializer });
  oneChunk(client, inline([1]));
  await settle();
  for (const error of [1, 2, 3].map((it) => Uint8Array.of(it)))
    await answer(node, { $case: "initFailure", value: { summary: "Error: no database", error } });
  expect(client.said("jobEnded")).toMatchObject([
    {
      outcome: JobOutcome.FAILED,
      error: { code: "pool-init", message: "Error: no database", cause: Uint8Array.of(3) },
    },
  ]);
});

test("a span of a job that folds has one value for each whole block, and no other number of them", async () => {
  const [client, node] = await clientAndNode();
  const count = FOLD_BLOCK_ITEMS + 3;
  oneChunk(client, values(count), { combine: fn });
  await settle();
  await answer(node, { $case: "done", value: values(4) });
  expect(client.said("jobEnded")).toMatchObject([{ outcome: JobOutcome.DONE }]);
  openJob(client, 2, { open: { combine: fn } });
  offer(client, 2, 0, values(count));
  await settle();
  await answer(node, { $case: "done", value: values(count) });
  expect(node.end).toMatchObject({ goodbye: { code: "protocol" } });
});

test("no new chunk starts while results are unread, and one does when they are taken", async () => {
  const [client, node] = await clientAndNode({}, 1);
  openJob(client, 1, { open: { unreadBytesMax: 1 } });
  for (const chunk of [0, 1]) offer(client, 1, chunk);
  await settle();
  const result = inline([7]);
  await answer(node, { $case: "done", value: result });
  expect(node.said("assignChunk")).toHaveLength(1);
  client.say({ $case: "takeResults", value: { job: 1, bytes: result.size } });
  await settle();
  expect(node.said("assignChunk")).toHaveLength(2);
});

test("a job goes to a node that has what its pool and it ask for, and waits until there is one", async () => {
  const bench = await openBench(onTestFinished);
  const client = await bench.client({ requirements: { labels: { disk: "ssd" }, resources: {} } });
  const plain = await bench.node("n1", 4);
  oneChunk(client, inline([1]), { requirements: { labels: {}, resources: { gpu: 1 } } });
  await settle();
  const fitting = await bench.node("n2", 4, { labels: { disk: "ssd" }, resources: { gpu: 1 } });
  expect([plain, fitting].map((node) => node.said("assignChunk").length)).toEqual([0, 1]);
});

test("a job id that is in use or was is refused, and the job that has it goes on", async () => {
  const [client, node] = await clientAndNode();
  const jobId = "the-one";
  small(client, 1, { open: { jobId } });
  small(client, 2, { open: { jobId } });
  await settle();
  expect(client.said("jobEnded")).toMatchObject([
    { job: 2, outcome: JobOutcome.FAILED, error: { code: "conflict", message: expect.stringContaining(jobId) } },
  ]);
  await answer(node, { $case: "done", value: inline([7]) });
  small(client, 3, { open: { jobId } });
  await settle();
  const ended = client.said("jobEnded").map(({ job, error }) => [job, error?.code]);
  expect(ended).toEqual([
    [2, "conflict"],
    [1, undefined],
    [3, "conflict"],
  ]);
});

test("the id of a job that ended long ago may be used again", async () => {
  const [client] = await clientAndNode();
  const empty = (job: number, jobId: string): void => {
    openJob(client, job, { open: { jobId } });
    client.say({ $case: "sealJob", value: { job, chunkCount: 0 } }, 0);
  };
  for (let job = 1; job <= ENDED_JOBS_MAX + 1; job++) empty(job, `id-${job}`);
  await settle();
  empty(ENDED_JOBS_MAX + 2, "id-1");
  empty(ENDED_JOBS_MAX + 3, "id-9");
  await settle();
  const ends = new Map(client.said("jobEnded").map(({ job, error }) => [job, error?.code]));
  expect([2, 3].map((after) => ends.get(ENDED_JOBS_MAX + after))).toEqual([undefined, "conflict"]);
  expect(ends.size).toBe(ENDED_JOBS_MAX + 3);
});

test("large values of a job that was cancelled while they came are aborted at the client, once", async () => {
  const [client, node] = await clientAndNode();
  oneChunk(client, inline([1]));
  await settle();
  const large = { ...values(1), size: PART_BYTES_MAX + 1, partStream: 5 };
  await answer(node, { $case: "done", value: large });
  client.say({ $case: "cancelJob", value: { job: 1, reason: "" } });
  await settle();
  for (const size of [PART_BYTES_MAX, 1])
    node.say(
      {
        $case: "part",
        value: { partStream: 5, data: new Uint8Array(size), last: size === 1, aborted: false },
      },
      size,
    );
  await settle();
  expect(client.said("part").filter(({ last }) => last)).toMatchObject([{ aborted: true }]);
  expect([client.end, node.end]).toEqual([undefined, undefined]);
});

test("a node that has less than nothing of something is dropped", async () => {
  const bench = await openBench(onTestFinished);
  const nodes = [
    await bench.node("n1", 1, { resources: { gpu: -1 } }),
    await bench.node("n2", 1, { resources: { gpu: Number.NaN } }),
  ];
  for (const node of nodes) expect(node.end).toMatchObject({ goodbye: { code: "protocol" } });
});

const manyLabels = Object.fromEntries(Array.from({ length: 33 }, (_, at) => [`label-${at}`, "x"]));

test.each<[string, Partial<OpenJob>]>([
  ["to let items run for longer than a timer waits", { itemTimeoutMs: 2 ** 31 }],
  ["to run more items at a time than it may", { concurrency: 1_025 }],
  ["to fold with what is no code", { combine: { ...fn, artifact: "x" } }],
  ["to need more labels than it may", { requirements: { labels: manyLabels, resources: {} } }],
  ["to need what has too long a name", { requirements: { labels: {}, resources: { ["x".repeat(64)]: 1 } } }],
  ["to need less than nothing", { requirements: { labels: {}, resources: { gpu: -1 } } }],
  ["to have no function", { function: undefined }],
])("a client whose job claims %s is dropped", async (_what, more) => {
  const [client] = await clientAndNode();
  openJob(client, 1, { open: more });
  await settle();
  expect(client.end).toMatchObject({ reason: "goodbye", goodbye: { code: "protocol" } });
});

test("a client whose chunk has more grains than travel as one is dropped: each could become a span of its own", async () => {
  const [client, node] = await clientAndNode();
  oneChunk(client, values(2 * 1_024), {}, 2);
  await settle();
  expect(node.said("assignChunk")).toMatchObject([{ grain: 2 }]);
  offer(client, 1, 1, values(2 * 1_024 + 1), { grain: 2 });
  await settle();
  expect(client.end).toMatchObject({ goodbye: { code: "protocol" } });
});

test("a client whose chunk has larger grains than items is dropped, as one whose initializer has no function", async () => {
  const [client] = await clientAndNode();
  oneChunk(client, inline([1]), {}, 2);
  await settle();
  expect(client.end).toMatchObject({ goodbye: { code: "protocol" } });
  const [other] = await clientAndNode({ poolId: POOL, initializer: { ...initializer, function: undefined } });
  expect(other.end).toMatchObject({ goodbye: { code: "protocol" } });
});

test.each<[string, ChunkFinished["outcome"]]>([
  ["finishes all of a chunk in part", { $case: "partDone", value: { completed: 2, values: values(2) } }],
  ["has another number of values than it says", { $case: "partDone", value: { completed: 1, values: values(2) } }],
  ["has an item overdue that may run for ever", { $case: "itemOverdue", value: { offset: 0 } }],
  ["throws more than travels", { $case: "initFailure", value: { summary: "", error: new Uint8Array(64 * 1024 + 1) } }],
])("a node that %s is dropped", async (_what, outcome) => {
  const [client, node] = await clientAndNode();
  oneChunk(client, inline([1, 2]));
  await settle();
  await answer(node, outcome);
  expect(node.end).toMatchObject({ reason: "goodbye", goodbye: { code: "protocol" } });
});
