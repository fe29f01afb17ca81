import { memoryJournal } from "@heddle/port-journal";
import { told, watchedContract } from "@heddle/port-metrics/contract";
import { expect, onTestFinished, test } from "vitest";
import { PROBE_PAUSE_MS } from "./limits.ts";
import { ManagerShell } from "./manager.ts";
import { Bench, openBench, operation, settle } from "./testing.ts";

const shellOf = (bench: Bench): ManagerShell => {
  if (bench.shell === undefined) throw new Error("it was not started");
  return bench.shell;
};

const metric = (bench: Bench, name: string) => told(shellOf(bench), `heddle_manager_${name}`);

const create = (object: string, kind: string) => operation("create", object, { values: [{ kind }] });

watchedContract("a manager", async () => {
  const closing: (() => Promise<void>)[] = [];
  const bench = await openBench((close) => closing.push(close));
  return {
    watched: shellOf(bench),
    live: async () => {
      const client = await bench.client("a");
      client.ask([
        create("@list", "list"),
        operation("list-append", "@list", { values: [1] }),
        operation("list-at", "@none"),
      ]);
      await settle();
    },
    [Symbol.asyncDispose]: async () => void (await Promise.all(closing.map((close) => close()))),
  };
});

test("what programs share, hold and wait for is counted while it is there", async () => {
  const bench = await openBench(onTestFinished);
  const [one, other] = [await bench.client("a"), await bench.client("b")];
  one.ask([create("@lock", "lock"), create("@list", "list"), operation("lock-acquire", "@lock")]);
  await settle();
  other.ask([operation("lock-acquire", "@lock")]);
  await settle();
  expect([metric(bench, "sessions"), metric(bench, "owners"), metric(bench, "objects")]).toEqual([2, 2, 2]);
  expect([metric(bench, "locks_held"), metric(bench, "waits")]).toEqual([1, { lock: 1, other: 0 }]);
  expect(metric(bench, "streams")).toEqual({ operations: 2, beats: 0 });
  expect(metric(bench, "operations_total")).toMatchObject({ done: 3, other: 0 });
  one.say({ $case: "closeSession", value: {} });
  await settle();
  expect([metric(bench, "sessions"), metric(bench, "locks_held"), metric(bench, "waits")]).toEqual([
    1,
    1,
    { lock: 0, other: 0 },
  ]);
  expect(metric(bench, "operations_total")).toMatchObject({ done: 4, other: 0 });
});

test("operations are counted by what came of them, and commits by how long the disk took", async () => {
  const bench = await openBench(onTestFinished);
  const client = await bench.client("a");
  client.ask([
    create("@list", "list"),
    operation("list-append", "@none", { values: [1] }),
    operation("list-length", "@list"),
  ]);
  await settle();
  expect(metric(bench, "operations_total")).toEqual({ done: 2, limit: 0, conflict: 0, "lock-lost": 0, other: 1 });
  const before = metric(bench, "commit_seconds");
  bench.disk.hold();
  client.ask([operation("list-append", "@list", { values: [1] })]);
  await settle();
  await bench.clock.advance(250);
  bench.disk.release();
  await settle();
  expect(before).toEqual({ count: 2, sum: 0 });
  expect(metric(bench, "commit_seconds")).toEqual({ count: 3, sum: 0.25 });
  expect(metric(bench, "journal_tail_bytes")).toBeGreaterThan(0);
  expect(metric(bench, "snapshot_age_seconds")).toBe(0.25);
});

test("a session whose lease runs out is counted", async () => {
  const bench = await openBench(onTestFinished);
  const client = await bench.client("a", 2_000);
  await client.wire?.close();
  await bench.clock.advance(5_000);
  expect([metric(bench, "sessions"), metric(bench, "sessions_expired_total")]).toEqual([0, 1]);
});

test("a manager whose disk is full is ready, and says that it only reads", async () => {
  const bench = await openBench(onTestFinished);
  const client = await bench.client("a");
  bench.disk.isFull = true;
  client.ask([create("@list", "list")]);
  await settle();
  expect(shellOf(bench).readiness()).toEqual({ isReady: true, words: "read-only: the disk is full" });
  expect([metric(bench, "read_only"), metric(bench, "operations_total")]).toMatchObject([1, { limit: 1 }]);
  bench.disk.isFull = false;
  await bench.clock.advance(PROBE_PAUSE_MS + 1);
  expect([shellOf(bench).readiness().words, metric(bench, "read_only")]).toEqual(["ok", 0]);
});

test("a manager is not ready before it has read its journal, nor once it stops", async () => {
  const bench = new Bench();
  const { env, store } = bench;
  const shell = new ManagerShell({ env, journal: memoryJournal(store), build: "test", nodeMajor: 24, pid: 1 });
  expect(shell.readiness()).toEqual({ isReady: false, words: "the manager reads its journal" });
  await shell.start();
  expect(shell.readiness().isReady).toBe(true);
  const stopped = shell.stop(1_000);
  expect(shell.readiness()).toEqual({ isReady: false, words: "the manager is stopping" });
  await stopped;
});
