import { ConflictError, type Dict, type Key, LimitError, NotFoundError } from "heddle";
import { expect, test } from "vitest";
import { failure } from "../../harness/waiting.ts";
import { freshName, type GetRun, taken } from "./objects-run.ts";

const letters = (): [number, string][] => [65, 66, 67, 68, 69].map((code) => [code, String.fromCharCode(code)]);

/** What dicts and namespaces do. Ids are those of the catalogue of multiprocessing's behaviours. */
export function describeDicts(get: GetRun): void {
  test("DICT-01: a copy, the keys, the values and the entries of a dict are as they were set", async () => {
    const dict = get().manager.dict(letters());
    expect(await dict.toMap()).toEqual(new Map(letters()));
    expect(await dict.keys()).toEqual(letters().map(([key]) => key));
    expect(await dict.values()).toEqual(letters().map(([, value]) => value));
    expect(await dict.entries()).toEqual(letters());
    expect(await dict.size()).toBe(5);
  });

  test("DICT-02: iteration gives the entries in the order in which they were set, once", async () => {
    const iterator = get().manager.dict(letters())[Symbol.asyncIterator]();
    expect([await taken(iterator), await taken(iterator)]).toEqual([letters(), []]);
  });

  test("DICT-03: clearing a dict does not disturb an iterator that was taken before", async () => {
    const dict = get().manager.dict(letters());
    const iterator = dict[Symbol.asyncIterator]();
    await dict.clear();
    expect(await taken(iterator)).toEqual(letters());
    expect(await dict.size()).toBe(0);
  });

  test("DICT-06: clearing a dict leaves the dicts that it held as they are", async () => {
    const { manager } = get();
    const outer = manager.dict<string, Dict<string, number>>({ a: manager.dict({ x: 1 }), b: manager.dict({ y: 2 }) });
    const inner = [await outer.get("a"), await outer.get("b")];
    await outer.clear();
    expect(await outer.size()).toBe(0);
    expect(await Promise.all(inner.map((dict) => dict?.entries()))).toEqual([[["x", 1]], [["y", 2]]]);
  });

  test("DICT-08: another session sees everything of a dict and may empty it", async () => {
    const { manager, other } = get();
    const name = freshName();
    const mine = manager.dict({ foo: 5 }, { name });
    await mine.created;
    const theirs = other.dict<string, number>(undefined, { name });
    expect([await theirs.size(), await theirs.get("foo")]).toEqual([1, 5]);
    expect([await theirs.entries(), await theirs.keys(), await theirs.values()]).toEqual([[["foo", 5]], ["foo"], [5]]);
    expect(await theirs.toMap()).toEqual(new Map([["foo", 5]]));
    expect(await theirs.popItem()).toEqual(["foo", 5]);
    expect([await mine.size(), await mine.entries()]).toEqual([0, []]);
    await mine.destroy();
  });

  test("keys keep their order when they are set again, and lose it when they are deleted", async () => {
    const dict = get().manager.dict({ a: 1, b: 2, c: 3 });
    await dict.set("a", 10);
    expect(await dict.delete("b")).toBe(true);
    expect(await dict.delete("b")).toBe(false);
    await dict.set("b", 20);
    expect(await dict.entries()).toEqual([
      ["a", 10],
      ["c", 3],
      ["b", 20],
    ]);
  });

  test('1, "1", 1n and true are four keys, -0 is 0, arrays are keys by what they hold, __proto__ is one like others', async () => {
    const dict = get().manager.dict<Key, string>();
    const same = ["twice"];
    const keys: Key[] = [1, "1", 1n, true, 0, "__proto__", [1, ["a", [2n, [false]]]], [same, same], "", 0.5];
    for (const key of keys) await dict.set(key, `value of ${typeof key}`);
    expect(await dict.size()).toBe(keys.length);
    expect(await dict.keys()).toEqual(keys);
    expect(await dict.get(-0)).toBe("value of number");
    expect(await dict.has([1, ["a", [2n, [false]]]])).toBe(true);
    expect(await dict.get([["twice"], ["twice"]])).toBe("value of object");
    expect(await dict.get("__proto__")).toBe("value of string");
    expect(await dict.has("constructor")).toBe(false);
    await dict.set(-0, "zero");
    expect(Object.is((await dict.keys())[4], 0)).toBe(true);
  });

  test("what is no key is refused, and what is too long or too deep", async () => {
    const dict = get().manager.dict<Key, number>();
    for (const key of [Number.NaN, null, undefined, {}, () => 1, [Number.NaN], [undefined], new Date(0)])
      expect(await failure(dict.set(key as Key, 1))).toBeInstanceOf(TypeError);
    for (const key of ["x".repeat(1_025), [[[[[1]]]]], "x".repeat(10_000_000)]) {
      const error = await failure(dict.get(key));
      expect(error).toBeInstanceOf(LimitError);
      expect((error as LimitError).limitName).toMatch(/^KEY_(BYTES|DEPTH)_MAX$/);
    }
    const cyclic: unknown[] = [];
    cyclic.push(cyclic);
    expect(await failure(dict.has(cyclic as Key[]))).toMatchObject({ limitName: "KEY_DEPTH_MAX" });
    await dict.set("x".repeat(1_000), 1);
    expect(await dict.size()).toBe(1);
  });

  test("get, pop and setDefault say what stands for a key that is not there", async () => {
    const dict = get().manager.dict<string, number | undefined>({ there: undefined });
    expect([await dict.get("a"), await dict.get("a", 7), await dict.get("there", 7)]).toEqual([
      undefined,
      7,
      undefined,
    ]);
    expect([await dict.pop("a", "none"), await dict.pop("there", "none")]).toEqual(["none", undefined]);
    expect(await failure(dict.pop("a"))).toBeInstanceOf(NotFoundError);
    expect(await failure(dict.popItem())).toBeInstanceOf(NotFoundError);
    expect([await dict.setDefault("b", 1), await dict.setDefault("b", 2), await dict.get("b")]).toEqual([1, 1, 1]);
    await dict.update({ c: 3, d: 4 });
    await dict.update(new Map([["b", 9]]));
    expect(await dict.popItem()).toEqual(["d", 4]);
    expect(await dict.entries()).toEqual([
      ["b", 9],
      ["c", 3],
    ]);
  });

  test("many increments from two sessions at a time are all counted", async () => {
    const { manager, other } = get();
    const name = freshName();
    const one = manager.dict<string, number>(undefined, { name });
    const two = other.dict<string, number>(undefined, { name });
    await Promise.all([one, two].flatMap((dict) => Array.from({ length: 200 }, () => dict.increment("n"))));
    expect(await one.get("n")).toBe(400);
    const big = manager.dict<string, bigint>({ n: 2n ** 70n });
    expect([await big.increment("n", 1n), await big.increment("m", -1n)]).toEqual([2n ** 70n + 1n, -1n]);
    // @ts-expect-error: 1 is no bigint
    expect(await failure(big.increment("n"))).toBeInstanceOf(TypeError);
    expect(await failure(one.increment("n", "1" as unknown as number))).toBeInstanceOf(TypeError);
    await one.destroy();
  });

  test("compareAndSet sets what is as expected in structure; what is not there is undefined", async () => {
    const dict = get().manager.dict<string, unknown>();
    expect(await dict.compareAndSet("a", undefined, { x: 1, y: 2 })).toBe(true);
    expect(await dict.compareAndSet("a", undefined, 0)).toBe(false);
    expect(await dict.compareAndSet("a", { y: 2, x: 1 }, "next")).toBe(true);
    expect(await dict.get("a")).toBe("next");
  });

  test("modify runs again with what others have set meanwhile", async () => {
    const { manager } = get();
    const dict = manager.dict<string, number[]>({ all: [] });
    await Promise.all(Array.from({ length: 20 }, (_, n) => dict.modify("all", async (all = []) => [...all, n])));
    expect((await dict.get("all"))?.toSorted((a, b) => a - b)).toEqual([...Array(20).keys()]);
    expect(await failure(dict.modify("all", () => Promise.reject(new RangeError("mine"))))).toEqual(
      new RangeError("mine"),
    );
    expect(await failure(dict.modify("all", 5 as never))).toBeInstanceOf(TypeError);
  });

  test("modify gives up when others change the key each time", async () => {
    const { manager, other } = get();
    const name = freshName();
    const dict = manager.dict<string, number>({ n: 0 }, { name });
    const rival = other.dict<string, number>(undefined, { name });
    let runs = 0;
    const error = await failure(
      dict.modify("n", async (n = 0) => {
        runs++;
        await rival.increment("n");
        return n;
      }),
    );
    expect(error).toBeInstanceOf(ConflictError);
    expect([(error as Error).message.includes('"n"'), runs]).toEqual([true, 100]);
    expect(await dict.get("n")).toBe(100);
    await dict.destroy();
  });

  test("NS-01: a namespace has named values, and no others", async () => {
    const { manager, other } = get();
    const name = freshName();
    const people = manager.namespace<{ name: string; job: string; _hidden: string }>(
      { name: "Bob", job: "Builder", _hidden: "x" },
      { name },
    );
    expect(await people.delete("job")).toBe(true);
    expect(await people.delete("job")).toBe(false);
    expect([await people.get("name"), await people.get("job")]).toEqual(["Bob", undefined]);
    const theirs = other.namespace<{ name: string; age: number; __proto__: string }>(undefined, { name });
    await theirs.set("age", 42);
    await theirs.set("__proto__", "a field");
    expect(Object.entries(await theirs.toObject())).toEqual([
      ["name", "Bob"],
      ["_hidden", "x"],
      ["age", 42],
      ["__proto__", "a field"],
    ]);
    expect(await failure(people.get(5 as never))).toBeInstanceOf(TypeError);
    expect(() => manager.namespace(new Map() as object)).toThrow(TypeError);
    await people.destroy();
  });

  test("writes that nobody awaits are done in order, and one that fails is told by flush", async () => {
    const { manager } = get();
    const dict = manager.dict<Key, unknown>();
    for (let n = 0; n < 100; n++) void dict.set("n", n);
    void dict.set(Number.NaN, 1);
    void dict.set("after", 1);
    expect(await failure(manager.flush())).toBeInstanceOf(TypeError);
    await manager.flush();
    expect(await dict.entries()).toEqual([
      ["n", 99],
      ["after", 1],
    ]);
    const text = manager.dict<string, string>({ a: "text" });
    // @ts-expect-error: nothing is added to text
    void text.increment("a");
    expect(await failure(manager.flush())).toBeInstanceOf(TypeError);
  });

  test("what two await of a dict at the same time does not hold the other up", async () => {
    const { manager } = get();
    const { promise: gate, resolve: open } = Promise.withResolvers<void>();
    const dict = manager.dict({ n: 1 });
    const slow = dict.modify("n", async (n = 0) => {
      await gate;
      return n + 1;
    });
    await dict.set("m", 1);
    open();
    expect(await slow).toBe(2);
  });
}
