import { CAPTURED_INLINE_BYTES_MAX, PoolId, PoolInitError } from "@heddle/kernel";
import { decodeValue, JobOutcome } from "@heddle/wire";
import { expect, onTestFinished, test } from "vitest";
import { type PoolSettings, poolSetup, requirementsOf } from "./pool-setup.ts";
import { FakeCoordinator, FakeShipper, settle } from "./testing.ts";

const square = (n: number): number => n * n;
const warmUp = (): void => undefined;
const id = PoolId("0".repeat(32));

function coordinator(slots?: number): FakeCoordinator {
  const fake = new FakeCoordinator(slots);
  onTestFinished(() => fake[Symbol.asyncDispose]());
  return fake;
}

test("a pool is told with all that was said of it", async () => {
  const settings: PoolSettings = {
    ...{ processes: 2, maxTasksPerChild: 5, maxRssPerChildBytes: 1e9, name: "mine" },
    ...{ labels: { zone: "a" }, resources: { gpu: 1 } },
  };
  expect(await poolSetup(id, settings, new FakeShipper())).toEqual({
    open: {
      ...{ poolId: id, processes: 2, chunksPerWorker: 5, rssBytesPerWorker: 1e9, name: "mine" },
      requirements: { labels: { zone: "a" }, resources: { gpu: 1 } },
      initializer: undefined,
    },
    artifacts: [],
  });
});

test("requirements are nothing unless something is required", () => {
  expect(requirementsOf({})).toBeUndefined();
  expect(requirementsOf({ labels: {}, resources: {} })).toBeUndefined();
  expect(requirementsOf({ resources: { gpu: 0 } })).toEqual({ labels: {}, resources: { gpu: 0 } });
});

test("an initializer travels with its arguments, small ones beside it", async () => {
  const { open, artifacts } = await poolSetup(id, { initializer: warmUp, initArgs: [1, "a"] }, new FakeShipper());
  const { args, argsArtifact, function: fn } = open.initializer ?? {};
  expect([decodeValue(args ?? new Uint8Array()), argsArtifact]).toEqual([[1, "a"], ""]);
  expect(fn).toMatchObject({ displayName: "warmUp", artifact: "a".repeat(64) });
  expect(artifacts.map(({ hash }) => hash[0])).toEqual(["a"]);
});

test("arguments of an initializer that are large are an artifact of their own", async () => {
  const initArgs = ["x".repeat(CAPTURED_INLINE_BYTES_MAX)];
  const { open, artifacts } = await poolSetup(id, { initializer: warmUp, initArgs }, new FakeShipper());
  expect(open.initializer).toMatchObject({ args: new Uint8Array(0), argsArtifact: "b".repeat(64) });
  expect(artifacts.map(({ hash }) => hash[0])).toEqual(["a", "b"]);
});

test("functions among an initializer's arguments are shipped, and what cannot travel is refused", async () => {
  const settings = { initializer: warmUp, initArgs: [square, [square]] };
  const { artifacts } = await poolSetup(id, settings, new FakeShipper());
  expect(artifacts).toHaveLength(2);
  const refused = poolSetup(id, { initializer: warmUp, initArgs: [Symbol("a")] }, new FakeShipper());
  await expect(refused).rejects.toMatchObject({ name: "SerializationError", side: "argument", path: "$[0]" });
});

test("the first worker of a pool with an initializer joins at its construction, without a function or a result", async () => {
  const fake = coordinator();
  const pool = fake.fabric.pool({ initializer: warmUp });
  await settle();
  const [opened] = fake.said("openPool");
  expect(opened?.initializer?.function).toMatchObject({ displayName: "warmUp" });
  expect(fake.said("openJob")).toMatchObject([{ job: 1, function: undefined, prime: true }]);
  fake.answer(1, 0, []);
  fake.end(1);
  await settle();
  expect([fake.holds, fake.sessions.length]).toEqual([0, 1]);
  const result = pool.mapAsync(square, [3], { chunkSize: 1 });
  await settle();
  fake.answer(2, 0, [9]);
  fake.end(2);
  expect(await result).toEqual([9]);
  expect([fake.said("openPool").length, fake.sessions.length]).toEqual([1, 1]);
});

test("a pool without an initializer is not heard of before its first call", async () => {
  const fake = coordinator();
  fake.fabric.pool();
  await settle();
  expect(fake.entries).toEqual([]);
});

test("an initializer that fails fails the calls, and its own job nobody", async () => {
  const fake = coordinator();
  const pool = fake.fabric.pool({ initializer: warmUp });
  const result = pool.mapAsync(square, [1], { chunkSize: 1 });
  await settle();
  const words = { code: "pool-init", message: "it threw", path: "", side: "", limitName: "", limit: 0, actual: 0 };
  const error = { ...words, cause: new Uint8Array() };
  for (const job of [1, 2]) fake.tell({ $case: "jobEnded", value: { job, outcome: JobOutcome.FAILED, error } });
  await expect(result.get()).rejects.toBeInstanceOf(PoolInitError);
});

test("an initializer that cannot be shipped is refused by each call, and shipped but once", async () => {
  const fake = coordinator();
  const { ship } = fake.shipper;
  let tries = 0;
  fake.shipper.ship = (fn) => {
    if (fn !== warmUp) return ship.call(fake.shipper, fn);
    tries++;
    return Promise.reject(new TypeError("it has a socket"));
  };
  const pool = fake.fabric.pool({ initializer: warmUp });
  for (let call = 0; call < 2; call++) await expect(pool.map(square, [1])).rejects.toThrow("it has a socket");
  expect([tries, fake.said("openJob")]).toEqual([1, []]);
});

test("a pool that is closed while its initializer is on its way is over when that is", async () => {
  const fake = coordinator();
  const pool = fake.fabric.pool({ initializer: warmUp });
  pool.close();
  const joined = pool.join();
  await settle();
  fake.answer(1, 0, []);
  fake.end(1);
  await joined;
  await settle();
  expect(fake.said("closePool")).toHaveLength(1);
});
