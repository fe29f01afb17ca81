import { encodeValue, type RunProcess } from "@heddle/wire";
import { expect, test } from "vitest";
import { Bench } from "./testing.ts";

const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

function run(bench: Bench, fn: unknown, args: readonly unknown[] = [], more: Partial<RunProcess> = {}): void {
  const call = { function: bench.placed("target", fn), args: encodeValue(args, "argument") };
  const target = { ...call, argsArtifact: "", argsLocation: "" };
  const parent = { name: "MainProcess", pid: 5 };
  const value = { target, name: "Ada", path: "1:2", daemon: true, node: "n1", parent, ...more };
  bench.tell({ kind: { $case: "runProcess", value } });
}

test("a process runs its target to its end, awaited, and ends with the status that was set", async () => {
  const bench = new Bench();
  const gate = Promise.withResolvers<void>();
  const log: unknown[] = [];
  run(
    bench,
    async (...args: unknown[]) => {
      log.push(...args);
      await gate.promise;
      return () => undefined; // what it gives need not travel
    },
    [1, "b"],
  );
  await settle();
  expect([log, bench.exits]).toEqual([[1, "b"], []]);
  gate.resolve();
  await settle();
  expect([bench.exits, bench.complaints]).toEqual([[undefined], []]);
});

test("what nobody catches is complained of, and is status 1", async () => {
  const bench = new Bench();
  run(bench, () => {
    throw new RangeError("no");
  });
  await settle();
  expect([bench.exits, bench.complaints]).toEqual([[1], [new RangeError("no")]]);
});

test("code or arguments that cannot be had are complained of, too", async () => {
  for (const break_ of ["code", "arguments"]) {
    const bench = new Bench();
    if (break_ === "code") bench.missingAt = "/a";
    bench.place = "";
    const target = { function: bench.placed("target", () => 1), argsArtifact: "", argsLocation: "" };
    const args = break_ === "code" ? encodeValue([], "argument") : encodeValue("no array", "argument");
    run(bench, () => 1, [], { target: { ...target, args } });
    await settle();
    expect([bench.exits, bench.complaints.length]).toEqual([[1], 1]);
  }
});

test("it knows itself and its parent, whose end it hears of", async () => {
  const bench = new Bench();
  run(bench, () => new Promise(() => undefined));
  await settle();
  const { parent, ...mine } = bench.runtime.process();
  expect(mine).toEqual({ name: "Ada", path: "1:2", pid: 77, node: "n1", daemon: true });
  expect([parent.name, parent.pid, parent.isAlive()]).toEqual(["MainProcess", 5, true]);
  bench.tell({ kind: { $case: "parentEnded", value: { process: 1 } } });
  await parent.ended;
  expect(parent.isAlive()).toBe(false);
});

test("it outlives what is kept, and complains before it waits", async () => {
  const bench = new Bench();
  const kept: Disposable[] = [];
  run(bench, () => {
    kept.push(bench.runtime.keep(), bench.runtime.keep());
    throw new Error("first");
  });
  await settle();
  expect([bench.exits, bench.complaints.length]).toEqual([[], 1]);
  kept[0]?.[Symbol.dispose]();
  kept[0]?.[Symbol.dispose]();
  await settle();
  expect(bench.exits).toEqual([]);
  kept[1]?.[Symbol.dispose]();
  await settle();
  expect(bench.exits).toEqual([1]);
});

test("what it wrote to shared objects is done before it is over, and what that fails with is complained of", async () => {
  const bench = new Bench();
  const writes = Promise.withResolvers<void>();
  bench.runtime.objects.provide({ revive: () => ({}), flush: () => writes.promise });
  run(bench, () => {
    throw new Error("its own");
  });
  await settle();
  expect([bench.exits, bench.complaints]).toEqual([[], [new Error("its own")]]);
  writes.reject(new Error("of a write"));
  await settle();
  expect([bench.exits, bench.complaints]).toEqual([[1], [new Error("its own"), new Error("of a write")]]);
});

test("a pool's worker is a process of its agent's, on its node, and does not end by what it runs", async () => {
  const bench = new Bench();
  bench.job(1, () => void bench.runtime.keep());
  await bench.run(1, [1]);
  const { parent, ...mine } = bench.runtime.process();
  expect(mine).toEqual({ name: "PoolWorker-77", path: "77", pid: 77, node: "n1", daemon: true });
  expect([parent.name, parent.pid, parent.isAlive()]).toEqual(["agent", 7, true]);
  expect(bench.exits).toEqual([]);
});
