import { LimitError, type List, NotFoundError, SerializationError } from "heddle";
import { expect, test } from "vitest";
import { failure } from "../../harness/waiting.ts";
import { freshName, type GetRun, taken } from "./objects-run.ts";

/** What lists do. Ids are those of the catalogue of multiprocessing's behaviours. */
export function describeLists(get: GetRun): void {
  test("a list has the methods of Python's, negative indices and clamped slices", async () => {
    const list = get().manager.list([1, 2, 3]);
    await list.append(4);
    await list.extend(new Set([5, 6]));
    await list.insert(0, 0);
    await list.insert(100, 7);
    await list.insert(-1, 6.5);
    expect(await list.toArray()).toEqual([0, 1, 2, 3, 4, 5, 6, 6.5, 7]);
    expect([await list.at(0), await list.at(-1), await list.length()]).toEqual([0, 7, 9]);
    expect([await list.slice(-3), await list.slice(1, 3), await list.slice(5, -100)]).toEqual([
      [6, 6.5, 7],
      [1, 2],
      [],
    ]);
    expect(await list.slice(7, Number.POSITIVE_INFINITY)).toEqual([6.5, 7]);
    expect([await list.pop(), await list.pop(0), await list.pop(-2)]).toEqual([7, 0, 6]);
    await list.set(-1, 9);
    await list.delete(1);
    await list.remove(4);
    expect(await list.toArray()).toEqual([1, 3, 5, 9]);
    await list.reverse();
    expect(await list.toArray()).toEqual([9, 5, 3, 1]);
    await list.clear();
    expect([await list.length(), await list.toArray()]).toEqual([0, []]);
  });

  test("items of a list are found by their structure, whatever the order of their fields", async () => {
    const list = get().manager.list<unknown>([{ a: 1, b: [2] }, "x", { b: [2], a: 1 }, Number.NaN]);
    expect([await list.index({ b: [2], a: 1 }), await list.count({ a: 1, b: [2] })]).toEqual([0, 2]);
    expect([await list.includes(Number.NaN), await list.includes("y")]).toEqual([true, false]);
    await list.remove({ b: [2], a: 1 });
    expect(await list.index({ a: 1, b: [2] })).toBe(1);
    expect(await failure(list.index("y"))).toBeInstanceOf(NotFoundError);
    expect(await failure(list.remove("y"))).toBeInstanceOf(NotFoundError);
  });

  test("a list sorts numbers or strings, up or down, and nothing else", async () => {
    const numbers = get().manager.list([3, 10, -1, 2]);
    await numbers.sort();
    expect(await numbers.toArray()).toEqual([-1, 2, 3, 10]);
    await numbers.sort({ descending: true });
    expect(await numbers.toArray()).toEqual([10, 3, 2, -1]);
    const texts = get().manager.list(["b", "a", "B"]);
    await texts.sort();
    expect(await texts.toArray()).toEqual(["B", "a", "b"]);
    expect(await failure(get().manager.list<unknown>([1, "a"]).sort())).toBeInstanceOf(TypeError);
    expect(await failure(get().manager.list([{}]).sort())).toBeInstanceOf(TypeError);
    expect(await failure(numbers.sort({ reverse: true } as object))).toBeInstanceOf(TypeError);
  });

  test("an index where nothing is is a RangeError, one that is no whole number is refused", async () => {
    const list = get().manager.list([1]);
    for (const refused of [list.at(1), list.at(-2), list.set(5, 0), list.pop(7), list.delete(-3), list.at(0.5)])
      expect(await failure(refused)).toBeInstanceOf(RangeError);
    expect(await failure(get().manager.list().pop())).toBeInstanceOf(RangeError);
    expect(await failure(list.at("0" as unknown as number))).toBeInstanceOf(TypeError);
    expect(await list.toArray()).toEqual([1]);
  });

  test("LIST-03: a list inside of another is a reference: what is appended to it shows in both", async () => {
    const { manager } = get();
    const inner = manager.list<string>();
    const outer = manager.list([inner]);
    await inner.append("hello");
    expect(await (await outer.at(0)).toArray()).toEqual(["hello"]);
    const [found] = await outer.toArray();
    await found?.append("world");
    expect(await inner.toArray()).toEqual(["hello", "world"]);
  });

  test("LIST-04: iteration is over one snapshot, taken with the iterator, which ends for good", async () => {
    const list = get().manager.list([...Array(10).keys()]);
    const iterator = list[Symbol.asyncIterator]();
    expect([await taken(iterator), await taken(iterator)]).toEqual([[...Array(10).keys()], []]);
    const before = list[Symbol.asyncIterator]();
    await list.set(0, 100);
    expect(await before.next()).toEqual({ done: false, value: 0 });
    expect(await list[Symbol.asyncIterator]().next()).toEqual({ done: false, value: 100 });
  });

  test("LIST-05: lists inside of a list change one by one", async () => {
    const { manager } = get();
    const inner = (): List<number> => manager.list([0, 1, 2]);
    const outer = manager.list([inner(), inner(), inner()]);
    await (await outer.at(0)).set(-1, 55);
    expect(await (await outer.at(1)).pop()).toBe(2);
    const all = await Promise.all((await outer.toArray()).map((list) => list.toArray()));
    expect(all).toEqual([
      [0, 1, 55],
      [0, 1],
      [0, 1, 2],
    ]);
  });

  test("LIST-06: a list may hold itself, and is destroyed all the same", async () => {
    const list = get().manager.list<unknown>();
    await list.append(list);
    const [self] = (await list.toArray()) as [List<unknown>];
    expect([self.id, await self.length()]).toEqual([list.id, 1]);
    expect([await list.destroy(), await list.destroy()]).toEqual([true, false]);
    expect(await failure(self.length())).toBeInstanceOf(NotFoundError);
  });

  test("handles of a list in other sessions see what was written, and outlive nobody's destroy", async () => {
    const { manager, other } = get();
    const name = freshName();
    const mine = manager.list<number>([1], { name });
    await mine.append(2);
    const theirs = other.list<number>([9, 9], { name }); // what it holds counts only when it is created
    expect(await theirs.toArray()).toEqual([1, 2]);
    await theirs.append(3);
    expect(await mine.toArray()).toEqual([1, 2, 3]);
    expect(await theirs.destroy()).toBe(true);
    expect(await failure(mine.append(4))).toBeInstanceOf(NotFoundError);
  });

  test("a list of 300,000 items is made of several operations and comes back whole", async () => {
    const items = Array.from({ length: 300_000 }, (_, n) => `item ${n}`);
    const list = get().manager.list(items);
    expect(await list.length()).toBe(items.length);
    expect(await list.toArray()).toEqual(items);
  });

  test("what was read is a copy", async () => {
    const list = get().manager.list([{ n: 1 }]);
    (await list.at(0)).n = 2;
    expect(await list.at(0)).toEqual({ n: 1 });
  });

  test("functions and other lives cannot be items, and nothing is written of them", async () => {
    const list = get().manager.list<unknown>();
    const error = await failure(list.append({ f: () => 1 }));
    expect(error).toBeInstanceOf(SerializationError);
    expect(error).toMatchObject({ path: "$.f", side: "value" });
    expect(await failure(list.extend([1, Symbol.iterator]))).toBeInstanceOf(SerializationError);
    expect(await failure(list.extend(5 as unknown as number[]))).toBeInstanceOf(TypeError);
    expect(await list.length()).toBe(0);
    expect(() => get().manager.list([() => 1])).toThrow(SerializationError);
  });

  test("an item may have 64 MiB and no byte more", { timeout: 120_000 }, async () => {
    const list = get().manager.list<Uint8Array>();
    const largest = new Uint8Array(64 * 1024 * 1024 - 16).fill(7);
    await list.append(largest);
    expect((await list.at(0)).length).toBe(largest.length);
    const error = await failure(list.append(new Uint8Array(64 * 1024 * 1024 + 1)));
    expect(error).toBeInstanceOf(LimitError);
    expect(error).toMatchObject({ limitName: "ITEM_BYTES_MAX" });
    expect(await failure(list.extend([largest, largest]))).toMatchObject({ limitName: "OPERATION_BYTES_MAX" });
    expect(await list.length()).toBe(1);
  });
}
