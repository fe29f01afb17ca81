import { PoolClosedError, SerializationError, TimeoutError } from "@heddle/kernel";
import { JobOutcome } from "@heddle/wire";
import { describe, expect, onTestFinished, test } from "vitest";
import type { FabricPool } from "./pool.ts";
import type { PoolSettings } from "./pool-setup.ts";
import type { Progress } from "./progress.ts";
import { range } from "./range.ts";
import { repeat } from "./repeat.ts";
import { FakeCoordinator, settle } from "./testing.ts";

const square = (n: number): number => n * n;
const add = (a: number, b: number): number => a + b;

function fabric(settings?: PoolSettings): { readonly fake: FakeCoordinator; readonly pool: FabricPool } {
  const fake = new FakeCoordinator();
  onTestFinished(() => fake[Symbol.asyncDispose]());
  return { fake, pool: fake.fabric.pool(settings) };
}

function failOn(bad: unknown): (item: unknown) => unknown {
  return (item) => {
    if (item === bad) throw new RangeError(`no ${String(item)}`);
    return item;
  };
}

describe("callbacks", () => {
  test("are called with the result before it is ready", async () => {
    const { fake, pool } = fabric();
    fake.serve((item) => item);
    const ready: [unknown, boolean][] = [];
    const result = pool.mapAsync(square, [1, 2], { callback: (value) => void ready.push([value, result.ready()]) });
    expect([await result, ready]).toEqual([[1, 2], [[[1, 2], false]]]);
    const one = pool.applyAsync(add, [1, 2], { callback: (value) => void ready.push([value, one.ready()]) });
    await one;
    expect(ready[1]).toEqual([[1, 2], false]);
  });

  test("are called with the error before it is ready, also when the call never began", async () => {
    const { fake, pool } = fabric();
    fake.serve(failOn(2));
    const errors: string[] = [];
    const errorCallback = (error: Error): void => void errors.push(error.name);
    const callback = (): void => void errors.push("called");
    await pool.mapAsync(square, [1, 2], { callback, errorCallback }).wait();
    pool.close();
    await pool.mapAsync(square, [1, 2], { callback, errorCallback }).wait();
    expect(errors).toEqual(["RangeError", "PoolClosedError"]);
  });

  test("that throw or reject are logged, and nothing is lost", async () => {
    const { fake, pool } = fabric();
    fake.serve(failOn(0));
    const bad = (): never => {
      throw new Error("mine");
    };
    const rejects = async (): Promise<void> => bad();
    expect(await pool.mapAsync(square, [1], { callback: bad, progress: bad })).toEqual([1]);
    expect(await pool.mapAsync(square, [1], { callback: rejects })).toEqual([1]);
    await expect(pool.mapAsync(square, [0], { errorCallback: bad }).get()).rejects.toThrow("no 0");
    await settle();
    expect(fake.logged).toEqual([
      "progress threw: Error: mine",
      "callback threw: Error: mine",
      "callback threw: Error: mine",
      "errorCallback threw: Error: mine",
    ]);
  });
});

describe("results", () => {
  test("of starmap are those of the arguments spread, in order", async () => {
    const { fake, pool } = fabric();
    fake.serve((item) => add(...(item as [number, number])));
    const inputs: [number, number][] = [
      [1, 2],
      [3, 4],
    ];
    expect(await pool.starmap(add, inputs)).toEqual([3, 7]);
    expect(await pool.starmapAsync(add, new Set(inputs))).toEqual([3, 7]);
    expect(fake.said("openJob").map(({ spread }) => spread)).toEqual([true, true]);
  });

  test("that are collected have every item's outcome, inputs that cannot travel included", async () => {
    const { fake, pool } = fabric();
    fake.serve(failOn(1));
    const inputs: unknown[] = [0, 1, Symbol("x"), 3];
    for (const chunkSize of [1, 4]) {
      const results = await pool.map((item: unknown) => item, inputs, { onError: "collect", chunkSize });
      expect(results).toEqual([
        { status: "fulfilled", value: 0 },
        { status: "rejected", reason: expect.any(RangeError) },
        { status: "rejected", reason: expect.any(SerializationError) },
        { status: "fulfilled", value: 3 },
      ]);
    }
  });

  test("go into a typed array, of whatever inputs", async () => {
    const { fake, pool } = fabric();
    fake.serve((item) => item);
    expect(await pool.map(square, range(3), { into: Float32Array })).toEqual(Float32Array.of(0, 1, 2));
    expect(await pool.map(square, [5, 6].values(), { into: Int8Array })).toEqual(Int8Array.of(5, 6));
    expect(await pool.map(square, [], { into: Int8Array })).toEqual(new Int8Array(0));
  });

  test("that do not fit a typed array fail their call, in words, and the pool lives", async () => {
    const { fake, pool } = fabric();
    fake.serve((item) => item);
    const words = "result 1 is a string: into: Float64Array takes numbers only";
    await expect(pool.map((item: unknown) => item, [1, "2"], { into: Float64Array })).rejects.toThrow(
      new TypeError(words),
    );
    await settle();
    expect(fake.said("cancelJob")).toHaveLength(1);
    expect(await pool.map(square, [1])).toEqual([1]);
  });

  test("of a Set or Map are those of its items at the call", async () => {
    const { fake, pool } = fabric();
    fake.serve((item) => item);
    const inputs = new Set([1, 2, 3]);
    const result = pool.mapAsync(square, inputs);
    inputs.clear();
    expect(await result).toEqual([1, 2, 3]);
  });

  test("of a repeated input are as many", async () => {
    const { fake, pool } = fabric();
    fake.serve((item) => item);
    expect(await pool.map((item: unknown) => item, repeat({ a: 1 }, 3))).toEqual([{ a: 1 }, { a: 1 }, { a: 1 }]);
  });
});

