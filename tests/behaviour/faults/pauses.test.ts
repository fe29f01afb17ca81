import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Pipe, Process, wait } from "heddle";
import { expect, onTestFinished, test, vi } from "vitest";
import { Gate } from "../../harness/gate.ts";
import { ProcessCluster } from "../../harness/process-cluster.ts";
import { isThere } from "../../harness/reports.ts";
import { eventually } from "../../harness/waiting.ts";
import { sleeps } from "../process-tasks.ts";
import { placed } from "./placed.ts";
import { noted, notedItems, notesIn, runCounts, squares } from "./run-notes.ts";

vi.setConfig({ testTimeout: 180_000 });

test("F04 what an agent tells that was stopped for two leases comes too late: it counts nothing, and the rest of its work ends", async () => {
  await using cluster = await ProcessCluster.start({ slots: 2, leaseMs: 1_500 });
  const fabric = await cluster.fabric();
  using late = new Gate();
  using never = new Gate();
  using end = new Gate();
  const notes = join(cluster.directory, "notes");
  // of the two that n1 has one will be done while it stands still, the other never
  const gates = (n1: Gate) => ({ n1: n1.path, n2: end.path });
  const inputs = [never, late, never, late].map((gate, n) => ({ notes, n, gates: gates(gate), again: end.path }));
  const map = fabric.pool().mapAsync(placed, inputs, { chunkSize: 1, retries: 0 });
  const begun = await eventually("all run", () => (notesIn(notes).length === 4 ? notesIn(notes) : undefined));
  const theirs = begun.filter(({ node }) => node === "n1");
  expect(theirs).toHaveLength(2);
  cluster.pauseAgent(0);
  onTestFinished(() => cluster.resumeAgent(0));
  await eventually("it is given up", async () => (await fabric.nodes()).length === 1 || undefined);
  late.open();
  await sleep(1_500); // twice the lease in all, in which what waited at the late gate is done
  cluster.resumeAgent(0);
  await eventually("it is back", async () => (await fabric.nodes()).length === 2 || undefined);
  await eventually("what it ran has ended", () => !theirs.some(({ pid }) => isThere(pid)) || undefined);
  expect(map.ready()).toBe(false);
  expect(map.progress.done).toBe(0);
  never.open();
  end.open();
  const places = await cluster.drive(map.get());
  const counts = runCounts(notesIn(notes));
  for (const { n } of theirs)
    expect([places[n], counts.get(n)]).toEqual([notesIn(notes).findLast((run) => run.n === n)?.node, 2]);
  const jobs = await fabric.jobs();
  expect(jobs).toMatchObject([{ state: "done", itemsDone: 4, chunksDone: 4 }]);
});

test("F12 a coordinator, and a manager, that are stopped for less than a lease cost no run and no lock", async () => {
  const leaseMs = 4_000;
  await using cluster = await ProcessCluster.start({ slots: 2, leaseMs, manager: true, unavailableTimeoutMs: 60_000 });
  const fabric = await cluster.fabric();
  await using manager = fabric.manager({ ttlMs: leaseMs });
  const guard = await manager.lock({ name: "held" }).acquire();
  const notes = join(cluster.directory, "notes");
  const map = fabric.pool().mapAsync(noted, notedItems(notes, 60, 400), { chunkSize: 2, retries: 0 });
  await eventually("it is under way", () => notesIn(notes).length >= 4 || undefined);
  for (const pid of [cluster.coordinatorPid, cluster.managerPid]) {
    process.kill(pid, "SIGSTOP");
    await sleep(0.6 * leaseMs);
    process.kill(pid, "SIGCONT");
  }
  expect(await cluster.drive(map.get())).toEqual(squares(60));
  expect([...runCounts(notesIn(notes)).values()].filter((runs) => runs !== 1)).toEqual([]);
  expect((await fabric.nodes()).map(({ name, incarnation }) => [name, incarnation])).toEqual([
    ["n1", 1],
    ["n2", 1],
  ]);
  expect(guard.signal.aborted).toBe(false);
  guard.assertHeld();
  await guard.release();
});

test("that a process has ended is told by wait while the manager stands still, which a pipe beside it asks", async () => {
  const leaseMs = 15_000;
  await using cluster = await ProcessCluster.start({ leaseMs, manager: true, unavailableTimeoutMs: 60_000 });
  const fabric = await cluster.fabric();
  const [here, there] = Pipe<number>({ fabric });
  await there.send(1);
  expect(await here.recv()).toBe(1);
  const child = new Process({ target: sleeps, fabric });
  await child.start();
  const { managerPid } = cluster;
  process.kill(managerPid, "SIGSTOP");
  onTestFinished(() => {
    if (isThere(managerPid)) process.kill(managerPid, "SIGCONT");
  });
  const sinceMs = performance.now();
  const told = wait<typeof here | Process>([here, child], { timeoutMs: 2 * leaseMs });
  process.kill(child.pid ?? Number.NaN, "SIGKILL");
  expect(await cluster.drive(told)).toEqual([child]);
  expect(performance.now() - sinceMs).toBeLessThan(leaseMs);
  expect(child.exitCode).toBe(-9);
  process.kill(managerPid, "SIGCONT");
  await here.close();
});
