import { PoolClosedError, PoolTerminatedError, TimeoutError } from "@heddle/kernel";
import { describe, expect, onTestFinished, test } from "vitest";
import { STREAM_UNREAD_BYTES_MAX } from "./limits.ts";
import type { FabricPool } from "./pool.ts";
import { range } from "./range.ts";
import { FakeCoordinator, inline, settle } from "./testing.ts";

const square = (n: number): number => n * n;

function fabric(slots?: number): { readonly fake: FakeCoordinator; readonly pool: FabricPool } {
  const fake = new FakeCoordinator(slots);
  onTestFinished(() => fake[Symbol.asyncDispose]());
  return { fake, pool: fake.fabric.pool() };
}

/** Counts up for ever; `state` says how far, and whether it was closed. */
function counting() {
  const state = { read: 0, isClosed: false };
  function* inputs() {
    try {
      for (;;) yield state.read++;
    } finally {
      state.isClosed = true;
    }
  }
  return { state, inputs: inputs() };
}

async function all<T>(values: AsyncIterable<T>): Promise<T[]> {
  const seen: T[] = [];
  for await (const value of values) seen.push(value);
  return seen;
}

describe("join", () => {
  test("waits for what nobody consumes: a stream runs to its end, and keeps its results", async () => {
    const { fake, pool } = fabric(1);
    fake.serve((item) => (item as number) ** 2);
    const results = pool.imap(square, range(100), { bufferSize: 4 });
    await settle();
    const offered = fake.said("offerChunk").length;
    expect(offered).toBeLessThanOrEqual(4);
    pool.close();
    await pool.join();
    expect(fake.said("offerChunk").length).toBeGreaterThan(offered);
    expect(await all(results)).toEqual(Array.from({ length: 100 }, (_, n) => n * n));
  });

  test("tells the coordinator that unread results are no reason to wait", async () => {
    const { fake, pool } = fabric(1);
    const results = pool.imap(square, [1, 2], { bufferSize: 1 });
    await settle();
    fake.answer(1, 0, [1]);
    await settle();
    expect(fake.said("takeResults")).toEqual([]);
    pool.close();
    const joined = pool.join();
    await settle();
    fake.answer(1, 1, [4]);
    fake.end(1);
    await joined;
    expect(fake.said("takeResults").map(({ bytes }) => bytes)).toEqual([4, 4]);
    expect(await all(results)).toEqual([1, 4]);
    expect(fake.said("takeResults")).toHaveLength(2);
  });

  test("resolves when the results that were waited for are ready", async () => {
    const { fake, pool } = fabric(1);
    fake.serve((item) => item);
    const result = pool.mapAsync(square, [1, 2]);
    pool.close();
    await pool.join();
    expect(result.ready()).toBe(true);
  });
});

