import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from "vitest";
import { whyNoHosts } from "../../chaos/hosts.ts";
import { HostedFabric } from "../../harness/hosted-fabric.ts";
import { isThere } from "../../harness/reports.ts";
import { eventually, settles } from "../../harness/waiting.ts";
import { machineMs, notesIn, squares } from "./run-notes.ts";

vi.setConfig({ testTimeout: 180_000, hookTimeout: 180_000 });

const LEASE_MS = 3_000;
/** What a machine that is busy may take beyond a lease. */
const SLACK_MS = 5_000;
const why = whyNoHosts();

/** Packets of a host are dropped both ways, without a reset: each end believes that the connection is there. */
let fabric: HostedFabric;
beforeAll(async () => {
  if (why === undefined) fabric = await HostedFabric.start({ leaseMs: LEASE_MS, clients: ["c1", "c2"], manager: true });
});
afterAll(() => fabric?.[Symbol.asyncDispose]());
beforeEach((context) => {
  if (why !== undefined) context.skip(`no hosts can be made here: ${why}`);
});
afterEach(async () => {
  for (const host of fabric?.hosts.names ?? []) await fabric.heal(host);
});

async function nodes(): Promise<readonly string[]> {
  const all = (await fabric.ask("c2", "nodes")) as { readonly name: string; readonly state: string }[];
  return all.filter(({ state }) => state === "ready").map(({ name }) => name);
}

test("an agent and its coordinator find out by beats that nothing comes any more, each by itself, and find each other again", async () => {
  const [left, lost] = [
    fabric.told("node left", "node=a1").length,
    () => fabric.program("a1").logged("coordinator lost"),
  ];
  const before = lost().length;
  expect(await fabric.connections("a1", "coordinator")).toBe(1);
  await fabric.cut("a1");
  const cutMs = machineMs();
  await Promise.all([
    eventually("the coordinator gives it up", () => fabric.told("node left", "node=a1").length > left || undefined),
    eventually("it gives the coordinator up", () => lost().length > before || undefined),
  ]);
  expect(machineMs() - cutMs).toBeLessThan(LEASE_MS + SLACK_MS);
  expect(fabric.told("node left", "node=a1").at(-1)).toContain("reason=expired");
  await fabric.heal("a1");
  await eventually("it is back", async () => (await nodes()).includes("a1") || undefined);
});

test("a coordinator that hears nothing of a client, without a reset, stops what it had within its lease, and the client goes on when it can be heard again", async () => {
  await eventually("both nodes", async () => (await nodes()).length === 2 || undefined);
  const notes = join(fabric.directory, "client-notes");
  const map = fabric.ask("c1", "map", notes, 8, 2 * LEASE_MS, 1);
  map.catch(() => undefined); // whoever awaits it hears of it
  const begun = await eventually("it runs", () => (notesIn(notes).length >= 4 ? notesIn(notes) : undefined));
  await fabric.cut("c1");
  const cutMs = machineMs();
  await eventually("what ran for it has ended", () => !begun.some(({ pid }) => isThere(pid)) || undefined);
  expect(machineMs() - cutMs).toBeLessThan(LEASE_MS + SLACK_MS);
  const states = async () =>
    ((await fabric.ask("c2", "jobs")) as { readonly state: string }[]).map(({ state }) => state);
  expect(await states()).toContain("cancelled");
  await fabric.heal("c1");
  expect(await settles(map, () => fabric.program("coordinator").said)).toEqual(squares(8));
  expect(fabric.printed("c1")).toBe("");
});

test("a client that hears nothing of the manager, without a reset, has lost its lock within its lease, the next one gets it then, and the client can go on", async () => {
  const [first, increments] = [await fabric.ask("c1", "lock", "one"), await fabric.ask("c1", "increment", "counts")];
  const next = fabric.ask("c2", "lock", "one").then((token) => ({ token, atMs: machineMs() }));
  await fabric.cut("c1");
  const cutMs = machineMs();
  const lostMs = Number(await settles(fabric.ask("c1", "lostAt"), () => fabric.program("manager").said));
  expect(lostMs - cutMs).toBeLessThan(LEASE_MS + SLACK_MS);
  const { token, atMs } = await settles(next, () => fabric.program("manager").said);
  expect(token).toBeGreaterThan(Number(first));
  expect(atMs).toBeGreaterThan(lostMs);
  await fabric.heal("c1");
  await fabric.ask("c2", "unlock");
  expect(await settles(fabric.ask("c1", "increment", "counts"), () => fabric.printed("c1"))).toBe(
    Number(increments) + 1,
  );
  expect(await settles(fabric.ask("c1", "lock", "one"), () => fabric.printed("c1"))).toBeGreaterThan(Number(first));
});

test.for(["in", "out"] as const)("an agent of which only what goes %s is lost is found out by both", async (way) => {
  await eventually("both nodes", async () => (await nodes()).length === 2 || undefined);
  const [left, lost] = [
    fabric.told("node left", "node=a2").length,
    () => fabric.program("a2").logged("coordinator lost"),
  ];
  const before = lost().length;
  await fabric.cut("a2", way);
  const cutMs = machineMs();
  await Promise.all([
    eventually("the coordinator gives it up", () => fabric.told("node left", "node=a2").length > left || undefined),
    eventually("it gives the coordinator up", () => lost().length > before || undefined),
  ]);
  expect(machineMs() - cutMs).toBeLessThan(2 * LEASE_MS + SLACK_MS);
  await fabric.heal("a2");
  await eventually("it is back", async () => (await nodes()).includes("a2") || undefined);
});
