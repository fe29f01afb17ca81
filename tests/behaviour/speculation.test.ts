import { appendFileSync, existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { jobsAdmin, task } from "heddle";
import { expect, test, vi } from "vitest";
import { ProcessCluster } from "../harness/process-cluster.ts";
import { eventually } from "../harness/waiting.ts";
import { type Note, notesIn } from "./faults/run-notes.ts";

vi.setConfig({ testTimeout: 60_000 });

/** Where the items of one call tell of themselves and wait. */
interface Place {
  readonly directory: string;
  readonly n: number;
  /** What the first attempt of item 0 does. */
  readonly first: "sleeps" | "fails late";
}

/** The items: 0 is a straggler on its first attempt alone, 7 waits until it may end (and is backed up, too), the others take no time. */
const ITEMS = 8;
const HELD = 7;

/** A task: notes that it runs. */
async function straggle({ directory, n, first }: Place): Promise<number> {
  const file = (name: string): string => join(directory, name);
  appendFileSync(file("notes"), `${JSON.stringify({ n, node: task().node, pid: process.pid, atMs: 0 })}\n`);
  const until = async (name: string): Promise<void> => {
    while (!existsSync(file(name))) await sleep(5);
  };
  if (n === HELD) await until("let go");
  if (n !== 0) return n;
  const isFirst = !existsSync(file("first"));
  writeFileSync(file("first"), "");
  if (!isFirst) {
    if (first === "fails late") await until("backup may end");
    return n;
  }
  await until(first === "sleeps" ? "nothing" : "first may fail");
  writeFileSync(file("first has failed"), "");
  throw new Error("the first attempt has failed");
}

/** Calls them, and resolves when 0 has a second attempt, on the other node. */
async function called(cluster: ProcessCluster, first: Place["first"]) {
  const fabric = await cluster.fabric();
  const { directory } = cluster;
  const items = Array.from({ length: ITEMS }, (_, n): Place => ({ directory, n, first }));
  const map = fabric.pool().mapAsync(straggle, items, { chunkSize: 1, speculate: true });
  const runs = (): Note[] => notesIn(join(directory, "notes")).filter(({ n }) => n === 0);
  await eventually("the straggler is backed up", () => runs().length === 2 || undefined);
  const [one, two] = runs();
  expect(new Set([one?.node, two?.node])).toEqual(new Set(cluster.nodes));
  const letGo = (): void => writeFileSync(join(directory, "let go"), "");
  return { fabric, map, runs, letGo, firstNode: cluster.nodes.indexOf(one?.node ?? "") };
}

const allButTheHeld = ITEMS - 1;
const numbers = Array.from({ length: ITEMS }, (_, n) => n);

test("F15 a straggler's second attempt is first, the other one is stopped, and its node then lost: nothing runs again, and the job is done", async () => {
  await using cluster = await ProcessCluster.start({ slots: 4 });
  const { fabric, map, runs, letGo, firstNode } = await called(cluster, "sleeps");
  await eventually("it has its answer", () => map.progress.done === allButTheHeld || undefined);
  cluster.killAgent(firstNode);
  await eventually("its node is lost", async () => (await fabric.nodes()).length === 1 || undefined);
  letGo();
  expect(await cluster.drive(map.get())).toEqual(numbers);
  expect(runs().length).toBe(2);
  expect(await fabric.jobs()).toMatchObject([{ state: "done", itemsDone: ITEMS, chunksDone: ITEMS }]);
});

test("F17 an attempt that fails when the one after it has succeeded fails nothing", async () => {
  await using cluster = await ProcessCluster.start({ slots: 4, leaseMs: 10_000 }); // it is paused for less
  const { fabric, map, letGo, firstNode } = await called(cluster, "fails late");
  const file = (name: string): string => join(cluster.directory, name);
  cluster.pauseAgent(firstNode); // it hears that it is to stop the first attempt when that has failed
  writeFileSync(file("backup may end"), "");
  await eventually("it has its answer", () => map.progress.done === allButTheHeld || undefined);
  writeFileSync(file("first may fail"), "");
  await eventually("the first attempt fails", () => existsSync(file("first has failed")) || undefined);
  cluster.resumeAgent(firstNode);
  const attempts = await eventually("its node has told", async () => {
    const { attempts } = await jobsAdmin(fabric).chunk(map.jobId, { chunk: 0 });
    return attempts.length > 0 ? attempts : undefined;
  });
  expect(map.progress).toMatchObject({ failed: 0 });
  expect(attempts).toMatchObject([{ attempt: 1, state: "overtaken" }]);
  letGo();
  expect(await cluster.drive(map.get())).toEqual(numbers);
  expect(await fabric.jobs()).toMatchObject([{ state: "done", itemsDone: ITEMS }]);
});

test("while a straggler and its backup run, an operator sees both", async () => {
  await using cluster = await ProcessCluster.start({ slots: 4 });
  const fabric = await cluster.fabric();
  const gate = join(cluster.directory, "let go");
  const waits = async ({ n, gate }: { n: number; gate: string }): Promise<number> => {
    while (n === 0 && !existsSync(gate)) await sleep(5);
    return n;
  };
  const items = Array.from({ length: ITEMS }, (_, n) => ({ n, gate }));
  const map = fabric.pool().mapAsync(waits, items, { chunkSize: 1, speculate: true });
  await eventually("all but one are done", () => map.progress.done === ITEMS - 1 || undefined);
  const { chunk, running } = await eventually("both run", async () => {
    const seen = await jobsAdmin(fabric).chunk(map.jobId, { chunk: 0 });
    return seen.running.length === 2 ? seen : undefined;
  });
  expect(chunk.spans.map(({ attempt }) => attempt)).toEqual([1, 2]);
  expect(running.map(({ attempt }) => attempt)).toEqual([1, 2]);
  expect(new Set(running.map(({ node }) => node))).toEqual(new Set(cluster.nodes));
  writeFileSync(gate, "");
  expect(await cluster.drive(map.get())).toEqual(numbers);
});
