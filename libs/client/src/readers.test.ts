import { CaptureError, CHUNK_BYTES_TARGET, ITEM_BYTES_MAX, LimitError, SerializationError } from "@heddle/kernel";

import { decodePayload, Encoding } from "@heddle/wire";
import { describe, expect, test } from "vitest";
import { ArgumentFunctions, UnshippedFunctions } from "./argument-functions.ts";
import { inputCount, openInputs } from "./inputs.ts";
import { range } from "./range.ts";
import { ArrayReader, RangeReader, type Reading, RepeatReader } from "./readers.ts";
import { repeat } from "./repeat.ts";
import { FakeShipper, readAll } from "./testing.ts";

function counts(readings: readonly Reading[]): unknown[] {
  return readings.map((reading) => (reading.type === "chunk" ? reading.payload.count : reading.type));
}

function values(readings: readonly Reading[]): unknown[] {
  return readings.flatMap((reading) => (reading.type === "chunk" ? decodePayload(reading.payload) : [reading.type]));
}

function refusals(readings: readonly Reading[]): Error[] {
  return readings.flatMap((reading) => (reading.type === "refused" ? [reading.error as Error] : []));
}

const wanted = { count: 3, bytesTarget: Number.POSITIVE_INFINITY, isEager: false };

describe("an array", () => {
  test("is read in chunks of as many items as are wanted, the last one shorter", () => {
    const items = Array.from({ length: 11 }, (_, at) => ({ at }));
    const readings = readAll(new ArrayReader(items, undefined), { count: 4 });
    expect(counts(readings)).toEqual([4, 4, 3]);
    expect(values(readings)).toEqual(items);
  });

  test("is cut short where a chunk has the bytes it aims at, and is not without an aim", () => {
    const items = Array.from({ length: 64 }, (_, at) => "x".repeat(100_000 + at));
    const cutShort = readAll(new ArrayReader(items, undefined), { count: 64, bytesTarget: CHUNK_BYTES_TARGET });
    expect(counts(cutShort)).toEqual([11, 11, 11, 11, 11, 9]);
    for (const reading of cutShort)
      if (reading.type === "chunk") expect(reading.payload.bytes.byteLength).toBeLessThan(CHUNK_BYTES_TARGET + 100_200);
    expect(values(cutShort)).toEqual(items);
    expect(counts(readAll(new ArrayReader(items, undefined), { count: 64 }))).toEqual([64]);
  });

  test("of nothing has no chunk", () => {
    expect(readAll(new ArrayReader([], undefined), { count: 4 })).toEqual([]);
    expect(readAll(new RangeReader(range(0)), { count: 3 })).toEqual([]);
  });

  test("has nothing more once it was closed", () => {
    const reader = new ArrayReader([1, 2, 3, 4], undefined);
    reader.read({ ...wanted, count: 2 });
    reader.close();
    expect(reader.read(wanted)).toEqual({ type: "end" });
  });

  test("of numbers typed in memory travels as a column and comes back as numbers", () => {
    for (const items of [Float64Array.of(0.5, -0, 3), Int8Array.of(-1, 0, 1), new Uint8ClampedArray([1, 2, 255])]) {
      const [chunk] = readAll(new ArrayReader(items, undefined), { count: 3 });
      if (chunk?.type !== "chunk") throw new Error("no chunk");
      expect([Encoding.F64, Encoding.I32]).toContain(chunk.payload.encoding);
      expect(decodePayload(chunk.payload)).toEqual([...items]);
    }
    expect(values(readAll(new ArrayReader(BigInt64Array.of(1n, -1n), undefined), { count: 2 }))).toEqual([1n, -1n]);
  });
});

describe("an input that cannot travel", () => {
  test("ends the chunk before it, is refused by its index, and those after it go on", () => {
    const items = [0, 1, 2, "x", { a: [() => 1] }, 5];
    const readings = readAll(new ArrayReader(items, undefined), { count: 5 });
    expect(values(readings)).toEqual([0, 1, 2, "x", "refused", 5]);
    expect(refusals(readings)).toEqual([
      expect.objectContaining({
        name: "SerializationError",
        path: "$.a[0]",
        side: "argument",
        message: expect.stringMatching(/^input 4: /),
        cause: expect.any(SerializationError),
      }),
    ]);
  });

  test("because it is above a limit says which one it is, and by how much", () => {
    const readings = readAll(new ArrayReader([1, new Uint8Array(ITEM_BYTES_MAX + 1)], undefined), { count: 2 });
    expect(values(readings)).toEqual([1, "refused"]);
    const [error] = refusals(readings);
    expect(error).toMatchObject({ limitName: "ITEM_BYTES_MAX", limit: ITEM_BYTES_MAX, cause: expect.any(LimitError) });
    expect(error?.message).toMatch(/^input 1: ITEM_BYTES_MAX is /);
  });

  test("because its own getter throws has that error as the cause of its refusal", () => {
    const own = new Error("mine");
    const item = {
      get a() {
        throw own;
      },
    };
    const [error] = refusals(readAll(new ArrayReader([item], undefined), { count: 1 }));
    expect(error).toMatchObject({ cause: { cause: own } });
  });
});