describe("imap", () => {
  test("that is aborted gives nothing more, though results are there", async () => {
    const { fake, pool } = fabric();
    const abort = new AbortController();
    const results = pool.imap(square, [1, 2, 3], { signal: abort.signal });
    await settle();
    for (const chunk of [0, 1, 2]) fake.answer(1, chunk, [chunk]);
    await settle();
    expect(await results.next()).toEqual({ done: false, value: 0 });
    const reason = new Error("enough");
    abort.abort(reason);
    await expect(results.next()).rejects.toBe(reason);
    expect(await results.next()).toEqual({ done: true, value: undefined });
  });

  test("gives results in order of the inputs, imapUnordered as they come", async () => {
    const { fake, pool } = fabric();
    const ordered = pool.imap(square, [1, 2, 3]);
    const unordered = pool.imapUnordered(square, [1, 2, 3]);
    await settle();
    for (const job of [1, 2]) {
      for (const chunk of [2, 0, 1]) fake.answer(job, chunk, [(chunk + 1) ** 2]);
      fake.end(job);
    }
    expect([await all(ordered), await all(unordered)]).toEqual([
      [1, 4, 9],
      [9, 1, 4],
    ]);
    expect(
      fake.said("openJob").map(({ ordered, collect, unreadBytesMax }) => [ordered, collect, unreadBytesMax]),
    ).toEqual([
      [true, true, STREAM_UNREAD_BYTES_MAX],
      [false, true, STREAM_UNREAD_BYTES_MAX],
    ]);
  });

  test("spreads tuples as istarmap, in either order", async () => {
    const { fake, pool } = fabric();
    fake.serve((item) => item);
    const add = (a: number, b: string): string => `${a}${b}`;
    const inputs: [number, string][] = [
      [1, "a"],
      [2, "b"],
    ];
    await all(pool.istarmap(add, inputs));
    await all(pool.istarmapUnordered(add, inputs));
    expect(fake.said("openJob").map(({ spread, ordered }) => [spread, ordered])).toEqual([
      [true, true],
      [true, false],
    ]);
  });

  test("of nothing is over at once, and needs no fabric", async () => {
    const { fake, pool } = fabric(0);
    expect(await all(pool.imap(square, []))).toEqual([]);
    expect(fake.said("openJob")).toEqual([]);
    fake.serve((item) => item);
    expect(await all(pool.imap(square, new Set<number>().values()))).toEqual([]);
  });

  test("has one item in a chunk unless it is told otherwise, or runs some at a time", async () => {
    const { fake, pool } = fabric();
    pool.imap(square, range(4));
    pool.imap(square, range(4), { concurrency: 4 });
    pool.imap(square, range(4), { chunkSize: 2 });
    await settle();
    const counts = fake.said("offerChunk").map(({ job, input }) => `${job}: ${input?.count}`);
    expect(counts.sort()).toEqual([..."1111"].map(() => "1: 1").concat("2: 4", "3: 2", "3: 2"));
  });

  test("reads no further ahead of its consumer than enough for all slots twice", async () => {
    const { fake, pool } = fabric(2);
    await pool.capacity();
    fake.serve((item) => item);
    const { state, inputs } = counting();
    const results = pool.imap(square, inputs);
    await settle();
    expect(state.read).toBe(4);
    await results.next();
    await settle();
    expect(state.read).toBe(5);
    await results.return();
  });

  test("reads no further ahead than bufferSize, sync or async, and all of it though there are fewer slots", async () => {
    const { fake, pool } = fabric(1);
    fake.serve((item) => item);
    for (const isAsync of [false, true])
      for (const chunkSize of [1, 2, "auto"] as const) {
        const { state, inputs } = counting();
        async function* later() {
          yield* inputs;
        }
        const results = pool.imap(square, isAsync ? later() : inputs, { bufferSize: 6, chunkSize });
        await settle();
        expect(state.read, `${isAsync} ${chunkSize}`).toBe(6);
        for (let taken = 0; taken < 10; taken++) {
          expect((await results.next()).value).toBe(taken);
          await settle();
          expect(state.read).toBeLessThanOrEqual(7 + taken);
        }
        await results.return();
        await settle();
        expect(state.isClosed).toBe(true);
      }
  });

  test("has as many items under way as bufferSize says when that is as many as there are slots", async () => {
    const { fake, pool } = fabric(8);
    pool.imap(square, range(100), { bufferSize: 8 });
    await settle();
    expect(fake.said("offerChunk")).toHaveLength(8);
  });

  test("throws an item's error at its turn and goes on, whatever the chunk size", async () => {
    const { fake, pool } = fabric();
    fake.serve((item) => {
      if (item === 1) throw new RangeError("no 1");
      return item;
    });
    for (const chunkSize of [1, 4]) {
      const results = pool.imap(square, range(4), { chunkSize });
      expect(await results.next()).toEqual({ done: false, value: 0 });
      await expect(results.next()).rejects.toMatchObject({ name: "RangeError", message: "no 1", remote: { index: 1 } });
      expect(await all(results)).toEqual([2, 3]);
    }
  });

  test("collects what became of each item when it is told to", async () => {
    const { fake, pool } = fabric();
    const reason = new RangeError("no 1");
    fake.serve((item) => {
      if (item === 1) throw reason;
      return item;
    });
    expect(await all(pool.imap(square, range(2), { onError: "collect" }))).toEqual([
      { status: "fulfilled", value: 0 },
      { status: "rejected", reason: expect.objectContaining({ message: "no 1" }) },
    ]);
  });

  test("throws at its turn what keeps an input from travelling, and goes on", async () => {
    const { fake, pool } = fabric();
    fake.serve((item) => item);
    const results = pool.imap((item: unknown) => item, [0, Symbol("a"), 2]);
    expect(await results.next()).toEqual({ done: false, value: 0 });
    await expect(results.next()).rejects.toThrow(/^input 1: /);
    expect(await all(results)).toEqual([2]);
  });

  test("throws the inputs' own error after the results of those before it, and the pool lives", async () => {
    const { fake, pool } = fabric();
    fake.serve((item) => item);
    const own = new Error("mine");
    async function* later() {
      yield* broken();
    }
    function* broken() {
      yield 1;
      yield 2;
      throw own;
    }
    for (const inputs of [broken(), later()]) {
      const results = pool.imap(square, inputs);
      expect([await results.next(), await results.next()].map(({ value }) => value)).toEqual([1, 2]);
      await expect(results.next()).rejects.toBe(own);
      expect(await results.next()).toEqual({ done: true, value: undefined });
    }
    expect(await pool.map(square, [5])).toEqual([5]);
  });

  test("loses no input that was read before the inputs' own error, but those of the chunk that was to be so large", async () => {
    const { fake, pool } = fabric();
    fake.serve((item) => item);
    const own = new Error("mine");
    function* broken() {
      yield* [1, 2, 3];
      throw own;
    }
    for (const [options, expected] of [
      [{}, [1, 2, 3]],
      [{ concurrency: 8 }, [1, 2, 3]],
      [{ chunkSize: "auto" }, [1, 2, 3]],
      [{ chunkSize: 2 }, [1, 2]],
    ] as const) {
      const results = pool.imap(square, broken(), options);
      for (const value of expected) expect(await results.next()).toEqual({ done: false, value });
      await expect(results.next()).rejects.toBe(own);
    }
  });

  test("that is left early cancels its job and closes its inputs, and holds nothing", async () => {
    const { fake, pool } = fabric();
    fake.serve((item) => item);
    const { state, inputs } = counting();
    for await (const value of pool.imap(square, inputs)) if (value === 3) break;
    await settle();
    expect([state.isClosed, fake.holds, fake.said("cancelJob").length]).toEqual([true, 0, 1]);
    pool.close();
    await pool.join();
  });

  test("whose next timed out is still to be consumed", async () => {
    const { fake, pool } = fabric();
    const results = pool.imap(square, [3]);
    await settle();
    const late = expect(results.next({ timeoutMs: 50 })).rejects.toThrow(TimeoutError);
    await fake.env.clock.advance(50);
    await late;
    fake.answer(1, 0, [9]);
    fake.end(1);
    expect(await all(results)).toEqual([9]);
  });

  test("that is over keeps its results for whoever comes later", async () => {
    const { fake, pool } = fabric();
    fake.serve((item) => item);
    const results = pool.imap(square, [1, 2]);
    await settle();
    pool.close();
    await pool.join();
    expect(await all(results)).toEqual([1, 2]);
  });

  test("tells of the bytes that were consumed, in few words", async () => {
    const { fake, pool } = fabric();
    const results = pool.imap(square, range(3), { bufferSize: 3 });
    await settle();
    const large = inline(["x".repeat(800_000)]);
    for (const chunk of [0, 1, 2]) fake.answer(1, chunk, [], { values: large });
    await results.next();
    await results.next();
    await settle();
    expect(fake.said("takeResults")).toEqual([]);
    await results.next();
    await settle();
    expect(fake.said("takeResults")).toEqual([{ job: 1, bytes: 3 * large.size }]);
  });

  test("that cannot begin throws at once: a closed pool, an aborted signal, options, inputs", async () => {
    const { fake, pool } = fabric();
    const signal = AbortSignal.abort(new Error("stop"));
    expect(() => pool.imap(square, [1], { signal })).toThrow("stop");
    expect(() => pool.imap(square, 5 as never)).toThrow(TypeError);
    expect(() => pool.imap(5 as never, [1])).toThrow(new TypeError("a function is needed, got a number"));
    expect(() => pool.imap(square, [1], null as never)).toThrow(/^options of imap must be an object/);
    expect(() => pool.imap(square, [1], { bufferSize: 0 })).toThrow(RangeError);
    pool.close();
    expect(() => pool.imap(square, [1])).toThrow(PoolClosedError);
    await settle();
    expect([fake.holds, fake.said("openJob")]).toEqual([0, []]);
  });

  test("ends with whatever ends the call: its time, its signal, its pool", async () => {
    const { fake, pool } = fabric();
    await pool.capacity();
    await settle();
    const timers = fake.env.clock.timerCount;
    const controller = new AbortController();
    const nexts = [
      pool.imap(square, counting().inputs, { timeoutMs: 10 }).next(),
      pool.imap(square, counting().inputs, { signal: controller.signal }).next(),
      pool.imap(square, counting().inputs).next(),
    ];
    const settled = Promise.allSettled(nexts);
    await fake.env.clock.advance(10);
    controller.abort("stop");
    await pool.terminate();
    expect((await settled).map((one) => one.status === "rejected" && one.reason)).toEqual([
      expect.any(TimeoutError),
      "stop",
      expect.any(PoolTerminatedError),
    ]);
    expect(fake.env.clock.timerCount).toBe(timers);
    expect(fake.holds).toBe(0);
  });
});

