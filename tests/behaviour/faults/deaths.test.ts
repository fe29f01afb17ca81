import { join } from "node:path";
import { expect, test, vi } from "vitest";
import { ProcessCluster } from "../../harness/process-cluster.ts";
import { isThere } from "../../harness/reports.ts";
import { eventually } from "../../harness/waiting.ts";
import { noted, notedItems, notesIn, runCounts, squares } from "./run-notes.ts";

vi.setConfig({ testTimeout: 180_000 });

test("F01 an agent that is killed (-9) with its process group in the middle of chunks loses nothing, and leaves no worker", async () => {
  await using cluster = await ProcessCluster.start({ slots: 2, agentsWithin: ["setsid"] });
  const fabric = await cluster.fabric();
  const notes = join(cluster.directory, "notes");
  const map = fabric.pool().mapAsync(noted, notedItems(notes, 60, 150), { chunkSize: 5, retries: 0 });
  await eventually("it is under way", () => notesIn(notes).length >= 12 || undefined);
  const workers = new Set(notesIn(notes).flatMap(({ node, pid }) => (node === "n1" ? [pid] : [])));
  process.kill(-(cluster.agentPids()[0] ?? Number.NaN), "SIGKILL");
  await eventually("its workers are gone", () => ![...workers].some(isThere) || undefined, 5_000);
  expect(await cluster.drive(map.get())).toEqual(squares(60));
  const runs = [...runCounts(notesIn(notes)).values()];
  expect([Math.min(...runs), Math.max(...runs)]).toEqual([1, 2]);
  expect(await fabric.jobs()).toMatchObject([{ state: "done", itemsDone: 60, chunksDone: 12 }]);
});

test("F20 a coordinator and an agent that are killed together: started again without that agent, the coordinator has its work done within a lease", async () => {
  const leaseMs = 3_000;
  await using cluster = await ProcessCluster.start({ slots: 2, leaseMs, unavailableTimeoutMs: 60_000 });
  const fabric = await cluster.fabric();
  const notes = join(cluster.directory, "notes");
  const map = fabric.pool().mapAsync(noted, notedItems(notes, 48, 250), { chunkSize: 4, retries: 0 });
  await eventually(
    "some is done, some runs",
    () => (map.progress.done >= 8 && notesIn(notes).length >= 12) || undefined,
  );
  cluster.killAgent(0);
  await cluster.killCoordinator();
  await cluster.startCoordinator();
  const servedMs = performance.now();
  await eventually("the agent that lives is back", async () => (await fabric.nodes()).length === 1 || undefined);
  expect(performance.now() - servedMs).toBeLessThan(leaseMs + 5_000);
  expect(await cluster.drive(map.get())).toEqual(squares(48));
  expect((await fabric.nodes()).map(({ name }) => name)).toEqual(["n2"]);
  const answeredTwice = [...runCounts(notesIn(notes))].filter(([, runs]) => runs > 2);
  expect(answeredTwice).toEqual([]);
});
