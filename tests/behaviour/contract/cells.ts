import { type Code, Lock, RLock, SharedArray, StateError, Value } from "heddle";
import { expect, test } from "vitest";
import { failure } from "../../harness/waiting.ts";
import { freshName, type GetRun } from "./objects-run.ts";

/** What values and arrays do. Ids are those of the catalogue of multiprocessing's behaviours. */
export function describeCells(get: GetRun): void {
  test("VAL-01: a value that another session has set is what every handle reads", async () => {
    const { manager, other } = get();
    const name = freshName();
    const mine = manager.value("i32", 1, { name });
    await mine.created;
    const theirs = other.value("i32", 0, { name });
    expect(await theirs.get()).toBe(1);
    await theirs.set(2);
    expect(await mine.get()).toBe(2);
    await mine.destroy();
  });

  test("VAL-02: values of every code keep what they are set to, 64 bits exactly", async () => {
    const { manager } = get();
    const pairs: [Code, number | bigint, number | bigint][] = [
      ["i32", 4343, 24234],
      ["f64", 3.625, -4.25],
      ["i16", -232, 234],
      ["i64", 2n ** 33n, 2n ** 34n],
      ["i64", -(2n ** 63n), 2n ** 63n - 1n],
      ["u64", 0n, 2n ** 64n - 1n],
      ["u8", 255, 0],
      ["f32", 0.5, -0],
    ];
    for (const [code, first, second] of pairs) {
      const value = manager.value(code, first);
      const before = await value.get();
      await value.set(second);
      expect([before, await value.get()]).toEqual([first, second]);
    }
  });

  test("ARR-01: an array gives its elements, its length and all of it", async () => {
    const { manager, other } = get();
    const name = freshName();
    const mine = manager.array("i32", [0, 1], { name });
    await mine.created;
    const theirs = other.array("i32", 2, { name });
    expect([await theirs.get(0), await theirs.get(1), theirs.length]).toEqual([0, 1, 2]);
    expect(await theirs.slice()).toEqual(Int32Array.of(0, 1));
    await mine.destroy();
  });

  test("ARR-03: an array of a length is all zeros, and takes all its elements at once", async () => {
    for (let time = 0; time < 3; time++) {
      const array = get().manager.array("i32", 10);
      expect([array.length, await array.slice()]).toEqual([10, new Int32Array(10)]);
      await array.setSlice(0, [...Array(10).keys()]);
      expect(await array.slice()).toEqual(Int32Array.from(Array(10).keys()));
    }
  });

  test("adding wraps as the type does, and many who add lose nothing", async () => {
    const { manager, other } = get();
    expect(await manager.value("u8", 250).add(10)).toBe(4);
    expect(await manager.value("i64", 2n ** 63n - 1n).add(1n)).toBe(-(2n ** 63n));
    expect(await manager.array("i8", [127]).add(-1, 1)).toBe(-128);
    expect(await manager.value(0.5).add(0.25)).toBe(0.75);
    expect(await manager.value(5n).add(-6n)).toBe(-1n);
    const name = freshName();
    const counters = [manager, other].map((each) => each.value("i32", 0, { name }));
    await Promise.all(counters.flatMap((counter) => Array.from({ length: 200 }, () => counter.add(1))));
    expect(await counters[0]?.get()).toBe(400);
    await counters[0]?.destroy();
  });

  test("compareExchange sets what is as expected, and says what was there", async () => {
    const value = get().manager.value("f64", 0);
    expect([await value.compareExchange(1, 5), await value.get()]).toEqual([0, 0]);
    expect([await value.compareExchange(0, Number.NaN), await value.get()]).toEqual([0, Number.NaN]);
    expect([await value.compareExchange(Number.NaN, 2), await value.get()]).toEqual([Number.NaN, 2]);
  });

  test("slices of arrays are copies, clamped, and are set whole or not at all", async () => {
    const array = get().manager.array("u16", [1, 2, 3, 4]);
    expect([await array.slice(1, 3), await array.slice(-2), await array.slice(9)]).toEqual([
      Uint16Array.of(2, 3),
      Uint16Array.of(3, 4),
      new Uint16Array(),
    ]);
    await array.setSlice(-2, Uint16Array.of(30, 40));
    await array.set(-4, 10);
    expect([await array.slice(), await array.get(-1)]).toEqual([Uint16Array.of(10, 2, 30, 40), 40]);
    for (const refused of [array.setSlice(3, [1, 2]), array.setSlice(0, [1, 70_000]), array.get(4), array.set(-5, 1)])
      expect(await failure(refused)).toBeInstanceOf(RangeError);
    expect(await failure(array.setSlice(0, [1n as unknown as number]))).toBeInstanceOf(TypeError);
    expect(await array.slice()).toEqual(Uint16Array.of(10, 2, 30, 40));
  });

  test("what a code cannot hold is refused where it is given", async () => {
    const { manager } = get();
    const value = manager.value("i8", 0);
    expect(await failure(value.set(128))).toBeInstanceOf(RangeError);
    expect(await failure(value.set(0.5))).toBeInstanceOf(RangeError);
    expect(await failure(value.set("1" as unknown as number))).toBeInstanceOf(TypeError);
    expect(await failure(value.add(0.5))).toBeInstanceOf(RangeError);
    expect(await failure(manager.value("u64", 0n).set(-1n))).toBeInstanceOf(RangeError);
    expect(await failure(manager.value("u64", 0n).set(1 as unknown as bigint))).toBeInstanceOf(TypeError);
    expect(() => manager.value("u32", -1)).toThrow(RangeError);
    expect(() => manager.value("c" as Code, 1)).toThrow(TypeError);
    expect(() => manager.value("text" as Code)).toThrow(/i8 u8 i16/);
    expect(() => manager.array("i8", [1, 200])).toThrow(RangeError);
    expect(() => manager.array("i8", -1)).toThrow(RangeError);
    expect(() => manager.array("f64", 2 ** 23 + 1)).toThrow(/ITEM_BYTES_MAX|bytes at most/);
    expect(() => manager.array("i8", 5, { locked: true } as object)).toThrow(TypeError);
  });

  test("a value has a lock of its own, another's, or none", async () => {
    const { manager, other } = get();
    const value = manager.value("i32", 0);
    expect(value.getLock()).toBeInstanceOf(RLock);
    expect(value.getLock()).toBe(value.getLock());
    const lock = manager.lock();
    const shared = manager.value("i32", 0, { lock });
    expect(shared.getLock()).toBe(lock);
    expect(manager.array("i32", 3, { lock }).getLock()).toBe(lock);
    expect(() => manager.value("i32", 0, { lock: false }).getLock()).toThrow(StateError);
    expect(() => manager.value("i32", 0, { lock: 5 as never })).toThrow(TypeError);
    const name = freshName();
    const mine = manager.value("i32", 0, { name });
    const theirs = other.value("i32", 0, { name });
    await mine.getLock().run(async () => {
      expect(await theirs.getLock().tryAcquire()).toBeNull();
    });
    await mine.destroy();
  });

  test("values and arrays inside of other objects come back with their locks", async () => {
    const { manager } = get();
    const lock = manager.lock();
    const list = manager.list<unknown>([
      manager.value("u64", 7n),
      manager.array("f32", [0.5, 1]),
      manager.value("i8", 1, { lock: false }),
      manager.value("i8", 2, { lock }),
    ]);
    const [value, array, bare, shared] = (await list.toArray()) as [Value<"u64">, SharedArray, Value, Value];
    expect(value).toBeInstanceOf(Value);
    expect(array).toBeInstanceOf(SharedArray);
    expect([value.code, await value.get(), array.length, await array.slice()]).toEqual([
      "u64",
      7n,
      2,
      Float32Array.of(0.5, 1),
    ]);
    expect(value.getLock()).toBeInstanceOf(RLock);
    expect(await value.getLock().run(() => value.add(1n))).toBe(8n);
    expect(() => bare.getLock()).toThrow(StateError);
    const found = shared.getLock();
    expect(found).toBeInstanceOf(Lock);
    expect(found.id).toBe(lock.id);
  });

  test("values and arrays that belong to no manager are those of their fabric", async () => {
    const { fabric, manager } = get();
    const value = new Value("i16", 3, { fabric });
    const array = new SharedArray("i16", 2, { fabric });
    expect([await value.add(4), await array.add(1, 5)]).toEqual([7, 5]);
    const list = manager.list([value]); // another session: the value is made before the list names it
    expect(await (await list.at(0)).get()).toBe(7);
    expect(() => new Value("i16", 0, { fabric: {} })).toThrow(TypeError);
  });
}