describe("inputs that come later", () => {
  test("are mapped as they come, each as soon as it is there", async () => {
    const { fake, pool } = fabric();
    const gates = [0, 1].map(() => Promise.withResolvers<void>());
    async function* inputs() {
      for (const [at, gate] of gates.entries()) {
        yield at;
        await gate.promise;
      }
    }
    const result = pool.mapAsync(square, inputs());
    await settle();
    expect(fake.said("offerChunk")).toHaveLength(1);
    gates[0]?.resolve();
    await settle();
    expect(fake.said("offerChunk")).toHaveLength(2);
    expect(fake.said("sealJob")).toEqual([]);
    for (const chunk of [1, 0]) fake.answer(1, chunk, [chunk]);
    gates[1]?.resolve();
    await settle();
    expect(fake.said("sealJob")).toEqual([{ job: 1, chunkCount: 2 }]);
    fake.end(1);
    expect(await result).toEqual([0, 1]);
  });

  test("that never come are closed when their call is cancelled", async () => {
    const { pool } = fabric();
    let returns = 0;
    const never = {
      [Symbol.asyncIterator]: () => ({
        next: () => new Promise<IteratorResult<number>>(() => undefined),
        return: async () => {
          returns++;
          return { done: true as const, value: undefined };
        },
      }),
    };
    const result = pool.mapAsync(square, never);
    await settle();
    await result.cancel();
    expect(returns).toBe(1);
  });

  test("that throw reject a map with their own error, and the pool lives", async () => {
    const { fake, pool } = fabric();
    fake.serve((item) => item);
    const own = { not: "even an error" };
    async function* later() {
      yield 1;
      throw own;
    }
    function* now() {
      yield 1;
      throw own;
    }
    for (const inputs of [later(), now()]) await expect(pool.map(square, inputs)).rejects.toBe(own);
    expect(await pool.map(square, [1])).toEqual([1]);
    await settle();
    expect(fake.holds).toBe(0);
  });

  test("without an end are stopped by the call's own time", async () => {
    const { fake, pool } = fabric();
    const { state, inputs } = counting();
    const outcome = expect(pool.map(square, inputs, { timeoutMs: 10 })).rejects.toThrow(TimeoutError);
    await settle();
    await fake.env.clock.advance(10);
    await outcome;
    expect(state.isClosed).toBe(true);
  });
});

