import { type DictChange, type ListChange, NotFoundError, type Watch } from "heddle";
import { expect, test } from "vitest";
import { failure } from "../../harness/waiting.ts";
import { freshName, type GetRun } from "./objects-run.ts";

/** The next so many changes, without their revisions, which are checked to grow. */
async function next<C extends { readonly revision: bigint }>(watch: Watch<C>, count: number): Promise<object[]> {
  const changes: object[] = [];
  let last = 0n;
  while (changes.length < count) {
    const { value, done } = await watch.next();
    if (done || value === undefined) return [...changes, { type: "end" }];
    const { revision, ...change } = value;
    expect(revision >= last).toBe(true);
    last = revision;
    changes.push(change);
  }
  return changes;
}

/** What watches do. */
export function describeWatches(get: GetRun): void {
  test("a watch of a dict gives what others do to it from now on, in order", async () => {
    const { manager, other } = get();
    const name = freshName();
    const dict = manager.dict<string, number>({ before: 1 }, { name });
    await using watch: Watch<DictChange<string, number>> = dict.watch();
    await dict.set("a", 1);
    const theirs = other.dict<string, number>(undefined, { name });
    await theirs.update({ a: 2, b: 3 });
    await theirs.delete("a");
    await theirs.increment("b");
    await theirs.clear();
    expect(await next(watch, 6)).toEqual([
      { type: "set", key: "a", value: 1 },
      { type: "set", key: "a", value: 2 },
      { type: "set", key: "b", value: 3 },
      { type: "delete", key: "a" },
      { type: "set", key: "b", value: 4 },
      { type: "clear" },
    ]);
    await dict.destroy();
  });

  test("a watch of one key is silent of the others", async () => {
    const dict = get().manager.dict<string, number>();
    await using watch = dict.watch("wanted");
    for (let n = 0; n < 50; n++) await dict.set("other", n);
    await dict.set("wanted", 1);
    await dict.delete("wanted");
    expect(await next(watch, 2)).toEqual([
      { type: "set", key: "wanted", value: 1 },
      { type: "delete", key: "wanted" },
    ]);
  });

  test("a watch of a list says where things happen", async () => {
    const list = get().manager.list([1, 2]);
    await using watch: Watch<ListChange<number>> = list.watch();
    await list.append(3);
    await list.insert(0, 0);
    await list.set(-1, 9);
    await list.pop(1);
    await list.reverse();
    await list.sort();
    await list.clear();
    expect(await next(watch, 7)).toEqual([
      { type: "insert", index: 2, value: 3 },
      { type: "insert", index: 0, value: 0 },
      { type: "set", index: 3, value: 9 },
      { type: "delete", index: 1 },
      { type: "reverse" },
      { type: "sort" },
      { type: "clear" },
    ]);
  });

  test("a watch that waits ends when it is left, and costs nothing later", async () => {
    const dict = get().manager.dict<string, number>();
    const watch = dict.watch();
    const waiting = watch.next();
    await dict.size();
    await watch.return();
    expect([await waiting, await watch.next()]).toEqual([
      { done: true, value: undefined },
      { done: true, value: undefined },
    ]);
  });

  test("leaving the loop over a watch ends it", async () => {
    const dict = get().manager.dict<string, number>();
    const watch = dict.watch();
    await dict.set("a", 1);
    for await (const change of watch) {
      expect(change).toMatchObject({ type: "set", key: "a" });
      break;
    }
    expect(await watch.next()).toEqual({ done: true, value: undefined });
  });

  test("changes that nobody read in time are lost, which is told", async () => {
    const dict = get().manager.dict<string, number>();
    await using watch = dict.watch();
    for (let n = 0; n < 3_000; n++) void dict.set("n", n);
    await get().manager.flush();
    const [first] = await next(watch, 1);
    expect(first).toEqual({ type: "reset" });
    await dict.set("after", 1);
    expect(await next(watch, 1)).toEqual([{ type: "set", key: "after", value: 1 }]);
  });

  test("a watch of an object that is destroyed rejects with NotFoundError", async () => {
    const list = get().manager.list<number>();
    const watch = list.watch();
    const waiting = failure(watch.next());
    await list.length();
    await list.destroy();
    expect(await waiting).toBeInstanceOf(NotFoundError);
  });
}
