import { type Fabric, PoolClosedError, PoolTerminatedError, range, repeat, TimeoutError, task } from "heddle";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Gate, passGate } from "../../harness/gate.ts";
import type { RealCluster } from "../../harness/real-cluster.ts";
import { failure } from "../../harness/waiting.ts";

/** What the calls of a pool do. Ids are those of the catalogue of multiprocessing's behaviours. */
export interface PoolRun {
  readonly cluster: RealCluster;
  readonly fabric: Fabric;
}

type Get = () => PoolRun;

/** A description that is filled by `describers` with a cluster of its own. */
export function describePool(
  name: string,
  start: () => Promise<RealCluster>,
  describers: readonly ((get: Get) => void)[],
): void {
  describe(name, () => {
    let run: PoolRun;
    beforeAll(async () => {
      const cluster = await start();
      run = { cluster, fabric: await cluster.fabric() };
    });
    afterAll(async () => {
      await run.cluster[Symbol.asyncDispose]();
    });
    for (const describer of describers) describer(() => run);
  });
}

const square = (n: number): number => n * n;
const mul = (x: number, y: number): number => x * y;
const squares = (count: number): number[] => Array.from({ length: count }, (_, n) => n * n);
const tenPairs = Array.from({ length: 10 }, (_, n) => [n, 9 - n] as const);
const pairs = Array.from({ length: 100 }, (_, n) => [n, 99 - n] as const);

class SayWhen extends Error {
  override readonly name = "SayWhen";
}

/** So many numbers, but throws at the one given. */
function* untilWhen(count: number, bad: number): Generator<number> {
  for (let n = 0; n < count; n++) {
    if (n === bad) throw new SayWhen();
    yield n;
  }
}

async function takeAll<T>(results: AsyncIterable<T>): Promise<{ readonly values: T[]; readonly error: unknown }> {
  const values: T[] = [];
  try {
    for await (const value of results) values.push(value);
  } catch (error) {
    return { values, error };
  }
  return { values, error: undefined };
}

