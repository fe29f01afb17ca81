import { afterAll, afterEach, beforeAll, beforeEach, describe } from "vitest";
import { EmbeddedCluster } from "../../harness/embedded-cluster.ts";
import { FabricPlaces, type ObjectsPlace, type ObjectsPlaces, WorldPlaces } from "../../harness/objects-place.ts";
import { ProcessCluster } from "../../harness/process-cluster.ts";
import type { RealCluster } from "../../harness/real-cluster.ts";
import { describeCoordination } from "../contract/coordination.ts";
import { describeLocks } from "../contract/locks.ts";
import { describePipes } from "../contract/pipes.ts";
import { describeQueues } from "../contract/queues.ts";

/** The places of a fabric, which ends with them. */
async function onFabric(cluster: RealCluster): Promise<ObjectsPlaces> {
  const places = new FabricPlaces(await cluster.fabric());
  return {
    open: () => places.open(),
    [Symbol.asyncDispose]: async () => {
      await places[Symbol.asyncDispose]();
      await cluster[Symbol.asyncDispose]();
    },
  };
}

const everywhere: readonly (readonly [name: string, start: () => Promise<ObjectsPlaces>])[] = [
  ["a world of their own", () => Promise.resolve(new WorldPlaces())],
  ["an embedded fabric", () => onFabric(new EmbeddedCluster())],
  ["a served fabric", async () => onFabric(await ProcessCluster.start({ manager: true }))],
];

describe.each(everywhere)("shared objects in %s", (_name, start) => {
  let places: ObjectsPlaces;
  let place: ObjectsPlace;
  beforeAll(async () => {
    places = await start();
  });
  afterAll(() => places[Symbol.asyncDispose]());
  beforeEach(async () => {
    place = await places.open();
  });
  afterEach(() => place[Symbol.asyncDispose]());
  for (const describer of [describeLocks, describeCoordination, describeQueues, describePipes]) describer(() => place);
});
