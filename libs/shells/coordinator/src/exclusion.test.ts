import { adminCordonNode, adminListNodes, type NodeStatus } from "@heddle/wire";
import { beforeEach, expect, onTestFinished, test } from "vitest";
import { type Bench, finish, inline, offer, openBench, openJob, settle } from "./testing.ts";

let bench: Bench;
beforeEach(async () => {
  bench = await openBench((close) => onTestFinished(close));
});
const patient = { timeoutMs: 1_000 };

async function node(name: string): Promise<NodeStatus | undefined> {
  return (await bench.network.call(adminListNodes, "coordinator", {}, patient)).nodes.find((it) => it.name === name);
}

test("a node where no worker starts is excluded with its reason, fit to be shown, and comes back when it is uncordoned", async () => {
  const client = await bench.client();
  const [bad, good] = [await bench.node("bad", 1), await bench.node("good", 1)];
  openJob(client, 1);
  for (let chunk = 0; chunk < 8; chunk++) offer(client, 1, chunk);
  await settle();
  for (let at = 0; at < 3; at++) {
    finish(bad, bad.said("assignChunk")[at]?.assignment, { $case: "notStarted", value: { fault: "EAGAIN\u001b[2J" } });
    await settle();
    finish(good, good.said("assignChunk").at(-1)?.assignment, { $case: "done", value: inline([7]) });
    await bench.clock.advance(1_000); // its hold is over
  }
  const reason = expect.stringMatching(/^no worker could start for 3 chunks \(the last time: EAGAIN \[2J\): 100 % /);
  expect(await node("bad")).toMatchObject({ state: "excluded", reason, chunks: 0 });
  expect((await node("bad"))?.excludedLeftMs).toBeGreaterThan(290_000);
  const placed = bad.said("assignChunk").length;
  const uncordon = { name: "bad", cordoned: false, reason: "" };
  expect(await bench.network.call(adminCordonNode, "coordinator", uncordon, patient)).toEqual({ changed: true });
  await bench.clock.advance(1_000);
  expect(await node("bad")).toMatchObject({ state: "ready", reason: "", excludedLeftMs: 0 });
  expect(bad.said("assignChunk").length).toBe(placed + 1);
  expect(await bench.network.call(adminCordonNode, "coordinator", uncordon, patient)).toEqual({ changed: false });
});
