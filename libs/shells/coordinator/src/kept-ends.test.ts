import { LEASE_MS } from "@heddle/kernel";
import type { Caller } from "@heddle/port-rpc";
import { adminCancelJob, JobOutcome } from "@heddle/wire";
import { expect, onTestFinished, test } from "vitest";
import { attach, ID, keeper, Lives, offerAll, openKept, submit, told, work } from "./kept-testing.ts";
import { ENDED_JOB_AGE_MS, KEPT_COMEBACK_MS } from "./limits.ts";
import { settle } from "./testing.ts";

const alice: Caller = { role: "client", name: "alice" };
const bob: Caller = { role: "client", name: "bob" };
const OTHER_ID = "2".repeat(32);

async function openStage(keep: Parameters<typeof submit>[3] = {}) {
  const lives = new Lives(onTestFinished);
  const bench = await lives.next();
  const node = await bench.node("n1", 8, { slots: 8 });
  const client = await keeper(bench);
  await submit(client, 1, [1, 1], keep);
  return { lives, bench, node, client };
}

test("a job that is not detached is cancelled a lease after the last client that had to do with it", async () => {
  const { bench, node, client } = await openStage({ detached: false });
  await bench.clock.advance(10 * LEASE_MS); // whoever submitted it is there
  const [one, other] = [await bench.client(), await bench.client()];
  attach(one, 1);
  attach(other, 1);
  await client.session?.close();
  await one.session?.close();
  await bench.clock.advance(10 * LEASE_MS);
  other.say({ $case: "leaveJob", value: { job: 1 } }, 0);
  await bench.clock.advance(LEASE_MS - 1_000);
  attach(other, 2);
  await bench.clock.advance(LEASE_MS);
  await other.session?.close();
  await bench.clock.advance(LEASE_MS - 1_000);
  expect(node.said("revokeChunk")).toEqual([]);
  await bench.clock.advance(2_000);
  expect(node.said("revokeChunk")).toMatchObject([{ stop: true }, { stop: true }]);
  const listener = await bench.client();
  attach(listener, 1);
  await settle();
  expect(listener.said("jobEnded")).toMatchObject([{ outcome: JobOutcome.CANCELLED, error: { code: "cancelled" } }]);
  expect(listener.said("jobEnded")[0]?.error?.message).toMatch(
    /job-1 was cancelled: no client listened to it for 15 s$/,
  );
});

test("a job that was cancelled because nobody listened begins anew when it is submitted again, also after a restart, and with another content", async () => {
  const { lives, bench, client } = await openStage({ detached: false });
  await client.session?.close();
  await bench.clock.advance(LEASE_MS + 1_000);
  expect((await bench.jobs()).map(({ state }) => state)).toEqual(["cancelled"]);
  const again = await keeper(bench, OTHER_ID);
  await submit(again, 1, [2], { detached: false });
  expect((await bench.jobs()).map(({ jobId, state }) => [jobId, state])).toContainEqual(["job-1", "running"]);
  await again.session?.close();
  await bench.clock.advance(LEASE_MS + 1_000);
  const next = await lives.next();
  const later = await keeper(next, OTHER_ID);
  await submit(later, 1, [1, 1], { detached: false });
  const node = await next.node("n1", 8, { slots: 8 });
  await work(node);
  attach(later, 2);
  await settle();
  expect(later.said("jobEnded")).toMatchObject([{ outcome: JobOutcome.DONE }]);
});

test("a client that is lost in the middle of a submission has a lease and a minute to come back", async () => {
  const lives = new Lives(onTestFinished);
  const bench = await lives.next();
  await bench.network.listen("away", bench.shell.routes);
  const client = await keeper(bench, ID, undefined, "away");
  openKept(client, 1);
  await settle();
  bench.network.blackhole("away", true);
  await bench.clock.advance(LEASE_MS + 2_000);
  expect((await bench.jobs()).map(({ state, listeners }) => [state, listeners])).toEqual([["submitting", 0]]);
  const listener = await bench.client();
  attach(listener, 1);
  await bench.clock.advance(LEASE_MS + KEPT_COMEBACK_MS - 5_000);
  expect(told(listener)).toEqual([]);
  await bench.clock.advance(5_000);
  expect(told(listener)).toEqual(["1 ended 3 cancelled"]);
  expect(listener.said("jobEnded")[0]?.error?.message).toContain("its client did not come back");
  expect([await bench.jobs(), lives.disk.recovered().jobs]).toEqual([[], []]);
});

test("a job that was found half on disk waits as long for its client, and is gone then", async () => {
  const lives = new Lives(onTestFinished);
  const client = await keeper(await lives.next());
  openKept(client, 1);
  await settle();
  offerAll(client, 1, [4]);
  await settle();
  const later = await lives.next();
  await later.clock.advance(LEASE_MS + KEPT_COMEBACK_MS - 1_000);
  expect(lives.disk.recovered().jobs).toHaveLength(1);
  await later.clock.advance(2_000);
  expect([lives.disk.recovered().jobs, lives.disk.bytes]).toEqual([[], 0]);
});

test("a job that takes longer than it may is cancelled, whether it is all on disk or not", async () => {
  const { bench, node, client } = await openStage({ timeoutMs: 30_000 });
  attach(client, 5);
  openKept(client, 2, { timeoutMs: 20_000 });
  await bench.clock.advance(29_000);
  await work(node, 0, 1);
  expect(told(client).slice(-3)).toEqual(["2 kept 0", "2 ended 3 timeout", "5 0+1: 0"]);
  await bench.clock.advance(2_000);
  expect(client.said("jobEnded").at(-1)).toMatchObject({ job: 5, error: { code: "timeout" } });
  expect(client.said("jobEnded").at(-1)?.error?.message).toBe("job job-1 took longer than its 30000 ms");
  expect(node.said("revokeChunk")).toHaveLength(1);
});

