import { connect, type Fabric, nodesAdmin, Process, range, task, UnschedulableError } from "heddle";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Gate, meet } from "../harness/gate.ts";
import { ProcessCluster } from "../harness/process-cluster.ts";

const flags = [
  ["--label", "disk=fast", "--label", "zone=a", "--resource", "gpu=1"],
  ["--label", "disk=slow", "--label", "zone=a"],
] as const;

describe("work that asks for something", () => {
  let cluster: ProcessCluster;
  let fabric: Fabric;
  beforeAll(async () => {
    cluster = await ProcessCluster.start({ slots: 2, agentFlags: (index) => flags[index] ?? [] });
    fabric = await connect(cluster.address);
  });
  afterAll(async () => {
    await fabric.close();
    await cluster[Symbol.asyncDispose]();
  });

  /** Nodes that run the tasks, all of which wait until there are so many. */
  const nodesOf = async (pool: ReturnType<Fabric["pool"]>, count: number, options: object = {}) => {
    using gate = new Gate();
    gate.open();
    const { path } = gate;
    const where = async (): Promise<string> => {
      const { node } = task();
      await meet(path, node, count);
      return node;
    };
    return new Set(await pool.map(where, range(12), { chunkSize: 1, ...options }));
  };

  test("by labels runs only on nodes that carry all of them, the call's before the pool's", async () => {
    await using anywhere = fabric.pool({ labels: { zone: "a" } });
    expect(await nodesOf(anywhere, 2)).toEqual(new Set(["n1", "n2"]));
    expect(await nodesOf(anywhere, 1, { labels: { disk: "slow" } })).toEqual(new Set(["n2"]));
    await using fast = fabric.pool({ labels: { disk: "fast" } });
    expect(await nodesOf(fast, 1)).toEqual(new Set(["n1"]));
    expect(await nodesOf(fast, 1, { labels: { disk: "slow" } })).toEqual(new Set(["n2"]));
  });

  test("by resources takes them of its node while it is there: never more than there are", async () => {
    await using pool = fabric.pool({ resources: { gpu: 1 } });
    const spans = await pool.map(
      async () => {
        const begun = Date.now();
        await new Promise((resolve) => setTimeout(resolve, 30));
        return [task().node, begun, Date.now()] as const;
      },
      range(6),
      { chunkSize: 1 },
    );
    expect(new Set(spans.map(([node]) => node))).toEqual(new Set(["n1"]));
    const inOrder = spans.map(([, begun, ended]) => ({ begun, ended })).sort((a, b) => a.begun - b.begun);
    for (const [at, { begun }] of inOrder.entries()) expect(begun).toBeGreaterThanOrEqual(inOrder[at - 1]?.ended ?? 0);
  });

  test("that no node has waits, and does not keep other work from running", async () => {
    await using pool = fabric.pool({ labels: { disk: "none" } });
    const waiting = pool.mapAsync((x: number) => x, range(10));
    await using other = fabric.pool();
    expect(await other.map((x: number) => x + 1, range(3))).toEqual([1, 2, 3]);
    expect(waiting.ready()).toBe(false);
    await waiting.cancel();
  });
});

describe("work that no node could ever run", () => {
  let cluster: ProcessCluster;
  let fabric: Fabric;
  beforeAll(async () => {
    const coordinatorFlags = ["--unschedulable-ms", "1500"];
    cluster = await ProcessCluster.start({ coordinatorFlags, agentFlags: (index) => flags[index] ?? [] });
    fabric = await connect(cluster.address);
  });
  afterAll(async () => {
    await fabric.close();
    await cluster[Symbol.asyncDispose]();
  });

  test("fails with an UnschedulableError that says what it needs and what the nodes have", async () => {
    await using pool = fabric.pool({ labels: { disk: "none" }, resources: { gpu: 4 } });
    const error = await pool.map((x: number) => x, range(10)).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(UnschedulableError);
    expect(String(error)).toContain("needs label disk=none: 2 nodes, none has it (it is fast, slow)");
    expect(String(error)).toContain("needs gpu 4: the largest node has 1");
    const [job] = await fabric.jobs();
    expect(job).toMatchObject({ state: "failed", failure: expect.stringContaining("no node could ever run it") });
  });

  test("also when each of its requirements is met somewhere, but all of them nowhere", async () => {
    await using pool = fabric.pool({ labels: { disk: "slow" } });
    const call = pool.apply((x: number) => x, [1], { resources: { gpu: 1 } });
    await expect(call).rejects.toThrow("no node has all of label disk=slow (1 of 2 have it), gpu 1 (1 of 2 have it)");
  });

  test("fails in a pool with an initializer, and in a process of its own", async () => {
    const initializer = (): void => undefined;
    await using pool = fabric.pool({ labels: { disk: "none" }, initializer });
    await expect(pool.apply((x: number) => x, [1])).rejects.toThrow(UnschedulableError);
    const process = new Process({ target: () => undefined, labels: { disk: "none" }, fabric });
    await expect(process.start()).rejects.toThrow("needs label disk=none: 2 nodes, none has it (it is fast, slow)");
  });

  test("waits where a node could run it that takes no work for now", async () => {
    const admin = nodesAdmin(fabric);
    await admin.cordon("n2");
    await using pool = fabric.pool({ labels: { disk: "slow" } });
    const waiting = pool.applyAsync(() => task().node);
    await using none = fabric.pool({ labels: { disk: "none" } });
    await expect(none.apply(() => task().node)).rejects.toThrow(UnschedulableError); // asked later, and given up
    expect(waiting.ready()).toBe(false);
    await admin.uncordon("n2");
    expect(await waiting.get()).toBe("n2");
  });
});
