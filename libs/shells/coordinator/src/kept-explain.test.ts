import { NotFoundError } from "@heddle/kernel";
import { adminCancelJob, adminDescribeJob, type DescribeJobRequest, type DescribeJobResponse } from "@heddle/wire";
import { expect, onTestFinished, test } from "vitest";
import { keeper, Lives, offerAll, openKept, submit, work } from "./kept-testing.ts";
import { KEPT_RUN_CHUNKS_MAX } from "./limits.ts";
import { type Bench, finish, inline, settle } from "./testing.ts";

type Which = Partial<DescribeJobRequest>;

function ask(bench: Bench, which: Which = {}, jobId = "job-1"): Promise<DescribeJobResponse> {
  const request = { jobId, chunk: undefined, item: undefined, ...which };
  return bench.network.call(adminDescribeJob, "coordinator", request, { timeoutMs: 1_000 });
}

const chunk = async (bench: Bench, which: Which) => (await ask(bench, which)).chunk;

const failure = { offset: undefined, place: undefined, summary: "no such file", kind: undefined };
const itemError = { $case: "itemError", value: { completed: 0, values: inline([]), failure } } as const;
const death = { $case: "workerDeath", value: { markedOffset: undefined, loss: undefined } } as const;

test("a job that goes on after a restart is as old as it was, and took as long", async () => {
  let dayMs = 1_000_000;
  const lives = new Lives(onTestFinished, undefined, { timeOfDayMs: () => dayMs });
  const first = await lives.next();
  await submit(await keeper(first), 1, [1]);
  dayMs += 60_000;
  const later = await lives.next();
  const node = await later.node("n1", 8);
  expect((await later.jobs())[0]?.ageMs).toBeGreaterThanOrEqual(60_000);
  expect((await ask(later)).job?.ageMs).toBeGreaterThanOrEqual(60_000);
  await work(node);
  const [ended] = await later.jobs();
  expect(ended).toMatchObject({ state: "done" });
  expect(ended?.durationMs).toBeGreaterThanOrEqual(60_000);
});

test("chunks have their own numbers after a restart, in all that is said of them", async () => {
  const lives = new Lives(onTestFinished);
  const first = await lives.next();
  const before = await first.node("n1", 8, { slots: 8 });
  await submit(await keeper(first), 1, [3, 2, 4, 1]);
  await work(before, 0, 1);
  const [, second] = before.said("assignChunk");
  finish(before, second?.assignment, {
    $case: "partDone",
    value: { completed: 1, values: inline([30]) },
  });
  await settle();

  const later = await lives.next();
  const node = await later.node("n1", 2, { slots: 2 });
  expect((await ask(later)).running.map(({ chunk, firstIndex }) => [chunk, firstIndex])).toEqual([
    [1, 4],
    [2, 5],
  ]);
  expect(await ask(later, { item: 4 })).toMatchObject({
    chunk: { chunk: 1, state: "open", firstIndex: 3, count: 2, spans: [{ offset: 1, count: 1, state: "placed" }] },
    running: [{ chunk: 1, firstIndex: 4 }],
  });
  expect(await chunk(later, { chunk: 3 })).toMatchObject({ chunk: 3, state: "open", firstIndex: 9, count: 1 });
  for (const which of [{ chunk: 0 }, { item: 2 }])
    expect(await ask(later, which)).toMatchObject({
      chunk: { chunk: 0, state: "settled", firstIndex: 0, count: 3, spans: [] },
      running: [],
    });
  finish(node, node.said("assignChunk")[1]?.assignment, death);
  await settle();
  expect((await ask(later)).attempts).toMatchObject([{ chunk: 2, state: "worker-death" }]);
  expect((await ask(later, { chunk: 2 })).attempts).toHaveLength(1);
  expect((await ask(later, { chunk: 1 })).attempts).toEqual([]);
  node.say({ $case: "grantCredit", value: { chunks: 9 } });
  await work(node, 0, 1);
  await work(node, 2);
  expect((await ask(later)).job?.state).toBe("done");
  expect((await ask(later, { item: 6 })).attempts).toMatchObject([{ chunk: 2, state: "worker-death" }]);
  expect(await chunk(later, { item: 6 })).toMatchObject({ chunk: 2, state: "settled" });
});

test("a chunk that is not read from the disk yet waits: its program has sent it", async () => {
  const bench = await new Lives(onTestFinished).next();
  const chunks = KEPT_RUN_CHUNKS_MAX + 1;
  await submit(await keeper(bench), 1, Array(chunks).fill(2));
  await settle();
  const last = chunks - 1;
  const spans = [{ offset: 0, count: 2, attempt: 0, state: "waiting" }];
  expect((await ask(bench)).waits).toMatchObject([{ chunks: KEPT_RUN_CHUNKS_MAX }]);
  expect(await chunk(bench, { item: 2 * last })).toMatchObject({
    chunk: last,
    state: "open",
    firstIndex: 2 * last,
    spans,
  });
});

test("a chunk in which an item failed is settled, and not said to be done", async () => {
  const bench = await new Lives(onTestFinished).next();
  const node = await bench.node("n1", 1);
  await submit(await keeper(bench), 1, [1, 1], {}, { collect: true });
  finish(node, node.said("assignChunk")[0]?.assignment, itemError);
  await settle();
  expect(await chunk(bench, { item: 0 })).toMatchObject({ chunk: 0, state: "settled", count: 0 });
});

test("a kept job has no items but its own, while it runs, once it has ended, and after a restart", async () => {
  const lives = new Lives(onTestFinished);
  const first = await lives.next();
  const client = await keeper(first);
  openKept(client, 1);
  await settle();
  offerAll(client, 1, [2, 3]);
  await settle();
  expect(await chunk(first, { item: 4 })).toMatchObject({ chunk: 1, state: "open", firstIndex: 2, count: 3 });
  expect(await chunk(first, { item: 5 })).toMatchObject({ chunk: undefined, state: "not-offered" });
  client.say({ $case: "sealKeptJob", value: { job: 1, chunkCount: 2, digest: "d".repeat(64) } }, 0);
  await settle();
  const isRefused = async (bench: Bench): Promise<void> => {
    await expect(ask(bench, { item: 5 })).rejects.toThrow("job job-1 has no item 5: it has 5 items, 0-4");
    await expect(ask(bench, { chunk: 2 })).rejects.toThrow("job job-1 has no chunk 2: it has 2 chunks, 0-1");
    await expect(ask(bench, { chunk: 2 })).rejects.toThrow(NotFoundError);
  };
  await isRefused(first);
  await work(await first.node("n1", 8, { slots: 2 }));
  expect((await ask(first)).job?.state).toBe("done");
  await isRefused(first);
  const later = await lives.next();
  await isRefused(later);
  expect(await chunk(later, { item: 4 })).toMatchObject({ state: "settled" });
});

test("a job that was cancelled after an item failed says who has cancelled it, and why", async () => {
  const bench = await new Lives(onTestFinished).next();
  const node = await bench.node("n1", 1);
  await submit(await keeper(bench), 1, [1, 1], {}, { collect: true });
  finish(node, node.said("assignChunk")[0]?.assignment, itemError);
  await settle();
  expect((await ask(bench)).job?.failure).toBe("no such file");
  const request = { jobId: "job-1", reason: "boss said so" };
  await bench.network.call(adminCancelJob, "coordinator", request, { timeoutMs: 1_000 });
  await settle();
  const failed = "job job-1 was cancelled by this user: boss said so";
  expect((await ask(bench)).job).toMatchObject({ state: "cancelled", failure: failed });
});
