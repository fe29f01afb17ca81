import { type Caller, thisUser } from "@heddle/port-rpc";
import {
  adminCordonNode,
  adminDescribeNode,
  adminDrainNode,
  adminGetStatus,
  adminListNodes,
  type CordonNodeRequest,
  type DrainNodeRequest,
  JobOutcome,
  type NodeStatus,
  ProcessSignal,
  StartProcess,
} from "@heddle/wire";
import { beforeEach, expect, onTestFinished, test } from "vitest";
import { CORDON_REASON_LENGTH_MAX, DRAIN_DEADLINE_MS_MAX, NODE_JOBS_SHOWN_MAX } from "./limits.ts";
import { type Bench, type Client, finish, inline, type Node, offer, openBench, openJob, settle } from "./testing.ts";

const agent: Caller = { role: "agent", name: "agent" };
const otherAgent: Caller = { role: "agent", name: "b" };
const DONE = { $case: "done" as const, value: inline([1]) };
const NOT_STARTED = { $case: "notStarted" as const, value: { fault: "" } };
const STOPPED = { $case: "stopped" as const, value: {} };
const patient = { timeoutMs: 1_000 };

let bench: Bench;
beforeEach(async () => {
  bench = await openBench((close) => onTestFinished(close));
});

const cordon = async (request: Partial<CordonNodeRequest> & { readonly name: string }, caller = thisUser) => {
  const whole = { cordoned: true, reason: "", ...request };
  return (await bench.network.as(caller).call(adminCordonNode, "coordinator", whole, patient)).changed;
};
const uncordon = (name: string) => cordon({ name, cordoned: false });
const drain = (request: Partial<DrainNodeRequest> & { readonly name: string }, caller = thisUser) => {
  const whole = { deadlineMs: 0, reason: "", leaving: false, ...request };
  return bench.network.as(caller).call(adminDrainNode, "coordinator", whole, patient);
};
const describeNode = (name: string, caller = thisUser) =>
  bench.network.as(caller).call(adminDescribeNode, "coordinator", { name }, patient);
const status = () => bench.network.call(adminGetStatus, "coordinator", {}, patient);

async function nodes(): Promise<Record<string, NodeStatus>> {
  const { nodes } = await bench.network.call(adminListNodes, "coordinator", {}, patient);
  return Object.fromEntries(nodes.map((node) => [node.name, node]));
}

/** A job of so many chunks of one item, which may not fail once. */
function job(client: Client, chunks: number): void {
  openJob(client, 1);
  for (let chunk = 0; chunk < chunks; chunk++) offer(client, 1, chunk);
  client.say({ $case: "sealJob", value: { job: 1, chunkCount: chunks } }, 0);
}

const assigned = (node: Node): number[] => node.said("assignChunk").map(({ assignment }) => assignment);
const revoked = (node: Node) => node.said("revokeChunk").map(({ assignment, stop }) => [assignment, stop]);
const ends = (client: Client): number[] => client.said("jobEnded").map(({ outcome }) => outcome);

const target = { function: { artifact: "f".repeat(64), exportName: "default", displayName: "fn" } };
function start(client: Client, process: number, more: Partial<StartProcess> = {}): void {
  const base = StartProcess.fromPartial({ process, target, name: `p${process}`, path: `${process}` });
  client.say({ $case: "startProcess", value: { ...base, parent: { name: "MainProcess", pid: 1 }, ...more } });
}

const started = (node: Node): string[] => node.said("startProcess").map(({ name }) => name);

test("a cordoned node gets nothing new and goes on with what it has, until it is uncordoned", async () => {
  const [a, client] = [await bench.node("a", 1), await bench.client()];
  job(client, 2);
  await settle();
  expect(await cordon({ name: "a", reason: "new disks" })).toBe(true);
  expect(await cordon({ name: "a" })).toBe(false);
  expect(await nodes()).toMatchObject({ a: { state: "cordoned", reason: "new disks", chunks: 1, drainLeftMs: 0 } });
  finish(a, assigned(a)[0], DONE);
  await settle();
  expect([assigned(a).length, revoked(a)]).toEqual([1, []]);
  expect(await status()).toMatchObject({ nodes: 0, slots: 0, nodesCordoned: 1, chunksWaiting: 1 });
  expect(await uncordon("a")).toBe(true);
  expect(await uncordon("a")).toBe(false);
  await settle();
  finish(a, assigned(a)[1], DONE);
  await settle();
  expect(ends(client)).toEqual([JobOutcome.DONE]);
  expect(await nodes()).toMatchObject({ a: { state: "ready", reason: "" } });
});

