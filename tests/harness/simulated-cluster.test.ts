import { range } from "@heddle/client";
import { PoolTerminatedError, WorkerLostError } from "@heddle/kernel";
import { describe, expect, it } from "vitest";
import { SimulatedCluster } from "./simulated-cluster.ts";

const squares = (count: number): number[] => Array.from({ length: count }, (_, n) => n * n);

describe("a simulated cluster", () => {
  it("maps over every node, in order", async () => {
    await using cluster = new SimulatedCluster();
    const pool = (await cluster.fabric()).pool();
    expect(await cluster.drive(pool.map(cluster.tasks.square, range(1_000)))).toEqual(squares(1_000));
    expect(new Set(await cluster.drive(pool.map(cluster.tasks.pidOf, range(40), { chunkSize: 1 }))).size).toBe(4);
    await cluster.settled();
  });

  it("does the same again for the same seed", async () => {
    const run = async (seed: number): Promise<string> => {
      const cluster = new SimulatedCluster({ seed });
      const pool = (await cluster.fabric()).pool();
      const mapped = cluster.drive(pool.map(cluster.tasks.slowSquare(30), range(100), { chunkSize: 3 }));
      await cluster.killWorker();
      expect(await mapped).toEqual(squares(100));
      await cluster[Symbol.asyncDispose]();
      return cluster.world.report("done").digest;
    };
    const [first, second, other] = [await run(5), await run(5), await run(6)];
    expect(first).toBe(second);
    expect(first).not.toBe(other);
  });

  it("gets through the death of workers and agents, pauses, and poisoned items", async () => {
    await using cluster = new SimulatedCluster({ nodes: 3 });
    const { tasks } = cluster;
    const pool = (await cluster.fabric()).pool();
    const mapped = cluster.drive(pool.map(tasks.slowSquare(100), range(200), { chunkSize: 4 }));
    await cluster.killWorker();
    cluster.killAgent(0);
    cluster.pauseAgent(1);
    expect(await mapped).toEqual(squares(200));
    cluster.startAgent(0);
    cluster.resumeAgent(1);
    expect(await cluster.drive(pool.map(tasks.crashOnceOn(7), range(20)))).toEqual(squares(20));
    const poisoned = cluster.drive(pool.map(tasks.crashOn(7), range(20)));
    await expect(poisoned).rejects.toThrow(WorkerLostError);
    await expect(poisoned).rejects.toMatchObject({ index: 7, signal: "SIGKILL" });
    await cluster.settled();
  });

  it("says what is pending when a promise does not settle", async () => {
    const cluster = new SimulatedCluster({ nodes: 1, slots: 1 });
    const pool = (await cluster.fabric()).pool();
    const stuck = pool.map(cluster.tasks.never, [1]);
    await expect(cluster.drive(stuck)).rejects.toThrow(/still pending and 600000 virtual ms are over/);
    await cluster.drive(pool.terminate());
    await expect(cluster.drive(stuck)).rejects.toThrow(PoolTerminatedError);
    await cluster.settled();
    await cluster[Symbol.asyncDispose]();
  });

  it("shows what its functions print, and forgets a client that vanished", async () => {
    await using cluster = new SimulatedCluster({ nodes: 1, slots: 1 });
    const pool = (await cluster.fabric()).pool();
    await cluster.drive(pool.map(cluster.tasks.printLine, [3]));
    expect(cluster.printed).toEqual([{ stderr: false, line: expect.stringMatching(/^\[n1\/\d+ .*\] 3$/) }]);
    void pool.map(cluster.tasks.never, [1]).catch(() => undefined);
    await cluster.untilBusy();
    cluster.vanishClient();
    await cluster.settled();
    const again = (await cluster.fabric()).pool();
    expect(await cluster.drive(again.apply(cluster.tasks.add, [1, 2]))).toBe(3);
  });
});
