import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, expect, test, vi } from "vitest";
import { whyNoHosts } from "../../chaos/hosts.ts";
import { HostedFabric } from "../../harness/hosted-fabric.ts";
import { isThere } from "../../harness/reports.ts";
import { eventually, settles } from "../../harness/waiting.ts";
import { machineMs, notesIn, runCounts, squares } from "./run-notes.ts";

vi.setConfig({ testTimeout: 180_000, hookTimeout: 180_000 });

const LEASE_MS = 5_000;
const why = whyNoHosts();

let fabric: HostedFabric;
beforeAll(async () => {
  if (why === undefined) fabric = await HostedFabric.start({ leaseMs: LEASE_MS });
});
afterAll(() => fabric?.[Symbol.asyncDispose]());

beforeEach((context) => {
  if (why !== undefined) context.skip(`no hosts can be made here: ${why}`);
});

let files = 0;

/** A map of items that note their runs, under way: some run on each node. */
async function underWay(count: number, runMs: number, chunkSize: number) {
  const notes = join(fabric.directory, `notes-${++files}`);
  const results = fabric.ask("c1", "map", notes, count, runMs, chunkSize);
  results.catch(() => undefined); // whoever awaits it hears of it
  await eventually("items run on both nodes", () => {
    const nodes = new Set(notesIn(notes).map(({ node }) => node));
    return nodes.size === 2 || undefined;
  });
  return { notes, results: settles(results, () => logs()) };
}

function logs(): string {
  return fabric.hosts.names
    .map((name) => (name === "c1" ? fabric.printed(name) : fabric.program(name).said))
    .join("\n");
}

/** Resolves when the coordinator has the nodes again that it had. */
async function whole(): Promise<void> {
  await eventually("both nodes", async () => {
    const nodes = (await fabric.ask("c1", "nodes")) as { readonly name: string; readonly state: string }[];
    return (nodes.length === 2 && nodes.every(({ state }) => state === "ready")) || undefined;
  });
}

async function incarnations(): Promise<unknown> {
  const nodes = (await fabric.ask("c1", "nodes")) as { readonly name: string; readonly incarnation: number }[];
  return nodes.map(({ name, incarnation }) => [name, incarnation]);
}

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

test("F06 a coordinator's port that refuses for three seconds costs nobody a run or an error, and is not hammered", async () => {
  await whole();
  const before = await incarnations();
  const { notes, results } = await underWay(60, 400, 2);
  await fabric.reject();
  await sleep(3_000);
  const dials = await fabric.taken("coordinator");
  await fabric.heal("coordinator");
  expect(await results).toEqual(squares(60));
  expect([...runCounts(notesIn(notes)).values()].filter((runs) => runs !== 1)).toEqual([]);
  expect(await incarnations()).toEqual(before);
  // three parties, each with pauses drawn up to 0.1, 0.2, 0.4, ... s: a party without pauses would send thousands
  expect(dials).toBeGreaterThan(3);
  expect(dials).toBeLessThan(150);
  expect(fabric.printed("c1")).toBe("");
});

test("F08 an agent that is cut off for less than its lease runs on, and nothing runs twice", async () => {
  await whole();
  const before = await incarnations();
  const { notes, results } = await underWay(40, 300, 1);
  await fabric.cut("a1");
  await sleep(LEASE_MS * 0.45);
  await fabric.heal("a1");
  expect(await results).toEqual(squares(40));
  expect([...runCounts(notesIn(notes)).values()].filter((runs) => runs !== 1)).toEqual([]);
  expect(await incarnations()).toEqual(before);
});

test("F08 an agent that is cut off for longer stops its work by itself as its lease ends, each of its chunks runs once more elsewhere, and it comes back", async () => {
  await whole();
  const { notes, results } = await underWay(6, LEASE_MS * 1.4, 1);
  const theirs = notesIn(notes).filter(({ node }) => node === "a1");
  const left = fabric.told("node left", "node=a1").length;
  await fabric.cut("a1");
  const cutMs = machineMs();
  await eventually("what runs there ends", () => !theirs.some(({ pid }) => isThere(pid)) || undefined);
  expect(machineMs() - cutMs).toBeLessThan(2 * LEASE_MS); // nobody could tell it to: it is still cut off
  await eventually("it is given up", () => fabric.told("node left", "node=a1").length > left || undefined);
  await fabric.heal("a1");
  await whole();
  expect(await results).toEqual(squares(6));
  const counts = runCounts(notesIn(notes));
  const twice = [...counts].filter(([, runs]) => runs > 1).map(([n]) => n);
  expect(twice.toSorted()).toEqual(theirs.map(({ n }) => n).toSorted());
  expect(Math.max(...counts.values())).toBe(2);
});
