import {
  CAPTURED_INLINE_BYTES_MAX,
  CLIENT_CHUNKS_MAX,
  CLIENT_INPUT_BYTES_MAX,
  NESTING_DEPTH_MAX,
  PART_BYTES_MAX,
} from "@heddle/kernel";
import { type JobEnded, JobOutcome } from "@heddle/wire";
import { expect, onTestFinished, test } from "vitest";
import { finish, inline, type MoreOfJob, offer, openBench, openJob, settle, small } from "./testing.ts";

const outcomes = (ended: readonly JobEnded[]): number[] => ended.map(({ outcome }) => outcome);

test("a job runs on a node and its values reach the client once", async () => {
  const bench = await openBench(onTestFinished);
  const [client, node] = [await bench.client(), await bench.node("n1", 4)];
  small(client, 1);
  await settle();
  expect(node.heard.map(({ $case }) => $case)).toEqual(["nodeRegistered", "describeJob", "assignChunk"]);
  const [assigned] = node.said("assignChunk");
  finish(node, assigned?.assignment, { $case: "done", value: inline([7]) });
  finish(node, assigned?.assignment, { $case: "done", value: inline([8]) });
  await settle();
  expect(client.said("spanDone")).toMatchObject([{ job: 1, chunk: 0, span: undefined, values: { count: 1 } }]);
  expect(outcomes(client.said("jobEnded"))).toEqual([JobOutcome.DONE]);
  expect(node.said("forgetJob")).toHaveLength(1);
});

test("values of a node that is lost in their middle are aborted, and come whole from another", async () => {
  const bench = await openBench(onTestFinished);
  const [client, first] = [await bench.client(), await bench.node("n1", 4)];
  small(client, 1);
  await settle();
  const large = { ...inline([1]), size: 2 * PART_BYTES_MAX, data: new Uint8Array(0), partStream: 5 };
  finish(first, first.said("assignChunk")[0]?.assignment, { $case: "done", value: large });
  const piece = { partStream: 5, data: new Uint8Array(PART_BYTES_MAX), last: false, aborted: false };
  first.say({ $case: "part", value: piece }, PART_BYTES_MAX);
  await settle();
  expect(client.said("part")).toHaveLength(1);
  await first.session?.close();
  await settle();
  expect(client.said("part").at(-1)).toMatchObject({ last: true, aborted: true });
  const second = await bench.node("n2", 4);
  finish(second, second.said("assignChunk")[0]?.assignment, { $case: "done", value: inline([7]) });
  await settle();
  expect(client.said("spanDone").map(({ values }) => values?.partStream === 0)).toEqual([false, true]);
  expect(outcomes(client.said("jobEnded"))).toEqual([JobOutcome.DONE]);
});

test("a node that says less than it announced is dropped, and its values are aborted at the client", async () => {
  const bench = await openBench(onTestFinished);
  const [client, node] = [await bench.client(), await bench.node("n1", 4)];
  small(client, 1);
  await settle();
  const large = { ...inline([1]), size: 2 * PART_BYTES_MAX, data: new Uint8Array(0), partStream: 5 };
  finish(node, node.said("assignChunk")[0]?.assignment, { $case: "done", value: large });
  node.say({ $case: "part", value: { partStream: 5, data: new Uint8Array(1), last: true, aborted: false } }, 1);
  await settle();
  expect(node.end).toMatchObject({ reason: "goodbye", goodbye: { code: "protocol" } });
  expect(client.end).toBeUndefined();
  expect(client.said("part").at(-1)).toMatchObject({ last: true, aborted: true });
});

test("a newer agent of the same name takes the older one's chunks over at once", async () => {
  const bench = await openBench(onTestFinished);
  const [client, older] = [await bench.client(), await bench.node("n1", 4)];
  small(client, 1);
  await settle();
  const newer = await bench.node("n1", 4);
  expect(older.end).toMatchObject({ reason: "goodbye", goodbye: { code: "conflict" } });
  finish(newer, newer.said("assignChunk")[0]?.assignment, { $case: "done", value: inline([7]) });
  await settle();
  expect(outcomes(client.said("jobEnded"))).toEqual([JobOutcome.DONE]);
});

test("what a cancelled job held makes room for the next one: a client at its bound stays welcome", async () => {
  const bench = await openBench(onTestFinished);
  const client = await bench.client();
  for (const job of [1, 2, 3]) {
    openJob(client, job);
    for (let chunk = 0; chunk < CLIENT_CHUNKS_MAX; chunk++) offer(client, job, chunk);
    await settle();
    await settle();
    client.say({ $case: "cancelJob", value: { job, reason: "" } });
    await settle();
  }
  expect(client.end).toBeUndefined();
  expect(outcomes(client.said("jobEnded"))).toEqual([1, 2, 3].map(() => JobOutcome.CANCELLED));
});

test("a client that holds more chunks than it may is dropped alone", async () => {
  const bench = await openBench(onTestFinished);
  const [client, other] = [await bench.client(), await bench.client()];
  openJob(client, 1);
  for (let chunk = 0; chunk <= CLIENT_CHUNKS_MAX; chunk++) offer(client, 1, chunk);
  for (let turns = 0; turns < 20 && client.end === undefined; turns++) await settle();
  expect(client.end).toMatchObject({ reason: "goodbye", goodbye: { code: "protocol" } });
  expect(other.end).toBeUndefined();
});

