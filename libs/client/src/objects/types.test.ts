import { seededRandom } from "@heddle/kernel";
import { expect, expectTypeOf, test } from "vitest";
import type { Dict, DictChange } from "./dict.ts";
import { Flows } from "./flows.ts";
import { ObjectsHome } from "./home.ts";
import type { Key } from "./keys.ts";
import { KINDS } from "./kinds.ts";
import type { List } from "./list.ts";
import { Manager } from "./manager.ts";
import type { Namespace } from "./namespace.ts";
import type { SharedArray } from "./shared-array.ts";
import type { Transaction } from "./transaction.ts";
import type { Value } from "./value.ts";

/** A manager that nothing is asked of: objects are made at their first use. */
function managerOf(): Manager {
  const home = new ObjectsHome({
    channel: () => {
      throw new Error("nothing is asked here");
    },
    env: {
      clock: { nowMs: () => 0, setTimer: () => ({ [Symbol.dispose]: () => undefined }) },
      random: seededRandom(1),
    },
    kinds: KINDS,
    keepAlive: () => ({ [Symbol.dispose]: () => undefined }),
    flows: new Flows({
      openScope: () => ({ run: (_flow, run) => run(), get: () => undefined }),
      attempt: () => undefined,
    }),
  });
  return new Manager({ fabric: { home, openObjects: () => home } });
}

test("a dict is of its keys and values, given or found", () => {
  const manager = managerOf();
  expectTypeOf(manager.dict<string, number>()).toEqualTypeOf<Dict<string, number>>();
  expectTypeOf(manager.dict()).toEqualTypeOf<Dict<Key, unknown>>();
  expectTypeOf(manager.dict({ a: 1 })).toEqualTypeOf<Dict<string, number>>();
  expectTypeOf(manager.dict([[1, "a"]])).toEqualTypeOf<Dict<number, string>>();
  expectTypeOf(manager.dict<"a" | "b", number>([["a", 1]])).toEqualTypeOf<Dict<"a" | "b", number>>();
  expectTypeOf(manager.dict(new Map([["a", [1]]]))).toEqualTypeOf<Dict<string, number[]>>();
  expectTypeOf(manager.dict<string, number>({ a: 1 }, { name: "x" })).toEqualTypeOf<Dict<string, number>>();
  expectTypeOf(manager.dict<[string, number], boolean>()).toEqualTypeOf<Dict<[string, number], boolean>>();
  expect(manager.dict().id).toMatch(/^[0-9a-f]{32}$/);
  expect(manager.dict({}, { name: "x" }).id).toBe("@x");
});

test("methods of a dict are typed by it", () => {
  const check = (dict: Dict<string, number>): void => {
    expectTypeOf(dict.get("a")).toEqualTypeOf<Promise<number | undefined>>();
    expectTypeOf(dict.get("a", null)).toEqualTypeOf<Promise<number | null>>();
    expectTypeOf(dict.pop("a")).toEqualTypeOf<Promise<number>>();
    expectTypeOf(dict.entries()).toEqualTypeOf<Promise<[string, number][]>>();
    expectTypeOf(dict.increment("a")).toEqualTypeOf<Promise<number>>();
    expectTypeOf(dict.modify("a", (n = 0) => n + 1)).toEqualTypeOf<Promise<number>>();
    expectTypeOf(dict.watch()[Symbol.asyncIterator]().next()).resolves.toEqualTypeOf<
      IteratorResult<DictChange<string, number>, undefined>
    >();
    // @ts-expect-error: a key of another type
    void dict.get(1);
    // @ts-expect-error: a value of another type
    void dict.set("a", "b");
  };
  expect(check).toBeTypeOf("function");
});

test("only numbers and bigints are incremented, each by its like", () => {
  const check = (
    numbers: Dict<string, number>,
    bigints: Dict<string, bigint>,
    texts: Dict<string, string>,
    mixed: Dict<string, number | bigint | string>,
    all: Dict,
    { use }: Transaction,
  ): void => {
    expectTypeOf(numbers.increment("a", 2)).toEqualTypeOf<Promise<number>>();
    expectTypeOf(bigints.increment("a", 1n)).toEqualTypeOf<Promise<bigint>>();
    for (const dict of [mixed, all]) {
      expectTypeOf(dict.increment("a")).toEqualTypeOf<Promise<number>>();
      expectTypeOf(dict.increment("a", 1n)).toEqualTypeOf<Promise<bigint>>();
    }
    // @ts-expect-error: a bigint is not added to a number
    void numbers.increment("a", 1n);
    // @ts-expect-error: 1, which is added unless another is given, is no bigint
    void bigints.increment("a");
    // @ts-expect-error: nothing is added to text
    void texts.increment("a");
    // @ts-expect-error: in a transaction neither
    void use(texts).increment("a");
  };
  expect(check).toBeTypeOf("function");
});

test("lists, namespaces, values and arrays are of what they hold", () => {
  const manager = managerOf();
  expectTypeOf(manager.list([1])).toEqualTypeOf<List<number>>();
  expectTypeOf(manager.list<string>()).toEqualTypeOf<List<string>>();
  expectTypeOf(manager.list()).toEqualTypeOf<List<unknown>>();
  expectTypeOf(manager.namespace<{ a: number }>({ a: 1 })).toEqualTypeOf<Namespace<{ a: number }>>();
  expectTypeOf(manager.value(1)).toEqualTypeOf<Value<"f64">>();
  expectTypeOf(manager.value(1n)).toEqualTypeOf<Value<"i64">>();
  expectTypeOf(manager.value("i32", 1)).toEqualTypeOf<Value<"i32">>();
  expectTypeOf(manager.value("u64", 1n).get).returns.toEqualTypeOf<Promise<bigint>>();
  expectTypeOf(manager.array("i64", [1n])).toEqualTypeOf<SharedArray<"i64">>();
  expectTypeOf(manager.array("f32", 3).slice).returns.toEqualTypeOf<Promise<Float32Array<ArrayBuffer>>>();
  expect([manager.array("f32", 3).length, manager.value(1n).code]).toEqual([3, "i64"]);
  const check = (): void => {
    // @ts-expect-error: a bigint is no i32
    manager.value("i32", 1n);
    // @ts-expect-error: there is no such code
    manager.array("int", 3);
  };
  expect(check).toBeTypeOf("function");
});

test("a transaction gives views with the types of the objects", () => {
  const check = async (tx: Transaction, dict: Dict<string, number>, list: List<Date>): Promise<void> => {
    expectTypeOf(await tx.use(dict).get("a", 0)).toEqualTypeOf<number>();
    expectTypeOf(await tx.use(list).toArray()).toEqualTypeOf<Date[]>();
    expectTypeOf(managerOf().transaction(async () => 5)).toEqualTypeOf<Promise<number>>();
    expectTypeOf(managerOf().transaction(() => "now")).toEqualTypeOf<Promise<string>>();
    // @ts-expect-error: there are no watches in a transaction
    tx.use(dict).watch();
  };
  expect(check).toBeTypeOf("function");
});
