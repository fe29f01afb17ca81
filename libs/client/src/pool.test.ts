import { CLIENT_CHUNKS_MAX, CLIENT_JOBS_MAX, ClosedError, PoolTerminatedError, UnavailableError } from "@heddle/kernel";
import { Encoding, JobOutcome } from "@heddle/wire";
import { expect, onTestFinished, test } from "vitest";
import { MAP_ITEMS_MAX } from "./limits.ts";
import { range } from "./range.ts";
import { FakeCoordinator, inline, settle } from "./testing.ts";

const square = (n: number): number => n * n;

function coordinator(slots?: number): FakeCoordinator {
  const fake = new FakeCoordinator(slots);
  onTestFinished(() => fake[Symbol.asyncDispose]());
  return fake;
}

const place = { node: "n1", pid: 7, attempt: 1 };

test("a map whose chunks are all answered resolves to the values in order of the inputs", async () => {
  const fake = coordinator();
  const result = fake.fabric.pool().mapAsync(square, [1, 2, 3, 4], { chunkSize: 2 });
  await settle();
  const [job] = fake.said("openJob");
  expect(fake.said("offerChunk").map(({ chunk, firstIndex }) => [chunk, firstIndex])).toEqual([
    [0, 0],
    [1, 2],
  ]);
  const number = job?.job ?? 0;
  fake.tell({
    $case: "spanDone",
    value: { job: number, chunk: 1, span: undefined, values: inline([9, 16]), runMicros: 0 },
  });
  fake.tell({
    $case: "spanDone",
    value: { job: number, chunk: 0, span: { offset: 1, count: 1 }, values: inline([4]), runMicros: 0 },
  });
  await settle();
  expect(result.progress).toEqual({ done: 3, failed: 0, total: 4, elapsedMs: 0, perSecond: 0 });
  fake.tell({
    $case: "spanDone",
    value: { job: number, chunk: 0, span: { offset: 0, count: 1 }, values: inline([1]), runMicros: 0 },
  });
  fake.tell({ $case: "jobEnded", value: { job: number, outcome: JobOutcome.DONE, error: undefined } });
  expect(await result).toEqual([1, 4, 9, 16]);
  await settle();
  expect(fake.holds).toBe(0);
});

test("a map of nothing is an empty array at once, even while the fabric has no node", async () => {
  const fake = coordinator(0);
  expect(await fake.fabric.pool().map(square, [])).toEqual([]);
  expect(await fake.fabric.pool().map(square, new Set<number>(), { chunkSize: 3 })).toEqual([]);
});

test("a call is cancelled at once while the fabric has no node", async () => {
  const fake = coordinator(0);
  const result = fake.fabric.pool().mapAsync(square, [1, 2]);
  await settle();
  await result.cancel();
  await expect(result.get()).rejects.toMatchObject({ name: "AbortError" });
  fake.capacity(4);
  await settle();
  expect(fake.said("openJob")).toEqual([]);
});

test("a call is cancelled at once while its function is made ready to travel", async () => {
  const fake = coordinator();
  const gate = Promise.withResolvers<void>();
  fake.shipper.gate = gate.promise;
  const result = fake.fabric.pool().applyAsync(square, [2]);
  await result.cancel();
  await expect(result.get()).rejects.toMatchObject({ name: "AbortError" });
  gate.resolve();
  await settle();
  expect(fake.said("openJob")).toEqual([]);
});

test("a call that was cancelled before anything could happen never reaches the fabric", async () => {
  const fake = coordinator();
  const result = fake.fabric.pool().mapAsync(square, [1]);
  void result.cancel();
  await expect(result.get()).rejects.toMatchObject({ name: "AbortError" });
  await settle();
  expect(fake.said("openJob")).toEqual([]);
});

test("terminate between the fabric's first word and the job's start wins", async () => {
  const fake = coordinator();
  const pool = fake.fabric.pool();
  const result = pool.mapAsync(square, [1, 2]);
  await pool.capacity();
  await pool.terminate();
  await expect(result.get()).rejects.toBeInstanceOf(PoolTerminatedError);
  await pool.join();
  await settle();
  expect(fake.said("openJob")).toEqual([]);
});

test("whenever terminate comes, the call rejects and no job is left open", async () => {
  for (let hops = 0; hops < 40; hops++) {
    await using fake = new FakeCoordinator();
    const pool = fake.fabric.pool();
    await pool.capacity();
    const result = pool.mapAsync(square, [1, 2]);
    for (let hop = 0; hop < hops; hop++) await undefined;
    await pool.terminate();
    await expect(result.get()).rejects.toBeInstanceOf(PoolTerminatedError);
    await pool.join();
    await settle();
    expect(fake.said("cancelJob").length, `after ${hops} microtasks`).toBe(fake.said("openJob").length);
    expect(fake.said("closePool").length).toBe(fake.said("openPool").length);
  }
});

