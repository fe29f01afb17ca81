import { type Caller, thisUser } from "@heddle/port-rpc";
import { adminCancelJob, JobOutcome } from "@heddle/wire";
import { beforeEach, expect, onTestFinished, test } from "vitest";
import { type Bench, finish, inline, openBench, small } from "./testing.ts";

const alice: Caller = { role: "client", name: "alice" };
const bob: Caller = { role: "client", name: "bob" };
const admin: Caller = { role: "admin", name: "ops" };

let bench: Bench;
beforeEach(async () => {
  bench = await openBench(onTestFinished);
});

async function cancel(caller: Caller, jobId: string, reason = ""): Promise<boolean> {
  const asked = bench.network.as(caller).call(adminCancelJob, "coordinator", { jobId, reason }, { timeoutMs: 1_000 });
  return (await asked).changed;
}

test.each([
  ["its own identity", alice],
  ["an administrator", admin],
  ["the user of the coordinator", thisUser],
])("a job that is named is cancelled for %s, and its client hears by whom and why", async (_who, caller) => {
  const node = await bench.node("n", 1);
  const client = await bench.client({}, alice);
  small(client, 1);
  await bench.clock.advance(0);
  expect(node.said("assignChunk")).toHaveLength(1);
  expect(await cancel(caller, "job-1", "too\ncostly")).toBe(true);
  await bench.clock.advance(0);
  expect(node.said("revokeChunk")).toMatchObject([{ stop: true }]);
  const [end] = client.said("jobEnded");
  expect(end).toMatchObject({ job: 1, outcome: JobOutcome.CANCELLED, error: { code: "cancelled" } });
  expect(end?.error?.message).toMatch(/job-1 was cancelled by .*: too costly$/);
  expect((await bench.jobs())[0]).toMatchObject({ state: "cancelled", failure: end?.error?.message });
});

test("one that is over is not cancelled again, one that nobody knows is not found, and a reason has a length", async () => {
  const node = await bench.node("n", 1);
  const client = await bench.client();
  small(client, 1);
  await bench.clock.advance(0);
  finish(node, node.said("assignChunk")[0]?.assignment, { $case: "done", value: inline([1]) });
  await bench.clock.advance(0);
  expect(client.said("jobEnded")).toMatchObject([{ outcome: JobOutcome.DONE, error: undefined }]);
  expect(await cancel(thisUser, "job-1")).toBe(false);
  await expect(cancel(thisUser, "job-2")).rejects.toMatchObject({ code: "not-found" });
  await expect(cancel(thisUser, "job-1", "x".repeat(201))).rejects.toMatchObject({ code: "limit" });
});

test("a client cancels no job of another identity", async () => {
  await bench.node("n", 1);
  const client = await bench.client({}, alice);
  small(client, 1);
  await bench.clock.advance(0);
  await expect(cancel(bob, "job-1")).rejects.toMatchObject({ code: "permission" });
  expect((await bench.jobs())[0]).toMatchObject({ state: "running" });
});
