import { adminListJobs, encodeValue } from "@heddle/wire";
import { expect, onTestFinished, test } from "vitest";
import {
  attach,
  DIGEST,
  HASH,
  ID,
  keeper,
  Lives,
  offerAll,
  openKept,
  seal,
  sendCode,
  submit,
  told,
  work,
} from "./kept-testing.ts";
import { finish, inline, settle } from "./testing.ts";

const OTHER = "2".repeat(32);

async function openStage() {
  const lives = new Lives(onTestFinished);
  const bench = await lives.next();
  const node = await bench.node("n1", 8, { slots: 8 });
  return { lives, bench, node, client: await keeper(bench) };
}

test("a kept job runs once all of it is on disk, and its client hears how much is", async () => {
  const { node, client } = await openStage();
  openKept(client, 1);
  await settle();
  offerAll(client, 1, [2, 3]);
  await settle();
  expect(told(client)).toEqual(["1 kept 0", "1 kept 2"]);
  expect(node.said("assignChunk")).toEqual([]);
  seal(client, 1, 2);
  await settle();
  expect(told(client)).toEqual(["1 kept 0", "1 kept 2", "1 kept 2 whole"]);
  expect(client.said("jobKept").at(-1)?.digest).toBe(DIGEST);
  expect(node.said("assignChunk").map(({ firstIndex, input }) => [firstIndex, input?.count])).toEqual([
    [0, 2],
    [2, 3],
  ]);
  expect(node.said("describeJob")).toMatchObject([{ jobId: "job-1" }]);
});

test("who attaches is told what is there already, then what comes, then the end, each once", async () => {
  const { bench, node, client } = await openStage();
  await submit(client, 1, [2, 3, 1]);
  const done = await work(node, 0, 1);
  const listener = await bench.client({});
  attach(listener, 7);
  await settle();
  expect(told(listener)).toEqual(["7 attached to 6", "7 0+2: 0,10"]);
  expect(listener.said("jobAttached")[0]).toMatchObject({ keep: { detached: true, shape: "list" } });
  await work(node, done);
  expect(told(listener).slice(2)).toEqual(["7 2+3: 20,30,40", "7 5+1: 50", "7 ended 1"]);
  expect(told(client)).toEqual(["1 kept 0", "1 kept 3", "1 kept 3 whole"]);
});

test("who attaches again says what it has, and is told the rest; several may listen, also behind the end", async () => {
  const { bench, node, client } = await openStage();
  await submit(client, 1, [2, 3]);
  const [one, other] = [await bench.client({}), await bench.client({})];
  attach(one, 1, "job-1", [{ firstIndex: 1, count: 3 }]);
  await work(node);
  attach(other, 1);
  await settle();
  expect(told(one)).toEqual(["1 attached to 5", "1 0+1: 0", "1 4+1: 40", "1 ended 1"]);
  expect(told(other)).toEqual(["1 attached to 5", "1 0+2: 0,10", "1 2+3: 20,30,40", "1 ended 1"]);
});

test("values that are not what they claim fail who wants a part of them, and nobody else", async () => {
  const { bench, node, client } = await openStage();
  await submit(client, 1, [2]);
  const broken = { encoding: 6 as const, count: 2, size: 1, data: new Uint8Array([0xc1]), partStream: 0 };
  finish(node, node.said("assignChunk")[0]?.assignment, { $case: "done", value: broken });
  await settle();
  const whole = await bench.client();
  attach(client, 2, "job-1", [{ firstIndex: 0, count: 1 }]);
  attach(whole, 1);
  await settle();
  expect(client.said("jobEnded")).toMatchObject([{ job: 2, error: { code: "internal" } }]);
  expect([whole.said("keptSpanDone").length, whole.said("jobEnded")[0]?.error]).toEqual([1, undefined]);
});

test("who attaches before all is on disk waits for that, and hears when it is given up", async () => {
  const { bench, client } = await openStage();
  openKept(client, 1);
  openKept(client, 2);
  await settle();
  const listener = await bench.client({});
  attach(listener, 1);
  attach(listener, 2, "job-2");
  await settle();
  expect(told(listener)).toEqual([]);
  seal(client, 1, 0);
  client.say({ $case: "cancelJob", value: { job: 2, reason: "no more" } });
  await settle();
  expect(told(listener)).toEqual(["2 ended 3 cancelled", "1 attached to 0", "1 ended 1"]);
  expect(told(client).at(-1)).toBe("1 kept 0 whole");
});

