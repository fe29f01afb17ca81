import { connect, type Fabric, range, task } from "heddle";
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