/** apply, map, starmap and their Async forms. */
export function describeCalls(get: Get): void {
  test("POOL-01: apply gives its arguments to the function, an object among them", async () => {
    await using pool = get().fabric.pool();
    expect(await pool.apply(square, [5])).toBe(25);
    expect(await pool.apply(({ x }: { x: number }) => x * x, [{ x: 3 }])).toBe(9);
  });

  test("POOL-02, POOL-03: map gives results in order of the inputs, with and without a chunk size", async () => {
    await using pool = get().fabric.pool();
    expect(await pool.map(square, range(10))).toEqual(squares(10));
    expect(await pool.map(square, range(100), { chunkSize: 20 })).toEqual(squares(100));
  });

  test("POOL-04, POOL-05: starmap spreads each input over the parameters", async () => {
    await using pool = get().fabric.pool();
    expect(await pool.starmap(mul, tenPairs)).toEqual(tenPairs.map(([x, y]) => x * y));
    expect(await pool.starmap(mul, pairs, { chunkSize: 20 })).toEqual(pairs.map(([x, y]) => x * y));
    const result = pool.starmapAsync(mul, pairs);
    expect(result.ready()).toBe(false);
    expect(await result.get()).toEqual(pairs.map(([x, y]) => x * y));
  });

  test("an input of a starmap that is no array of arguments is named", async () => {
    await using pool = get().fabric.pool();
    const error = await failure(pool.starmap(mul, [[1, 2], "12", [3, 4]] as never, { chunkSize: 1 }));
    expect(error).toBeInstanceOf(TypeError);
    expect((error as Error).message).toMatch(/input 1 of a starmap/);
  });

  test("POOL-06, POOL-10: mapAsync gives the ordered list, of nothing an empty one at once", async () => {
    await using pool = get().fabric.pool();
    expect(await pool.mapAsync(square, range(10)).get()).toEqual(squares(10));
    expect(await pool.mapAsync(square, [] as number[], { chunkSize: 1 }).get({ timeoutMs: 100 })).toEqual([]);
  });

  test("POOL-08: a callback is told once, of the value or of the error, before the result is ready", async () => {
    await using pool = get().fabric.pool();
    const log: unknown[] = [];
    const callbacks = {
      callback: (value: unknown) => log.push(value),
      errorCallback: (error: Error) => log.push(error),
    };
    const parse = (text: string): number => {
      if (!/^\d+$/.test(text)) throw new SyntaxError(`no number: ${text}`);
      return Number(text);
    };
    await pool.applyAsync(square, [2], callbacks).wait();
    await pool.mapAsync(parse, ["1", "2"], callbacks).wait();
    await pool.mapAsync(parse, ["a"], callbacks).wait();
    expect(log).toEqual([4, [1, 2], expect.any(SyntaxError)]);
  });

  test("POOL-14: a timeout of get only stops waiting, and terminate and join still end quickly", async () => {
    const pool = get().fabric.pool();
    const result = pool.applyAsync(() => new Promise((resolve) => setTimeout(resolve, 600_000)));
    expect(await failure(result.get({ timeoutMs: 200 }))).toBeInstanceOf(TimeoutError);
    expect(result.ready()).toBe(false);
    await pool.terminate();
    await pool.join();
    expect(await failure(result.get())).toBeInstanceOf(PoolTerminatedError);
  });

  test("POOL-23: calls of nothing give nothing at once", async () => {
    const pool = get().fabric.pool({ processes: 1 });
    const none: number[] = [];
    expect(await pool.map(square, none)).toEqual([]);
    expect(await takeAll(pool.imap(square, none))).toEqual({ values: [], error: undefined });
    expect(await takeAll(pool.imapUnordered(square, none))).toEqual({ values: [], error: undefined });
    expect(await pool.mapAsync(square, none).get()).toEqual([]);
    expect(await pool.map(square, (function* (): Generator<number> {})())).toEqual([]);
    pool.close();
    await pool.join();
  });

  test("POOL-25: an error keeps its class, fields and cause, and tells the line that threw", async () => {
    await using pool = get().fabric.pool();
    const error = (await failure(
      pool.apply(() => {
        throw Object.assign(new RangeError("123", { cause: new Error("why") }), { code: 123 }); // the recognisable line
      }),
    )) as RangeError & { code: number; remote: { stack: string; node: string } };
    expect(error).toBeInstanceOf(RangeError);
    expect(error).toMatchObject({ message: "123", code: 123, cause: { message: "why" } });
    expect(error.remote.stack).toMatch(/RangeError: 123[\s\S]*contract\/pool\.ts:\d+/);
    expect(get().cluster.nodes).toContain(error.remote.node);
  });

  test("POOL-26: an error of the inputs' own iterator comes out as it is, with nothing remote about it", async () => {
    await using pool = get().fabric.pool();
    const error = await failure(pool.map(square, untilWhen(10, 3), { chunkSize: 1 }));
    expect(error).toBeInstanceOf(SayWhen);
    expect(error).not.toHaveProperty("remote");
    expect((error as Error).cause).toBeUndefined();
  });

  test("POOL-27: large errors hold nobody up: the lowest index is thrown, and close and join end", async () => {
    const pool = get().fabric.pool({ processes: 2 });
    const raiseLarge = (waitMs: number): never => {
      const until = performance.now() + waitMs;
      while (performance.now() < until);
      throw new RangeError("x".repeat(1024 * 1024));
    };
    const error = await failure(pool.map(raiseLarge, [0, 300], { chunkSize: 1 }));
    expect(error).toBeInstanceOf(RangeError);
    expect((error as Error).message.length).toBe(1024 * 1024);
    const settled = await pool.map(raiseLarge, [0, 1], { chunkSize: 1, onError: "collect" });
    expect(settled.map(({ status }) => status)).toEqual(["rejected", "rejected"]);
    pool.close();
    await pool.join();
  });
}