test("a job that nobody keeps is not found, and a listener that leaves hears no more", async () => {
  const { bench, node, client } = await openStage();
  attach(client, 5, "nothing");
  await submit(client, 1, [1, 1]);
  expect(client.said("jobEnded")).toMatchObject([
    { job: 5, error: { code: "not-found", message: expect.stringContaining("only calls of apply, map and starmap") } },
  ]);
  expect(client.said("jobEnded")[0]?.error?.message).toContain("detach or a jobId");
  const listener = await bench.client({});
  attach(listener, 1);
  const done = await work(node, 0, 1);
  listener.say({ $case: "leaveJob", value: { job: 1 } }, 0);
  await work(node, done);
  expect(told(listener)).toEqual(["1 attached to 2", "1 0+1: 0"]);
});

test("an id that is kept is kept once: whoever submits it hears its digest at once, also when it has ended", async () => {
  const { bench, node, client } = await openStage();
  await submit(client, 1, [2]);
  const other = await keeper(bench, OTHER);
  openKept(other, 4, {}, { jobId: "job-1" });
  await settle();
  await work(node);
  openKept(other, 5, {}, { jobId: "job-1" });
  await settle();
  expect(told(other)).toEqual(["4 kept 1 whole", "5 kept 1 whole"]);
  expect(node.said("assignChunk")).toHaveLength(1);
});

test("an id that is being submitted is another client's conflict, and so is one of a call that is awaited", async () => {
  const { bench, client } = await openStage();
  openKept(client, 1);
  await settle();
  const other = await keeper(bench, OTHER);
  openKept(other, 1);
  openKept(client, 2, {}, { jobId: "job-1" });
  openKept(client, 3, {}, { keep: undefined });
  await settle();
  openKept(other, 3);
  openKept(other, 4, {}, { jobId: "job-1", keep: undefined });
  await settle();
  expect(told(other)).toEqual(["1 ended 2 conflict", "3 ended 2 conflict", "4 ended 2 conflict"]);
  expect(other.said("jobEnded")[0]?.error?.message).toContain("another client is submitting job job-1");
  expect(told(client)).toEqual(["1 kept 0", "2 ended 2 conflict"]);
});

test("an id that a client was submitting which is away is begun anew by another, and is that one's when the first comes back", async () => {
  const lives = new Lives(onTestFinished);
  const before = await keeper(await lives.next());
  openKept(before, 1);
  await settle();
  offerAll(before, 1, [1]);
  await settle();
  const bench = await lives.next();
  const other = await keeper(bench, OTHER);
  openKept(other, 1);
  await settle();
  const again = await keeper(bench);
  openKept(again, 1);
  attach(again, 2);
  await settle();
  expect([told(other), told(again)]).toEqual([["1 kept 0"], ["1 ended 2 conflict"]]);
  offerAll(other, 1, [2]);
  seal(other, 1, 1);
  await settle();
  openKept(again, 3, {}, { jobId: "job-1" });
  await settle();
  expect(told(other)).toEqual(["1 kept 0", "1 kept 1", "1 kept 1 whole"]);
  expect(told(again).slice(1)).toEqual(["2 attached to 2", "3 kept 1 whole"]);
});

test("a client that comes back goes on where the disk is, and what it offers again is not kept twice", async () => {
  const { bench, node, client } = await openStage();
  openKept(client, 1);
  await settle();
  offerAll(client, 1, [1, 2, 3].slice(0, 2));
  await settle();
  const again = await keeper(bench);
  expect(client.end).toMatchObject({ goodbye: { code: "conflict" } });
  openKept(again, 9, {}, { jobId: "job-1" });
  await settle();
  offerAll(again, 9, [1, 2, 3]);
  seal(again, 9, 3);
  await settle();
  expect(told(again)).toEqual(["9 kept 2", "9 kept 3", "9 kept 3 whole"]);
  await work(node);
  attach(again, 10);
  await settle();
  expect(told(again).slice(3)).toEqual([
    "10 attached to 6",
    "10 0+1: 0",
    "10 1+2: 10,20",
    "10 3+3: 30,40,50",
    "10 ended 1",
  ]);
});