test("join waits for calls that are still being shipped when the pool is closed", async () => {
  const fake = coordinator();
  const gate = Promise.withResolvers<void>();
  fake.shipper.gate = gate.promise;
  const pool = fake.fabric.pool();
  const result = pool.applyAsync(square, [3]);
  pool.close();
  let joined = false;
  const join = pool.join().then(() => {
    joined = true;
  });
  gate.resolve();
  await settle();
  expect(joined).toBe(false);
  const [job] = fake.said("openJob");
  const number = job?.job ?? 0;
  fake.tell({
    $case: "spanDone",
    value: { job: number, chunk: 0, span: undefined, values: inline([9]), runMicros: 0 },
  });
  fake.tell({ $case: "jobEnded", value: { job: number, outcome: JobOutcome.DONE, error: undefined } });
  await join;
  expect(await result).toBe(9);
  await settle();
  expect(fake.said("closePool")).toHaveLength(1);
});

test("a call on a closed fabric rejects as closed, and what its function has wrong is no unhandled rejection", async () => {
  const unhandled: unknown[] = [];
  const note = (reason: unknown): void => void unhandled.push(reason);
  process.on("unhandledRejection", note);
  onTestFinished(() => void process.off("unhandledRejection", note));
  const fake = coordinator();
  const pool = fake.fabric.pool();
  await fake.fabric.close();
  fake.shipper.failure = new Error("cannot be shipped");
  await expect(pool.map(square, [1])).rejects.toBeInstanceOf(ClosedError);
  await settle();
  expect(unhandled).toEqual([]);
  expect(fake.holds).toBe(0);
});

test("what is open when its fabric is closed rejects as closed", async () => {
  const fake = coordinator();
  const running = fake.fabric.pool().mapAsync(square, [1]);
  await settle();
  expect(fake.said("openJob")).toHaveLength(1);
  await fake.fabric.close();
  await expect(running.get()).rejects.toMatchObject({ code: "closed" });
});

test("a fabric holds the process while it closes", async () => {
  const fake = coordinator();
  await fake.fabric.pool().capacity();
  const closing = fake.fabric.close();
  expect(fake.holds).toBe(1);
  await closing;
  expect(fake.holds).toBe(0);
});

test("a name that is no text or too long is refused before anything is sent", async () => {
  const fake = coordinator();
  const pool = fake.fabric.pool();
  await expect(pool.map(square, [1], { name: 5 as never })).rejects.toBeInstanceOf(TypeError);
  await expect(pool.map(square, [1], { name: "x".repeat(201) })).rejects.toBeInstanceOf(RangeError);
  expect(() => fake.fabric.pool({ name: 5 as never })).toThrow(TypeError);
  await settle();
  expect(fake.said("openJob")).toEqual([]);
});

test("no input is offered after an item has failed for good", async () => {
  const fake = coordinator();
  const result = fake.fabric.pool().mapAsync(square, range(40_000), { chunkSize: 1 });
  await settle();
  const offered = fake.said("offerChunk").length;
  expect(offered).toBeLessThan(40_000);
  const value = {
    code: "internal",
    message: "no",
    path: "",
    side: "",
    limitName: "",
    limit: 0,
    actual: 0,
    cause: new Uint8Array(),
  };
  const failure = { offset: 0, place, summary: "Error: no", kind: { $case: "fabricError" as const, value } };
  fake.tell({ $case: "itemFailed", value: { job: 1, chunk: 0, failure } });
  fake.tell({ $case: "spanDone", value: { job: 1, chunk: 1, span: undefined, values: inline([1]), runMicros: 0 } });
  await settle();
  expect(fake.said("offerChunk")).toHaveLength(offered);
  fake.tell({ $case: "jobEnded", value: { job: 1, outcome: JobOutcome.FAILED, error: undefined } });
  await expect(result.get()).rejects.toMatchObject({ message: "no" });
});

test("pools and artifacts are announced again in the session after a lost one, and jobs count from 1", async () => {
  const fake = coordinator();
  const pool = fake.fabric.pool();
  const lost = pool.mapAsync(square, [1]);
  await settle();
  await fake.sessions[0]?.close({ code: "limit", message: "gone" });
  await expect(lost.get()).rejects.toMatchObject({ code: "limit" });
  void pool.mapAsync(square, [1]);
  await settle();
  expect(fake.sessions).toHaveLength(2);
  expect(fake.said("openPool")).toHaveLength(2);
  expect(fake.said("offerArtifact")).toHaveLength(2);
  expect(fake.said("openJob").map(({ job }) => job)).toEqual([1, 1]);
});

test("a result that cannot be read fails its job alone, and frees its place among the chunks under way", async () => {
  const fake = coordinator();
  const pool = fake.fabric.pool();
  const result = pool.mapAsync(square, [1]);
  await settle();
  const broken = { encoding: Encoding.F64, count: 1, size: 3, data: new Uint8Array(3), partStream: 0 };
  fake.tell({ $case: "spanDone", value: { job: 1, chunk: 0, span: undefined, values: broken, runMicros: 0 } });
  await expect(result.get()).rejects.toMatchObject({ code: "serialization" });
  await settle();
  expect(fake.said("cancelJob")).toHaveLength(1);
  const next = pool.mapAsync(square, [2]);
  await settle();
  fake.tell({ $case: "spanDone", value: { job: 2, chunk: 0, span: undefined, values: inline([4]), runMicros: 0 } });
  fake.tell({ $case: "jobEnded", value: { job: 2, outcome: JobOutcome.DONE, error: undefined } });
  expect(await next).toEqual([4]);
});

