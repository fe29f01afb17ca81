import { readdirSync, writeFileSync } from "node:fs";
import { basename, dirname } from "node:path";
import { connect, type Fabric, type NodesAdmin, nodesAdmin, Process, task } from "heddle";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { Gate, passGate } from "../harness/gate.ts";
import { ProcessCluster } from "../harness/process-cluster.ts";
import { eventually, failure } from "../harness/waiting.ts";
import { sleeps } from "./process-tasks.ts";

let cluster: ProcessCluster;
let fabric: Fabric;
let admin: NodesAdmin;
beforeAll(async () => {
  cluster = await ProcessCluster.start();
  fabric = await connect(cluster.address);
  admin = nodesAdmin(fabric);
}, 60_000);
afterEach(async () => {
  for (const name of cluster.nodes) await admin.uncordon(name);
  for (const name of cluster.nodes) await inState("ready", name);
}, 60_000);
afterAll(async () => {
  await fabric.close();
  await cluster[Symbol.asyncDispose]();
});

/** Where it ran, once the gate is open. A file beside that tells the node and the process before. */
async function place(gate: string): Promise<string> {
  writeFileSync(`${gate}-${task().node}-${process.pid}`, "");
  await passGate(gate);
  return task().node;
}

/** The process in which a task waits on the node. */
function pidOn(node: string, gate: Gate): Promise<number> {
  const prefix = `${basename(gate.path)}-${node}-`;
  return eventually(`a task waits on ${node}`, () => {
    const file = readdirSync(dirname(gate.path)).find((name) => name.startsWith(prefix));
    return file === undefined ? undefined : Number(file.slice(prefix.length));
  });
}

/** So many tasks that wait at the gate, a chunk each; none may fail. Resolves when one runs on each node, to their processes. */
async function waitingAt(gate: Gate, count: number) {
  const pool = fabric.pool();
  const inputs = Array.from({ length: count }, () => gate.path);
  const places = pool.map(place, inputs, { chunkSize: 1, retries: 0 });
  places.then(undefined, () => undefined); // whoever awaits it hears of it
  const pids = await Promise.all(cluster.nodes.map((node) => pidOn(node, gate)));
  return { places, pids, [Symbol.asyncDispose]: () => pool[Symbol.asyncDispose]() };
}

