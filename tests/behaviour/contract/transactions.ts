import { ConflictError, type Dict, LimitError, StateError } from "heddle";
import { expect, test } from "vitest";
import { failure } from "../../harness/waiting.ts";
import { freshName, type GetRun } from "./objects-run.ts";

type Accounts = Dict<string, number>;

/** What transactions do. */
export function describeTransactions(get: GetRun): void {
  test("transfers of two sessions side by side keep the sum", async () => {
    const { manager, other } = get();
    const name = freshName();
    const mine: Accounts = manager.dict({ a: 100, b: 100 }, { name });
    await mine.created;
    const theirs: Accounts = other.dict<string, number>(undefined, { name });
    const transfer = async (of: typeof manager, dict: Accounts, from: string, to: string): Promise<void> => {
      await of.transaction(async (tx) => {
        const accounts = tx.use(dict);
        await accounts.set(from, (await accounts.get(from, 0)) - 1);
        await accounts.set(to, (await accounts.get(to, 0)) + 1);
      });
    };
    await Promise.all(
      Array.from({ length: 15 }, () => [transfer(manager, mine, "a", "b"), transfer(other, theirs, "b", "a")]).flat(),
    );
    expect(await mine.toMap()).toEqual(
      new Map([
        ["a", 100],
        ["b", 100],
      ]),
    );
    await mine.destroy();
  });

  test("a transaction resolves to what its function returns, and sees its own writes and nobody else does", async () => {
    const { manager } = get();
    const dict = manager.dict<string, number>({ a: 1, b: 2, c: 3 });
    const list = manager.list([1, 2, 3]);
    const space = manager.namespace({ x: 1 });
    const value = manager.value("u8", 250);
    const seen = await manager.transaction(async (tx) => {
      const [d, l, n, v] = [tx.use(dict), tx.use(list), tx.use(space), tx.use(value)];
      await d.delete("a");
      await d.set("d", 4);
      await d.increment("b", 5);
      await d.update([
        ["e", 5],
        ["a", 9],
      ]);
      await l.append(4);
      await l.set(0, 10);
      await l.insert(-1, 3.5);
      await l.sort({ descending: true });
      await n.set("y" as "x", 2);
      await v.add(10);
      expect([await dict.size(), await list.length(), await value.get()]).toEqual([3, 3, 250]);
      return {
        entries: await d.entries(),
        popped: [await d.popItem(), await d.pop("c"), await d.pop("zzz", null), await d.setDefault("b", 0)],
        items: [
          await l.pop(),
          await l.length(),
          await l.at(0),
          await l.index(3),
          await l.includes(99),
          await l.slice(1),
        ],
        object: await n.toObject(),
        value: [await v.get(), await v.compareExchange(4, 5), await v.compareExchange(4, 6), await v.get()],
        has: [await d.has("a"), await d.has("b"), await d.keys(), await d.values()],
      };
    });
    expect(seen).toEqual({
      entries: [
        ["b", 7],
        ["c", 3],
        ["d", 4],
        ["e", 5],
        ["a", 9],
      ],
      popped: [["a", 9], 3, null, 7],
      items: [2, 4, 10, 3, false, [4, 3.5, 3]],
      object: { x: 1, y: 2 },
      value: [4, 4, 5, 5],
      has: [false, true, ["b", "d", "e"], [7, 4, 5]],
    });
    expect(await dict.entries()).toEqual([
      ["b", 7],
      ["d", 4],
      ["e", 5],
    ]);
    expect(await list.toArray()).toEqual([10, 4, 3.5, 3]);
    expect([await space.toObject(), await value.get()]).toEqual([{ x: 1, y: 2 }, 5]);
  });

  test("methods of a list in a transaction, one after the other, do what they do outside", async () => {
    const { manager } = get();
    const steps: ((list: {
      append: (n: number) => Promise<void>;
      extend: (n: number[]) => Promise<void>;
      clear: () => Promise<void>;
      reverse: () => Promise<void>;
      remove: (n: number) => Promise<void>;
      delete: (n: number) => Promise<void>;
      pop: (n?: number) => Promise<number>;
      count: (n: number) => Promise<number>;
      toArray: () => Promise<number[]>;
    }) => Promise<unknown>)[] = [
      (list) => list.append(1),
      (list) => list.reverse(),
      (list) => list.extend([5, 6, 5]),
      (list) => list.count(5),
      (list) => list.remove(5),
      (list) => list.pop(0),
      (list) => list.delete(-1),
      (list) => list.clear(),
      (list) => list.extend([7, 8]),
      (list) => list.toArray(),
    ];
    const [inside, outside] = [manager.list([3, 2]), manager.list([3, 2])];
    const expected: unknown[] = [];
    for (const step of steps) expected.push(await step(outside));
    const got = await manager.transaction(async (tx) => {
      const results: unknown[] = [];
      for (const step of steps) results.push(await step(tx.use(inside)));
      return results;
    });
    expect(got).toEqual(expected);
    expect(await inside.toArray()).toEqual(await outside.toArray());
  });

  test("nothing is written when the function throws, or when one of its writes cannot be done", async () => {
    const { manager } = get();
    const dict = manager.dict({ a: 1 });
    const list = manager.list([1]);
    const thrown = new Error("no");
    const error = await failure(
      manager.transaction(async (tx) => {
        await tx.use(dict).set("a", 2);
        throw thrown;
      }),
    );
    expect(error).toBe(thrown);
    const refused = manager.transaction(async (tx) => {
      await tx.use(dict).set("a", 3);
      await tx.use(list).set(7, 0);
    });
    expect(await failure(refused)).toBeInstanceOf(RangeError);
    expect([await dict.get("a"), await list.toArray()]).toEqual([1, [1]]);
  });

  test("what it has read and others change runs it again; what they change else does not", async () => {
    const { manager, other } = get();
    const name = freshName();
    const dict = manager.dict<string, number>({ a: 1, b: 1 }, { name });
    await dict.created;
    const rival = other.dict<string, number>(undefined, { name });
    let runs = 0;
    const result = await manager.transaction(async (tx) => {
      const a = await tx.use(dict).get("a", 0);
      runs++;
      await rival.increment("b");
      if (runs === 1) await rival.set("a", 10);
      await tx.use(dict).set("sum", a + 1);
      return a;
    });
    expect([result, runs, await dict.get("sum")]).toEqual([10, 2, 11]);
    await dict.destroy();
  });

  test("an error that comes of reads that do not belong together runs it again", async () => {
    const { manager, other } = get();
    const name = freshName();
    const dict = manager.dict<string, number>({ a: 1, b: 1 }, { name });
    await dict.created;
    const rival = other.dict<string, number>(undefined, { name });
    let runs = 0;
    const sum = await manager.transaction(async (tx) => {
      const a = await tx.use(dict).get("a", 0);
      if (++runs === 1) await rival.update({ a: 2, b: 2 });
      const b = await tx.use(dict).get("b", 0);
      if (a !== b) throw new Error(`${a} and ${b} were never there together`);
      return a + b;
    });
    expect([sum, runs]).toEqual([4, 2]);
    await dict.destroy();
  });

  test("one that conflicts for ever is given up with what it conflicts over", async () => {
    const { manager, other } = get();
    const name = freshName();
    const dict = manager.dict<string, number>({ n: 0 }, { name });
    await dict.created;
    const rival = other.dict<string, number>(undefined, { name });
    let runs = 0;
    const error = await failure(
      manager.transaction(async (tx) => {
        const n = await tx.use(dict).get("n", 0);
        runs++;
        await rival.increment("n");
        await tx.use(dict).set("n", n);
      }),
    );
    expect(error).toBeInstanceOf(ConflictError);
    expect([runs, (error as Error).message.includes(name)]).toEqual([50, true]);
    expect(await dict.get("n")).toBe(50);
    await dict.destroy();
  });

  test("what it asked and did not await is done too, each after the one before", async () => {
    const { manager } = get();
    const dict = manager.dict<string, number>({ n: 1 });
    const list = manager.list<number>();
    await manager.transaction((tx) => {
      void tx.use(dict).increment("n");
      void tx.use(dict).increment("n");
      for (let n = 0; n < 5; n++) void tx.use(list).append(n);
    });
    expect([await dict.get("n"), await list.toArray()]).toEqual([3, [0, 1, 2, 3, 4]]);
  });

  test("objects of other sessions, and new ones, take part", async () => {
    const { manager, other } = get();
    const theirs = other.list<number>();
    const fresh = manager.dict<string, unknown>();
    await manager.transaction(async (tx) => {
      await tx.use(fresh).set("list", theirs);
      await tx.use(theirs).append(1);
    });
    expect(await theirs.toArray()).toEqual([1]);
    expect(await fresh.has("list")).toBe(true);
  });

  test("a transaction is over when its function is, has a bound, and uses dicts, lists, namespaces and values only", async () => {
    const { manager } = get();
    const dict = manager.dict<number, number>();
    const kept = await manager.transaction((tx) => ({ view: tx.use(dict) }));
    expect(await failure(kept.view.get(1))).toBeInstanceOf(StateError);
    const error = await failure(
      manager.transaction(async (tx) => {
        for (let n = 0; n < 200; n++) await tx.use(dict).delete(n);
      }),
    );
    expect(error).toBeInstanceOf(LimitError);
    await manager.transaction(async (tx) => {
      for (let n = 0; n < 200; n++) await tx.use(dict).set(n, n);
    });
    expect(await dict.size()).toBe(200);
    const queue = manager.queue();
    expect(await failure(manager.transaction((tx) => tx.use(queue as never)))).toEqual(
      new TypeError("a transaction uses dicts, lists, namespaces and values, got a Queue"),
    );
    expect(await failure(manager.transaction(5 as never))).toBeInstanceOf(TypeError);
  });
}
