import { connect, type Fabric, range, task } from "heddle";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ProcessCluster } from "../harness/process-cluster.ts";

function* endless(): Generator<number> {
  for (let at = 0; ; at++) yield at;
}

describe("a node whose workers die, whatever they run", () => {
  let cluster: ProcessCluster;
  let fabric: Fabric;
  beforeAll(async () => {
    cluster = await ProcessCluster.start({ nodes: 3 });
    fabric = await connect(cluster.address);
  });
  afterAll(async () => {
    await fabric.close();
    await cluster[Symbol.asyncDispose]();
  });

  test("fails no call, is excluded with the reason, and gets nothing more while others work", async () => {
    await using pool = fabric.pool();
    const dieOnFirst = async (x: number): Promise<readonly [number, string]> => {
      const { node } = task();
      if (node === "n1") process.kill(process.pid, "SIGKILL");
      await new Promise((resolve) => setTimeout(resolve, 10));
      return [x * x, node];
    };
    const firstNode = async () => (await fabric.nodes()).find(({ name }) => name === "n1");
    let first = await firstNode();
    let count = 0;
    for await (const [square, node] of pool.imap(dieOnFirst, endless(), { chunkSize: 1 })) {
      expect([square, node]).toEqual([count ** 2, expect.stringMatching(/^n[23]$/)]);
      if (++count % 10 === 0) first = await firstNode();
      if (first?.state === "excluded") break;
    }
    expect(first?.reason).toMatch(
      /^workers died there under 3 chunks that other workers ran: 100 % of what it was given failed/,
    );
    expect(first?.excludedLeftMs).toBeGreaterThan(200_000);
    expect(await pool.capacity()).toBe(2);
    expect(await fabric.status()).toMatchObject({ nodes: 2, nodesExcluded: 1 });
    const where = await pool.map(() => task().node, range(20), { chunkSize: 1 });
    expect(new Set(where).has("n1")).toBe(false);
  });
});
