import { expect, expectTypeOf, onTestFinished, test } from "vitest";
import type { AsyncResult } from "./async-result.ts";
import type { MapOptions } from "./call-options.ts";
import type { MapIterator } from "./map-iterator.ts";
import { range } from "./range.ts";
import { repeat } from "./repeat.ts";
import { FakeCoordinator } from "./testing.ts";

const double = (n: number): number => 2 * n;
const later = async (n: number): Promise<string> => String(n);
const join = (a: number, b: string): string => `${a}${b}`;
const tuples: [number, string][] = [[1, "a"]];

function poolOf() {
  const fake = new FakeCoordinator();
  onTestFinished(() => fake[Symbol.asyncDispose]());
  fake.serve((item) => item);
  return fake.fabric.pool();
}

test("a map is of what its function returns or resolves to", async () => {
  const pool = poolOf();
  expectTypeOf(await pool.map(double, [1])).toEqualTypeOf<number[]>();
  expectTypeOf(await pool.map(later, range(3))).toEqualTypeOf<string[]>();
  expectTypeOf(await pool.map((text) => text.length, repeat("a", 2))).toEqualTypeOf<number[]>();
  expectTypeOf(await pool.map(double, Float64Array.of(1))).toEqualTypeOf<number[]>();
  expectTypeOf(await pool.map(double, [1], { chunkSize: 1, name: "a" })).toEqualTypeOf<number[]>();
  expectTypeOf(await pool.starmap(join, tuples)).toEqualTypeOf<string[]>();
  expectTypeOf(await pool.apply(join, [1, "a"])).toEqualTypeOf<string>();
  expectTypeOf(await pool.apply(later, [1])).toEqualTypeOf<string>();
  expect(await pool.map(double, [1])).toEqual([1]);
});

test("an option `into` makes a map one of that class", async () => {
  const pool = poolOf();
  const floats = await pool.map(double, [1], { into: Float64Array });
  expectTypeOf(floats).toEqualTypeOf<Float64Array<ArrayBuffer>>();
  expectTypeOf(await pool.starmap((a: number) => BigInt(a), [] as [number][], { into: BigInt64Array })).toEqualTypeOf<
    BigInt64Array<ArrayBuffer>
  >();
  expectTypeOf(pool.mapAsync(double, [1], { into: Uint8Array })).toEqualTypeOf<AsyncResult<Uint8Array<ArrayBuffer>>>();
  expect(floats).toEqual(Float64Array.of(1));
});

test("collected results are settled ones", async () => {
  const pool = poolOf();
  const settled = await pool.map(later, [1], { onError: "collect" });
  expectTypeOf(settled).toEqualTypeOf<PromiseSettledResult<string>[]>();
  expectTypeOf(await pool.map(double, [1], { onError: "throw" })).toEqualTypeOf<number[]>();
  const stream = pool.imap(double, [1], { onError: "collect" });
  expectTypeOf(stream).toEqualTypeOf<MapIterator<PromiseSettledResult<number>>>();
  await stream.return();
  expect(settled).toEqual([{ status: "fulfilled", value: 1 }]);
});

test("callbacks get what the call gives", async () => {
  const pool = poolOf();
  const seen: unknown[] = [];
  await pool.mapAsync(double, [1], {
    callback: (value) => {
      expectTypeOf(value).toEqualTypeOf<number[]>();
      seen.push(value);
    },
  });
  await pool.mapAsync(double, [1], {
    into: Float64Array,
    callback: (value) => {
      expectTypeOf(value).toEqualTypeOf<Float64Array<ArrayBuffer>>();
      seen.push(value);
    },
  });
  await pool.mapAsync(later, [1], {
    callback: (value) => {
      expectTypeOf(value).toEqualTypeOf<PromiseSettledResult<string>[]>();
      seen.push(value);
    },
    onError: "collect",
  });
  await pool.applyAsync(later, [1], {
    callback: (value) => {
      expectTypeOf(value).toEqualTypeOf<string>();
      seen.push(value);
    },
  });
  expect(seen).toHaveLength(4);
});