/** imap and what is like it. */
export function describeStreams(get: Get): void {
  test("POOL-15: imap gives each result in order, and the end again and again", async () => {
    await using pool = get().fabric.pool();
    const results = pool.imap(square, range(10));
    expect(await takeAll(results)).toEqual({ values: squares(10), error: undefined });
    expect([await results.next(), await results.next()]).toEqual([
      { done: true, value: undefined },
      { done: true, value: undefined },
    ]);
  });

  test("POOL-16: imap gives single items whatever the chunk size", async () => {
    await using pool = get().fabric.pool();
    for (const chunkSize of [1, 100, "auto"] as const) {
      const results = pool.imap(square, range(1_000), { chunkSize });
      for (let n = 0; n < 1_000; n++) expect(await results.next()).toEqual({ done: false, value: n * n });
      expect((await results.next()).done).toBe(true);
    }
  });

  test("POOL-18: inputs that throw give the results of the whole chunks before, then their error", async () => {
    await using pool = get().fabric.pool();
    for (const [chunkSize, good] of [
      [2, 6],
      [4, 4],
      [1, 7],
    ] as const) {
      const { values, error } = await takeAll(pool.imap(square, untilWhen(20, 7), { chunkSize }));
      expect(values).toEqual(squares(good));
      expect(error).toBeInstanceOf(SayWhen);
    }
  });

  test("POOL-20: imapUnordered gives distinct results, then what the inputs threw", async () => {
    await using pool = get().fabric.pool();
    for (const [count, bad, chunkSize] of [
      [10, 3, 1],
      [20, 7, 2],
    ] as const) {
      const { values, error } = await takeAll(pool.imapUnordered(square, untilWhen(count, bad), { chunkSize }));
      expect(new Set(values).size).toBe(values.length);
      expect(squares(count)).toEqual(expect.arrayContaining(values));
      expect(error).toBeInstanceOf(SayWhen);
    }
  });

  test("an item's error is thrown at its turn, and iteration goes on after it, whatever the chunk size", async () => {
    await using pool = get().fabric.pool();
    for (const chunkSize of [1, 3, 10]) {
      const results = pool.imap(
        (n: number) => {
          if (n % 4 === 1) throw new RangeError(`no ${n}`);
          return n;
        },
        range(10),
        { chunkSize },
      );
      const seen: unknown[] = [];
      for (let n = 0; n < 10; n++)
        seen.push(
          await results.next().then(
            ({ value }) => value,
            (error: Error) => error.message,
          ),
        );
      expect(seen).toEqual([0, "no 1", 2, 3, 4, "no 5", 6, 7, 8, "no 9"]);
      expect((await results.next()).done).toBe(true);
    }
  });

  test("next may time out, and loses nothing by it", async () => {
    await using pool = get().fabric.pool();
    using gate = new Gate();
    const results = pool.imap(passGate, [gate.path]);
    expect(await failure(results.next({ timeoutMs: 1 }))).toBeInstanceOf(TimeoutError);
    gate.open();
    expect(await results.next()).toEqual({ done: false, value: gate.path });
  });

  test("istarmap and istarmapUnordered spread their inputs", async () => {
    await using pool = get().fabric.pool();
    const expected = pairs.map(([x, y]) => x * y);
    expect((await takeAll(pool.istarmap(mul, pairs))).values).toEqual(expected);
    const unordered = (await takeAll(pool.istarmapUnordered(mul, pairs, { chunkSize: 7 }))).values;
    expect(unordered.sort((a, b) => a - b)).toEqual(expected.sort((a, b) => a - b));
  });

  test("inputs are read no further ahead than the buffer is large, and not to their end when nobody wants the rest", async () => {
    await using pool = get().fabric.pool();
    let read = 0;
    let isClosed = false;
    const inputs = (function* () {
      try {
        for (;;) yield read++;
      } finally {
        isClosed = true;
      }
    })();
    let seen = 0;
    for await (const value of pool.imap(square, inputs, { bufferSize: 10 })) {
      expect(value).toBe(seen * seen);
      expect(read).toBeLessThanOrEqual(++seen + 10);
      if (seen === 50) break;
    }
    expect(isClosed).toBe(true);
  });

  test("a task that waits holds nothing up that was sent behind it, whatever ran before", async () => {
    await using pool = get().fabric.pool({ processes: 2 });
    await takeAll(pool.imap(square, range(2_000))); // so quick that the next ones are sent ahead
    using gate = new Gate();
    const waitOrNot = async (path: string): Promise<string> => (path === "" ? "quick" : passGate(path));
    const results = pool.imapUnordered(waitOrNot, [gate.path, ...repeat("", 8)]);
    for (let quick = 0; quick < 8; quick++) expect(await results.next()).toEqual({ done: false, value: "quick" });
    gate.open();
    expect(await results.next()).toEqual({ done: false, value: gate.path });
  });

  test("inputs may come later, as an async iterable", async () => {
    await using pool = get().fabric.pool();
    const inputs = async function* () {
      for (let n = 0; n < 20; n++) {
        await new Promise(setImmediate);
        yield n;
      }
    };
    expect(await pool.map(square, inputs())).toEqual(squares(20));
    expect((await takeAll(pool.imap(square, inputs(), { chunkSize: 3 }))).values).toEqual(squares(20));
  });
}

