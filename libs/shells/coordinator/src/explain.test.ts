import { NotFoundError } from "@heddle/kernel";
import { adminDescribeJob, type DescribeJobRequest, type DescribeJobResponse } from "@heddle/wire";
import { beforeEach, expect, onTestFinished, test } from "vitest";
import { type Bench, finish, inline, offer, openBench, openJob, settle, small } from "./testing.ts";

let bench: Bench;
beforeEach(async () => {
  bench = await openBench((close) => onTestFinished(close));
});

const ask = (jobId: string, which: Partial<DescribeJobRequest> = {}): Promise<DescribeJobResponse> => {
  const request = { jobId, chunk: undefined, item: undefined, ...which };
  return bench.network.call(adminDescribeJob, "coordinator", request, { timeoutMs: 1_000 });
};

test("a job says what runs where, since when, and when that node was last heard", async () => {
  const [client, node] = [await bench.client(), await bench.node("n1", 1)];
  small(client, 1);
  await settle();
  await bench.clock.advance(1_000);
  node.say({ $case: "chunkStarted", value: { assignment: node.said("assignChunk")[0]?.assignment ?? 0 } });
  await settle();
  await bench.clock.advance(500);
  const { job, running, runningCount, waits, attempts, nodes } = await ask("job-1");
  expect(job).toMatchObject({ jobId: "job-1", state: "running", itemsOffered: 1 });
  expect([runningCount, waits, attempts]).toEqual([1, [], []]);
  const ages = { placedMs: 1_500, startedMs: 500, endedMs: 0 };
  expect(running).toMatchObject([{ chunk: 0, count: 1, attempt: 1, node: "n1", state: "running", ...ages }]);
  expect(nodes).toMatchObject([{ name: "n1", state: "ready" }]);
  expect(nodes[0]?.heardMs).toBeLessThanOrEqual(500);
});

test("what waits says for what, in words and with its time", async () => {
  const client = await bench.client({ processes: 1 });
  openJob(client, 1, { open: { retries: 3 } });
  for (let chunk = 0; chunk < 4; chunk++) offer(client, 1, chunk);
  small(client, 2, { open: { requirements: { labels: { gpu: "a\u001b[2J" }, resources: {} } } });
  await settle();
  expect((await ask("job-1")).waits).toMatchObject([
    { cause: "no-node", chunks: 4, detail: "there is no node", leftMs: 0 },
  ]);
  const node = await bench.node("n1", 1);
  await bench.node("n2", 1);
  await bench.clock.advance(1_000);
  expect((await ask("job-1")).waits).toMatchObject([
    { cause: "pool-bound", chunks: 3, detail: "its pool may use 1 slot at a time, and has 1 chunk on nodes" },
  ]);
  const lacking = "no node could ever run it: needs label gpu=a [2J: 2 nodes, none has it";
  expect((await ask("job-2")).waits).toMatchObject([{ cause: "lacking", chunks: 1, detail: lacking, leftMs: 4_000 }]);
  const failure = { offset: undefined, place: undefined, summary: "no such file", kind: undefined };
  const value = { completed: 0, values: inline([]), failure };
  finish(node, node.said("assignChunk")[0]?.assignment, { $case: "itemError", value });
  await settle();
  const { waits, attempts, chunk } = await ask("job-1", { item: 0 });
  expect([waits, attempts]).toMatchObject([[], [{ chunk: 0, state: "item-error", summary: "no such file", pid: 9 }]]);
  expect(chunk).toMatchObject({ chunk: 0, state: "open", firstIndex: 0, count: 1 });
  expect(chunk?.spans).toMatchObject([{ offset: 0, count: 1, attempt: 1, state: "retry", failures: 1 }]);
  expect(chunk?.spans[0]?.retryMs).toBeGreaterThan(0);
});

test("what went wrong is told of a job that has ended, too: deaths, lost nodes, faults", async () => {
  const [client, first] = [await bench.client(), await bench.node("n1", 1)];
  small(client, 1);
  await settle();
  const loss = { signal: "SIGKILL", exitCode: undefined, rssBytes: 7, stderrTail: "out of\nluck\u0000" };
  const value = { markedOffset: undefined, loss };
  finish(first, first.said("assignChunk")[0]?.assignment, { $case: "workerDeath", value });
  await settle();
  await first.session?.close();
  const second = await bench.node("n2", 1);
  finish(second, second.said("assignChunk")[0]?.assignment, { $case: "notStarted", value: { fault: "EAGAIN" } });
  await bench.clock.advance(1_000);
  finish(second, second.said("assignChunk")[1]?.assignment, { $case: "done", value: inline([7]) });
  await settle();
  const { job, running, attempts } = await ask("job-1");
  expect([job?.state, running]).toEqual(["done", []]);
  expect(attempts.map(({ node, state, attempt }) => [node, state, attempt])).toEqual([
    ["n2", "start-fault", 3],
    ["n1", "node-lost", 2],
    ["n1", "worker-death", 1],
  ]);
  expect(attempts[1]?.summary).toBe("node n1 left");
  expect(attempts[2]).toMatchObject({ signal: "SIGKILL", rssBytes: 7, stderr: ["out of", "luck"] });
  expect((await ask("job-1", { chunk: 0 })).chunk).toMatchObject({ chunk: 0, state: "settled" });
  expect((await ask("job-1", { chunk: 0 })).attempts).toHaveLength(3);
  await expect(ask("job-1", { chunk: 1 })).rejects.toThrow("job job-1 has no chunk 1: it has 1 chunk, 0");
  await expect(ask("job-1", { item: 5 })).rejects.toThrow("job job-1 has no item 5: it has 1 item, 0");
});

test("an item is not there yet while its program may send it, and no item of the job once that has sent all", async () => {
  const client = await bench.client();
  openJob(client, 1);
  offer(client, 1, 0);
  await settle();
  expect((await ask("job-1", { chunk: 1 })).chunk).toMatchObject({ state: "not-offered" });
  expect((await ask("job-1", { item: 5 })).chunk).toMatchObject({ chunk: undefined, state: "not-offered" });
  client.say({ $case: "sealJob", value: { job: 1, chunkCount: 1 } }, 0);
  await settle();
  await expect(ask("job-1", { item: 5 })).rejects.toThrow(NotFoundError);
  await expect(ask("job-1", { chunk: 1 })).rejects.toThrow(NotFoundError);
});

test("of a job that its client resumed without what it has, no item is denied", async () => {
  const client = await bench.client();
  openJob(client, 1);
  const value = { job: 1, chunk: 0, firstIndex: 7, input: inline([7]), grain: 0, settled: [] };
  client.say({ $case: "offerChunk", value }, 1);
  client.say({ $case: "sealJob", value: { job: 1, chunkCount: 1 } }, 0);
  await settle();
  expect((await ask("job-1", { item: 7 })).chunk).toMatchObject({ chunk: 0, state: "open" });
  expect((await ask("job-1", { item: 2 })).chunk).toMatchObject({ state: "settled" });
  expect((await ask("job-1", { item: 8 })).chunk).toMatchObject({ state: "not-offered" });
});

test("nothing is told of a job that nobody knows", async () => {
  await expect(ask("job-9")).rejects.toThrow(NotFoundError);
  await expect(ask("no id")).rejects.toThrow("job id");
});
