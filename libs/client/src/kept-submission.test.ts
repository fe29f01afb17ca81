import { ConflictError, PoolTerminatedError, ProtocolError, TimeoutError, UnavailableError } from "@heddle/kernel";
import { SharedReference } from "@heddle/wire";
import { describe, expect, onTestFinished, test } from "vitest";
import type { MapOptions } from "./call-options.ts";
import { replace } from "./comeback-stage.ts";
import { Fabric } from "./fabric.ts";
import { keptStage, square } from "./kept-stage.ts";
import { UNKEPT_CHUNKS_MAX } from "./limits.ts";
import { range } from "./range.ts";
import { settle } from "./testing.ts";

function stage(slots?: number) {
  const opened = keptStage(slots);
  onTestFinished(() => opened.fake[Symbol.asyncDispose]());
  return opened;
}

/** The digest under which the inputs are submitted as a job of these options. */
async function digestOf(inputs: Iterable<unknown>, options: MapOptions = {}, slots?: number): Promise<string> {
  const { fake, pool, keepAll } = keptStage(slots);
  void pool.mapAsync(square as (item: unknown) => unknown, inputs, { jobId: "a", ...options });
  const digest = await keepAll();
  await fake[Symbol.asyncDispose]();
  expect(digest).toMatch(/^[0-9a-f]{64}$/);
  return digest;
}