test("a drain hands back what has not begun, and stops what outlasts it, which runs elsewhere without failing", async () => {
  const [a, client] = [await bench.node("a", 2), await bench.client()];
  job(client, 2);
  await settle();
  const [first = 0, second = 0] = assigned(a);
  a.say({ $case: "chunkStarted", value: { assignment: first } }, 0);
  await settle();
  const { node } = await drain({ name: "a", deadlineMs: 5_000, reason: "reboot" });
  expect(node).toMatchObject({ name: "a", state: "draining", reason: "reboot", chunks: 2, drainLeftMs: 5_000 });
  finish(a, second, NOT_STARTED);
  await bench.clock.advance(4_999);
  expect([revoked(a), (await nodes()).a?.drainLeftMs]).toEqual([[[second, false]], 1]);
  await bench.clock.advance(1);
  expect(revoked(a).slice(1)).toEqual([[first, true]]);
  finish(a, first, STOPPED);
  await settle();
  expect(await nodes()).toMatchObject({ a: { state: "drained", chunks: 0, drainStoppedChunks: 1, drainLeftMs: 0 } });
  const b = await bench.node("b", 2);
  for (const assignment of assigned(b)) finish(b, assignment, DONE);
  await settle();
  expect([assigned(b).length, ends(client)]).toEqual([2, [JobOutcome.DONE]]);
});

test("another drain replaces the time of the first, and uncordon undoes it, for chunks and processes alike", async () => {
  const [a, client] = [await bench.node("a", 1), await bench.client()];
  job(client, 1);
  start(client, 1);
  await settle();
  a.say({ $case: "chunkStarted", value: { assignment: assigned(a)[0] ?? 0 } }, 0);
  await settle();
  await drain({ name: "a", deadlineMs: 1_000 });
  await drain({ name: "a", deadlineMs: 3_000 });
  await bench.clock.advance(2_999);
  await uncordon("a");
  await bench.clock.advance(10_000);
  expect([revoked(a), a.said("signalProcess")]).toEqual([[], []]);
  expect(await nodes()).toMatchObject({ a: { state: "ready", chunks: 1, processes: 1 } });
});

test("processes wait for a cordoned node, end at the end of a drain's time, and their program hears why", async () => {
  const [a, client] = [await bench.node("a", 0), await bench.client()];
  start(client, 1);
  await settle();
  await drain({ name: "a", deadlineMs: 1_000 });
  start(client, 2);
  start(client, 3, { node: "a" });
  start(client, 4, { node: "nowhere" });
  await bench.clock.advance(999);
  expect([started(a), a.said("signalProcess")]).toEqual([["p1"], []]);
  expect(client.said("processEnded")).toMatchObject([{ process: 4, end: { value: { code: "unschedulable" } } }]);
  await bench.clock.advance(1);
  const [{ process: key = 0 } = {}] = a.said("startProcess");
  expect(a.said("signalProcess")).toEqual([{ process: key, signal: ProcessSignal.STOP }]);
  expect(await nodes()).toMatchObject({ a: { state: "draining", processes: 1, drainStoppedProcesses: 1 } });
  a.say({ $case: "processEnded", value: { process: key, end: { $case: "signal", value: "SIGTERM" }, why: "" } }, 0);
  await settle();
  expect(await nodes()).toMatchObject({ a: { state: "drained", processes: 0 } });
  expect(client.said("processEnded").at(-1)).toMatchObject({
    process: 1,
    why: "the time that node a had to be drained was over",
  });
  await uncordon("a");
  await settle();
  expect(started(a)).toEqual(["p1", "p2", "p3"]);
});

