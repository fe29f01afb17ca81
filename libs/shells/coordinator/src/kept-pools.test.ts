import { CLIENT_CHUNKS_MAX, type WriteOutcome } from "@heddle/kernel";
import { MemoryJobs } from "@heddle/port-job-store";
import type { Caller } from "@heddle/port-rpc";
import { OpenPool } from "@heddle/wire";
import { expect, onTestFinished, test } from "vitest";
import { attach, ID, keeper, Lives, offerAll, openKept, seal, submit, told, work } from "./kept-testing.ts";
import { CLIENT_RESULT_BACKLOG_BYTES, KEPT_RUN_CHUNKS_MAX } from "./limits.ts";
import { type Bench, type Client, finish, type Node, POOL, settle } from "./testing.ts";

const alice: Caller = { role: "client", name: "alice" };
const bob: Caller = { role: "client", name: "bob" };

async function openStage() {
  const lives = new Lives(onTestFinished);
  const bench = await lives.next();
  return { lives, bench, node: await largeNode(bench), client: await keeper(bench) };
}

const largeNode = (bench: Bench): Promise<Node> => bench.node("n1", 8, { slots: 8 });

/** The pools of the jobs that a node was told of, in order. */
const poolsOf = (node: Node): number[] => node.said("describeJob").map(({ pool }) => pool);
const retired = (node: Node): number[] => node.said("retirePool").map(({ pool }) => pool);

async function closePool(client: Client): Promise<void> {
  client.say({ $case: "closePool", value: { poolId: POOL } }, 0);
  await settle();
}

test("kept jobs of one pool run in one, at a time and one after the other, until their client has closed it", async () => {
  const { node, client } = await openStage();
  await submit(client, 1, [1]);
  await submit(client, 2, [1]);
  const done = await work(node);
  await submit(client, 3, [1]);
  await work(node, done);
  const [pool = 0, ...others] = poolsOf(node);
  expect([others, retired(node)]).toEqual([[pool, pool], []]);
  await closePool(client);
  expect(retired(node)).toEqual([pool]);
});

test("their pool goes with the last of them when their client has closed it before, or is gone", async () => {
  for (const leave of [closePool, (client: Client) => client.session?.close()]) {
    const { node, client } = await openStage();
    await submit(client, 1, [1]);
    await submit(client, 2, [1]);
    await leave(client);
    expect(await work(node, 0, 1)).toBe(1);
    expect(retired(node)).toEqual([]);
    await work(node, 1);
    expect(retired(node)).toEqual(poolsOf(node).slice(0, 1));
  }
});

test("the pool of a client that is gone goes at once when no kept job runs in it", async () => {
  const { node, client } = await openStage();
  await submit(client, 1, [1]);
  await work(node);
  expect(retired(node)).toEqual([]);
  await client.session?.close();
  await settle();
  expect(retired(node)).toEqual(poolsOf(node));
});

test("another client has another pool, whatever it calls it, and so has one of the same id that belongs to somebody else", async () => {
  const lives = new Lives(onTestFinished);
  const bench = await lives.next();
  const node = await largeNode(bench);
  const own = await keeper(bench, ID, alice);
  await submit(own, 1, [1]);
  await submit(await keeper(bench, "2".repeat(32), alice), 2, [1]);
  await own.session?.close();
  await settle();
  await submit(await keeper(bench, ID, bob), 3, [1]);
  const pools = poolsOf(node);
  expect(new Set(pools).size).toBe(3);
  await work(node);
  expect(retired(node)).toEqual(pools.slice(0, 1)); // though there is a client of that id which has such a pool
});

test("a pool that is opened anew with other settings is another one; the jobs of the first go on where they are", async () => {
  const { node, client } = await openStage();
  await submit(client, 1, [1]);
  await closePool(client);
  client.say({ $case: "openPool", value: OpenPool.fromPartial({ poolId: POOL, processes: 1 }) });
  await settle();
  await submit(client, 2, [1]);
  const [first = 0, second] = poolsOf(node);
  expect(second).not.toBe(first);
  await work(node);
  expect(retired(node)).toEqual([first]);
});

test("what is found after a restart runs in one pool again; a client that comes back finds that one, and it goes when nobody does", async () => {
  const { lives, client } = await openStage();
  await submit(client, 1, [1, 1]);
  await submit(client, 2, [1]);
  const second = await lives.next();
  const node = await largeNode(second);
  const again = await keeper(second);
  const done = await work(node);
  await submit(again, 3, [1]);
  await work(node, done);
  const [pool = 0, ...others] = poolsOf(node);
  expect([others, retired(node)]).toEqual([[pool, pool], []]);
  await submit(again, 4, [1]);
  const third = await lives.next();
  const last = await largeNode(third);
  await work(last);
  expect(retired(last)).toEqual(poolsOf(last));
});

test("one pool takes jobs that have more chunks in memory than one client may have, and each goes on by itself", async () => {
  const { node, client } = await openStage();
  const jobs = Math.ceil((CLIENT_CHUNKS_MAX + 1) / KEPT_RUN_CHUNKS_MAX);
  const counts = new Array<number>(KEPT_RUN_CHUNKS_MAX).fill(1);
  for (let job = 1; job <= jobs; job++) {
    openKept(client, job);
    await settle();
    offerAll(client, job, counts);
    await settle();
    seal(client, job, counts.length);
    await settle();
  }
  await submit(client, jobs + 1, [1]);
  attach(client, jobs + 2, `job-${jobs + 1}`);
  for (let at = 0; at < 40; ) at = await work(node, at, 4);
  expect(told(client).at(-1)).toBe(`${jobs + 2} ended 1`);
});

test("while much of one job waits for the disk the jobs of its pool get nothing new, those of others do; then all go on", async () => {
  let outcome: () => WriteOutcome | Promise<WriteOutcome> = () => "kept";
  const bench = await new Lives(onTestFinished, new MemoryJobs(() => outcome())).next();
  const [client, other] = [await keeper(bench), await keeper(bench, "2".repeat(32))];
  await submit(client, 1, [1, 1]);
  await submit(client, 2, [1, 1]);
  await submit(other, 3, [1]);
  const node = await bench.node("n1", 1, { slots: 8 });
  const written = Promise.withResolvers<WriteOutcome>();
  outcome = () => written.promise;
  const bytes = CLIENT_RESULT_BACKLOG_BYTES + 1;
  const value = { encoding: 6 as const, count: 1, size: bytes, data: new Uint8Array(bytes), partStream: 0 };
  finish(node, node.said("assignChunk")[0]?.assignment, { $case: "done", value });
  await settle();
  node.say({ $case: "grantCredit", value: { chunks: 8 } });
  await settle();
  const placed = (): string[] => {
    const names = new Map(node.said("describeJob").map(({ job, jobId }) => [job, jobId]));
    return node.said("assignChunk").map(({ job }) => names.get(job) ?? "");
  };
  expect(placed()).toEqual(["job-1", "job-2", "job-3"]); // the second as soon as the first was over
  outcome = () => "kept";
  written.resolve("kept");
  await settle();
  expect(placed().slice(3).sort()).toEqual(["job-1", "job-2"]);
});
