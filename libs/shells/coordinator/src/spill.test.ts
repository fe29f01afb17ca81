import { PART_BYTES_MAX, type WriteOutcome } from "@heddle/kernel";
import { memorySpill } from "@heddle/port-spill";
import { adminDescribeJob, decodePayload, JobOutcome, type Payload } from "@heddle/wire";
import { expect, onTestFinished, test } from "vitest";
import { ABSORBED_BACKLOG_BYTES } from "./limits.ts";
import { type BenchOptions, type Client, finish, inline, offer, openBench, openJob, settle } from "./testing.ts";

const OUTCOMES = {
  [JobOutcome.DONE]: "DONE",
  [JobOutcome.FAILED]: "FAILED",
  [JobOutcome.CANCELLED]: "CANCELLED",
  0: "",
};

/** What came of results, and ends, in that order. */
const heard = (client: Client): unknown[] =>
  client.heard.flatMap((entry) => {
    if (entry.$case === "spanDone")
      return decodePayload({
        ...(entry.value.values as Payload),
        bytes: entry.value.values?.data ?? new Uint8Array(0),
      });
    return entry.$case === "jobEnded" ? [OUTCOMES[entry.value.outcome]] : [];
  });

/** A node with eight slots, a program that may have 20 bytes unread, and a disk. */
async function openStage({ credit = 8, ...options }: BenchOptions & { readonly credit?: number } = {}) {
  const bench = await openBench(onTestFinished, { spill: memorySpill(), ...options });
  const client = await bench.client();
  const node = await bench.node("n1", credit, { slots: 8 });
  openJob(client, 1, { open: { unreadBytesMax: 20, ordered: true } });
  for (let chunk = 0; chunk < 8; chunk++) offer(client, 1, chunk);
  client.say({ $case: "sealJob", value: { job: 1, chunkCount: 8 } }, 0);
  await settle();
  /** Of each chunk: "c0" and so on, ten bytes long. */
  const answer = async (...chunks: number[]): Promise<void> => {
    for (const chunk of chunks)
      finish(node, node.said("assignChunk")[chunk]?.assignment, { $case: "done", value: inline([`result ${chunk}`]) });
    await settle();
  };
  const take = async (bytes: number): Promise<void> => {
    client.say({ $case: "takeResults", value: { job: 1, bytes } });
    await settle();
  };
  const metric = (name: string): number | undefined => {
    const found = bench.shell.metrics().find((it) => it.name === `heddle_coordinator_${name}`);
    return found?.type === "histogram" ? undefined : (found?.value as number | undefined);
  };
  const spilled = () => ({ bytes: metric("spill_bytes"), results: metric("spilled_results_total") });
  return { bench, client, node, answer, take, spilled };
}

test("what a program has no room for goes to disk and its job runs on; it comes as results are taken, its end behind it", async () => {
  const { bench, client, answer, take, spilled } = await openStage();
  await answer(0, 1, 2, 4, 3, 5, 6, 7);
  expect(heard(client)).toEqual(["result 0", "result 1", "result 2"]);
  expect(spilled()).toEqual({ bytes: 45, results: 5 });
  expect((await bench.jobs()).map(({ state }) => state)).toEqual(["done"]);
  await take(18);
  expect(heard(client).slice(3)).toEqual(["result 3", "result 4"]);
  await take(9);
  await take(100);
  expect(heard(client).slice(5)).toEqual(["result 5", "result 6", "result 7", "DONE"]);
  expect(spilled()).toEqual({ bytes: 0, results: 5 });
});

test("a result before one that was sent never waits on disk: its reader can take nothing else", async () => {
  const { client, answer } = await openStage();
  await answer(1, 2, 3, 4, 0);
  expect(heard(client)).toEqual(["result 1", "result 2", "result 3", "result 0"]);
});