describe("mapReduce", () => {
  test("combines results in order, after an initial value", async () => {
    const { fake, pool } = fabric();
    fake.serve((item) => item);
    const join = (a: string, b: string): string => `${a}${b}`;
    expect(await pool.mapReduce((item: string) => item, join, ["a", "b", "c"], { chunkSize: 1 })).toBe("abc");
    expect(await pool.mapReduce((item: string) => item, join, ["a"].values(), { initial: ">" })).toBe(">a");
    const [job] = fake.said("openJob");
    expect(job?.combine).toMatchObject({ displayName: "join", exportName: "default" });
  });

  test("of nothing is the initial value, or a TypeError that goes to nobody else", async () => {
    const { pool } = fabric();
    expect(await pool.mapReduce(square, add, [], { initial: 7 })).toBe(7);
    await expect(pool.mapReduce(square, add, [])).rejects.toThrow(
      new TypeError("mapReduce of nothing needs an initial value"),
    );
  });

  test("fails with what combine throws here, and stops", async () => {
    const { fake, pool } = fabric();
    fake.serve((item) => item);
    const own = new RangeError("mine");
    const combine = (): never => {
      throw own;
    };
    await expect(pool.mapReduce(square, combine, [1, 2, 3], { chunkSize: 1 })).rejects.toBe(own);
    await settle();
    expect(fake.said("cancelJob")).toHaveLength(1);
  });

  test("refuses what is no combine and options that it lacks", async () => {
    const { pool } = fabric();
    await expect(pool.mapReduce(square, 5 as never, [1])).rejects.toThrow(
      new TypeError("combine must be a function, got a number"),
    );
    await expect(pool.mapReduce(square, add, [1], null as never)).rejects.toThrow(/^options of mapReduce must be an/);
    await expect(pool.mapReduce(square, add, [1], { into: Float64Array } as never)).rejects.toThrow(
      /^mapReduce has no option into/,
    );
  });
});