describe("code of the user that is run in between", () => {
  test("may abort the call from within its inputs, and no chunk is sent for it any more", async () => {
    const { fake, pool } = fabric();
    const controller = new AbortController();
    let isClosed = false;
    function* inputs() {
      try {
        yield 1;
        controller.abort("stop");
        yield 2;
        yield 3;
      } finally {
        isClosed = true;
      }
    }
    const results = pool.imap(square, inputs(), { signal: controller.signal });
    await expect(results.next()).rejects.toBe("stop");
    await settle();
    expect(isClosed).toBe(true);
    const kinds = fake.entries.map(({ kind }) => kind?.$case);
    expect(kinds.slice(kinds.indexOf("cancelJob") + 1)).not.toContain("sealJob");
    expect(fake.said("offerChunk").length).toBeLessThan(2);
  });

  test("may terminate the pool from a progress callback, and the next pool's chunks still count right", async () => {
    const { fake, pool } = fabric(4);
    await pool.capacity();
    const result = pool.mapAsync(square, range(8), { chunkSize: 1, progress: () => void pool.terminate() });
    await settle();
    fake.answer(1, 0, [0]);
    await expect(result.get()).rejects.toThrow(PoolTerminatedError);
    fake.serve((item) => item);
    expect(await fake.fabric.pool().map(square, range(8), { chunkSize: 1 })).toEqual([...range(8)]);
    await settle();
    expect(fake.holds).toBe(0);
  });
});

test("what waits for slots goes on when more of them come, though nothing was answered", async () => {
  const { fake, pool } = fabric(1);
  await pool.capacity();
  void pool.mapAsync(square, range(100), { chunkSize: 1 });
  pool.imap(square, range(100));
  await settle();
  expect(fake.said("offerChunk")).toHaveLength(4 + 2);
  fake.capacity(8);
  await settle();
  expect(fake.said("offerChunk")).toHaveLength(32 + 16);
});