/** Options of maps. */
export function describeOptions(get: Get): void {
  test("onError: collect gives each item's result or error", async () => {
    await using pool = get().fabric.pool();
    const settled = await pool.map(
      (n: number) => {
        if (n % 3 === 0) throw new RangeError(`no ${n}`);
        return n;
      },
      range(300),
      { onError: "collect" },
    );
    expect(settled).toHaveLength(300);
    for (const [n, one] of settled.entries())
      expect(one).toMatchObject(
        n % 3 === 0
          ? { status: "rejected", reason: { message: `no ${n}`, remote: { index: n } } }
          : { status: "fulfilled", value: n },
      );
  });

  test("into puts numbers into a typed array, and refuses what is none", async () => {
    await using pool = get().fabric.pool();
    const cubes = await pool.map((n: number) => n ** 3, range(10_000), { into: Float64Array });
    expect(cubes).toBeInstanceOf(Float64Array);
    expect([cubes.length, cubes[0], cubes[9_999]]).toEqual([10_000, 0, 9_999 ** 3]);
    expect(await pool.map((n: number) => BigInt(n), [1, 2], { into: BigInt64Array })).toEqual(BigInt64Array.of(1n, 2n));
    expect(await failure(pool.map(String, [1, 2], { into: Float64Array }))).toBeInstanceOf(TypeError);
  });

  test("typed arrays, repeat and generators are inputs", async () => {
    await using pool = get().fabric.pool();
    expect(await pool.map(square, Int16Array.of(1, -2, 3))).toEqual([1, 4, 9]);
    expect(await pool.map((o: { a: number }) => o.a, repeat({ a: 5 }, 1_000))).toEqual(new Array(1_000).fill(5));
    expect(await pool.map(square, untilWhen(5_000, -1))).toEqual(squares(5_000));
    expect(await pool.map((s: string) => s + s, "abc")).toEqual(["aa", "bb", "cc"]);
  });

  test("progress tells what is done, the last time when everything is", async () => {
    await using pool = get().fabric.pool();
    const told: { done: number; failed: number; total?: number }[] = [];
    await pool.map(square, range(100), { chunkSize: 10, progress: (progress) => told.push(progress) });
    expect(told.at(-1)).toMatchObject({ done: 100, failed: 0, total: 100 });
    const done = told.map((progress) => progress.done);
    expect(done).toEqual([...done].sort((a, b) => a - b));
  });

  test("concurrency lets a worker wait for several items at a time", async () => {
    await using pool = get().fabric.pool({ processes: 1 });
    const most = await pool.map(
      async (n: number) => {
        const state = globalThis as { under?: number; most?: number; four?: PromiseWithResolvers<void> };
        state.four ??= Promise.withResolvers<void>();
        state.under = (state.under ?? 0) + 1;
        state.most = Math.max(state.most ?? 0, state.under);
        if (state.under === 4) state.four.resolve();
        await state.four.promise; // forever, where fewer go side by side
        await new Promise(setImmediate);
        state.under--;
        return n < 0 ? 0 : state.most;
      },
      range(16),
      { concurrency: 4, chunkSize: 16 },
    );
    expect(Math.max(...most)).toBe(4);
  });

  test("random numbers of tasks depend on the seed, the call and the index alone", async () => {
    const draw = async (seed: number, processes: number, chunkSize: number) => {
      await using pool = get().fabric.pool({ seed, processes });
      const of = (): readonly number[] => [task().random(), task().random()];
      return [await pool.map(of, range(50), { chunkSize }), await pool.map(of, range(50), { chunkSize })];
    };
    const [first, second] = await draw(7, 1, 50);
    expect(await draw(7, 2, 3)).toEqual([first, second]);
    expect(second).not.toEqual(first);
    expect(await draw(8, 1, 50)).not.toEqual([first, second]);
    expect(new Set(first?.flat()).size).toBe(100);
  });

  test("mapReduce gives the same bits however the work is cut", async () => {
    await using pool = get().fabric.pool();
    const sum = (options: object) =>
      pool.mapReduce(
        (n: number) => 1 / (n + 1),
        (a: number, b: number) => a + b,
        range(50_000),
        options,
      );
    const whole = await sum({ chunkSize: 50_000 });
    expect(Math.abs(whole - (Math.log(50_000) + 0.577_215_664_9))).toBeLessThan(0.001);
    for (const options of [{}, { chunkSize: 1_000 }, { chunkSize: 4_097 }, { chunkSize: "auto" }])
      expect(await sum(options)).toBe(whole);
    expect(await pool.mapReduce(square, (a: number, b: number) => a + b, [], { initial: 5 })).toBe(5);
    expect(await failure(pool.mapReduce(square, (a: number, b: number) => a + b, []))).toBeInstanceOf(TypeError);
    expect(
      await pool.mapReduce(
        (s: string) => s,
        (a: string, b: string) => a + b,
        ["a", "b", "c"],
        { initial: "<" },
      ),
    ).toBe("<abc");
  });
}