test("a job that fails, or is cancelled, says so at once: its reader may wait for a result that never comes", async () => {
  const failing = await openStage();
  await failing.answer(0, 1, 3, 4, 5, 6, 7);
  const died = { $case: "workerDeath", value: { markedOffset: 0, loss: undefined } } as const;
  for (const attempt of [2, 8]) {
    finish(failing.node, failing.node.said("assignChunk")[attempt]?.assignment, died);
    await settle();
  }
  expect(heard(failing.client)).toEqual(["result 0", "result 1", "result 3", "FAILED"]);
  expect(failing.spilled().bytes).toBe(0);

  const cancelled = await openStage();
  await cancelled.answer(0, 1, 2, 3, 4, 5, 6);
  cancelled.client.say({ $case: "cancelJob", value: { job: 1, reason: "" } });
  await settle();
  expect(heard(cancelled.client).at(-1)).toBe("CANCELLED");
  expect(cancelled.spilled().bytes).toBe(0);
});

test.for(["a program that wants no more of a job that is over", "a closed pool", "a client that is gone"] as const)(
  "%s leaves nothing on disk",
  async (what) => {
    const { bench, client, answer, spilled } = await openStage();
    await answer(0, 1, 2, 3, 4, 5, 6, 7);
    expect(spilled().bytes).toBe(45);
    if (what === "a client that is gone") await client.session?.close();
    else if (what === "a closed pool") client.say({ $case: "closePool", value: { poolId: "a".repeat(32) } });
    else client.say({ $case: "cancelJob", value: { job: 1, reason: "" } });
    await settle();
    expect(spilled().bytes).toBe(0);
    if (what !== "a client that is gone") expect(heard(client).at(-1)).toBe("CANCELLED");
    expect((await bench.jobs()).map(({ state }) => state)).toEqual(["done"]);
  },
);

test("a job number is not free while results of it wait", async () => {
  const { client, answer } = await openStage();
  await answer(0, 1, 2, 3, 4, 5, 6, 7);
  openJob(client, 1);
  await settle();
  expect(client.end).toMatchObject({ goodbye: { code: "protocol", message: "job number 1 is in use" } });
});

test("results that cannot be read back are made again: their client's session ends as by a coordinator that goes", async () => {
  let outcome: WriteOutcome = "kept";
  const { bench, client, answer, take, spilled } = await openStage({ spill: memorySpill(() => outcome) });
  await answer(0, 1, 2, 3, 4, 5, 6, 7);
  outcome = "failed-lost";
  await take(20);
  expect(client.end).toMatchObject({ reason: "goodbye", goodbye: { code: "unavailable" } });
  expect(spilled().bytes).toBe(0);
  expect(bench.logged.map(({ message }) => message)).toContain(
    "results of a slow client cannot be read back from disk: it has to have them made again",
  );
});

test("where there is no room on the disk results go to the program all the same, and what was never placed waits, of this job alone", async () => {
  const { bench, client, node, answer, take } = await openStage({ spillBytesMax: 0, credit: 2 });
  for (let chunk = 0; chunk < 5; chunk++) await answer(chunk);
  expect(heard(client)).toEqual([0, 1, 2, 3, 4].map((chunk) => `result ${chunk}`));
  openJob(client, 2);
  offer(client, 2, 0);
  await settle();
  const placed = (): number[] => node.said("assignChunk").map(({ chunk }) => chunk);
  expect(placed()).toEqual([0, 1, 2, 3, 4, 0]);
  const asked = { jobId: "job-1", chunk: undefined, item: undefined };
  const told = await bench.network.call(adminDescribeJob, "coordinator", asked, { timeoutMs: 1_000 });
  expect(told.waits).toMatchObject([{ cause: "throttled-job", chunks: 3 }]);
  await take(45);
  expect(placed()).toEqual([0, 1, 2, 3, 4, 0, 5]);
});

test("a coordinator that stops waits for results to be read, as for jobs", async () => {
  const { bench, client, answer, take } = await openStage();
  await answer(0, 1, 2, 3, 4, 5, 6, 7);
  let isStopped = false;
  const stopped = bench.shell.stop(60_000).then(() => {
    isStopped = true;
  });
  await settle();
  expect(isStopped).toBe(false);
  for (let at = 0; at < 4; at++) await take(30);
  expect(heard(client).at(-1)).toBe("DONE");
  await stopped;
});