test("what a job's functions print reaches the client without what could steer a terminal", async () => {
  const fake = coordinator();
  void fake.fabric.pool().mapAsync(square, [1], { name: "squares" });
  await settle();
  const text = "plain\ttab\n\u001b[2Jgone\rback\u0007\u009b1m";
  fake.tell({ $case: "output", value: { job: 1, place, stderr: true, text, process: 0, processName: "" } });
  await settle();
  expect(fake.printed).toEqual(["err [n1/7 squares] plain\ttab", "err [n1/7 squares] [2Jgoneback1m"]);
});

test("a call to an address where nobody is fails after ten seconds, and says what to do", async () => {
  const fake = coordinator();
  await using fabric = fake.strandedFabric();
  const outcome = fabric
    .pool()
    .map(square, [1, 2])
    .catch((error: unknown) => error);
  await settle();
  await fake.env.clock.advance(9_900);
  expect(fake.holds).toBe(1);
  await fake.env.clock.advance(200);
  const error = await outcome;
  expect(error).toBeInstanceOf(UnavailableError);
  expect((error as Error).message).toBe(
    'no coordinator answers at nowhere: start one with "heddle up", or unset HEDDLE_ADDRESS to run on this machine',
  );
  await fake.env.clock.advance(5_000);
  expect(fake.holds).toBe(0);
});

test("a coordinator that answered once is waited for longer than one that never did", async () => {
  const fake = coordinator(0);
  const capacity = fake.fabric.pool().capacity();
  await settle();
  await fake.env.clock.advance(30_000);
  fake.capacity(3);
  expect(await capacity).toBe(3);
});

test("options that are none are refused by a call, in words", async () => {
  const pool = coordinator().fabric.pool();
  for (const [options, message] of [
    [100, "options of map must be an object, as { chunkSize: 100 }, got a number"],
    [null, "options of map must be an object, as { chunkSize: ... }, got null"],
    [{ chunksize: 2 }, "map has no option chunksize: did you mean chunkSize?"],
    [{ timeoutMs: "5" }, "timeoutMs must be a number, got a string"],
    [{ signal: 5 }, "signal must be an AbortSignal, got a number"],
    [{ retries: "1" }, "retries must be a number, got a string"],
  ])
    await expect(pool.map(square, [1, 2], options as never)).rejects.toThrow(new TypeError(message as string));
  await expect(pool.apply(square, [2], { chunkSize: 1 } as never)).rejects.toThrow("apply has no option chunkSize");
});

test("arguments that are no array and more inputs than an array can hold are refused", async () => {
  const pool = coordinator().fabric.pool();
  await expect(pool.apply(square, 5 as never)).rejects.toThrow(new TypeError("args must be an array, got a number"));
  await expect(pool.apply(square, "abc" as never)).rejects.toThrow(TypeError);
  const refused = pool.map(square, range(MAP_ITEMS_MAX + 1), { chunkSize: 2 ** 20 });
  await expect(refused).rejects.toThrow(RangeError);
  await expect(refused).rejects.toThrow(/MAP_ITEMS_MAX is 4294967294/);
});

test("a call gets its turn though another one could use all that a client may have under way", async () => {
  const fake = coordinator(CLIENT_CHUNKS_MAX);
  const pool = fake.fabric.pool();
  void pool.mapAsync(square, range(2 * CLIENT_CHUNKS_MAX), { chunkSize: 1 });
  await settle();
  expect(fake.said("offerChunk")).toHaveLength(CLIENT_CHUNKS_MAX);
  void pool.mapAsync(square, [1]);
  await settle();
  for (const chunk of [0, 1]) fake.answer(1, chunk, [1], { runMicros: 1_000_000 });
  await settle();
  const more = fake.said("offerChunk").slice(CLIENT_CHUNKS_MAX);
  expect(more.map(({ job }) => job)).toEqual([1, 2]);
});

test("calls that wait for their turn are all over when the pool is terminated, and never begin", async () => {
  const fake = coordinator();
  const pool = fake.fabric.pool();
  const results = Array.from({ length: CLIENT_JOBS_MAX + 10 }, () => pool.applyAsync(square, [1]));
  await settle();
  expect(fake.said("openJob")).toHaveLength(CLIENT_JOBS_MAX);
  await pool.terminate();
  for (const result of results) await expect(result.get()).rejects.toBeInstanceOf(PoolTerminatedError);
  await settle();
  expect([fake.said("openJob").length, fake.said("cancelJob").length]).toEqual([CLIENT_JOBS_MAX, CLIENT_JOBS_MAX]);
});