describe("progress", () => {
  test("is told to a function, the last time with everything over and before the result", async () => {
    const { fake, pool } = fabric();
    fake.serve(failOn(1));
    const told: Progress[] = [];
    const progress = (now: Progress): void => void told.push(now);
    const result = pool.map(square, range(4), { chunkSize: 1, onError: "collect", progress });
    let toldAtTheEnd = 0;
    await result.then(() => {
      toldAtTheEnd = told.length;
    });
    expect(told.at(-1)).toMatchObject({ done: 3, failed: 1, total: 4 });
    expect(told.length).toBe(toldAtTheEnd);
    expect(told.length).toBeLessThan(4);
  });

  test("of inputs without a length has no total until they were read", async () => {
    const { fake, pool } = fabric();
    fake.serve((item) => item);
    const told: Progress[] = [];
    await pool.map(square, [1, 2].values(), { progress: (now) => void told.push(now) });
    expect(told.at(-1)).toMatchObject({ done: 2, failed: 0, total: 2 });
    expect(told.every(({ total }) => total === undefined || total === 2)).toBe(true);
  });

  test("is a bar in the terminal that stays at the end", async () => {
    const { fake, pool } = fabric();
    fake.serve((item) => item);
    await pool.map(square, range(2), { chunkSize: 1, progress: true });
    expect(fake.statusLines).toEqual([
      "square   0% [------------------------------] 0/2 0/s in 0.0 s",
      "square  50% [###############---------------] 1/2 0/s in 0.0 s",
      "square 100% [##############################] 2/2 0/s in 0.0 s",
      "square 100% [##############################] 2/2 0/s in 0.0 s\n",
    ]);
  });

  test("is a bar that ends with its call, however that ends", async () => {
    const { fake, pool } = fabric();
    fake.serve(failOn(2));
    const lines = (): string[] => fake.statusLines.splice(0).filter((line) => line.endsWith("\n"));
    await expect(pool.map(square, range(3), { chunkSize: 1, progress: true, name: "failing" })).rejects.toThrow();
    expect(lines()).toEqual([expect.stringMatching(/^failing 100% .* 3\/3 1 failed /)]);
    const left = pool.imap(square, range(100), { progress: true, name: "left" });
    await left.next();
    await left.return();
    await settle();
    expect(lines()).toEqual([expect.stringMatching(/^left /)]);
    pool.close();
    await expect(pool.map(square, range(3), { progress: true })).rejects.toThrow(PoolClosedError);
    expect(lines()).toEqual([]);
  });

  test("of a stream counts results, not what was consumed", async () => {
    const { fake, pool } = fabric();
    fake.serve((item) => item);
    const told: Progress[] = [];
    const results = pool.imap(square, range(2), { progress: (now) => void told.push(now) });
    await settle();
    expect(told.at(-1)).toMatchObject({ done: 2, failed: 0, total: 2 });
    await results.return();
  });
});

describe("what a call is to run", () => {
  test("goes to the coordinator with everything that its options say", async () => {
    const { fake, pool } = fabric({ processes: 3, name: "mine" });
    void pool.mapAsync(square, [1], {
      ...{ retries: 2, labels: { zone: "a" }, resources: { gpu: 0.5 }, name: "squares", jobId: "my.job" },
      ...{ itemTimeoutMs: 1.5, concurrency: 4, onError: "collect", seed: 7, speculate: true },
    });
    await settle();
    const [pooled] = fake.said("openPool");
    expect(pooled).toMatchObject({ processes: 3, name: "mine", chunksPerWorker: 0, rssBytesPerWorker: 0 });
    expect(fake.said("openJob")).toEqual([
      {
        ...{ job: 1, jobId: "my.job", poolId: pooled?.poolId, retries: 2, name: "squares", spread: false, depth: 0 },
        ...{ collect: true, itemTimeoutMs: 2, concurrency: 4, combine: undefined, unreadBytesMax: 0, ordered: false },
        ...{ unreadBytes: 0, gapChunks: 0, speculate: true, effectsOnce: false },
        keep: { detached: false, shape: "settled", timeoutMs: 0, effectsOnce: false },
        ...{ requirements: { labels: { zone: "a" }, resources: { gpu: 0.5 } }, prime: false },
        seedLow: expect.any(Number),
        seedHigh: expect.any(Number),
        function: expect.objectContaining({ displayName: "square", closure: false }),
      },
    ]);
  });

  test("has an id of its own unless it is given one", async () => {
    const { fake, pool } = fabric();
    const ids = [pool.applyAsync(square, [1]), pool.applyAsync(square, [1], { jobId: "b" })].map(({ jobId }) => jobId);
    await settle();
    const opened = fake.said("openJob").map(({ jobId }) => jobId);
    expect(opened.toSorted()).toEqual(ids.toSorted());
    expect(ids).toEqual([expect.stringMatching(/^[0-9a-f]{32}$/), "b"]);
  });

  test("with an id that is in use rejects with ConflictError", async () => {
    const { fake, pool } = fabric();
    const result = pool.imap(square, [1], { jobId: "b" }).next();
    await settle();
    const words = {
      code: "conflict",
      message: "job b is there",
      path: "",
      side: "",
      limitName: "",
      limit: 0,
      actual: 0,
    };
    const error = { ...words, cause: new Uint8Array() };
    fake.tell({ $case: "jobEnded", value: { job: 1, outcome: JobOutcome.FAILED, error } });
    await expect(result).rejects.toMatchObject({ name: "ConflictError", message: "job b is there" });
  });

  test("has the same random numbers for the same seed and number of the call, and for a seed of its own whatever came before", async () => {
    const seeds = async (settings: PoolSettings, before: number): Promise<string[]> => {
      const { fake, pool } = fabric(settings);
      fake.serve((item) => item);
      for (let call = 0; call < before; call++) await pool.map(square, [1]);
      await pool.map(square, [1]);
      await pool.map(square, [1], { seed: 5 });
      return fake
        .said("openJob")
        .filter(({ prime }) => !prime)
        .slice(-2)
        .map(({ seedLow, seedHigh }) => `${seedLow} ${seedHigh}`);
    };
    const [first, own] = await seeds({ seed: 1 }, 0);
    expect(await seeds({ seed: 1 }, 0)).toEqual([first, own]);
    expect(await seeds({ seed: 1, initializer: () => undefined }, 0)).toEqual([first, own]);
    const [second, ownToo] = await seeds({ seed: 1 }, 1);
    expect(second).not.toBe(first);
    expect(ownToo).toBe(own);
    expect((await seeds({ seed: 2 }, 0))[0]).not.toBe(first);
  });
});

