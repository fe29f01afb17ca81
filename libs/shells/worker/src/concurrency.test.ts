import { AsyncLocalStorage } from "node:async_hooks";
import { describe, expect, test } from "vitest";
import type { TaskScope } from "./task-context.ts";
import { Bench } from "./testing.ts";

/** As real workers have it. */
function followingScope<T>(): TaskScope<T> {
  const storage = new AsyncLocalStorage<T>();
  return { run: (value, run) => storage.run(value, run), get: () => storage.getStore() };
}

/** A worker whose job 1 runs `concurrency` items at a time, each until the test ends it. */
class Stage {
  readonly bench = new Bench();
  readonly begun: number[] = [];
  readonly #ends = new Map<number, PromiseWithResolvers<unknown>>();

  constructor(concurrency: number, more: { readonly watched?: boolean } = {}) {
    const run = (x: number): Promise<unknown> => {
      this.begun.push(x);
      const end = Promise.withResolvers<unknown>();
      this.#ends.set(x, end);
      return end.promise;
    };
    this.bench.job(1, run, false, { concurrency, ...more });
  }

  async end(x: number, result: unknown = x): Promise<void> {
    this.#ends.get(x)?.resolve(result);
    await settle();
  }

  async fail(x: number): Promise<void> {
    this.#ends.get(x)?.reject(new Error(`no ${x}`));
    await settle();
  }
}

const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe("items that run side by side", () => {
  test("are as many as may be, and their results are in order", async () => {
    const stage = new Stage(2);
    const answer = stage.bench.run(1, [1, 2, 3, 4]);
    await settle();
    expect(stage.begun).toEqual([1, 2]);
    await stage.end(2);
    expect(stage.begun).toEqual([1, 2, 3]);
    await stage.end(3);
    await stage.end(1);
    await stage.end(4, "four");
    expect(await answer).toMatchObject({ done: [1, 2, 3, "four"] });
  });

  test("that fail are answered by the lowest, once all are over, and none begins after it", async () => {
    const stage = new Stage(3);
    const answer = stage.bench.run(1, [1, 2, 3, 4, 5]);
    await settle();
    await stage.fail(3);
    await stage.end(1);
    expect(stage.begun).toEqual([1, 2, 3]);
    expect(stage.bench.answers).toEqual([]);
    await stage.fail(2);
    expect(await answer).toMatchObject({ completed: 1, values: [1], offset: 1, summary: "Error: no 2" });
  });

  test("whose result cannot travel have failed", async () => {
    const stage = new Stage(2);
    const answer = stage.bench.run(1, [1, 2]);
    await settle();
    await stage.end(1, Symbol("odd"));
    await stage.end(2);
    expect(await answer).toMatchObject({ completed: 0, offset: 0, refused: { code: "serialization" } });
  });

  test("may give values at once", async () => {
    const bench = new Bench();
    bench.job(1, (x: number) => (x % 2 === 0 ? x : Promise.resolve(-x)), false, { concurrency: 2 });
    expect(await bench.run(1, [1, 2, 3, 4, 5])).toMatchObject({ done: [-1, 2, -3, 4, -5] });
  });

  test("are one at a time where a crash is looked for", async () => {
    const stage = new Stage(2);
    const answer = stage.bench.run(1, [1, 2], { marks: true });
    await settle();
    expect(stage.begun).toEqual([1]);
    await stage.end(1);
    await stage.end(2);
    expect(await answer).toMatchObject({ done: [1, 2] });
  });

  test("each have a mark while they run, if they are watched", async () => {
    const stage = new Stage(2, { watched: true });
    const answer = stage.bench.run(1, [1, 2, 3]);
    await settle();
    expect([...stage.bench.marked]).toEqual([
      [0, 0],
      [1, 1],
    ]);
    await stage.end(1);
    expect([...stage.bench.marked].sort()).toEqual([
      [0, 2],
      [1, 1],
    ]);
    await stage.end(2);
    await stage.end(3);
    await answer;
    expect([...stage.bench.marked]).toEqual([]);
  });

  test("know their own index and have random numbers of their own, after an await, too", async () => {
    const bench = new Bench(followingScope);
    const seen: unknown[] = [];
    const run = async (x: number): Promise<void> => {
      const first = bench.runtime.task()?.random();
      await settle();
      const later = bench.runtime.task();
      seen[x] = [later?.index, first, later?.random()];
    };
    bench.job(1, run, false, { concurrency: 3, seedLow: 1 });
    await bench.run(1, [0, 1, 2], { firstIndex: 10 });
    const alone = new Bench();
    const expected: unknown[] = [];
    alone.job(
      1,
      (x: number) => {
        const task = alone.runtime.task();
        expected[x] = [task?.index, task?.random(), task?.random()];
      },
      false,
      { seedLow: 1 },
    );
    await alone.run(1, [0, 1, 2], { firstIndex: 10 });
    expect(seen).toEqual(expected);
  });

  test("begin no more once the chunk takes long, and what was not begun is given back", async () => {
    const stage = new Stage(2);
    const answer = stage.bench.run(1, [1, 2, 3, 4, 5], { grain: 5 });
    await settle();
    stage.bench.nowMs += 11;
    await stage.end(1);
    expect(stage.begun).toEqual([1, 2]);
    await stage.end(2);
    expect(await answer).toMatchObject({ part: [1, 2], completed: 2 });
  });
});