test("a drain without time ends processes at once, and those who start them anew wait", async () => {
  const [a, client] = [await bench.node("a", 0), await bench.client()];
  start(client, 1);
  await settle();
  expect((await drain({ name: "a" })).node).toMatchObject({ state: "draining", drainStoppedProcesses: 1 });
  start(client, 2);
  await settle();
  expect([a.said("signalProcess").length, started(a)]).toEqual([1, ["p1"]]);
});

test("of very many jobs on a node those are told that are there for longest", async () => {
  const [, client] = [await bench.node("a", 2_000), await bench.client()];
  for (let number = 1; number <= NODE_JOBS_SHOWN_MAX + 1; number++) {
    openJob(client, number);
    offer(client, number, 0);
  }
  await settle();
  const { node, jobs } = await describeNode("a");
  expect([node?.chunks, jobs.length, jobs[0]?.jobId]).toEqual([NODE_JOBS_SHOWN_MAX + 1, NODE_JOBS_SHOWN_MAX, "job-1"]);
});

test("a node that comes back under its name finds its cordon and its drain, and can be uncordoned while it is away", async () => {
  const [a, client] = [await bench.node("a", 1), await bench.client()];
  start(client, 1, { node: "a" });
  await settle();
  await cordon({ name: "a", reason: "disks" });
  await a.session?.close();
  await settle();
  job(client, 1);
  const again = await bench.node("a", 1);
  start(client, 2, { node: "a" });
  await settle();
  expect([assigned(again), started(again)]).toEqual([[], []]);
  expect(await nodes()).toMatchObject({ a: { state: "cordoned", reason: "disks", incarnation: 2 } });
  await drain({ name: "a", deadlineMs: 60_000 });
  expect(await nodes()).toMatchObject({ a: { state: "drained", reason: "disks" } });
  const third = await bench.node("a", 1);
  expect(await nodes()).toMatchObject({ a: { state: "drained", incarnation: 3 } });
  await third.session?.close();
  await settle();
  await expect(drain({ name: "a" })).rejects.toThrow(
    'there is no node "a"; one that comes under this name is cordoned',
  );
  expect(await uncordon("a")).toBe(true);
  await expect(uncordon("a")).rejects.toMatchObject({ code: "not-found", message: 'there is no node "a"' });
  const fourth = await bench.node("a", 1);
  expect([assigned(fourth).length, started(fourth)]).toEqual([1, ["p2"]]);
});

test("a drain for an agent that leaves ends with that agent, unless an operator wants the node cordoned", async () => {
  const a = await bench.node("a", 1);
  await drain({ name: "a", leaving: true });
  await drain({ name: "a", leaving: true, deadlineMs: 1_000 });
  await a.session?.close();
  await settle();
  const again = await bench.node("a", 1);
  expect(await nodes()).toMatchObject({ a: { state: "ready" } });
  await cordon({ name: "a" });
  await drain({ name: "a", leaving: true });
  await again.session?.close();
  await settle();
  await bench.node("a", 1);
  expect(await nodes()).toMatchObject({ a: { state: "drained" } });
});

test("an agent has its own node drained, and asks about it, and about no other", async () => {
  const [a] = [await bench.node("a", 1, {}, agent), await bench.node("b", 1, {}, otherAgent)];
  const { node } = await drain({ name: "a" }, agent);
  expect(node).toMatchObject({ name: "a", state: "drained" });
  expect((await describeNode("a", agent)).node).toEqual((await nodes()).a);
  const message = 'the node b belongs to somebody else than agent "agent"';
  await expect(drain({ name: "b" }, agent)).rejects.toMatchObject({ code: "permission", message });
  await expect(describeNode("b", agent)).rejects.toMatchObject({ code: "permission", message });
  expect(await nodes()).toMatchObject({ b: { state: "ready" } });
  await a.session?.close();
  await settle();
  await bench.node("a", 1, {}, agent); // it did not say so, but an agent that asks is one that leaves
  expect(await nodes()).toMatchObject({ a: { state: "ready" } });
});