/** Pools from their beginning to their end. */
export function describeLives(get: Get): void {
  test("POOL-22: terminate drops ten thousand queued chunks and kills what runs, within seconds", async () => {
    const pool = get().fabric.pool({ processes: 3 });
    const result = pool.mapAsync(
      () => {
        for (;;);
      },
      range(10_000),
      { chunkSize: 1 },
    );
    await failure(result.get({ timeoutMs: 300 }));
    await pool.terminate();
    await pool.join();
    expect(await failure(result.get())).toBeInstanceOf(PoolTerminatedError);
    await get().cluster.settled();
  });

  test("POOL-24, POOL-29: leaving a scope terminates the pool, which takes nothing any more", async () => {
    const pool = get().fabric.pool({ processes: 1 });
    {
      await using scoped = pool;
      expect(await scoped.mapAsync(square, range(10))).toEqual(squares(10));
    }
    await pool.join();
    expect(await failure(pool.mapAsync(square, range(10)).get())).toBeInstanceOf(PoolTerminatedError);
    {
      await using again = pool;
      expect(await failure(again.map(square, range(10)))).toBeInstanceOf(PoolTerminatedError);
    }
    await pool.join();
  });

  test("POOL-33: workers are replaced after as many chunks as maxTasksPerChild says", async () => {
    await using pool = get().fabric.pool({ processes: 2, maxTasksPerChild: 10 });
    const pids = await pool.map(() => process.pid, range(100), { chunkSize: 1 });
    const counts = new Map<number, number>();
    for (const pid of pids) counts.set(pid, (counts.get(pid) ?? 0) + 1);
    expect(pids).toHaveLength(100);
    expect(Math.max(...counts.values())).toBeLessThanOrEqual(10);
    expect(counts.size).toBeGreaterThanOrEqual(10);
  });

  test("what the initializer makes is there when a chunk runs", async () => {
    await using pool = get().fabric.pool({
      initializer: async (base: number) => {
        await null;
        (globalThis as { base?: number }).base = base;
      },
      initArgs: [100],
    });
    expect(await pool.map((n: number) => n + ((globalThis as { base?: number }).base ?? 0), range(50))).toEqual(
      Array.from({ length: 50 }, (_, n) => n + 100),
    );
  });

  test("a pool that was closed refuses streams and maps", async () => {
    const pool = get().fabric.pool();
    pool.close();
    expect(() => pool.imap(square, range(3))).toThrow(PoolClosedError);
    expect(await failure(pool.map(square, range(3)))).toBeInstanceOf(PoolClosedError);
    await pool.join();
  });
}
