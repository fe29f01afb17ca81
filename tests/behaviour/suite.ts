import {
  PoolClosedError,
  PoolTerminatedError,
  range,
  SerializationError,
  TimeoutError,
  UnavailableError,
  WorkerLostError,
} from "heddle";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Cluster } from "../harness/cluster.ts";
import { failure } from "../harness/waiting.ts";

const MANY = 10_000;
const squares = (count: number): number[] => Array.from({ length: count }, (_, n) => n * n);

/** What a fabric must do, whoever runs it: the same sentences for the simulated, the embedded and the real one. */
export function describeBehaviour(name: string, start: () => Promise<Cluster>): void {
  describe(name, () => {
    let cluster: Cluster;
    beforeAll(async () => {
      cluster = await start();
    });
    afterAll(async () => {
      await cluster[Symbol.asyncDispose]();
    });
    describeResults(() => cluster);
    describeValues(() => cluster);
    describeErrors(() => cluster);
    describeEnds(() => cluster);
    describeDeaths(() => cluster);
  });
}

/** What only a fabric of several processes can go through. Each test has a cluster of its own. */
export function describeOutages(name: string, start: () => Promise<Cluster>): void {
  describe(`${name}: outages`, () => {
    const withCluster = (title: string, body: (cluster: Cluster) => Promise<void>): void => {
      test(title, async () => {
        await using cluster = await start();
        await body(cluster);
      });
    };
    withCluster("an agent that is killed in the middle of a map loses nothing", killedAgent);
    withCluster("an agent that is stopped for longer than its lease loses nothing and doubles nothing", pausedAgent);
    withCluster("an agent that is drained in the middle of a map hands back what it has not started", drainedAgent);
    withCluster("a killed agent that comes back under its name works again", returnedAgent);
    withCluster("the jobs of a client that vanishes are cancelled, and the next client has all slots", vanishedClient);
    withCluster(
      "a coordinator that is stopped politely ends every call by its results or one clear error",
      stoppedCoordinator,
    );
  });
}

function describeResults(get: () => Cluster): void {
  test("map gives the results of 10,000 inputs in order", async () => {
    const { cluster, pool } = await poolOf(get());
    expect(await cluster.drive(pool.map(cluster.tasks.square, range(MANY)))).toEqual(squares(MANY));
  });

  test("map takes any chunk size, and one item a chunk", async () => {
    const { cluster, pool } = await poolOf(get());
    for (const chunkSize of [1, 7, MANY])
      expect(await cluster.drive(pool.map(cluster.tasks.square, range(300), { chunkSize }))).toEqual(squares(300));
  });

  test("apply spreads its arguments and gives one result", async () => {
    const { cluster, pool } = await poolOf(get());
    expect(await cluster.drive(pool.apply(cluster.tasks.add, [2, 3]))).toBe(5);
  });

  test("applyAsync gives a handle at once, which becomes ready and keeps its result", async () => {
    const { cluster, pool } = await poolOf(get());
    const result = pool.applyAsync(cluster.tasks.square, [7]);
    expect(result.ready()).toBe(false);
    await cluster.drive(result.wait());
    expect([result.ready(), result.successful()]).toEqual([true, true]);
    expect([await result.get(), await result.get({ timeoutMs: 0 }), await result]).toEqual([49, 49, 49]);
  });

  test("get with a timeout only stops waiting", async () => {
    const { cluster, pool } = await poolOf(get());
    const result = pool.applyAsync(cluster.tasks.slowSquare(200), [3]);
    await expect(cluster.drive(result.get({ timeoutMs: 1 }))).rejects.toThrow(TimeoutError);
    expect(await cluster.drive(result.get())).toBe(9);
  });

  test("an empty map is an empty array at once", async () => {
    const { cluster, pool } = await poolOf(get());
    expect(await cluster.drive(pool.map(cluster.tasks.square, []))).toEqual([]);
  });
}

