import { range, WorkerLostError } from "heddle";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { EmbeddedCluster } from "../harness/embedded-cluster.ts";
import { lateThrowOf0 } from "../harness/real-functions.ts";

const ITEMS = 60;

describe("an item that leaves behind what kills its worker later", () => {
  let cluster: EmbeddedCluster;
  beforeAll(() => {
    cluster = new EmbeddedCluster();
  });
  afterAll(async () => {
    await cluster[Symbol.asyncDispose]();
  });

  // One process: what is run alone would else find another worker by luck. Item 0 may be blamed, should the machine be so slow that its
  // own throw ends it each time.
  test("has no other item blamed: each is done, unless the error names the offender", async () => {
    const fabric = await cluster.fabric();
    await using pool = fabric.pool({ processes: 1 });
    const outcome = await cluster.drive(
      pool.map(lateThrowOf0, range(ITEMS), { chunkSize: ITEMS }).catch((cause: unknown) => cause),
    );
    if (outcome instanceof WorkerLostError) expect(outcome.index).toBe(0);
    else expect(outcome).toEqual(Array.from({ length: ITEMS }, (_, n) => n * n));
  });
});
