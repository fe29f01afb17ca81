import { told } from "@heddle/port-metrics/contract";
import { adminDescribeJob } from "@heddle/wire";
import { expect, onTestFinished, test } from "vitest";
import { type Client, finish, inline, type Node, offer, openBench, openJob, settle } from "./testing.ts";

const CHUNKS = 5;
const SIZE = 100_000;

/** A job of which chunk 0 runs on two nodes, and all else is done. */
async function straggling() {
  const bench = await openBench(onTestFinished);
  const client = await bench.client();
  const nodes = [await bench.node("a", 2, { slots: 2 }), await bench.node("b", 2, { slots: 2 })] as const;
  openJob(client, 1, { open: { speculate: true } });
  for (let chunk = 0; chunk < CHUNKS; chunk++) offer(client, 1, chunk);
  client.say({ $case: "sealJob", value: { job: 1, chunkCount: CHUNKS } }, 0);
  await settle();
  const [first] = nodes[0].said("assignChunk");
  nodes[0].say({ $case: "chunkStarted", value: { assignment: first?.assignment ?? 0 } }, 0);
  for (let round = 0; round < 2; round++) {
    for (const node of nodes)
      for (const { assignment, chunk } of node.said("assignChunk"))
        if (chunk !== 0) finish(node, assignment, { $case: "done", value: inline([chunk]) });
    await settle();
  }
  for (let waited = 0; waited < 1_500; waited += 100) await bench.clock.advance(100);
  const backup = nodes[1].said("assignChunk").find(({ chunk }) => chunk === 0);
  expect(backup).toMatchObject({ chunk: 0, attempt: 2 });
  return { bench, client, nodes, original: first?.assignment ?? 0, backup: backup?.assignment ?? 0 };
}

/** Says that a chunk is done, and sends none of its result yet. */
function beginsResult(node: Node, assignment: number): void {
  const value = { ...inline(["x"]), size: SIZE, data: new Uint8Array(0), partStream: 1 };
  finish(node, assignment, { $case: "done", value });
}

function sendsResult(node: Node): void {
  const data = new Uint8Array(SIZE);
  node.say({ $case: "part", value: { partStream: 1, data, last: true, aborted: false } }, SIZE);
}

const answers = (client: Client) => client.said("spanDone").filter(({ chunk }) => chunk === 0);

test("of two results that arrive at the same time the one that is whole first counts; the other is called off", async () => {
  const { client, nodes, original, backup } = await straggling();
  beginsResult(nodes[0], original);
  beginsResult(nodes[1], backup);
  await settle();
  const [one, two] = answers(client).map(({ values }) => values?.partStream);
  expect([one, two]).toEqual([expect.any(Number), expect.any(Number)]);
  sendsResult(nodes[1]);
  await settle();
  expect(nodes[0].said("revokeChunk")).toEqual([{ assignment: original, stop: true }]);
  expect(client.said("jobEnded")).toHaveLength(1);
  sendsResult(nodes[0]);
  await settle();
  const ends = client.said("part").filter(({ last, aborted }) => last || aborted);
  expect(ends.map(({ partStream, aborted }) => [partStream, aborted])).toEqual([
    [two, false],
    [one, true],
  ]);
});

test("what is heard of an attempt that was overtaken ends it, and nothing else", async () => {
  const { bench, client, nodes, original, backup } = await straggling();
  finish(nodes[1], backup, { $case: "done", value: inline([0]) });
  await settle();
  const failure = { offset: 0, place: undefined, summary: "too late", kind: undefined };
  finish(nodes[0], original, { $case: "itemError", value: { completed: 0, values: inline([]), failure } });
  await settle();
  expect(answers(client)).toHaveLength(1);
  expect(told(bench.shell, "heddle_coordinator_backups_total")).toEqual({ started: 1, won: 1 });
  expect(client.said("itemFailed")).toEqual([]);
  expect(client.said("jobEnded")).toHaveLength(1);
  expect(await bench.jobs()).toMatchObject([{ state: "done", itemsDone: CHUNKS }]);
});

test("what was overtaken is told of though its job has ended before, and what is done beside it is not", async () => {
  const { bench, nodes, original, backup } = await straggling();
  finish(nodes[1], backup, { $case: "done", value: inline([0]) });
  await settle();
  expect(await bench.jobs()).toMatchObject([{ state: "done" }]);
  finish(nodes[0], original, { $case: "stopped", value: {} });
  await settle();
  const request = { jobId: "job-1", chunk: undefined, item: undefined };
  const { attempts } = await bench.network.call(adminDescribeJob, "coordinator", request, { timeoutMs: 1_000 });
  expect(attempts).toMatchObject([{ chunk: 0, attempt: 1, node: "a", state: "overtaken" }]);
});

test("a backup that is not the first to answer is counted as one that was started alone", async () => {
  const { bench, client, nodes, original, backup } = await straggling();
  const counts = () => told(bench.shell, "heddle_coordinator_backups_total");
  expect(counts()).toEqual({ started: 1, won: 0 });
  finish(nodes[0], original, { $case: "done", value: inline([0]) });
  await settle();
  finish(nodes[1], backup, { $case: "done", value: inline([0]) });
  await settle();
  expect([answers(client).length, counts()]).toEqual([1, { started: 1, won: 0 }]);
});