test("options of which only the class is known say nothing of the result", async () => {
  const pool = poolOf();
  const options: MapOptions = { chunkSize: 1 };
  const results = await pool.map(double, [1], options);
  expectTypeOf(results).toEqualTypeOf<number[]>();
  expectTypeOf(pool.mapAsync(double, [1], options)).toEqualTypeOf<AsyncResult<number[]>>();
  expect(results).toEqual([1]);
});

test("a stream is of single results", async () => {
  const pool = poolOf();
  const streams = [pool.imap(later, [1]), pool.imapUnordered(later, [1])];
  expectTypeOf(streams).toEqualTypeOf<MapIterator<string>[]>();
  expectTypeOf(pool.istarmap(join, tuples)).toEqualTypeOf<MapIterator<string>>();
  expectTypeOf(pool.istarmapUnordered(join, tuples)).toEqualTypeOf<MapIterator<string>>();
  for await (const value of streams[0] ?? []) expectTypeOf(value).toEqualTypeOf<string>();
  expect(await streams[1]?.next()).toMatchObject({ done: false });
});

test("mapReduce is of what is combined", async () => {
  const pool = poolOf();
  const sum = await pool.mapReduce(double, (a, b) => a + b, [1, 2]);
  expectTypeOf(sum).toEqualTypeOf<number>();
  expectTypeOf(await pool.mapReduce(later, (a, b) => a + b, [1], { initial: "" })).toEqualTypeOf<string>();
  expect(sum).toBe(3);
});

test("types may be named, the item's and the result's", async () => {
  const pool = poolOf();
  const unknowns = await pool.map<number, unknown>(double, [1]);
  expectTypeOf(unknowns).toEqualTypeOf<unknown[]>();
  expectTypeOf(pool.mapAsync<number, unknown>(double, [1])).toEqualTypeOf<AsyncResult<unknown[]>>();
  expectTypeOf(await pool.apply<[number], number>(double, [1])).toEqualTypeOf<number>();
  expectTypeOf(pool.imap<number, unknown>(double, [1])).toEqualTypeOf<MapIterator<unknown>>();
  expectTypeOf(await pool.mapReduce<number, number>(double, (a, b) => a + b, [1])).toEqualTypeOf<number>();
  expect(unknowns).toEqual([1]);
});

test("a job that somebody else has submitted gives what one says it does", () => {
  const fake = new FakeCoordinator();
  onTestFinished(() => fake[Symbol.asyncDispose]());
  const { fabric } = fake;
  expectTypeOf(fabric.attach("a")).toEqualTypeOf<AsyncResult<unknown>>();
  expectTypeOf(fabric.attach<number[]>("a")).toEqualTypeOf<AsyncResult<number[]>>();
  expectTypeOf(fabric.attach("a").accepted).returns.toEqualTypeOf<Promise<void>>();
  const detached = fabric.pool().mapAsync(double, [1], { detach: true, jobId: "a" });
  expectTypeOf(detached).toEqualTypeOf<AsyncResult<number[]>>();
  expect(detached.jobId).toBe("a");
});

test("what does not fit is an error of the compiler", () => {
  const check = (pool: ReturnType<typeof poolOf>): void => {
    // @ts-expect-error: the inputs are no numbers
    void pool.map(double, ["a"]);
    // @ts-expect-error: the tuples have the wrong shape
    void pool.starmap(join, [["a", 1]]);
    // @ts-expect-error: a stream has no typed array
    pool.imap(double, [1], { into: Float64Array });
    // @ts-expect-error: there is no such option
    void pool.map(double, [1], { chunksize: 1 });
    // @ts-expect-error: its results are read by this program
    pool.imap(double, [1], { detach: true });
    // @ts-expect-error: its results are combined in this program
    void pool.mapReduce(double, (a, b) => a + b, [1], { detach: true });
    // @ts-expect-error: one argument is missing
    void pool.apply(join, [1]);
  };
  expect(check).toBeTypeOf("function");
});