function describeValues(get: () => Cluster): void {
  test("values of every kind arrive as they were sent", async () => {
    const { cluster, pool } = await poolOf(get());
    const values = [
      1,
      -0,
      Number.NaN,
      "ä",
      null,
      undefined,
      true,
      10n ** 30n,
      new Date(5),
      [1, [2]],
      { a: { b: 1 } },
      new Map([[1, new Set([2])]]),
      Uint8Array.of(1, 2),
      /x/gi,
    ];
    expect(await cluster.drive(pool.map(cluster.tasks.echo, values))).toEqual(values);
  });

  test("inputs and results of several megabytes travel in parts", async () => {
    const { cluster, pool } = await poolOf(get());
    const bytes = 3 * 1024 * 1024 + 5;
    const results = await cluster.drive(pool.map(cluster.tasks.bigResult, [bytes, 10, bytes]));
    expect(results.map((result) => result.length)).toEqual([bytes, 10, bytes]);
    expect(results[2]?.[bytes - 1]).toBe((bytes - 1) % 251);
    const echoed = await cluster.drive(pool.apply(cluster.tasks.echo, [results[0]]));
    expect(Buffer.compare(Buffer.from(echoed as Uint8Array), Buffer.from(results[0] ?? []))).toBe(0);
  });

  test("several maps of several pools run side by side", async () => {
    const { cluster, fabric } = await poolOf(get());
    const pools = [fabric.pool(), fabric.pool(), fabric.pool()];
    const maps = pools.map((pool) => pool.map(cluster.tasks.square, range(500)));
    expect(await cluster.drive(Promise.all(maps))).toEqual([squares(500), squares(500), squares(500)]);
    for (const pool of pools) await cluster.drive(pool.terminate());
  });

  test("workers of two pools are never the same process", async () => {
    const { cluster, fabric, pool } = await poolOf(get());
    const other = fabric.pool();
    const [ours, theirs] = await cluster.drive(
      Promise.all([pool, other].map((one) => one.map(cluster.tasks.pidOf, range(8), { chunkSize: 1 }))),
    );
    expect(ours?.filter((pid) => theirs?.includes(pid))).toEqual([]);
    await cluster.drive(other.terminate());
  });

  test("what tasks print is shown before their results are", async () => {
    const { cluster, pool } = await poolOf(get());
    await cluster.drive(pool.map(cluster.tasks.printLine, range(900_000, 900_020), { name: "printing" }));
    const lines = cluster.printed
      .filter(({ line }) => line.includes(" printing] "))
      .map(({ line }) => line.split("] ")[1]);
    expect(lines.sort()).toEqual(Array.from({ length: 20 }, (_, n) => String(900_000 + n)));
  });
}

function describeErrors(get: () => Cluster): void {
  test("an error keeps its class and says where it happened", async () => {
    const { cluster, pool } = await poolOf(get());
    const error = await cluster.drive(failure(pool.map(cluster.tasks.failAt(5_000), range(MANY))));
    expect(error).toBeInstanceOf(RangeError);
    expect(error).toMatchObject({ message: "no 5000", remote: { index: 5_000 } });
    const { node, attempt } = (error as { remote: { node: string; attempt: number } }).remote;
    expect(cluster.nodes).toContain(node);
    expect(attempt).toBeGreaterThanOrEqual(1); // more where its chunk was handed on before the item ran
  });

  test("a failed job tells how far it came and why it failed", async () => {
    const { cluster, fabric, pool } = await poolOf(get());
    await cluster.drive(failure(pool.map(cluster.tasks.failAt(3), range(10), { chunkSize: 1, name: "how far" })));
    const job = (await cluster.drive(fabric.jobs())).find(({ name }) => name === "how far");
    expect(job).toMatchObject({ state: "failed", failure: "RangeError: no 3", chunksDone: job?.itemsDone });
  });

  test("retries run the failed item again, and only so often", async () => {
    const { cluster, pool } = await poolOf(get());
    const flaky = cluster.tasks.failTimes(3, 2);
    const error = await cluster.drive(failure(pool.map(flaky, range(10), { retries: 1 })));
    expect(error).toMatchObject({ message: "not yet", remote: { index: 3 } });
    expect(await cluster.drive(pool.map(flaky, range(10), { retries: 2 }))).toEqual(squares(10));
  });

  test("an error of the inputs' own iterator comes out untouched", async () => {
    const { cluster, pool } = await poolOf(get());
    const thrown = new Error("from the iterator");
    const inputs = (function* () {
      yield 1;
      throw thrown;
    })();
    expect(await cluster.drive(failure(pool.map(cluster.tasks.square, inputs)))).toBe(thrown);
    expect(thrown).not.toHaveProperty("remote");
  });

  test("an argument that cannot travel is named by its path, and the pool lives", async () => {
    const { cluster, pool } = await poolOf(get());
    const error = await cluster.drive(failure(pool.map(cluster.tasks.echo, [{ rows: [1, Symbol("weft")] }])));
    expect(error).toBeInstanceOf(SerializationError);
    expect(error).toMatchObject({ side: "argument" });
    expect(await cluster.drive(pool.apply(cluster.tasks.add, [1, 1]))).toBe(2);
  });

  test.for([0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY])("chunkSize %s is a RangeError", async (chunkSize) => {
    const { cluster, pool } = await poolOf(get());
    expect(await cluster.drive(failure(pool.map(cluster.tasks.square, [1], { chunkSize })))).toBeInstanceOf(RangeError);
  });

  test.for([0, -1, 1.5, Number.NaN])("a pool of %s processes is a RangeError", async (processes) => {
    const { fabric } = await poolOf(get());
    expect(() => fabric.pool({ processes })).toThrow(RangeError);
  });

  test("what is no function or not iterable is a TypeError", async () => {
    const { cluster, pool } = await poolOf(get());
    expect(await cluster.drive(failure(pool.map("f" as never, [1])))).toBeInstanceOf(TypeError);
    expect(await cluster.drive(failure(pool.map(cluster.tasks.square, 5 as never)))).toBeInstanceOf(TypeError);
  });
}

