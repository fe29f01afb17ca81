import type { LogFields, Logger } from "@heddle/kernel";
import { memoryBlobs } from "@heddle/port-blobs";
import { memoryJobStore } from "@heddle/port-job-store";
import { type Caller, MemoryNetwork, streamRoute, unaryRoute } from "@heddle/port-rpc";
import { manualEnvironment } from "@heddle/port-rpc/testing";
import {
  adminListNodes,
  nodesAttach,
  type OperateResponse,
  objectsAdminBreakLock,
  objectsOperate,
  sessionsKeepAlive,
} from "@heddle/wire";
import { expect, onTestFinished, test } from "vitest";
import { CoordinatorShell } from "./coordinator.ts";
import { CALLER_CLIENTS_MAX, CALLER_MANAGER_STREAMS_MAX, CLIENTS_MAX, NODES_MAX } from "./limits.ts";
import { openBench, settle, small } from "./testing.ts";

const alice: Caller = { role: "client", name: "alice" };
const bob: Caller = { role: "client", name: "bob" };
const agent: Caller = { role: "agent", name: "agent" };
const namedAgent: Caller = { role: "agent", name: "n1" };
const admin: Caller = { role: "admin", name: "root" };
const any = new AbortController().signal;

test("one identity has half of the clients, and everybody together has all of them", async () => {
  const bench = await openBench(onTestFinished);
  const clients = (caller: Caller | undefined, count: number) =>
    Promise.all(Array.from({ length: count }, () => bench.client({}, caller)));
  const [first] = await clients(alice, CALLER_CLIENTS_MAX);
  const refused = await bench.client({}, alice);
  const message = `client "alice" has ${CALLER_CLIENTS_MAX} clients' sessions: CALLER_CLIENTS_MAX is ${CALLER_CLIENTS_MAX}`;
  expect(refused.end).toEqual({ reason: "goodbye", goodbye: { code: "limit", message } });
  await clients(bob, 1);
  await clients(undefined, CLIENTS_MAX - CALLER_CLIENTS_MAX - 1);
  const tooMany = `there are ${CLIENTS_MAX} clients: CLIENTS_MAX is ${CLIENTS_MAX}`;
  expect((await bench.client({}, bob)).end).toEqual({
    reason: "goodbye",
    goodbye: { code: "limit", message: tooMany },
  });
  await first?.session?.close();
  expect((await bench.client({}, alice)).end).toBeUndefined();
});

test("all nodes may be of one identity, and one more than all is refused by name", async () => {
  const bench = await openBench(onTestFinished);
  await Promise.all(Array.from({ length: NODES_MAX }, (_, at) => bench.node(`n${at}`, 1, {}, agent)));
  const message = `there are ${NODES_MAX} nodes: NODES_MAX is ${NODES_MAX}`;
  expect((await bench.node("one-more", 1, {}, agent)).end).toEqual({
    reason: "goodbye",
    goodbye: { code: "limit", message },
  });
});

test("the name of a node goes to a newer agent of the same identity alone", async () => {
  const bench = await openBench(onTestFinished);
  const node = await bench.node("n1", 1, {}, agent);
  const thief = await bench.node("n1", 1, {}, namedAgent);
  const message = 'the node n1 is there, and belongs to somebody else than agent "n1"';
  expect(thief.end).toMatchObject({ reason: "goodbye", goodbye: { message } });
  expect(node.end).toBeUndefined();
  const newer = await bench.node("n1", 1, {}, agent);
  expect([newer.end, node.end]).toMatchObject([undefined, { goodbye: { code: "conflict" } }]);
});

test.each([
  ["n1", "n1", true],
  ["n1", "n1-gpu", true],
  ["n1", "n1-7f3a2c", true],
  ["n1", "n12", false],
  ["n1", "n2", false],
  ["n1", "agent", false],
  ["N1", "n1", false],
  ["agent", "n2", true],
])("the certificate of agent %s lets a node called %s in: %s", async (name, node, isIn) => {
  const bench = await openBench(onTestFinished);
  const joining = await bench.node(node, 1, {}, { role: "agent", name });
  if (isIn) return expect(joining.end).toBeUndefined();
  const message = `agent "${name}" may not be the node ${node}: the certificate is for nodes called ${name} or ${name}-...; say such a --name, or give it a certificate for ${node} (heddle certs issue agent ${node})`;
  expect(joining.end).toEqual({ reason: "goodbye", goodbye: { code: "permission", message } });
  expect(bench.logged.filter((line) => line.message === "refused")).toEqual([
    {
      message: "refused",
      fields: { peer: expect.any(String), who: `agent "${name}"`, path: nodesAttach.path, why: message },
    },
  ]);
});

