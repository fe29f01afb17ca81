import { MemoryJobs } from "@heddle/port-job-store";
import type { Caller } from "@heddle/port-rpc";
import { expect, onTestFinished, test } from "vitest";
import { attach, keeper, Lives, openKept, seal, submit, work } from "./kept-testing.ts";
import { CALLER_KEPT_JOBS_MAX, KEPT_JOBS_MAX } from "./limits.ts";
import { type Client, finish, inline, type Node, settle } from "./testing.ts";

const alice: Caller = { role: "client", name: "alice" };
const bob: Caller = { role: "client", name: "bob" };
const [ALICE, BOB, USER] = ["a".repeat(32), "b".repeat(32), "c".repeat(32)];

const MIB = 1024 * 1024;
const big = (bytes: number) => ({ ...inline([0]), encoding: 6 as const, size: bytes, data: new Uint8Array(bytes) });

/** What may be kept of all is 8 MiB. */
async function openStage() {
  const lives = new Lives(onTestFinished, new MemoryJobs(), { keptBytesMax: 8 * MIB });
  const bench = await lives.next();
  const node = await bench.node("n1", 8, { slots: 8 });
  return { lives, bench, node };
}

/** A whole job of one chunk of so many bytes. */
async function keep(client: Client, job: number, bytes: number, jobId = `job-${job}`): Promise<void> {
  openKept(client, job, {}, { jobId });
  await settle();
  client.say({
    $case: "offerChunk",
    value: { job, chunk: 0, firstIndex: 0, input: big(bytes), grain: 0, settled: [] },
  });
  seal(client, job, 1);
  await settle();
}

const ended = (client: Client): unknown[] => client.said("jobEnded").map(({ job, error }) => [job, error?.limitName]);

function finishBig(node: Node, at: number, bytes: number): void {
  finish(node, node.said("assignChunk")[at]?.assignment, { $case: "done", value: big(bytes) });
}

test("one identity has half of the kept jobs that have not ended, everybody together has all, and the coordinator's user as many as there are", async () => {
  const { bench } = await openStage();
  const [a, b, user] = [
    await keeper(bench, ALICE, alice),
    await keeper(bench, BOB, bob),
    await keeper(bench, USER),
  ] as const;
  for (let job = 1; job <= CALLER_KEPT_JOBS_MAX + 1; job++) openKept(a, job, {}, { jobId: `a-${job}` });
  await settle();
  expect(ended(a)).toEqual([[CALLER_KEPT_JOBS_MAX + 1, "CALLER_KEPT_JOBS_MAX"]]);
  expect(a.said("jobEnded")[0]?.error).toMatchObject({
    ...{ code: "limit", limit: CALLER_KEPT_JOBS_MAX, actual: CALLER_KEPT_JOBS_MAX + 1 },
    message: `client "alice" has ${CALLER_KEPT_JOBS_MAX} kept jobs that have not ended, which is what one identity may have (CALLER_KEPT_JOBS_MAX): wait for some, or cancel them`,
  });
  openKept(b, 1, {}, { jobId: "b-1" });
  for (let job = 1; job <= CALLER_KEPT_JOBS_MAX; job++) openKept(user, job, {}, { jobId: `u-${job}` });
  await settle();
  expect([ended(b), ended(user)]).toEqual([[], [[KEPT_JOBS_MAX - CALLER_KEPT_JOBS_MAX, "KEPT_JOBS_MAX"]]]);
  a.say({ $case: "cancelJob", value: { job: 1, reason: "" } });
  await settle();
  openKept(a, 2_000, {}, { jobId: "a-again" });
  await settle();
  expect(ended(a).slice(1)).toEqual([[1, ""]]);
});

test("an ended job is none of the kept jobs that one identity may have", async () => {
  const { bench, node } = await openStage();
  const client = await keeper(bench, ALICE, alice);
  await submit(client, 1, [1]);
  await work(node);
  for (let job = 2; job <= CALLER_KEPT_JOBS_MAX + 1; job++) openKept(client, job);
  await settle();
  expect(ended(client)).toEqual([]);
});

test("one identity has half of the bytes: inputs on their way count, and who has none left takes them from nobody", async () => {
  const { lives, bench } = await openStage();
  const [a, b, user] = [
    await keeper(bench, ALICE, alice),
    await keeper(bench, BOB, bob),
    await keeper(bench, USER),
  ] as const;
  openKept(a, 1);
  await settle();
  const offer = { job: 1, grain: 0, settled: [], input: big(1.5 * MIB) };
  for (const chunk of [0, 1, 2])
    a.say({ $case: "offerChunk", value: { ...offer, chunk, firstIndex: chunk } }, 1.5 * MIB);
  await settle();
  expect(ended(a)).toEqual([[1, "CALLER_KEPT_BYTES_MAX"]]);
  expect(a.said("jobEnded")[0]?.error).toMatchObject({ code: "limit", limit: 4 * MIB });
  expect(a.said("jobEnded")[0]?.error?.message).toMatch(
    /^client "alice" keeps 3\d{6} bytes of jobs, and 1572864 more would be above what one identity may have \(CALLER_KEPT_BYTES_MAX\), 4194304 here: cancel .*, or have the coordinator given more \(--kept-bytes\)$/,
  );
  await keep(a, 2, 3.5 * MIB); // nothing of the first is left
  await keep(b, 1, 1.5 * MIB, "b-1");
  expect([ended(a).slice(1), ended(b)]).toEqual([[], []]);
  const later = await lives.next(); // what is on disk counts for whose it is
  const again = await keeper(later, ALICE, alice);
  await keep(again, 3, MIB);
  expect(ended(again)).toEqual([[3, "CALLER_KEPT_BYTES_MAX"]]);
  await keep(user, 1, MIB, "gone"); // the life that it talked to is over
  await keep(await keeper(later, USER), 1, 2.5 * MIB, "u-1");
  expect(lives.disk.recovered().jobs.map(({ id }) => id)).toEqual(["job-2", "b-1", "u-1"]);
});

test("results count, too; where an identity's share is full its own ended jobs go for more, those of others stay", async () => {
  const { lives, bench, node } = await openStage();
  const [a, b] = [await keeper(bench, ALICE, alice), await keeper(bench, BOB, bob)] as const;
  await submit(b, 1, [1], {}, { jobId: "b-1" });
  finishBig(node, 0, MIB);
  await settle();
  for (const job of [1, 2]) {
    await submit(a, job, [1]);
    finishBig(node, job, 1.5 * MIB);
    await settle();
  }
  await keep(a, 3, 1.5 * MIB);
  expect(ended(a)).toEqual([]);
  expect(lives.disk.recovered().jobs.map(({ id }) => id)).toEqual(["b-1", "job-2", "job-3"]);
  finishBig(node, 3, 3 * MIB); // too much with what it came from
  await settle();
  attach(a, 10, "job-3");
  await settle();
  expect(ended(a)).toEqual([[10, "CALLER_KEPT_BYTES_MAX"]]);
  expect(lives.disk.recovered().jobs.map(({ id }) => id)).toEqual(["b-1", "job-3"]);
});