function describeEnds(get: () => Cluster): void {
  test("a signal that was aborted before rejects at once", async () => {
    const { cluster, pool } = await poolOf(get());
    const signal = AbortSignal.abort(new Error("not even begun"));
    await expect(cluster.drive(pool.map(cluster.tasks.square, range(5), { signal }))).rejects.toThrow("not even begun");
  });

  test("aborting ends endless tasks and frees their slots", async () => {
    const { cluster, pool } = await poolOf(get());
    const abort = new AbortController();
    const map = failure(pool.map(cluster.tasks.never, range(8), { signal: abort.signal, chunkSize: 1 }));
    const reason = new Error("enough");
    await cluster.drive(running(cluster));
    abort.abort(reason);
    expect(await cluster.drive(map)).toBe(reason);
    expect(await cluster.drive(pool.map(cluster.tasks.square, range(50)))).toEqual(squares(50));
  });

  test("timeoutMs of a call cancels it and frees its slots", async () => {
    const { cluster, pool } = await poolOf(get());
    await expect(cluster.drive(pool.apply(cluster.tasks.never, [1], { timeoutMs: 300 }))).rejects.toThrow(TimeoutError);
    expect(await cluster.drive(pool.apply(cluster.tasks.square, [4]))).toBe(16);
  });

  test("cancel rejects get with an AbortError", async () => {
    const { cluster, pool } = await poolOf(get());
    const result = pool.applyAsync(cluster.tasks.never, [1]);
    await cluster.drive(running(cluster));
    await cluster.drive(result.cancel());
    expect(await cluster.drive(failure(result.get()))).toMatchObject({ name: "AbortError" });
  });

  test("terminate rejects everything outstanding, and later calls", async () => {
    const { cluster, fabric } = await poolOf(get());
    const pool = fabric.pool();
    const results = [
      pool.mapAsync(cluster.tasks.never, range(100), { chunkSize: 1 }),
      pool.applyAsync(cluster.tasks.never, [1]),
    ];
    await cluster.drive(running(cluster));
    await cluster.drive(pool.terminate());
    await cluster.drive(pool.join());
    for (const result of results)
      expect(await cluster.drive(failure(result.get()))).toBeInstanceOf(PoolTerminatedError);
    expect(await cluster.drive(failure(pool.apply(cluster.tasks.add, [1, 2])))).toBeInstanceOf(PoolTerminatedError);
    await cluster.drive(cluster.settled());
  });

  test("close takes no new work, and join waits for the old", async () => {
    const { cluster, fabric } = await poolOf(get());
    const pool = fabric.pool();
    expect(await failure(pool.join())).toMatchObject({ name: "StateError" });
    const result = pool.mapAsync(cluster.tasks.slowSquare(20), range(10));
    pool.close();
    expect(await cluster.drive(failure(pool.apply(cluster.tasks.add, [1, 2])))).toBeInstanceOf(PoolClosedError);
    await cluster.drive(pool.join());
    expect(result.ready()).toBe(true);
    expect(await result.get()).toEqual(squares(10));
  });
}