describe("a repeated value", () => {
  test("is encoded once, whatever it costs, and sent for each chunk", () => {
    let readings = 0;
    const value = {
      get read() {
        return ++readings;
      },
    };
    const chunks = readAll(new RepeatReader(repeat(value, 7), undefined), { count: 3 });
    expect(counts(chunks)).toEqual([3, 3, 1]);
    expect(values(chunks)).toEqual(new Array(7).fill({ read: 1 }));
    expect(readings).toBe(1);
  });

  test("that cannot travel is refused for each index, and tried once", () => {
    let readings = 0;
    const value = {
      get read() {
        readings++;
        return () => 1;
      },
    };
    const errors = refusals(readAll(new RepeatReader(repeat(value, 3), undefined), { count: 3 }));
    expect(errors.map(({ message }) => message.slice(0, 9))).toEqual(["input 0: ", "input 1: ", "input 2: "]);
    expect(readings).toBe(1);
  });

  test("with a function in it is asked for again once that is shipped", async () => {
    const functions = new ArgumentFunctions(new FakeShipper());
    const fn = (): number => 1;
    const reader = new RepeatReader(repeat({ fn }, 2), functions);
    expect(() => reader.read(wanted)).toThrow(expect.objectContaining({ fns: [fn] }) as never);
    await functions.ship(fn);
    expect(counts([reader.read(wanted)])).toEqual([2]);
  });

  test("a number of times that is no whole number from 0 is refused", () => {
    for (const n of [-1, 1.5, Number.NaN, "3", undefined, 2 ** 53])
      expect(() => repeat(1, n as never)).toThrow(
        new RangeError(`repeat: n must be a whole number from 0, got ${String(n)}`),
      );
    expect([...repeat("a", 2)]).toEqual(["a", "a"]);
  });
});

describe("functions among the inputs", () => {
  test("are all met in one reading of a chunk, which is read again once they are shipped", async () => {
    const functions = new ArgumentFunctions(new FakeShipper());
    const fns = [() => 1, () => 2];
    const reader = new ArrayReader([0, { fn: fns[0] }, fns[1]], functions);
    let met: unknown;
    try {
      reader.read(wanted);
    } catch (error) {
      met = error;
    }
    expect(met).toBeInstanceOf(UnshippedFunctions);
    expect(met).toMatchObject({ fns });
    for (const fn of fns) await functions.ship(fn);
    expect(counts([reader.read(wanted)])).toEqual([3]);
  });

  test("that cannot be shipped are refused with the name of the input", () => {
    const functions = new ArgumentFunctions(new FakeShipper());
    const fn = (): number => 1;
    functions.refuse(
      fn,
      new CaptureError("it closes over a socket", { variable: "s", path: "$", file: "a.ts", line: 1 }),
    );
    const readings = readAll(new ArrayReader([0, fn, 2], functions), { count: 3 });
    expect(values(readings)).toEqual([0, "refused", 2]);
    expect(refusals(readings)).toEqual([
      expect.objectContaining({ name: "CaptureError", variable: "s", message: "input 1: it closes over a socket" }),
    ]);
  });
});

describe("inputs", () => {
  const options = { chunkSize: 1, functions: new ArgumentFunctions(new FakeShipper()), wake: () => undefined };

  test("have a length when that is known without reading them", () => {
    const typed = Float32Array.of(1, 2);
    const known = [[1, 2], range(2), repeat(0, 2), typed, new Set([1, 2]), new Map([[1, 2]])].map(inputCount);
    expect(known).toEqual([2, 2, 2, 2, 2, 1]);
    async function* later() {}
    expect(["ab", [1].values(), later()].map(inputCount)).toEqual([undefined, undefined, undefined]);
  });

  test("that cannot be read at all are refused in words", () => {
    for (const bad of [5, undefined, null, { length: 3 }, new DataView(new ArrayBuffer(8)), () => 1])
      expect(() => inputCount(bad)).toThrow(
        new TypeError("inputs must be iterable: an array, a typed array, range(...), a Set, a generator, ..."),
      );
  });

  test("of every kind give their items in order", () => {
    const map = new Map([["a", 1]]);
    const kinds = [[1, 2], range(2), repeat(7, 2), Int16Array.of(3, 4), new Set([5, 6]), map, "xy", [8, 9].values()];
    const items = kinds.map((kind) => values(readAll(openInputs(kind, options), { count: 10 })));
    expect(items).toEqual([[1, 2], [0, 1], [7, 7], [3, 4], [5, 6], [["a", 1]], ["x", "y"], [8, 9]]);
  });

  test("that are a Set or a Map are taken as they are at the call", () => {
    const set = new Set([1, 2, 3]);
    const reader = openInputs(set, options);
    set.clear();
    expect(reader.total).toBe(3);
    expect(values(readAll(reader, { count: 2 }))).toEqual([1, 2, 3]);
  });

  test("that are iterable either way are read as they come", () => {
    const both = {
      *[Symbol.iterator]() {
        yield 1;
      },
      async *[Symbol.asyncIterator]() {
        yield 2;
      },
    };
    expect(openInputs(both, options).read(wanted)).toEqual({ type: "later" });
  });
});