describe("a call with a job's id", () => {
  test("is offered once its coordinator has said that it has nothing of it, and awaited once all of it is kept", async () => {
    const { fake, pool, keep, attached, values, offered } = stage();
    const result = pool.mapAsync(square, [1, 2, 3], { jobId: "squares", chunkSize: 2, timeoutMs: 1_000.5 });
    await settle();
    expect(fake.said("openJob")).toMatchObject([
      { job: 1, jobId: "squares", keep: { detached: false, shape: "list", timeoutMs: 1_001 } },
    ]);
    expect(offered()).toEqual([]);
    keep(0);
    await settle();
    expect(offered()).toEqual([
      [0, 0],
      [1, 2],
    ]);
    expect(fake.said("sealJob")).toEqual([]);
    const [sealed] = fake.said("sealKeptJob");
    expect(sealed).toMatchObject({ job: 1, chunkCount: 2, digest: expect.stringMatching(/^[0-9a-f]{64}$/) });
    let isAccepted = false;
    void result.accepted().then(() => {
      isAccepted = true;
    });
    keep(1);
    await settle();
    expect([isAccepted, fake.said("attachJob")]).toEqual([false, []]);
    keep(2, sealed?.digest);
    await settle();
    expect([isAccepted, fake.said("attachJob")]).toEqual([true, [{ job: 2, jobId: "squares", settled: [] }]]);
    attached(3);
    values(0, [1, 4]);
    values(2, [9]);
    fake.end(2);
    expect(await result).toEqual([1, 4, 9]);
    await settle();
    expect(fake.holds).toBe(0);
  });

  test("with a timeout that never ends has none", async () => {
    const { fake, pool } = stage();
    void pool.applyAsync(square, [1], { jobId: "a", timeoutMs: Number.POSITIVE_INFINITY });
    await settle();
    expect(fake.said("openJob")).toMatchObject([{ keep: { timeoutMs: 0, shape: "item" } }]);
  });

  test("gets no further ahead of the disk than its bound, and lets go of what is there", async () => {
    const { pool, keep, offered } = stage();
    void pool.mapAsync(square, range(200), { jobId: "a", chunkSize: 1 });
    await settle();
    keep(0);
    await settle();
    expect(offered()).toHaveLength(UNKEPT_CHUNKS_MAX);
    keep(3);
    await settle();
    expect(offered()).toHaveLength(UNKEPT_CHUNKS_MAX + 3);
  });

  test("goes on in another session from what the coordinator has, in the same chunks, and is sealed as the same job", async () => {
    const { fake, pool, keep, offered } = stage();
    function* inputs() {
      for (let n = 0; n < 5; n++) yield n;
    }
    const result = pool.mapAsync(square, inputs(), { jobId: "a", chunkSize: 1 });
    await settle();
    keep(0);
    await settle();
    const [sealed] = fake.said("sealKeptJob");
    const [job] = fake.said("openJob");
    keep(2);
    await replace(fake);
    expect([fake.said("openJob"), offered()]).toEqual([[job], []]);
    keep(3);
    await settle();
    expect(offered()).toEqual([
      [3, 3],
      [4, 4],
    ]);
    expect(fake.said("sealKeptJob")).toEqual([sealed]);
    keep(5, sealed?.digest);
    await expect(result.accepted()).resolves.toBeUndefined();
  });

  test("whose last acknowledgement was lost is accepted in the next session", async () => {
    const { fake, pool, keep } = stage();
    const result = pool.mapAsync(square, [1], { jobId: "a" });
    await settle();
    keep(0);
    await settle();
    const [sealed] = fake.said("sealKeptJob");
    await replace(fake);
    keep(1, sealed?.digest);
    await expect(result.accepted()).resolves.toBeUndefined();
    expect(fake.said("offerChunk")).toEqual([]);
  });

  test("rejects when the coordinator is gone that had kept a part of it", async () => {
    const { fake, pool, keep } = stage();
    const result = pool.mapAsync(square, range(3), { jobId: "a", chunkSize: 1 });
    await settle();
    keep(0);
    await settle();
    keep(2);
    await replace(fake);
    keep(0);
    await expect(result.get()).rejects.toThrow(UnavailableError);
    expect(fake.said("cancelJob")).toHaveLength(1);
  });

  test("of the same content as one that is there is that job: its inputs are read and not offered", async () => {
    const digest = await digestOf([1, 2, 3]);
    const { fake, pool, keep, attached, values } = stage();
    const result = pool.mapAsync(square, [1, 2, 3], { jobId: "a" });
    await settle();
    keep(1, digest);
    await settle();
    expect(fake.said("offerChunk")).toEqual([]);
    attached(3);
    values(0, [1, 4, 9]);
    fake.end(2);
    expect(await result).toEqual([1, 4, 9]);
  });

  test("of another content than one that is there rejects with ConflictError, once its inputs are read", async () => {
    const { pool, keep } = stage();
    const { promise, resolve } = Promise.withResolvers<void>();
    async function* inputs() {
      yield 1;
      await promise;
      yield 2;
    }
    const result = pool.mapAsync(square, inputs(), { jobId: "a" });
    await settle();
    keep(1, "0".repeat(64));
    await settle();
    expect(result.ready()).toBe(false);
    resolve();
    await expect(result.get()).rejects.toThrow(ConflictError);
    await expect(result.accepted()).rejects.toThrow(/^job a is there with another content/);
  });

  test("waits for one of the same id in the same program, and is the same job then", async () => {
    const { fake, pool, keepAll, keep } = stage();
    const [first, second] = [0, 0].map(() => pool.applyAsync(square, [1], { jobId: "a", detach: true }));
    await settle();
    expect(fake.said("openJob")).toHaveLength(1);
    const digest = await keepAll();
    expect(fake.said("openJob").map(({ job }) => job)).toEqual([1, 2]);
    keep(1, digest, 2);
    await Promise.all([first?.accepted(), second?.accepted()]);
  });

  test("that another client is submitting follows when that is settled, and is the same job then", async () => {
    const digest = await digestOf([1]);
    const { fake, pool, keep, refused, attached } = stage();
    const result = pool.mapAsync(square, [1], { jobId: "a", detach: true });
    await settle();
    refused("conflict");
    await settle();
    expect(fake.said("attachJob")).toMatchObject([{ job: 2, jobId: "a" }]);
    attached(1);
    await settle();
    expect([fake.said("leaveJob"), fake.said("openJob").map(({ job }) => job)]).toEqual([[{ job: 2 }], [1, 3]]);
    keep(1, digest, 3);
    await expect(result.accepted()).rejects.toThrow(ConflictError); // the other one was not detached
  });

  test("that another client gave up is submitted in its place", async () => {
    const { fake, pool, keepAll, refused } = stage();
    const result = pool.applyAsync(square, [1], { jobId: "a", detach: true });
    await settle();
    refused("conflict");
    await settle();
    refused("cancelled", 2);
    await settle();
    expect(fake.said("openJob").map(({ job }) => job)).toEqual([1, 3]);
    await keepAll(3);
    await result.accepted();
  });

  test("that another client is submitting is tried again now and then, for that may be gone", async () => {
    const { fake, pool, keepAll, refused } = stage();
    const result = pool.applyAsync(square, [1], { jobId: "a", detach: true });
    await settle();
    for (const job of [1, 3]) {
      refused("conflict", job);
      await settle();
      await fake.env.clock.advance(5_000);
      await settle();
    }
    expect(fake.said("openJob").map(({ job }) => job)).toEqual([1, 3, 5]);
    expect(fake.said("leaveJob").map(({ job }) => job)).toEqual([2, 4]);
    await keepAll(5);
    await result.accepted();
  });

  test("whose id a job has that is not kept is refused in the coordinator's words", async () => {
    const { pool, refused } = stage();
    const result = pool.applyAsync(square, [1], { jobId: "a" });
    await settle();
    refused("conflict");
    await settle();
    refused("not-found", 2);
    await expect(result.get()).rejects.toThrow(new ConflictError("said so"));
    await expect(result.accepted()).rejects.toThrow(new ConflictError("said so"));
  });

  test("that is refused rejects as it is told", async () => {
    const { pool, refused } = stage();
    const result = pool.applyAsync(square, [1], { jobId: "a" });
    await settle();
    refused("limit");
    await expect(result.get()).rejects.toMatchObject({ code: "limit", message: "said so" });
  });

  test("rejects with both versions where the coordinator keeps no jobs", async () => {
    const { fake, pool } = stage();
    await pool.capacity();
    await fake.kill();
    await fake.begin(5);
    await settle();
    const result = pool.applyAsync(square, [1], { jobId: "a" });
    await fake.dialled();
    await expect(result.get()).rejects.toThrow(ProtocolError);
    await expect(result.get()).rejects.toThrow(/minor 5 .*minor 6 does/);
  });

  test("fails at an input that cannot travel, also when it collects", async () => {
    const { fake, pool, keep } = stage();
    const result = pool.mapAsync(square as (item: unknown) => unknown, [1, Symbol("no")], {
      ...{ jobId: "a", onError: "collect" },
    });
    await settle();
    keep(0);
    await expect(result.get()).rejects.toMatchObject({
      name: "SerializationError",
      message: expect.stringMatching(/^input 1: /),
    });
    await settle();
    expect(fake.said("cancelJob")).toHaveLength(1);
  });

  test("is a mere name for calls whose results this program reads one by one or combines", async () => {
    const { fake, pool } = stage();
    fake.serve((item) => item);
    const items: number[] = [];
    for await (const item of pool.imap(square, [1, 2], { jobId: "a" })) items.push(item);
    expect(items).toEqual([1, 2]);
    expect(fake.said("openJob")[0]).toMatchObject({ jobId: "a", keep: undefined });
  });
});

