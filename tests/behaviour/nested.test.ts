import { LimitError, task } from "heddle";
import { describe, expect, test } from "vitest";
import { EmbeddedCluster } from "../harness/embedded-cluster.ts";
import { ProcessCluster } from "../harness/process-cluster.ts";
import type { RealCluster } from "../harness/real-cluster.ts";
import { eventually } from "../harness/waiting.ts";
import { endlessly, leaves, megabytes, rowOfProducts, survives, waitsForEver, whoAmI } from "./nested-tasks.ts";

test("task() outside of a task is a StateError", () => {
  expect(() => task()).toThrow(/inside the function that a pool runs/);
});

const clusters: readonly (readonly [name: string, start: () => Promise<RealCluster>])[] = [
  ["an embedded fabric", () => Promise.resolve(new EmbeddedCluster())],
  ["two agents over gRPC", () => ProcessCluster.start()],
];

describe.each(clusters)("inside a task on %s", (_name, start) => {
  test("a pool runs on the task's own fabric, more of them than there are slots", async () => {
    await using cluster = await start();
    const pool = (await cluster.fabric()).pool();
    const rows = Array.from({ length: 8 }, (_, row) => row);
    const expected = rows.map((row) => [row, 2 * row, 3 * row]);
    expect(await cluster.drive(pool.map(rowOfProducts, rows, { chunkSize: 1 }))).toEqual(expected);
    expect(await cluster.drive(pool.map(rowOfProducts, rows))).toEqual(expected);
  });

  test("pools of one process inside tasks inside tasks do not wait for each other for ever", async () => {
    await using cluster = await start();
    const pool = (await cluster.fabric()).pool({ processes: 1 });
    expect(await cluster.drive(pool.map(leaves, [3, 2, 3], { chunkSize: 1 }))).toEqual([8, 4, 8]);
  });

  test("a task knows its index, attempt, node and job", async () => {
    await using cluster = await start();
    const pool = (await cluster.fabric()).pool();
    const result = pool.mapAsync(whoAmI, ["a", "b", "c", "d", "e"], { chunkSize: 2 });
    const seen = await cluster.drive(result);
    expect(seen.map(({ index }) => index)).toEqual([0, 1, 2, 3, 4]);
    for (const { attempt, node, jobId } of seen) {
      expect(attempt).toBe(1);
      expect(cluster.nodes).toContain(node);
      expect(jobId).toBe(result.jobId);
    }
  });

  test("a task sends and gets values of many megabytes", async () => {
    await using cluster = await start();
    const pool = (await cluster.fabric()).pool();
    expect(await cluster.drive(pool.map(megabytes, [12, 3]))).toEqual([66, 3]);
  });

  test("a task hears in its own process how a task of its own died", async () => {
    await using cluster = await start();
    const pool = (await cluster.fabric()).pool();
    expect(await cluster.drive(pool.map(survives, [1, 2]))).toEqual(["1 lost SIGKILL", "2 lost SIGKILL"]);
  });

  test("functions are arguments, in objects and Maps too, with what they capture", async () => {
    await using cluster = await start();
    const pool = (await cluster.fabric()).pool();
    const by = 5;
    const table = Array.from({ length: 500 }, (_, at) => at);
    const functions = [(n: number) => n * by, (n: number) => table[n] ?? 0, Math.sqrt, whoAmI];
    const apply = ({ f, more }: { f: (n: number) => unknown; more: Map<string, (n: number) => unknown> }) => [
      f(16),
      more.get("f") === f,
    ];
    const inputs = functions.map((f) => ({ f, more: new Map([["f", f]]) }));
    const results = await cluster.drive(pool.map(apply, inputs, { chunkSize: 3 }));
    expect(results.slice(0, 3)).toEqual([
      [80, true],
      [16, true],
      [4, true],
    ]);
    expect(results[3]).toMatchObject([{ index: 3 }, true]);
  });

  test("what a module exports runs by a handle, without being loaded here", async () => {
    await using cluster = await start();
    const pool = (await cluster.fabric()).pool();
    const tasks = pool.module<typeof import("./nested-tasks.ts")>(new URL("./nested-tasks.ts", import.meta.url));
    expect(await cluster.drive(pool.map(tasks.rowOfProducts, [4]))).toEqual([[4, 8, 12]]);
    expect(await cluster.drive(pool.map((row) => tasks.rowOfProducts(row), [5]))).toEqual([[5, 10, 15]]);
    const { whoAmI: captured } = tasks;
    expect(await cluster.drive(pool.map(() => captured().index, [0, 0]))).toEqual([0, 1]);
  });

  test("cancelling a call ends what its tasks have called, and leaves no job", async () => {
    await using cluster = await start();
    const fabric = await cluster.fabric();
    const pool = fabric.pool();
    const result = pool.applyAsync(waitsForEver);
    const isOpen = async (): Promise<number> =>
      (await fabric.jobs()).filter(({ durationMs }) => durationMs === 0).length;
    await eventually("the task's own job runs", async () => (await isOpen()) === 2 || undefined);
    await result.cancel();
    await eventually("no job is open", async () => (await isOpen()) === 0 || undefined);
    await expect(result.get()).rejects.toMatchObject({ name: "AbortError" });
  });
});

test("tasks inside tasks for ever end in a LimitError that names the limit", async () => {
  await using cluster = new EmbeddedCluster();
  const pool = (await cluster.fabric()).pool({ processes: 1 });
  const error: unknown = await cluster.drive(pool.apply(endlessly, [0]).catch((caught: unknown) => caught));
  expect(error).toMatchObject({ message: expect.stringContaining("NESTING_DEPTH_MAX is 16") });
  expect(error instanceof LimitError || (error as Error).name === "LimitError").toBe(true);
}, 30_000);
