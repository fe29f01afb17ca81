import { range } from "heddle";
import { expect, test } from "vitest";
import { ProcessCluster } from "../harness/process-cluster.ts";
import { eventually } from "../harness/waiting.ts";

const squares = (count: number): number[] => Array.from({ length: count }, (_, n) => n * n);

test("a client whose connection breaks again and again gets every result, once", async () => {
  await using cluster = await ProcessCluster.start();
  const fabric = await cluster.fabric();
  const map = fabric.pool().mapAsync(cluster.tasks.slowSquare(1), range(2_000), { chunkSize: 5 });
  for (let done = 0; done < 1_500; ) {
    const { progress } = map;
    if (progress.done > done + 200) {
      done = progress.done;
      cluster.dropConnections();
    } else await eventually("progress", () => map.progress.done > progress.done || map.ready() || undefined);
    if (map.ready()) break;
  }
  expect(await cluster.drive(map.get())).toEqual(squares(2_000));
  expect((await fabric.jobs()).map(({ state, itemsDone }) => ({ state, itemsDone }))).toEqual([
    { state: "done", itemsDone: 2_000 },
  ]);
});

test("a coordinator that takes the place of one that was killed is found by agents, and told by clients what they still want", async () => {
  await using cluster = await ProcessCluster.start();
  const fabric = await cluster.fabric();
  const pool = fabric.pool();
  const map = pool.mapAsync(cluster.tasks.never, range(10), { chunkSize: 1 });
  await eventually("chunks to run", async () => ((await fabric.status()).chunksPlaced > 0 ? true : undefined));
  await cluster.replaceCoordinator();
  await eventually("chunks to run again", async () => ((await fabric.status()).chunksPlaced > 0 ? true : undefined));
  expect(map.ready()).toBe(false);
  map.cancel();
  await expect(map.get()).rejects.toMatchObject({ name: "AbortError" });
  await eventually("every node to be back", async () => ((await fabric.nodes()).length === 2 ? true : undefined));
  expect(await cluster.drive(pool.map(cluster.tasks.square, range(1_000)))).toEqual(squares(1_000));
  await eventually(
    "the endless workers are gone",
    () => cluster.workers().every(({ state }) => state !== "R") || undefined,
  );
});