test("a kept call that is not detached is cancelled by the termination of its pool, before its fabric can be closed", async () => {
  const { fake, pool, keepAll } = stage();
  const running = pool.applyAsync(square, [5], { jobId: "running" });
  await keepAll();
  void pool.terminate();
  await fake.fabric.close();
  await expect(running.get()).rejects.toThrow(PoolTerminatedError);
  await settle();
  expect([fake.said("cancelJob").map(({ job }) => job), fake.said("leaveJob"), fake.logged]).toEqual([[2], [], []]);
});

describe("what tells a job from another", () => {
  test("are its function, its inputs and the options that decide about its results, not its slots nor its name", async () => {
    const same = await digestOf(range(1_000));
    expect(await digestOf(range(1_000), { name: "b", timeoutMs: 5, labels: { a: "b" } }, 1)).toBe(same);
    const others: MapOptions[] = [
      { retries: 1 },
      { onError: "collect" },
      { seed: 4 },
      { itemTimeoutMs: 9 },
      { detach: true },
    ];
    for (const options of others) expect(await digestOf(range(1_000), options), JSON.stringify(options)).not.toBe(same);
    expect(await digestOf(range(1_001))).not.toBe(same);
    expect(await digestOf(range(1, 1_001))).not.toBe(same);
    expect(await digestOf(range(1_000), { into: Float64Array })).not.toBe(same);
  });

  test("are chunks that the inputs rule alone: about 256, or 1,000 items where nobody knows how many come", async () => {
    const counts = async (inputs: Iterable<number>): Promise<readonly unknown[]> => {
      const { fake, pool, keep } = stage();
      void pool.mapAsync(square, inputs, { jobId: "a" });
      await settle();
      keep(0);
      await settle();
      return [...new Set(fake.said("offerChunk").map(({ input }) => input?.count))];
    };
    expect(await counts(range(25_600))).toEqual([100]);
    expect(await counts(range(10))).toEqual([1]);
    expect(await counts(range(2_500)[Symbol.iterator]() as IterableIterator<number>)).toEqual([1_000, 500]);
  });
});

