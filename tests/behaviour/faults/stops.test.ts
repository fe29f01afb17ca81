import { join } from "node:path";
import { connect } from "heddle";
import { expect, test, vi } from "vitest";
import { Gate } from "../../harness/gate.ts";
import { ProcessCluster } from "../../harness/process-cluster.ts";
import { isThere } from "../../harness/reports.ts";
import { eventually } from "../../harness/waiting.ts";
import { placed } from "./placed.ts";
import { noted, notedItems, notesIn, runCounts } from "./run-notes.ts";

vi.setConfig({ testTimeout: 180_000 });

/** What a machine that is busy may take beyond what a server has to drain. */
const GRACE_MS = 5_000;
/** Exit codes of servers that two signals ended, whichever of them came second. */
const AT_ONCE = [130, 143];

/** Two requests to stop, the second while the first is at work. */
function stopTwice(pid: number): void {
  process.kill(pid, "SIGSTOP");
  for (const signal of ["SIGINT", "SIGTERM", "SIGCONT"] as const) process.kill(pid, signal);
}

test("G05 a coordinator that is told to stop in the middle of a map ends in time with 0, and the next one has the rest done: nothing that was answered runs again", async () => {
  await using cluster = await ProcessCluster.start({ slots: 2 });
  await using fabric = await connect(cluster.address); // it finds each life's own token
  const notes = join(cluster.directory, "notes");
  const answered: number[] = [];
  const reading = (async () => {
    const inputs = notedItems(notes, 60, 150);
    for await (const square of fabric.pool().imapUnordered(noted, inputs, { chunkSize: 2, retries: 0 }))
      answered.push(Math.sqrt(square));
  })();
  await eventually("some is done", () => answered.length >= 8 || undefined);
  const { coordinatorPid } = cluster;
  const sinceMs = performance.now();
  process.kill(coordinatorPid, "SIGTERM");
  expect(await cluster.endOf(coordinatorPid)).toBe(0);
  expect(performance.now() - sinceMs).toBeLessThan(500 + GRACE_MS);
  const before = [...answered];
  expect(before.length).toBeLessThan(60);
  await cluster.startCoordinator();
  await cluster.drive(reading);
  expect(answered.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 60 }, (_, n) => n));
  const counts = runCounts(notesIn(notes));
  expect(before.filter((n) => counts.get(n) !== 1)).toEqual([]);
});

test("G05 a coordinator that is told so twice ends at once", async () => {
  await using cluster = await ProcessCluster.start({ coordinatorFlags: ["--drain-ms", "60000"] });
  await using fabric = await connect(cluster.address);
  using gate = new Gate();
  const notes = join(cluster.directory, "notes");
  const call = fabric.pool().applyAsync(placed, [{ notes, n: 0, gates: { n1: gate.path, n2: gate.path } }]);
  await eventually("it runs", () => notesIn(notes).length === 1 || undefined);
  const { coordinatorPid } = cluster;
  stopTwice(coordinatorPid);
  expect(AT_ONCE).toContain(await cluster.endOf(coordinatorPid));
  await cluster.startCoordinator();
  gate.open();
  expect(cluster.nodes).toContain(await cluster.drive(call.get()));
});

test("G05 an agent that is told to stop ends what runs, gives back the rest, and exits with 0; one that is told so twice ends at once, and what it ran runs elsewhere", async () => {
  await using cluster = await ProcessCluster.start({ agentDrainMs: 60_000 });
  const fabric = await cluster.fabric();
  using first = new Gate();
  using second = new Gate();
  const notes = join(cluster.directory, "notes");
  const gates = { n1: first.path, n2: second.path };
  const inputs = Array.from({ length: 6 }, (_, n) => ({ notes, n, gates }));
  const map = fabric.pool().mapAsync(placed, inputs, { chunkSize: 1, retries: 0 });
  await eventually("it runs on both", () => notesIn(notes).length === 2 || undefined);
  const [n1 = 0, n2 = 0] = cluster.agentPids();
  process.kill(n1, "SIGTERM");
  await eventually("it takes no more", async () => {
    const node = (await fabric.nodes()).find(({ name }) => name === "n1");
    return node?.chunks === 1 || undefined;
  });
  first.open();
  expect(await cluster.endOf(n1)).toBe(0);
  expect(notesIn(notes).filter(({ node }) => node === "n1")).toHaveLength(1);
  cluster.startAgent(0);
  await eventually("another has its name", async () => (await fabric.nodes()).length === 2 || undefined);
  const theirs = notesIn(notes).filter(({ node }) => node === "n2");
  stopTwice(n2);
  expect(AT_ONCE).toContain(await cluster.endOf(n2));
  await eventually("its worker is gone", () => !theirs.some(({ pid }) => isThere(pid)) || undefined, 5_000);
  expect(await cluster.drive(map.get())).toEqual(["n1", "n1", "n1", "n1", "n1", "n1"]);
  const twice = [...runCounts(notesIn(notes))].filter(([, runs]) => runs > 1).map(([n]) => n);
  expect(twice).toEqual(theirs.map(({ n }) => n));
});

test("G05 a manager that is told to stop in the middle of writes ends with 0 and has what it acknowledged; one that is told so twice ends at once, and has it, too", async () => {
  await using cluster = await ProcessCluster.start({ manager: true, unavailableTimeoutMs: 60_000 });
  const fabric = await cluster.fabric();
  await using manager = fabric.manager({ ttlMs: 30_000 });
  const dict = manager.dict<string, number>([], { name: "counts" });
  const guard = await manager.lock({ name: "held" }).acquire();
  let [acknowledged, isOver] = [0, false];
  const writer = async (): Promise<void> => {
    while (!isOver) {
      await dict.increment("n");
      acknowledged++;
    }
  };
  const writers = Array.from({ length: 8 }, writer);
  for (const [stop, codes] of [
    [(pid: number) => process.kill(pid, "SIGTERM"), [0]],
    [stopTwice, AT_ONCE],
  ] as const) {
    const before = acknowledged;
    await eventually("writes", () => acknowledged > before + 50 || undefined);
    const { managerPid } = cluster;
    stop(managerPid);
    expect(codes).toContain(await cluster.endOf(managerPid));
    await cluster.startManager();
  }
  const before = acknowledged;
  await eventually("writes again", () => acknowledged > before + 50 || undefined);
  isOver = true;
  await cluster.drive(Promise.all(writers));
  expect(await dict.get("n")).toBe(acknowledged);
  guard.assertHeld();
  await guard.release();
});