test("what is on a node is told by job and by process, with what became of the rest", async () => {
  const [a, client] = [await bench.node("a", 9, { slots: 9 }), await bench.client()];
  job(client, 8);
  start(client, 1);
  await settle();
  const [done, failed, died, fault, back] = assigned(a);
  finish(a, done, DONE);
  finish(a, died, { $case: "workerDeath", value: { markedOffset: undefined, loss: undefined } });
  finish(a, back, NOT_STARTED);
  await bench.clock.advance(2_000);
  const { process = 0 } = a.said("startProcess")[0] ?? {};
  a.say({ $case: "processStarted", value: { process, node: "a", pid: 77 } });
  await settle();
  expect(await describeNode("a")).toMatchObject({
    node: { name: "a", chunks: 7, processes: 1, silentMs: 0 },
    jobs: [{ jobId: "job-1", name: "fn", chunks: 7, longestMs: 2_000, client: "test" }],
    processes: [{ name: "p1", pid: 77, ageMs: 2_000, client: "test" }],
    tally: { done: 1, workerDeaths: 1, givenBack: 1, itemFailures: 0, startFaults: 0, initFailures: 0, stopped: 0 },
    lostBefore: 0,
  });
  finish(a, fault, { $case: "notStarted", value: { fault: "no memory" } });
  finish(a, failed, { $case: "itemOverdue", value: { offset: 0 } });
  await settle();
  await a.session?.close();
  await settle();
  await bench.node("a", 9);
  expect(await describeNode("a")).toMatchObject({
    tally: { done: 0, workerDeaths: 0 },
    lostBefore: expect.any(Number),
  });
  expect((await describeNode("a")).lostBefore).toBeGreaterThan(4);
});

test("agents are told what operators want of their nodes, but not what was asked for one that ends", async () => {
  const [a, b] = [await bench.node("a", 1), await bench.node("b", 1)];
  await cordon({ name: "a", reason: "new disks" });
  await drain({ name: "a" });
  await uncordon("a");
  await drain({ name: "b", leaving: true });
  await settle();
  const told = (node: Node) => node.said("nodeCordonChanged").map(({ cordon: each }) => each);
  expect(told(a)).toEqual([{ reason: "new disks", drained: false }, { reason: "new disks", drained: true }, undefined]);
  expect(told(b).every((each) => each === undefined)).toBe(true);
});

test("a coordinator that has not known a node believes what its agent was told before, and one that has knows better", async () => {
  await bench.node("a", 1, { cordon: { reason: "new disks", drained: false } });
  const b = await bench.node("b", 1, { cordon: { reason: "", drained: true } });
  expect(await nodes()).toMatchObject({
    a: { state: "cordoned", reason: "new disks" },
    b: { state: "drained", reason: "" },
  });
  expect(await status()).toMatchObject({ nodes: 0, nodesCordoned: 2 });
  await b.session?.close();
  await settle();
  expect(await uncordon("b")).toBe(true);
  const again = await bench.node("b", 1, { cordon: { reason: "", drained: true } });
  expect(await nodes()).toMatchObject({ b: { state: "ready" } });
  expect(again.said("nodeCordonChanged")).toEqual([{ cordon: undefined }]);
});

test("an agent with a reason without end is refused", async () => {
  const cordon = { reason: "x".repeat(CORDON_REASON_LENGTH_MAX + 1), drained: false };
  await bench.node("a", 1, { cordon });
  expect(await nodes()).toEqual({});
});

test("names that are nobody's, reasons without end and deadlines beyond a week are refused", async () => {
  await bench.node("a", 1);
  await expect(cordon({ name: "b" })).rejects.toMatchObject({ code: "not-found", message: 'there is no node "b"' });
  await expect(drain({ name: "b" })).rejects.toMatchObject({ code: "not-found" });
  await expect(describeNode("b")).rejects.toMatchObject({ code: "not-found" });
  const reason = "x".repeat(CORDON_REASON_LENGTH_MAX + 1);
  await expect(cordon({ name: "a", reason })).rejects.toThrow(/at most \(CORDON_REASON_LENGTH_MAX\)/);
  const deadlineMs = DRAIN_DEADLINE_MS_MAX + 1;
  await expect(drain({ name: "a", deadlineMs })).rejects.toThrow(/at most \(DRAIN_DEADLINE_MS_MAX\)/);
  expect(await nodes()).toMatchObject({ a: { state: "ready" } });
});