describe("a detached call", () => {
  test("leaves this process alone once it is accepted, and is attached to when its result is wanted", async () => {
    const { fake, pool, keepAll, attached, values } = stage();
    const result = pool.applyAsync(square, [3], { detach: true });
    expect(fake.holds).toBe(1);
    await keepAll();
    await result.accepted();
    await settle();
    expect([fake.holds, fake.said("attachJob"), result.ready()]).toEqual([0, [], false]);
    await settle();
    expect(fake.said("attachJob")).toMatchObject([{ jobId: result.jobId }]);
    const got = result.get();
    expect(fake.holds).toBe(1);
    attached(1, { shape: "item" });
    values(0, [9]);
    fake.end(2);
    expect(await got).toBe(9);
    await settle();
    expect(fake.holds).toBe(0);
  });

  test("holds its process no longer than it is waited for", async () => {
    const { fake, pool, keepAll } = stage();
    const result = pool.applyAsync(square, [3], { detach: true });
    await keepAll();
    const late = expect(result.get({ timeoutMs: 10 })).rejects.toThrow(TimeoutError);
    await settle();
    expect(fake.holds).toBe(1);
    await fake.env.clock.advance(10);
    await late;
    await settle();
    expect(fake.holds).toBe(0);
  });

  test("with a callback is listened to at once", async () => {
    const { fake, pool, keepAll, attached, values } = stage();
    const seen: number[] = [];
    pool.applyAsync(square, [3], { detach: true, callback: (value) => void seen.push(value) });
    await keepAll();
    attached(1, { shape: "item" });
    values(0, [9]);
    fake.end(2);
    await settle();
    expect([seen, fake.holds]).toEqual([[9], 0]);
  });

  test("goes on when its pool is terminated; one that is not accepted yet is cancelled", async () => {
    const { fake, pool, keepAll } = stage();
    const accepted = pool.applyAsync(square, [3], { detach: true });
    await keepAll();
    const wanted = expect(accepted.get()).rejects.toThrow(PoolTerminatedError);
    await settle();
    const early = pool.applyAsync(square, [4], { detach: true });
    await settle();
    await pool.terminate();
    await wanted;
    await expect(early.accepted()).rejects.toThrow(PoolTerminatedError);
    await settle();
    expect(fake.said("leaveJob")).toEqual([{ job: 2 }]);
    expect(fake.said("cancelJob").map(({ job }) => job)).toEqual([3]);
    expect([fake.cancelled, fake.holds]).toEqual([[], 0]);
  });

  test("that nobody waits for does not keep its pool's end, and cannot be waited for after termination", async () => {
    const { pool, keepAll } = stage();
    const result = pool.applyAsync(square, [3], { detach: true });
    await keepAll();
    pool.close();
    await pool.join();
    await pool.terminate();
    await expect(result.get()).rejects.toThrow(PoolTerminatedError);
  });

  test("is cancelled by its signal, its timeout before it is accepted, and its cancel(), for all who listen", async () => {
    const { fake, pool, keepAll } = stage();
    const controller = new AbortController();
    const first = pool.applyAsync(square, [1], { detach: true, jobId: "first", signal: controller.signal });
    await keepAll();
    controller.abort("enough");
    await expect(first.get()).rejects.toBe("enough");
    const second = pool.applyAsync(square, [2], { detach: true, jobId: "second" });
    await keepAll(2);
    await second.cancel();
    await expect(second.get()).rejects.toMatchObject({ name: "AbortError" });
    expect(fake.cancelled).toEqual(["first", "second"]);
    const third = pool.applyAsync(square, [3], { detach: true, timeoutMs: 30 });
    await settle();
    await fake.env.clock.advance(30);
    await expect(third.accepted()).rejects.toThrow(new TimeoutError("the call of square was cancelled after 30 ms"));
    await settle();
    expect(fake.said("cancelJob")).toMatchObject([{ job: 3 }]);
    expect(fake.holds).toBe(0);
  });

  test("takes no object that would end with this program", async () => {
    const { fake, pool, keep } = stage();
    const handle = (object: string) => new SharedReference({ kind: "dict", object });
    const take = (_: unknown): void => undefined;
    const refused = pool.mapAsync(take, [1, handle("a".repeat(32))], { detach: true });
    await settle();
    keep(0);
    await expect(refused.get()).rejects.toMatchObject({
      name: "SerializationError",
      message: expect.stringMatching(/^input 1: .*a dict without a name \(aaaaaaaa\).*\{ name \}/),
    });
    fake.shipper.unnamed = "a dict without a name (aaaaaaaa)";
    const captured = pool.applyAsync(square, [1], { detach: true });
    await expect(captured.get()).rejects.toMatchObject({
      name: "CaptureError",
      message: expect.stringMatching(/square captures a dict/),
    });
  });

  test("is a TypeError in a task, and for calls whose last step is in this program", async () => {
    const { fake, pool } = stage();
    const options = { detach: true } as object;
    expect(() => pool.imap(square, [1], options)).toThrow(/^imap cannot be detached.*mapAsync/);
    await expect(pool.mapReduce(square, (a, b) => a + b, [1], options)).rejects.toThrow(
      /^mapReduce cannot be detached/,
    );
    const dial = () => {
      throw new Error("nobody is dialled");
    };
    const inside = new Fabric({ ...fake.fabricOptions, dial });
    onTestFinished(() => inside.close());
    expect(() => inside.pool().applyAsync(square, [1], { detach: true })).toThrow(
      /^apply in a task or a Process cannot be detached/,
    );
    expect(() => inside.attach("a")).toThrow(/^attach\(\) is for programs/);
  });
});