describe("a call that cannot begin or go on", () => {
  test("rejects with the reason of a signal that was aborted before, and nothing is sent", async () => {
    const { fake, pool } = fabric();
    const reason = new Error("stop");
    await expect(pool.map(square, [1], { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    await settle();
    expect(fake.said("openJob")).toEqual([]);
    expect(fake.holds).toBe(0);
  });

  test("rejects with the reason of a signal that is aborted while it is prepared", async () => {
    const { fake, pool } = fabric();
    const controller = new AbortController();
    const { ship } = fake.shipper;
    fake.shipper.ship = (fn) => {
      controller.abort("stop");
      return ship.call(fake.shipper, fn);
    };
    await expect(pool.map(square, [1], { signal: controller.signal })).rejects.toBe("stop");
    await settle();
    expect(fake.said("openJob")).toEqual([]);
  });

  test("rejects after its time, frees its slots, and leaves no timer", async () => {
    const { fake, pool } = fabric();
    await pool.capacity();
    const timers = fake.env.clock.timerCount;
    const outcome = expect(pool.map(square, [1], { timeoutMs: 20 })).rejects.toThrow(
      new TimeoutError("the call of square was cancelled after 20 ms"),
    );
    await settle();
    await fake.env.clock.advance(20);
    await outcome;
    expect(fake.said("cancelJob")).toEqual([{ job: 1, reason: "the caller cancelled it" }]);
    expect(fake.env.clock.timerCount).toBe(timers);
  });

  test("is refused for its function, inputs and options, synchronously where nothing is awaited", async () => {
    const { pool } = fabric();
    expect(() => pool.mapAsync(5 as never, [1])).toThrow(new TypeError("a function is needed, got a number"));
    expect(() => pool.mapAsync(square, null as never)).toThrow(TypeError);
    expect(() => pool.mapAsync(square, [1], { chunkSize: 0 })).toThrow(RangeError);
    expect(() => pool.applyAsync(square, [1], null as never)).toThrow(/^options of apply must be an object/);
    await expect(pool.map(square, 5 as never)).rejects.toThrow(TypeError);
  });

  test("lets go of a signal when it is over", async () => {
    const { fake, pool } = fabric();
    fake.serve((item) => item);
    const { signal } = new AbortController();
    let listeners = 0;
    const { addEventListener, removeEventListener } = signal;
    signal.addEventListener = (...args: Parameters<typeof addEventListener>) => {
      listeners++;
      addEventListener.apply(signal, args);
    };
    signal.removeEventListener = (...args: Parameters<typeof removeEventListener>) => {
      listeners--;
      removeEventListener.apply(signal, args);
    };
    await pool.map(square, [1], { signal });
    await settle();
    expect(listeners).toBe(0);
  });
});

test("functions among collected inputs that cannot be shipped are tried once each, and fail their items alone", async () => {
  const { fake, pool } = fabric();
  fake.serve((item) => item);
  const { ship } = fake.shipper;
  const tried: unknown[] = [];
  fake.shipper.ship = async (fn) => {
    tried.push(fn);
    if (fn.name.startsWith("bad")) throw new TypeError(`${fn.name} cannot be shipped`);
    return await ship.call(fake.shipper, fn);
  };
  const badOne = (): number => 1;
  const badTwo = (): number => 2;
  const identity = (item: unknown): unknown => item;
  const results = await pool.map(identity, [1, badOne, badTwo, 4], { onError: "collect", chunkSize: 4 });
  expect(results.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "rejected", "fulfilled"]);
  expect(tried).toEqual([identity, badOne, badTwo]);
});