function describeDeaths(get: () => Cluster): void {
  test("a worker that is killed in the middle of a map of 10,000 items costs no result", async () => {
    const { cluster, pool } = await poolOf(get());
    const map = pool.map(cluster.tasks.slowSquare(1), range(MANY));
    await cluster.drive(cluster.killWorker());
    expect(await cluster.drive(map)).toEqual(squares(MANY));
  });

  test("an item that kills its worker once is run again", async () => {
    const { cluster, pool } = await poolOf(get());
    expect(await cluster.drive(pool.map(cluster.tasks.crashOnceOn(5_000), range(MANY)))).toEqual(squares(MANY));
  });

  test("an item that kills its worker each time is named by its index", async () => {
    const { cluster, pool } = await poolOf(get());
    const error = await cluster.drive(failure(pool.map(cluster.tasks.crashOn(5_000), range(MANY))));
    expect(error).toBeInstanceOf(WorkerLostError);
    expect(error).toMatchObject({ index: 5_000, signal: "SIGKILL", exitCode: null });
    expect((error as WorkerLostError).attempts).toBeGreaterThanOrEqual(2);
  });

  test("an item that exits its worker is named with the exit code", async () => {
    const { cluster, pool } = await poolOf(get());
    const error = await cluster.drive(failure(pool.map(cluster.tasks.exitOn(3, 7), range(10))));
    expect(error).toMatchObject({ name: "WorkerLostError", index: 3, signal: null, exitCode: 7 });
  });
}

async function killedAgent(cluster: Cluster): Promise<void> {
  const { pool } = await poolOf(cluster);
  const map = pool.map(cluster.tasks.slowSquare(1), range(MANY));
  await cluster.drive(running(cluster));
  cluster.killAgent(0);
  expect(await cluster.drive(map)).toEqual(squares(MANY));
}

async function pausedAgent(cluster: Cluster): Promise<void> {
  const { pool } = await poolOf(cluster);
  const map = pool.map(cluster.tasks.slowSquare(1), range(MANY));
  await cluster.drive(running(cluster));
  cluster.pauseAgent(0);
  expect(await cluster.drive(map)).toEqual(squares(MANY));
  cluster.resumeAgent(0);
  const fabric = await cluster.drive(cluster.fabric());
  await cluster.drive(until(async () => (await fabric.nodes()).filter((node) => node.state === "ready").length === 2));
  expect(await cluster.drive(pool.map(cluster.tasks.square, range(100)))).toEqual(squares(100));
}

async function drainedAgent(cluster: Cluster): Promise<void> {
  const { pool } = await poolOf(cluster);
  const map = pool.map(cluster.tasks.slowSquare(1), range(MANY / 5), { chunkSize: 20 });
  await cluster.drive(running(cluster));
  await cluster.drive(cluster.drainAgent(0));
  expect(await cluster.drive(map)).toEqual(squares(MANY / 5));
}

async function returnedAgent(cluster: Cluster): Promise<void> {
  const { fabric, pool } = await poolOf(cluster);
  await cluster.drive(until(async () => (await fabric.nodes()).length === cluster.nodes.length));
  cluster.killAgent(0);
  cluster.startAgent(0);
  const returned = async (): Promise<boolean> =>
    (await fabric.nodes()).some(
      (node) => node.name === cluster.nodes[0] && node.incarnation === 2 && node.state === "ready",
    );
  await cluster.drive(until(returned));
  expect(await cluster.drive(pool.map(cluster.tasks.square, range(1_000)))).toEqual(squares(1_000));
}

async function vanishedClient(cluster: Cluster): Promise<void> {
  const { pool } = await poolOf(cluster);
  failure(pool.map(cluster.tasks.never, range(100), { chunkSize: 1 })).catch(() => undefined);
  await cluster.drive(running(cluster));
  cluster.vanishClient();
  const next = await poolOf(cluster);
  expect(await cluster.drive(next.pool.map(cluster.tasks.square, range(1_000)))).toEqual(squares(1_000));
  const open = async (): Promise<boolean> => (await next.fabric.jobs()).every((job) => job.state !== "running");
  await cluster.drive(until(open));
}

async function stoppedCoordinator(cluster: Cluster): Promise<void> {
  const { pool } = await poolOf(cluster);
  expect(await cluster.drive(pool.map(cluster.tasks.square, range(10)))).toEqual(squares(10));
  const long = failure(pool.map(cluster.tasks.never, range(4), { chunkSize: 1 }));
  await cluster.drive(running(cluster));
  await cluster.drive(cluster.stopCoordinator());
  expect(await cluster.drive(long)).toBeInstanceOf(UnavailableError);
}

async function poolOf(cluster: Cluster) {
  const fabric = await cluster.drive(cluster.fabric());
  return { cluster, fabric, pool: fabric.pool() };
}

/** Resolves once a chunk is placed on a node. */
async function running(cluster: Cluster): Promise<void> {
  const fabric = await cluster.fabric();
  await until(async () => (await fabric.jobs()).some((job) => job.state === "running" && job.chunksPlaced > 0));
}

/** Asks until the answer is yes: each question is a round trip, so time passes. */
async function until(question: () => Promise<boolean>): Promise<void> {
  while (!(await question()));
}