function inState(state: string, name = "n1") {
  return eventually(`${name} is ${state}`, async () => {
    const node = (await fabric.nodes()).find((each) => each.name === name);
    return node?.state === state ? node : undefined;
  });
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

test("what runs on a drained node ends there, the rest and what comes later run elsewhere until it is uncordoned", async () => {
  using gate = new Gate();
  await using job = await waitingAt(gate, 6);
  expect(await admin.drain("n1", { reason: "new kernel" })).toMatchObject({ state: "draining", reason: "new kernel" });
  await eventually(
    "what has not begun is handed back",
    async () => (await admin.node("n1")).node.chunks === 1 || undefined,
  );
  gate.open();
  const nodes = await job.places;
  expect(nodes.filter((node) => node === "n1")).toHaveLength(1);
  expect(await inState("drained")).toMatchObject({ chunks: 0, drainStoppedChunks: 0, reason: "new kernel" });
  await using pool = fabric.pool();
  const later = await pool.map(
    place,
    Array.from({ length: 8 }, () => gate.path),
    { chunkSize: 1 },
  );
  expect(new Set(later)).toEqual(new Set(["n2"]));
  expect([await admin.uncordon("n1"), await admin.uncordon("n1")]).toEqual([true, false]);
  expect((await fabric.nodes()).map(({ state }) => state)).toEqual(["ready", "ready"]);
  using next = new Gate();
  await using other = await waitingAt(next, 2);
  next.open();
  expect(new Set(await other.places)).toEqual(new Set(["n1", "n2"]));
}, 60_000);

test("what outlasts the deadline is stopped with its process, and runs elsewhere without having failed", async () => {
  using gate = new Gate();
  await using job = await waitingAt(gate, 2);
  expect((await admin.node("n1")).jobs).toMatchObject([{ name: "place", chunks: 1 }]);
  await admin.drain("n1", { deadlineMs: 300 });
  expect(await inState("drained")).toMatchObject({ drainStoppedChunks: 1 });
  expect((await admin.node("n1")).tally).toMatchObject({ stopped: 1, workerDeaths: 0 });
  expect(isAlive(job.pids[0] ?? 0)).toBe(false);
  gate.open();
  expect(await job.places).toEqual(["n2", "n2"]);
}, 60_000);

test("a drain that is undone under way lets what runs go on, and work comes again", async () => {
  using gate = new Gate();
  await using job = await waitingAt(gate, 4);
  await admin.drain("n2", { deadlineMs: 3_600_000 }); // it keeps what it runs, and nothing else
  await admin.drain("n1", { deadlineMs: 3_600_000 });
  expect((await inState("draining")).drainLeftMs).toBeGreaterThan(0);
  await admin.uncordon("n1");
  // That nothing happens at the time that was set is a scenario of the scheduler.
  const undone = { state: "ready", drainLeftMs: 0, drainStoppedChunks: 0 };
  const { node } = await admin.node("n1");
  expect(node).toMatchObject(undone);
  expect(node?.chunks).toBeGreaterThan(0); // what runs, and what may have come again meanwhile
  expect(isAlive(job.pids[0] ?? 0)).toBe(true);
  gate.open();
  const nodes = await job.places;
  expect(nodes.filter((node) => node === "n2")).toHaveLength(1);
  expect(await inState("ready")).toMatchObject({ chunks: 0 });
}, 60_000);

test("where every node is cordoned jobs wait, those that were begun and new ones, and the status says why", async () => {
  using gate = new Gate();
  const count = 200; // more than both nodes take while their workers start, or all would have begun
  await using job = await waitingAt(gate, count);
  for (const name of cluster.nodes) await admin.cordon(name);
  gate.open();
  await eventually("what runs is over", async () => (await fabric.status()).chunksPlaced === 0 || undefined);
  await using pool = fabric.pool();
  const call = pool.apply(place, [gate.path]);
  const status = await fabric.status(); // the call is in it only when its client had not heard yet that there are no slots
  expect(status).toMatchObject({ nodes: 0, slots: 0, nodesCordoned: 2, nodesSilent: 0, chunksPlaced: 0 });
  expect(status.chunksWaiting).toBeGreaterThan(0);
  await admin.uncordon("n2");
  expect(await call).toBe("n2");
  expect(await job.places).toHaveLength(count);
}, 60_000);

test("an agent that is killed in the middle of a drain loses nothing, and the next one of its name is drained", async () => {
  using gate = new Gate();
  await using job = await waitingAt(gate, 2);
  const before = await admin.drain("n1");
  cluster.killAgent(0);
  cluster.startAgent(0);
  expect(await inState("drained")).toMatchObject({ incarnation: before.incarnation + 1, chunks: 0 });
  expect((await admin.node("n1")).lostBefore).toBe(1);
  gate.open();
  expect(await job.places).toEqual(["n2", "n2"]);
}, 60_000);

test("an agent that is killed in the middle of a drain and does not come back is gone after its lease", async () => {
  using gate = new Gate();
  await using job = await waitingAt(gate, 2);
  await admin.drain("n1", { leaving: true });
  cluster.killAgent(0);
  await eventually("the node is gone", async () => (await fabric.nodes()).length === 1 || undefined);
  expect(await failure(admin.node("n1"))).toMatchObject({ code: "not-found" });
  gate.open();
  expect(await job.places).toEqual(["n2", "n2"]);
  cluster.startAgent(0);
  await eventually("it is there again", async () => (await fabric.nodes()).length === 2 || undefined);
  await inState("ready"); // whoever drained the first one said that it leaves
}, 60_000);

test("nodes that are cordoned or drained stay so when their coordinator is killed and started again, until they are uncordoned", async () => {
  await admin.cordon("n1", { reason: "new disks" });
  await admin.drain("n2", { reason: "new kernel" });
  await inState("drained", "n2");
  await cluster.replaceCoordinator();
  expect(await inState("cordoned", "n1")).toMatchObject({ reason: "new disks", incarnation: 1 });
  expect(await inState("drained", "n2")).toMatchObject({ reason: "new kernel", incarnation: 1 });
  expect(await fabric.status()).toMatchObject({ nodes: 0, slots: 0, nodesCordoned: 2 });
  expect(await admin.uncordon("n1")).toBe(true);
  await using pool = fabric.pool();
  expect(await pool.apply(() => task().node)).toBe("n1");
}, 60_000);

test("processes on a drained node have their time, too, and are over at its end", async () => {
  const started = new Process({ target: sleeps, fabric, node: "n1" });
  await started.start();
  await eventually("it runs", async () => ((await admin.node("n1")).processes[0]?.pid ?? 0) > 0 || undefined);
  await admin.drain("n1", { deadlineMs: 300 });
  await started.join();
  expect(started.exitCode).toBe(-15);
  expect(await inState("drained")).toMatchObject({ drainStoppedProcesses: 1, processes: 0 });
}, 60_000);