test("a coordinator that stops waits no longer for a reader that is gone", async () => {
  const { bench, client, answer } = await openStage();
  await answer(0, 1, 2, 3, 4, 5, 6, 7);
  const stopped = bench.shell.stop(60_000);
  await client.session?.close();
  await stopped; // no time has passed
});

test("a large result that comes when its job is over is put nowhere", async () => {
  const { client, node, answer, spilled } = await openStage();
  await answer(0, 1, 2, 3, 4, 5);
  const { assignment = 0 } = node.said("assignChunk")[6] ?? {};
  client.say({ $case: "cancelJob", value: { job: 1, reason: "" } });
  await settle();
  const large = { ...inline([""]), size: 200_000, data: new Uint8Array(0), partStream: 5 };
  finish(node, assignment, { $case: "done", value: large });
  await settle();
  node.say({ $case: "part", value: { partStream: 5, data: new Uint8Array(0), last: true, aborted: true } }, 8);
  finish(node, assignment, { $case: "stopped", value: {} });
  await settle();
  expect(spilled().bytes).toBe(0);
});

test("errors of items never go to disk: while their client reads nothing they hold it back at a bound of their own", async () => {
  const bench = await openBench(onTestFinished, { spill: memorySpill() });
  await bench.network.listen("slow", bench.shell.routes);
  const client = await bench.client({}, undefined, "3".repeat(32), "slow");
  const node = await bench.node("n1", 8, { slots: 8 });
  openJob(client, 1, { open: { unreadBytesMax: 2 ** 24, ordered: true, collect: true } });
  const chunks = 1_000;
  for (let chunk = 0; chunk < chunks; chunk++) offer(client, 1, chunk);
  await settle();
  bench.network.blackhole("slow", true);
  const userError = inline(["x".repeat(100_000)]);
  let answered = 0;
  for (let placed = node.said("assignChunk"); answered < placed.length; placed = node.said("assignChunk")) {
    const kind = { $case: "userError", value: userError } as const;
    const failure = { offset: 0, place: undefined, summary: "Error: no", kind };
    const value = { completed: 0, values: inline([]), failure };
    finish(node, placed[answered++]?.assignment, { $case: "itemError", value });
    await settle();
  }
  expect(answered).toBeGreaterThan(100);
  expect(answered * 100_000).toBeLessThan(ABSORBED_BACKLOG_BYTES + 3 * 2 ** 20);
});

test("large results that came while its queue was short hold no client back: what is made next goes to disk", async () => {
  const bench = await openBench(onTestFinished, { spill: memorySpill() });
  await bench.network.listen("slow", bench.shell.routes);
  const client = await bench.client({}, undefined, "3".repeat(32), "slow");
  const node = await bench.node("n1", 3, { slots: 3 });
  openJob(client, 1);
  for (let chunk = 0; chunk < 6; chunk++) offer(client, 1, chunk);
  await settle();
  bench.network.blackhole("slow", true);
  const size = 12 * 2 ** 20;
  const placed = () => node.said("assignChunk").map(({ assignment }) => assignment);
  const begin = (at: number): void => {
    const value = { ...inline([""]), size, data: new Uint8Array(0), partStream: 1 + at };
    finish(node, placed()[at], { $case: "done", value });
  };
  const end = async (at: number): Promise<void> => {
    for (let sent = 0; sent < size; sent += PART_BYTES_MAX) {
      const data = new Uint8Array(PART_BYTES_MAX);
      const part = { partStream: 1 + at, data, last: sent + PART_BYTES_MAX === size, aborted: false };
      node.say({ $case: "part", value: part }, PART_BYTES_MAX);
    }
    await settle();
  };
  for (const at of [0, 1, 2]) begin(at);
  for (const at of [0, 1, 2]) await end(at);
  expect(placed()).toHaveLength(6);
  for (const at of [3, 4, 5]) {
    begin(at);
    await end(at);
  }
  expect((await bench.jobs())[0]).toMatchObject({ chunksDone: 6 });
  const disk = bench.shell.metrics().find(({ name }) => name === "heddle_coordinator_spill_bytes");
  expect(disk).toMatchObject({ value: 3 * size });
});
