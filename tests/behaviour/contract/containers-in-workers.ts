import { Manager, NotFoundError, RLock, Value } from "heddle";
import { expect, test } from "vitest";
import { failure } from "../../harness/waiting.ts";
import { freshName, type GetRun } from "./objects-run.ts";

/** What tasks do with containers. Ids are those of the catalogue of multiprocessing's behaviours. */
export function describeContainersInWorkers(get: GetRun): void {
  test("DICT-08: a task sees everything of a dict that it was given, and empties it", async () => {
    const { fabric, manager } = get();
    await using pool = fabric.pool();
    const dict = manager.dict<string, number>();
    await dict.set("foo", 5);
    const look = async (given: typeof dict): Promise<unknown[]> => [
      await given.size(),
      await given.get("foo"),
      await given.entries(),
      await given.keys(),
      await given.values(),
      await given.toMap(),
      await given.popItem(),
    ];
    expect(await pool.apply(look, [dict])).toEqual([
      1,
      5,
      [["foo", 5]],
      ["foo"],
      [5],
      new Map([["foo", 5]]),
      ["foo", 5],
    ]);
    expect([await dict.size(), await dict.entries()]).toEqual([0, []]);
  });

  test("VAL-01, VAL-02: a task reads a value and sets it, 64 bits exactly", async () => {
    const { fabric, manager } = get();
    await using pool = fabric.pool();
    const values = [manager.value("i32", 4343), manager.value("f64", 3.625), manager.value("i16", -232)] as const;
    const big = manager.value("i64", 2n ** 33n);
    const seen = await pool.apply(async () => {
      const before = [...(await Promise.all(values.map((value) => value.get()))), await big.get()];
      for (const [at, next] of [24234, -4.25, 234].entries()) await values[at]?.set(next);
      await big.set(2n ** 34n);
      return before;
    });
    expect(seen).toEqual([4343, 3.625, -232, 2n ** 33n]);
    expect(await Promise.all(values.map((value) => value.get()))).toEqual([24234, -4.25, 234]);
    expect(await big.get()).toBe(2n ** 34n);
  });

  test("ARR-01: a task reads an array's elements, its length and all of it", async () => {
    const { fabric, manager } = get();
    await using pool = fabric.pool();
    const array = manager.array("i32", [0, 1]);
    const seen = await pool.apply(async () => [
      await array.get(0),
      await array.get(1),
      array.length,
      await array.slice(),
    ]);
    expect(seen).toEqual([0, 1, 2, Int32Array.of(0, 1)]);
  });

  test("objects that a task makes are a part of its results and outlive nothing but their session", async () => {
    const { fabric, manager } = get();
    await using pool = fabric.pool();
    const holder = manager.dict<string, unknown>();
    const name = freshName();
    await pool.apply(
      async (at: string) => {
        const own = new Manager();
        await holder.set("named", own.list([1, 2], { name: at }));
        await holder.set("counter", new Value("i32", 5));
      },
      [name],
    );
    const named = (await holder.get("named")) as ReturnType<typeof manager.list<number>>;
    expect(await named.toArray()).toEqual([1, 2]);
    expect(await named.destroy()).toBe(true);
    expect(await failure(named.length())).toBeInstanceOf(NotFoundError);
  });

  test("tasks that add to a value under its lock, one read and one write each, lose nothing", async () => {
    const { fabric, manager } = get();
    await using pool = fabric.pool();
    const value = manager.value("i32", 0);
    await pool.map(
      async () => {
        await value.getLock().run(async () => {
          await value.set((await value.get()) + 1);
        });
      },
      [...Array(40).keys()],
      { chunkSize: 1 },
    );
    expect(value.getLock()).toBeInstanceOf(RLock);
    expect(await value.get()).toBe(40);
  });

  test("transactions of tasks side by side keep the sum", async () => {
    const { fabric, manager } = get();
    await using pool = fabric.pool();
    const accounts = manager.dict({ a: 100, b: 100 });
    await pool.map(
      async (n: number) => {
        const [from, to] = n % 2 === 0 ? ["a", "b"] : ["b", "a"];
        await new Manager().transaction(async (tx) => {
          const view = tx.use(accounts);
          await view.increment(String(from) as "a", -1);
          await view.increment(String(to) as "b", 1);
        });
      },
      [...Array(21).keys()],
      { chunkSize: 1 },
    );
    expect(await accounts.toMap()).toEqual(
      new Map([
        ["a", 99],
        ["b", 101],
      ]),
    );
  });

  test("a list comes back from a task as a live handle", async () => {
    const { fabric, manager } = get();
    await using pool = fabric.pool();
    const list = manager.list<string>();
    const [back] = await pool.map(
      async (given: typeof list) => {
        await given.append("there");
        return given;
      },
      [list],
    );
    await back?.append("here");
    expect(await list.toArray()).toEqual(["there", "here"]);
  });
}