test("a chunk whose parts did not all come is offered again by its client, which comes back, and what stood behind it too", async () => {
  const { bench, node, client } = await openStage();
  openKept(client, 1);
  await settle();
  const bytes = encodeValue("x".repeat(200_000), "value");
  const header = { encoding: 6 as const, count: 1, size: bytes.byteLength, data: new Uint8Array(0), partStream: 7 };
  const first = { job: 1, chunk: 0, firstIndex: 0, input: header, grain: 0, settled: [] };
  client.say({ $case: "offerChunk", value: first }, 0);
  const part = { partStream: 7, data: bytes.subarray(0, 100_000), last: false, aborted: false };
  client.say({ $case: "part", value: part }, 100_000);
  offerAll(client, 1, [1, 1], 1);
  await settle();
  const again = await keeper(bench);
  openKept(again, 2, {}, { jobId: "job-1" });
  await settle();
  expect([told(client), told(again)]).toEqual([["1 kept 0"], ["2 kept 0"]]);
  again.say({ $case: "offerChunk", value: { ...first, job: 2 } }, 0);
  again.say({ $case: "part", value: part }, 100_000);
  offerAll(again, 2, [1, 1], 1);
  await settle();
  const rest = { ...part, data: bytes.subarray(100_000), last: true };
  again.say({ $case: "part", value: rest }, rest.data.byteLength);
  seal(again, 2, 2);
  await settle();
  expect(told(again)).toEqual(["2 kept 0", "2 kept 2", "2 kept 2 whole"]);
  expect(node.said("assignChunk").map(({ input }) => input?.size)).toEqual([bytes.byteLength, inline([1]).size]);
});

test("a client that says goodbye before its job is kept takes it along", async () => {
  const { bench, client } = await openStage();
  openKept(client, 1);
  await settle();
  offerAll(client, 1, [1]);
  await settle();
  expect((await bench.jobs()).map(({ jobId, state, kept }) => ({ jobId, state, kept }))).toEqual([
    { jobId: "job-1", state: "submitting", kept: true },
  ]);
  await client.session?.close();
  await settle();
  const other = await keeper(bench, OTHER);
  openKept(other, 1);
  await settle();
  expect(told(other)).toEqual(["1 kept 0"]);
});

test("code that a kept job names is fetched before it is kept, and served to nodes when its client is gone", async () => {
  const lives = new Lives(onTestFinished);
  const bench = await lives.next();
  const client = await bench.client({}, undefined, ID);
  client.say({ $case: "offerArtifact", value: { hash: HASH, size: 1 } });
  await submit(client, 1, [1]);
  expect(told(client)).toEqual(["1 kept 0", "1 kept 1"]);
  await sendCode(client);
  expect(told(client).at(-1)).toBe("1 kept 1 whole");
  const later = await lives.next();
  const node = await later.node("n1", 1);
  node.say({ $case: "wantArtifact", value: { hash: HASH } });
  await settle();
  expect(node.said("artifactContent")).toMatchObject([{ hash: HASH, missing: "" }]);
});

test("a job whose code nobody offers is not kept", async () => {
  const { client } = await openStage();
  const fn = {
    artifact: "a".repeat(64),
    exportName: "x",
    displayName: "x",
    closure: false,
    captured: new Uint8Array(0),
  };
  openKept(client, 1, {}, { function: { ...fn, capturedArtifact: "" } });
  await settle();
  expect(told(client).at(-1)).toBe("1 ended 2 state");
  expect(client.said("jobEnded")[0]?.error?.message).toContain("no client has offered artifact");
});

test("operators see that a job is kept, whether it is detached, and who listens", async () => {
  const { bench, node, client } = await openStage();
  await submit(client, 1, [1, 1], { detached: false });
  attach(client, 2);
  await work(node, 0, 1);
  const [job] = (await bench.network.call(adminListJobs, "coordinator", {}, { timeoutMs: 1_000 })).jobs;
  expect(job).toMatchObject({
    ...{ jobId: "job-1", name: "fn", state: "running", kept: true, detached: false, listeners: 1, client: "test" },
    ...{ itemsDone: 1, itemsOffered: 2, chunksOffered: 2, chunksDone: 1 },
  });
});
