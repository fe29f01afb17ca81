import { ClosedError, ConflictError, LimitError, Manager, NotFoundError, SerializationError } from "heddle";
import { expect, test } from "vitest";
import { failure } from "../../harness/waiting.ts";
import { freshName, type GetRun } from "./objects-run.ts";

/** What managers do. Ids are those of the catalogue of multiprocessing's behaviours. */
export function describeManagers(get: GetRun): void {
  test("MGR-05: values of every kind arrive equal in another session; what cannot travel is refused and disturbs nothing", async () => {
    const { manager, other } = get();
    const name = freshName();
    const mine = manager.list<unknown>([], { name });
    const values = [
      "text",
      null,
      undefined,
      true,
      3.25,
      "naïve \u{1f600}",
      Uint8Array.of(1, 2),
      10n ** 30n,
      new Map([[1, new Set(["x"])]]),
      new Date(5),
      { a: [1, { b: -0 }] },
      new RangeError("an error is a value"),
    ];
    await mine.append(values);
    const theirs = other.list<unknown>([], { name });
    expect(await theirs.at(0)).toEqual(values);
    expect(await failure(theirs.append(Promise.resolve(1)))).toBeInstanceOf(SerializationError);
    expect(await theirs.length()).toBe(1);
    await mine.destroy();
  });

  test("objects without a name end with their manager, those with one outlive it", async () => {
    const { fabric, manager } = get();
    const name = freshName();
    await using short = fabric.manager();
    const anonymous = short.dict({ a: 1 });
    const named = short.dict({ a: 1 }, { name });
    const holder = manager.list([anonymous]);
    const kept = await holder.at(0);
    expect([await kept.get("a"), await named.get("a")]).toEqual([1, 1]);
    await short.close();
    expect(await failure(kept.get("a"))).toBeInstanceOf(NotFoundError);
    expect(await failure(anonymous.get("a"))).toBeInstanceOf(ClosedError);
    expect(() => short.list()).toThrow(ClosedError);
    expect(await manager.dict<string, number>(undefined, { name }).get("a")).toBe(1);
    expect(await manager.dict(undefined, { name }).destroy()).toBe(true);
  });

  test("flush waits for no lock, also when that was asked for by a name and at once", async () => {
    const { manager, other } = get();
    const name = freshName();
    const guard = await other.lock({ name }).acquire();
    const waiting = manager.lock({ name }).acquire();
    await manager.flush();
    await guard.release();
    await (await waiting).release();
  });

  test("a name is of one object: of another kind or shape it is a conflict that names both", async () => {
    const { manager, other } = get();
    const name = freshName();
    const dict = manager.dict({ a: 1 }, { name });
    await dict.created;
    const error = await failure(other.list([1], { name }).append(2));
    expect(error).toBeInstanceOf(ConflictError);
    expect((error as Error).message).toMatch(/dict.*list|list.*dict/);
    const cells = freshName();
    await manager.array("i32", 3, { name: cells }).created;
    expect(await failure(other.array("i32", 4, { name: cells }).get(0))).toBeInstanceOf(ConflictError);
    expect(await failure(other.value("i32", 4, { name: cells }).get())).toBeInstanceOf(ConflictError);
    const space = other.namespace<{ a: number }>(undefined, { name });
    expect(await failure(Promise.all([space.set("a", 2), space.set("a", 3)]))).toBeInstanceOf(ConflictError);
    expect(await failure(space.get("a"))).toBeInstanceOf(ConflictError);
    expect(() => manager.list([space])).toThrow(ConflictError);
    expect(await dict.get("a")).toBe(1);
    for (const destroyed of [dict, manager.array("i32", 3, { name: cells })]) await destroyed.destroy();
  });

  test("names and options that cannot be are refused where they are given", async () => {
    const { fabric, manager } = get();
    for (const name of ["", 5, "a\0b", "\ud800"])
      expect(() => manager.dict(undefined, { name: name as string })).toThrow(TypeError);
    for (const name of ["x".repeat(1_025), "ä".repeat(600), "x".repeat(10_000_000)])
      expect(() => manager.list([], { name })).toThrow(LimitError);
    expect(() => manager.dict({}, { nam: "a" } as object)).toThrow(/did you mean name/);
    expect(() => manager.dict([["a"]] as never)).toThrow(TypeError);
    expect(() => manager.list("text" as never)).toThrow(TypeError);
    expect(() => new Manager({ fabric, address: "x" })).toThrow(TypeError);
    expect(() => new Manager({ fabric: {} as never })).toThrow(TypeError);
    expect(() => new Manager({ ttl: 5 } as object)).toThrow(TypeError);
    expect(() => new Manager({ fabric, ttlMs: 1 })).toThrow(RangeError);
    await using manager2 = await new Manager({ fabric, ttlMs: 5_000 }).connect();
    expect(await manager2.list([1]).length()).toBe(1);
  });

  test("a manager that was never used, and one that is closed twice, close at once", async () => {
    const { fabric } = get();
    const unused = fabric.manager();
    unused.dict({ a: 1 });
    await unused.close();
    await unused.close();
    expect(await failure(unused.connect())).toBeInstanceOf(ClosedError);
    expect(await failure(unused.transaction(async () => 1))).toBeInstanceOf(ClosedError);
    await unused.flush();
  });

  test("what was asked and not awaited is done before close ends the session, however new that is", async () => {
    const { fabric, manager } = get();
    const names = [freshName(), freshName()];
    const numbers = Array.from({ length: 100 }, (_, n) => n);
    {
      await using fresh = fabric.manager();
      for (const name of names) {
        const list = fresh.list<number>([], { name });
        for (const n of numbers) void list.append(n);
      }
    }
    for (const name of names) {
      const list = manager.list<number>(undefined, { name });
      expect(await list.toArray()).toEqual(numbers);
      await list.destroy();
    }
  });

  test("close rejects with the first error of a write that nobody awaited, once the session is over", async () => {
    const { fabric, manager } = get();
    const name = freshName();
    const short = fabric.manager();
    const list = short.list<number>([1], { name });
    const seen = list.set(77_777, 0);
    void list.set(99_999, 0);
    void list.append(2);
    void short.dict(undefined, { name }).set("a", 1);
    const [looked, closed] = [failure(seen), failure(short.close())];
    expect(() => short.list()).toThrow(ClosedError);
    expect(await failure(list.append(3))).toBeInstanceOf(ClosedError);
    expect(await looked).toBeInstanceOf(RangeError);
    expect(await closed).toMatchObject({ name: "RangeError", message: expect.stringContaining("99999") });
    expect(await failure(short.close())).toBe(await closed);
    const other = fabric.manager();
    void other.dict(undefined, { name }).set("a", 1);
    expect(await failure(other.close())).toBeInstanceOf(ConflictError);
    expect(await manager.list(undefined, { name }).toArray()).toEqual([1, 2]);
    await manager.list(undefined, { name }).destroy();
  });

  test("close ends what waits for others, which is over at once", async () => {
    const { fabric, manager, other } = get();
    const name = freshName();
    await using guard = await other.lock({ name }).acquire();
    const short = fabric.manager();
    const list = short.list<number>([], { name: freshName() });
    const waiting = [failure(short.lock({ name }).acquire()), failure(short.queue().get())];
    void list.append(1);
    await short.close();
    for (const ended of waiting) expect(await ended).toBeInstanceOf(ClosedError);
    await guard.release();
    await using again = await manager.lock({ name }).tryAcquire();
    expect(again).not.toBe(null);
    await manager.list(undefined, { name: list.id.slice(1) }).destroy();
  });

  test("destroy says whether the object was there", async () => {
    const { manager } = get();
    const name = freshName();
    expect(await manager.dict({ a: 1 }, { name }).destroy()).toBe(false);
    await manager.dict({ a: 1 }, { name }).created;
    expect(await manager.dict(undefined, { name }).destroy()).toBe(true);
    const used = manager.list([1]);
    await used.append(2);
    expect(await used.destroy()).toBe(true);
  });

  test("objects hold each other across sessions, however new they are", async () => {
    const { manager, other } = get();
    const outer = manager.dict<string, unknown>();
    for (let n = 0; n < 20; n++) void outer.set(`n${n}`, other.list([n]));
    await manager.flush();
    const lists = (await outer.values()) as ReturnType<typeof other.list<number>>[];
    expect(await Promise.all(lists.map((list) => list.toArray()))).toEqual(Array.from({ length: 20 }, (_, n) => [n]));
  });
}