test("operators see whose a node and a job is", async () => {
  const bench = await openBench(onTestFinished);
  await bench.node("n1", 1, {}, agent);
  await bench.node("n2", 1);
  for (const [job, caller] of [alice, namedAgent, undefined].entries()) small(await bench.client({}, caller), job + 1);
  await settle();
  const { nodes } = await bench.network.call(adminListNodes, "coordinator", {}, { timeoutMs: 1_000 });
  expect(nodes.map(({ identity }) => identity)).toEqual(["agent/agent", "this user"]);
  const jobs = (await bench.jobs()).toSorted((one, other) => (one.jobId < other.jobId ? -1 : 1));
  expect(jobs.map(({ identity }) => identity)).toEqual(["client/alice", "agent/n1", "this user"]);
});

test("who joins and who leaves is told to the log by what it has proved to be", async () => {
  const bench = await openBench(onTestFinished);
  const client = await bench.client({}, alice);
  const node = await bench.node("n1", 1, {}, agent);
  await client.session?.close();
  await node.session?.close();
  await settle();
  const told = bench.logged.map(({ message, fields }) => [message, fields?.caller]);
  expect(told).toEqual([
    ["client joined", 'client "alice"'],
    ["node joined", 'agent "agent"'],
    ["client left", 'client "alice"'],
    ["node left", 'agent "agent"'],
  ]);
});

async function relaying() {
  const logged: { readonly message: string; readonly fields: LogFields | undefined }[] = [];
  const note = (message: string, fields?: LogFields): void => void logged.push({ message, fields });
  const log: Logger = { debug: () => undefined, info: note, warn: note, error: note };
  const env = manualEnvironment(1, log);
  const network = new MemoryNetwork(env);
  onTestFinished(() => network[Symbol.asyncDispose]());
  const identity = { env, blobs: memoryBlobs(), jobs: memoryJobStore(), build: "test", nodeMajor: 24, pid: 1 };
  const shell = new CoordinatorShell({ ...identity, manager: { address: "manager", client: network } });
  await shell.start();
  await network.listen("coordinator", shell.routes);
  return { network, logged };
}

test("one identity has half of the streams to the manager; who speaks a session's language is told so", async () => {
  const { network, logged } = await relaying();
  await network.listen("manager", [
    streamRoute(sessionsKeepAlive, () => undefined),
    streamRoute(objectsOperate, () => undefined),
  ]);
  const asAlice = network.as(alice);
  const links = await Promise.all(
    Array.from({ length: CALLER_MANAGER_STREAMS_MAX }, () => asAlice.dial(sessionsKeepAlive, "coordinator", any)),
  );
  const beats = await asAlice.dial(sessionsKeepAlive, "coordinator", any);
  expect((await beats.closed).reason).toBe("remote");
  const opaque = { encode: () => ({ finish: () => new Uint8Array(0) }), decode: (bytes: Uint8Array) => bytes };
  const raw = { path: objectsOperate.path, request: opaque, response: opaque };
  const operate = await asAlice.dial(raw, "coordinator", any);
  const heard: OperateResponse[] = [];
  for await (const bytes of operate.incoming) heard.push(objectsOperate.response.decode(bytes));
  const message = `client "alice" has ${CALLER_MANAGER_STREAMS_MAX} streams to the manager: CALLER_MANAGER_STREAMS_MAX is ${CALLER_MANAGER_STREAMS_MAX}`;
  expect(heard.map(({ control }) => control?.kind)).toEqual([{ $case: "goodbye", value: { code: "limit", message } }]);
  expect(logged.filter((line) => line.message === "refused")).toMatchObject([
    { fields: { path: sessionsKeepAlive.path, who: 'client "alice"', why: message } },
    { fields: { path: objectsOperate.path, who: 'client "alice"', why: message } },
  ]);
  await settle();
  expect(network.linkCount("manager")).toBe(CALLER_MANAGER_STREAMS_MAX);
  for (const caller of [bob, undefined]) {
    const client = caller === undefined ? network : network.as(caller);
    await client.dial(sessionsKeepAlive, "coordinator", any);
  }
  await settle();
  expect(network.linkCount("manager")).toBe(CALLER_MANAGER_STREAMS_MAX + 2);
  await links[0]?.[Symbol.asyncDispose]();
  await settle();
  await asAlice.dial(sessionsKeepAlive, "coordinator", any);
  await settle();
  expect(network.linkCount("manager")).toBe(CALLER_MANAGER_STREAMS_MAX + 2);
});

test("who has a lock broken through the coordinator is told to its log, with what it asked", async () => {
  const { network, logged } = await relaying();
  const asked: unknown[] = [];
  await network.listen("manager", [
    unaryRoute(objectsAdminBreakLock, async (request) => {
      asked.push(request);
      return { broken: [] };
    }),
  ]);
  const request = { object: "ledger", reason: "x".repeat(300) };
  const answer = await network.as(admin).call(objectsAdminBreakLock, "coordinator", request, { timeoutMs: 1_000 });
  expect([answer, asked]).toEqual([{ broken: [] }, [request]]);
  expect(logged.filter(({ message }) => message === "the manager is asked to break a lock")).toEqual([
    {
      message: "the manager is asked to break a lock",
      fields: { object: "ledger", role: "admin", name: "root", reason: "x".repeat(200) },
    },
  ]);
});
