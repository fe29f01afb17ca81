import { CHUNK_SETTLED_SPANS_MAX } from "@heddle/kernel";
import type { Caller } from "@heddle/port-rpc";
import { JobOutcome } from "@heddle/wire";
import { expect, onTestFinished, test } from "vitest";
import { type Client, finish, inline, offer, openBench, openJob, settle, small } from "./testing.ts";

const ID = "1".repeat(32);
const alice: Caller = { role: "client", name: "alice" };
const bob: Caller = { role: "client", name: "bob" };

const outcomes = (client: Client) => client.said("jobEnded").map(({ outcome, error }) => error?.code ?? outcome);

async function openStage() {
  const bench = await openBench(onTestFinished);
  const node = await bench.node("n1", 8, { slots: 8 });
  const client = (id = ID) => bench.client({}, undefined, id);
  const answer = (at: number, ...items: unknown[]) =>
    finish(node, node.said("assignChunk")[at]?.assignment, { $case: "done", value: inline(items) });
  return { bench, node, client, answer };
}

test("a client that opens another session takes the place of its last one, which hears of no end of its jobs", async () => {
  const { bench, node, client, answer } = await openStage();
  const older = await client();
  small(older, 1);
  await settle();
  const newer = await client();
  expect(older.end).toMatchObject({ reason: "goodbye", goodbye: { code: "conflict" } });
  expect([outcomes(older), node.said("revokeChunk")]).toMatchObject([[], [{ stop: true }]]);
  small(newer, 1);
  await settle();
  answer(0, "late");
  answer(1, "new");
  await settle();
  expect([outcomes(newer), newer.said("spanDone").length]).toEqual([[JobOutcome.DONE], 1]);
  expect((await bench.jobs()).map(({ jobId, state }) => `${jobId} ${state}`)).toEqual(["job-1 done"]);
});

test("the id of a client that is there takes nobody else's place", async () => {
  const bench = await openBench(onTestFinished);
  const owner = await bench.client({}, alice, ID);
  const thief = await bench.client({}, bob, ID);
  const message = `the client ${ID} is there, and belongs to somebody else than client "bob"`;
  expect(thief.end).toMatchObject({ reason: "goodbye", goodbye: { message } });
  expect(owner.end).toBeUndefined();
});

test("a job that has ended runs again for its own client in a new session: what was sent of its end may be lost", async () => {
  const { bench, node, client, answer } = await openStage();
  const older = await client();
  small(older, 1);
  await settle();
  answer(0, "lost");
  await settle();
  expect(outcomes(older)).toEqual([JobOutcome.DONE]);
  small(older, 2, { open: { jobId: "job-1" } });
  const newer = await client();
  small(newer, 1);
  await settle();
  expect([outcomes(older), outcomes(newer), node.said("assignChunk").length]).toEqual([[1, "conflict"], [], 2]);
  expect((await bench.jobs()).map(({ state }) => state)).toEqual(["running"]);
});

test("the id of a job is nobody else's while it is open or was ended, and free when its client has left before its end", async () => {
  const { client, answer } = await openStage();
  const [first, other] = [await client(), await client("2".repeat(32))];
  small(first, 1);
  small(first, 2);
  await settle();
  answer(0, "done");
  await settle();
  for (const job of [1, 2]) small(other, job);
  await settle();
  expect(outcomes(other)).toEqual(["conflict", "conflict"]);
  await first.session?.close();
  await settle();
  small(other, 3, { open: { jobId: "job-1" } });
  small(other, 4, { open: { jobId: "job-2" } });
  await settle();
  expect(outcomes(other)).toEqual(["conflict", "conflict", "conflict"]);
  answer(2, "again");
  await settle();
  expect(outcomes(other).at(-1)).toBe(JobOutcome.DONE);
});

test("what is settled of a chunk is not run, and counts as done for people", async () => {
  const { bench, node, client, answer } = await openStage();
  const again = await client();
  openJob(again, 1);
  const settled = [
    { offset: 0, count: 1 },
    { offset: 2, count: 2 },
  ];
  offer(again, 1, 0, inline([0, 1, 2, 3, 4]), { settled });
  again.say({ $case: "sealJob", value: { job: 1, chunkCount: 1 } }, 0);
  await settle();
  expect(node.said("assignChunk").map(({ span }) => span)).toEqual([
    { offset: 1, count: 1 },
    { offset: 4, count: 1 },
  ]);
  answer(0, "one");
  await settle();
  expect(await bench.jobs()).toMatchObject([{ itemsOffered: 5, itemsDone: 4, chunksDone: 0 }]);
  answer(1, "four");
  await settle();
  expect(again.said("spanDone").map(({ span }) => span?.offset)).toEqual([1, 4]);
  expect(await bench.jobs()).toMatchObject([{ state: "done", itemsDone: 5, chunksDone: 1 }]);
});

test("what a resumed job has unread counts for its bound, but for gaps before it", async () => {
  const { node, client } = await openStage();
  const again = await client();
  openJob(again, 1, { open: { ordered: true, unreadBytesMax: 10, unreadBytes: 12, gapChunks: 1 } });
  for (const chunk of [0, 1]) offer(again, 1, chunk);
  await settle();
  expect(node.said("assignChunk").map(({ chunk }) => chunk)).toEqual([0]);
  again.say({ $case: "takeResults", value: { job: 1, bytes: 3 } });
  await settle();
  expect(node.said("assignChunk").map(({ chunk }) => chunk)).toEqual([0, 1]);
});

const many = Array.from({ length: CHUNK_SETTLED_SPANS_MAX + 1 }, (_, at) => ({ offset: 2 * at, count: 1 }));
test.for([
  ["out of order", [2, 1, 0, 1]],
  ["that overlap", [0, 2, 1, 1]],
  ["beyond its end", [2, 4]],
  ["without items", [2, 0]],
  ["that leave nothing to run", [0, 3, 3, 1]],
  ["in too many pieces", many.flatMap(({ offset, count }) => [offset, count])],
] as const)("a client that tells settled items %s is dropped", async ([, numbers]) => {
  const { client } = await openStage();
  const again = await client();
  openJob(again, 1);
  const settled = numbers.flatMap((offset, at) => (at % 2 === 0 ? [{ offset, count: numbers[at + 1] ?? 0 }] : []));
  const items = numbers.length > 4 ? 2 * many.length : 4;
  offer(again, 1, 0, inline(new Array(items).fill(1)), { settled });
  await settle();
  expect(again.end).toMatchObject({ reason: "goodbye", goodbye: { code: "protocol" } });
});
