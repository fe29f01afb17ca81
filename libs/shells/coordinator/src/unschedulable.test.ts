import { adminCordonNode, EFFECTS_MINOR, StartProcess } from "@heddle/wire";
import { beforeEach, expect, onTestFinished, test } from "vitest";
import { type Bench, type Client, openBench, settle, small } from "./testing.ts";

/** As the bench's coordinator is told. */
const PATIENCE_MS = 5_000;
let bench: Bench;
beforeEach(async () => {
  bench = await openBench((close) => onTestFinished(close));
});

const requirements = { labels: { gpu: "a100" }, resources: {} };

function start(client: Client, process: number): void {
  const target = { function: { artifact: "f".repeat(64), exportName: "default", displayName: "fn" } };
  const base = StartProcess.fromPartial({ process, target, name: "trainer", path: `${process}`, requirements });
  client.say({ $case: "startProcess", value: { ...base, parent: { name: "MainProcess", pid: 1 } } });
}

async function cordon(name: string, cordoned: boolean): Promise<void> {
  const request = { name, cordoned, reason: "" };
  await bench.network.call(adminCordonNode, "coordinator", request, { timeoutMs: 1_000 });
  await settle();
}

test("a job that no node could ever run fails after a time, and says what it needs and what there is", async () => {
  const client = await bench.client();
  small(client, 1, { open: { requirements: { labels: { gpu: "a100" }, resources: { memory: 64 } } } });
  await settle();
  await bench.clock.advance(10 * PATIENCE_MS);
  expect(client.said("jobEnded")).toEqual([]); // any node may come
  await bench.node("n1", 1, { labels: { gpu: "t\u009b4" }, resources: { memory: 32 } });
  await bench.node("n2", 1, { resources: { memory: 16 } });
  await bench.clock.advance(PATIENCE_MS - 1_000);
  expect(client.said("jobEnded")).toEqual([]);
  await bench.clock.advance(2_000);
  const message =
    "no node could ever run it, and none came in 5 s: needs label gpu=a100: 2 nodes, none has it (it is t 4); " +
    "needs memory 64: the largest node has 32";
  expect(client.said("jobEnded")).toMatchObject([{ job: 1, error: { code: "unschedulable", message } }]);
  expect((await bench.jobs())[0]).toMatchObject({ state: "failed", failure: message });
});

test("a job whose items' writes count once never comes to a node of an older build, which would let them count at once", async () => {
  const client = await bench.client();
  const old = await bench.node("n1", 1, { minor: EFFECTS_MINOR - 1, labels: { "heddle.effects": "once" } });
  small(client, 1, { open: { effectsOnce: true } });
  await settle();
  await bench.clock.advance(PATIENCE_MS - 1_000);
  const node = await bench.node("n2", 1);
  expect(node.said("describeJob")).toMatchObject([{ effectsOnce: true }]);
  expect(node.said("assignChunk")).toHaveLength(1);
  await node.session?.close();
  await settle();
  await bench.clock.advance(PATIENCE_MS + 1_000);
  expect(old.said("assignChunk")).toEqual([]);
  const message =
    "no node could ever run it, and none came in 5 s: needs label heddle.effects=once: the only node does not have it";
  expect(client.said("jobEnded")).toMatchObject([{ job: 1, error: { code: "unschedulable", message } }]);
});

test("a process likewise, unless a node that fits comes in time, whatever it does now", async () => {
  const client = await bench.client();
  start(client, 1);
  await settle();
  await bench.clock.advance(10 * PATIENCE_MS);
  expect(client.said("processEnded")).toEqual([]);
  const n1 = await bench.node("n1", 1);
  await bench.clock.advance(PATIENCE_MS - 1_000);
  const n2 = await bench.node("n2", 1, { labels: { gpu: "a100" } });
  expect(n2.said("startProcess")).toHaveLength(1);
  await n2.session?.close();
  await settle();
  start(client, 2);
  await bench.clock.advance(PATIENCE_MS + 1_000);
  const message =
    "no node could ever run trainer, and none came in 5 s: needs label gpu=a100: the only node does not have it";
  expect(client.said("processEnded")).toMatchObject([
    { process: 1, end: { $case: "signal" } },
    { process: 2, end: { $case: "refused", value: { code: "unschedulable", message } } },
  ]);
  expect(n1.said("startProcess")).toEqual([]);
});

test("a process that waits for the only node that fits to be uncordoned is not given up", async () => {
  const client = await bench.client();
  await bench.node("n1", 1);
  const n2 = await bench.node("n2", 1, { labels: { gpu: "a100" } });
  await cordon("n2", true);
  start(client, 1);
  await settle();
  await bench.clock.advance(10 * PATIENCE_MS);
  expect(client.said("processEnded")).toEqual([]);
  await cordon("n2", false);
  expect(n2.said("startProcess")).toHaveLength(1);
});