test("one chunk may be larger than all that a client may hold, a second may not", async () => {
  const bench = await openBench(onTestFinished);
  const client = await bench.client();
  openJob(client, 1);
  const header = { ...inline([1]), size: CLIENT_INPUT_BYTES_MAX + 1, data: new Uint8Array(0) };
  offer(client, 1, 0, { ...header, partStream: 1 });
  await settle();
  expect(client.end).toBeUndefined();
  offer(client, 1, 1, inline([1]));
  await settle();
  expect(client.end).toMatchObject({ goodbye: { code: "protocol" } });
});

test("chunks of a job that is over are read and dropped, with their parts", async () => {
  const bench = await openBench(onTestFinished);
  const client = await bench.client();
  openJob(client, 1);
  client.say({ $case: "cancelJob", value: { job: 1, reason: "" } });
  offer(client, 1, 0, { ...inline([1]), size: 3, data: new Uint8Array(0), partStream: 1 });
  client.say({ $case: "part", value: { partStream: 1, data: new Uint8Array(3), last: true, aborted: false } }, 3);
  small(client, 2);
  await settle();
  expect(client.end).toBeUndefined();
});

test("stopping waits for open jobs, not for what nodes still have of ended ones", async () => {
  const bench = await openBench(onTestFinished);
  const [client, node] = [await bench.client(), await bench.node("n1", 4)];
  small(client, 1);
  await settle();
  expect(node.said("assignChunk")).toHaveLength(1);
  client.say({ $case: "cancelJob", value: { job: 1, reason: "" } });
  await settle();
  let stopped = false;
  const stop = bench.shell.stop(60_000).then(() => {
    stopped = true;
  });
  await settle();
  expect(stopped).toBe(true);
  await stop;
  expect(client.end).toMatchObject({ goodbye: { code: "unavailable" } });
});

test("one that is stopped for good says so", async () => {
  const bench = await openBench(onTestFinished);
  const client = await bench.client();
  await bench.shell.stop(0, "for-good");
  await settle();
  expect(client.end).toMatchObject({ goodbye: { code: "closed", message: "the fabric was stopped" } });
});

test("while it stops, open jobs end and new ones are refused", async () => {
  const bench = await openBench(onTestFinished);
  const [client, node] = [await bench.client(), await bench.node("n1", 4)];
  small(client, 1);
  await settle();
  const stop = bench.shell.stop(60_000);
  small(client, 2);
  await settle();
  expect(client.said("jobEnded")).toMatchObject([{ job: 2, error: { code: "unavailable" } }]);
  finish(node, node.said("assignChunk")[0]?.assignment, { $case: "done", value: inline([7]) });
  await settle();
  await stop;
  expect(outcomes(client.said("jobEnded"))).toEqual([JobOutcome.FAILED, JobOutcome.DONE]);
});

test("what runs for a client that leaves is stopped, and its workers may end", async () => {
  const bench = await openBench(onTestFinished);
  const [client, node] = [await bench.client(), await bench.node("n1", 4)];
  small(client, 1);
  await settle();
  await client.session?.close();
  await settle();
  expect(node.said("revokeChunk")).toMatchObject([{ stop: true }]);
  finish(node, node.said("assignChunk")[0]?.assignment, { $case: "stopped", value: {} });
  await settle();
  expect(node.said("retirePool")).toHaveLength(1);
});

test("a node is told how deep a job is, and what its function has captured", async () => {
  const bench = await openBench(onTestFinished);
  const [client, node] = [await bench.client(), await bench.node("n1", 4)];
  const captured = new Uint8Array(CAPTURED_INLINE_BYTES_MAX).fill(7);
  small(client, 1, { depth: 3, captured });
  small(client, 2, { depth: NESTING_DEPTH_MAX, capturedArtifact: "e".repeat(64) });
  await settle();
  const described = [...node.said("describeJob")].sort((a, b) => a.depth - b.depth);
  expect(described).toMatchObject([
    { depth: 3, function: { closure: true, captured, capturedArtifact: "" } },
    { depth: NESTING_DEPTH_MAX, function: { closure: true, capturedArtifact: "e".repeat(64) } },
  ]);
});

test("chunks of a deeper job go first: a task may wait for them", async () => {
  const bench = await openBench(onTestFinished);
  const client = await bench.client();
  small(client, 1);
  small(client, 2, { depth: 1 });
  await settle();
  const node = await bench.node("n1", 1);
  expect(node.said("describeJob").map(({ depth }) => depth)).toEqual([1, 0]);
});

test.each<[string, MoreOfJob]>([
  ["to be inside of more tasks than there may be", { depth: NESTING_DEPTH_MAX + 1 }],
  ["to have captured more than travels inline", { captured: new Uint8Array(CAPTURED_INLINE_BYTES_MAX + 1) }],
  ["to have captured an artifact that is none", { capturedArtifact: "../secrets" }],
])("a client whose job claims %s is dropped alone", async (_what, more) => {
  const bench = await openBench(onTestFinished);
  const [client, other] = [await bench.client(), await bench.client()];
  openJob(client, 1, more);
  await settle();
  expect(client.end).toMatchObject({ reason: "goodbye", goodbye: { code: "protocol" } });
  expect(other.end).toBeUndefined();
});