test("after a restart the time of a job counts from there", async () => {
  const { lives } = await openStage({ timeoutMs: 30_000 });
  const later = await lives.next();
  const listener = await later.client();
  attach(listener, 1);
  await later.clock.advance(29_000);
  expect(told(listener)).toEqual(["1 attached to 2"]);
  await later.clock.advance(2_000);
  expect(told(listener)).toEqual(["1 attached to 2", "1 ended 3 timeout"]);
});

test("a listener cancels a job for all, by its number or by its name", async () => {
  const { bench, node, client } = await openStage();
  const listener = await bench.client();
  attach(listener, 1);
  attach(client, 2);
  client.say({ $case: "cancelJob", value: { job: 2, reason: "enough" } });
  await settle();
  const message = "job job-1 was cancelled by this user: enough";
  for (const one of [listener, client])
    expect(one.said("jobEnded")).toMatchObject([
      { outcome: JobOutcome.CANCELLED, error: { code: "cancelled", message } },
    ]);
  expect((await bench.jobs())[0]).toMatchObject({ state: "cancelled", failure: message, kept: true });
  await submit(client, 3, [1]);
  openKept(client, 4);
  await settle();
  const cancel = (jobId: string) =>
    bench.network.call(adminCancelJob, "coordinator", { jobId, reason: "" }, { timeoutMs: 1_000 });
  expect([await cancel("job-3"), await cancel("job-4")]).toEqual([{ changed: true }, { changed: true }]);
  await settle();
  expect(await cancel("job-3")).toEqual({ changed: false });
  await expect(cancel("job-4")).rejects.toMatchObject({ code: "not-found" });
  expect(told(client).at(-1)).toBe("4 ended 3 cancelled");
  expect(node.said("revokeChunk")).toHaveLength(3);
});

test("a job belongs to the identity that has opened it, also after a restart; the coordinator's user may do all", async () => {
  const lives = new Lives(onTestFinished);
  const first = await lives.next();
  await submit(await keeper(first, ID, alice), 1, [1]);
  const bench = await lives.next();
  const [hers, his, ours] = [
    await bench.client({}, alice),
    await keeper(bench, "2".repeat(32), bob),
    await bench.client(),
  ];
  for (const one of [hers, his, ours]) attach(one, 1);
  openKept(his, 2, {}, { jobId: "job-1" });
  await settle();
  expect([told(hers), told(ours)]).toEqual([["1 attached to 1"], ["1 attached to 1"]]);
  expect(told(his)).toEqual(["1 ended 2 permission", "2 ended 2 permission"]);
  expect(his.said("jobEnded")[0]?.error?.message).toBe('job job-1 belongs to client "alice", not to client "bob"');
  const ask = { jobId: "job-1", reason: "" };
  const asBob = bench.network.as(bob).call(adminCancelJob, "coordinator", ask, { timeoutMs: 1_000 });
  await expect(asBob).rejects.toMatchObject({ code: "permission" });
});

test("what has ended goes after an hour, unless somebody listens, and its id is free again", async () => {
  const { lives, bench, node, client } = await openStage();
  await work(node);
  await bench.clock.advance(ENDED_JOB_AGE_MS - 1_000);
  expect(lives.disk.recovered().jobs).toHaveLength(1);
  await bench.clock.advance(2_000);
  expect(lives.disk.recovered().jobs).toEqual([]);
  openKept(client, 2, {}, { jobId: "job-1" });
  await settle();
  expect(told(client).at(-1)).toBe("2 kept 0");
});

test("an ended job is as old after a restart as the time of day says", async () => {
  let dayMs = 1_000_000;
  const lives = new Lives(onTestFinished, undefined, { timeOfDayMs: () => dayMs });
  const first = await lives.next();
  const node = await first.node("n1", 1);
  await submit(await keeper(first), 1, [1]);
  await work(node);
  dayMs += 600_000;
  const second = await lives.next();
  const listener = await second.client();
  attach(listener, 1);
  await settle();
  expect(listener.said("jobAttached")).toMatchObject([{ ageMs: 600_000, items: 1 }]);
  expect((await second.jobs())[0]).toMatchObject({ jobId: "job-1", state: "done", ageMs: 600_001 });
  dayMs += ENDED_JOB_AGE_MS;
  const third = await lives.next();
  await settle();
  expect([await third.jobs(), lives.disk.recovered().jobs]).toEqual([[], []]);
});

test("lines that its tasks print go to the client that listens for the shortest time", async () => {
  const { bench, node, client } = await openStage();
  const print = (text: string): void => {
    const [described] = node.said("describeJob");
    const place = { node: "n1", pid: 1, attempt: 1 };
    node.say(
      { $case: "output", value: { job: described?.job ?? 0, place, stderr: false, text, process: 0, processName: "" } },
      1,
    );
  };
  print("nobody listens");
  await settle();
  attach(client, 5);
  const listener = await bench.client();
  attach(listener, 9);
  await settle();
  print("hello");
  await settle();
  expect([client.said("output"), listener.said("output")]).toMatchObject([[], [{ job: 9, text: "hello" }]]);
});
