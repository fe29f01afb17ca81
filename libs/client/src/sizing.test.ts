import { CHUNK_BYTES_TARGET, CHUNK_ITEMS_MAX, ITEM_BYTES_MAX, LimitError, SerializationError } from "@heddle/kernel";
import { decodePayload, Encoding } from "@heddle/wire";
import { describe, expect, test } from "vitest";
import { type ChunkSource, checkChunkSize, chunkSource, defaultChunkSize, materialise } from "./chunks.ts";
import { range } from "./range.ts";

function cut(source: ChunkSource) {
  const chunks = [];
  for (let chunk = source.next(); chunk !== undefined; chunk = source.next()) chunks.push(chunk);
  return chunks;
}

function thrown(act: () => unknown): unknown {
  try {
    return act();
  } catch (error) {
    return error;
  }
}

function values(source: ChunkSource): unknown[] {
  return cut(source).flatMap(({ payload }) => decodePayload(payload));
}

describe("range", () => {
  test.each([
    [[5], [0, 1, 2, 3, 4]],
    [[0], []],
    [[-3], []],
    [
      [2, 5],
      [2, 3, 4],
    ],
    [[5, 2], []],
    [
      [5, 2, -1],
      [5, 4, 3],
    ],
    [
      [5, 0, -2],
      [5, 3, 1],
    ],
    [
      [0, 1, 0.25],
      [0, 0.25, 0.5, 0.75],
    ],
    [[0, 7, 7], [0]],
    [
      [0, 8, 7],
      [0, 7],
    ],
    [[1, 1, -1], []],
  ] as [[number, number?, number?], number[]][])("range(%j) is %j", ([start, stop, step], expected) => {
    const numbers = stop === undefined ? range(start) : range(start, stop, step);
    expect([...numbers]).toEqual(expected);
    expect(numbers.length).toBe(expected.length);
  });

  test("refuses step 0, what is no finite number, and more numbers than can be counted", () => {
    expect(() => range(0, 5, 0)).toThrow(RangeError);
    for (const bad of ["5", null, Number.NaN, Number.POSITIVE_INFINITY, 5n]) {
      expect(() => range(bad as never)).toThrow(TypeError);
      expect(() => range(0, 5, bad as never)).toThrow(TypeError);
    }
    expect(() => range(-Number.MAX_VALUE, Number.MAX_VALUE)).toThrow(RangeError);
  });

  test("at counts from either end, as arrays do", () => {
    const numbers = range(10, 0, -3);
    const same = [...numbers];
    for (const index of [0, 1, 3, 4, -1, -4, -5, 1.7, -1.7, Number.NaN]) expect(numbers.at(index)).toBe(same.at(index));
  });

  test("fractions cut by chunks have the same bits as uncut", () => {
    const numbers = range(-1, 1, 0.1);
    for (const chunkSize of [1, 3, 7, 100])
      expect(values(chunkSource(numbers, { chunkSize, slots: 1 }))).toEqual([...numbers]);
    expect([...numbers].every((value, index) => Object.is(value, -1 + index * 0.1))).toBe(true);
  });
});

describe("chunks", () => {
  test("have ceil(n / (4 * slots)) items unless a size is given", () => {
    expect(defaultChunkSize(100, 4)).toBe(7);
    expect(defaultChunkSize(0, 4)).toBe(1);
    expect(defaultChunkSize(5, 0)).toBe(2);
    const counts = cut(chunkSource(range(100), { chunkSize: undefined, slots: 4 })).map(({ payload }) => payload.count);
    expect(counts).toEqual([...new Array<number>(14).fill(7), 2]);
  });

  test("of default size are cut short at about 1 MiB, of given size they are not", () => {
    const items = Array.from({ length: 64 }, (_, at) => "x".repeat(100_000 + at));
    const cutShort = cut(chunkSource(items, { chunkSize: undefined, slots: 1 }));
    expect(cutShort.map(({ firstIndex }) => firstIndex).slice(0, 3)).toEqual([0, 11, 22]);
    for (const { payload } of cutShort) expect(payload.bytes.byteLength).toBeLessThan(CHUNK_BYTES_TARGET + 100_200);
    expect(values(chunkSource(items, { chunkSize: undefined, slots: 1 }))).toEqual(items);
    expect(cut(chunkSource(items, { chunkSize: 64, slots: 1 }))).toHaveLength(1);
  });

  test("of nothing are none", () => {
    expect(cut(chunkSource([], { chunkSize: undefined, slots: 4 }))).toEqual([]);
    expect(cut(chunkSource(range(0), { chunkSize: 3, slots: 4 }))).toEqual([]);
  });

  test("of typed arrays travel as columns and come back as numbers", () => {
    for (const items of [Float64Array.of(0.5, -0, 3), Int8Array.of(-1, 0, 1), new Uint8ClampedArray([1, 2, 255])]) {
      const [chunk] = cut(chunkSource(materialise<number>(items), { chunkSize: 3, slots: 1 }));
      expect([Encoding.F64, Encoding.I32]).toContain(chunk?.payload.encoding);
      expect(decodePayload(chunk?.payload ?? { encoding: 0, count: 0, bytes: new Uint8Array() })).toEqual([...items]);
    }
    expect(values(chunkSource(materialise(BigInt64Array.of(1n, -1n)), { chunkSize: 2, slots: 1 }))).toEqual([1n, -1n]);
  });

  test("an input that cannot travel says where it is", () => {
    const source = chunkSource([0, 1, 2, "x", { a: [() => 1] }], { chunkSize: 3, slots: 1 });
    source.next();
    const error = thrown(() => source.next());
    expect(error).toBeInstanceOf(SerializationError);
    expect(error).toMatchObject({ path: "$.a[0]", side: "argument", cause: expect.any(SerializationError) });
    expect((error as Error).message).toMatch(/^input 4: /);
  });

  test("an input above a limit says which one it is, and by how much", () => {
    const source = chunkSource([1, new Uint8Array(ITEM_BYTES_MAX + 1)], { chunkSize: 2, slots: 1 });
    const error = thrown(() => source.next());
    expect(error).toBeInstanceOf(LimitError);
    expect(error).toMatchObject({ limitName: "ITEM_BYTES_MAX", limit: ITEM_BYTES_MAX, cause: expect.any(LimitError) });
    expect((error as Error).message).toMatch(/^input 1: ITEM_BYTES_MAX is /);
  });

  test("a chunk size must be a whole number from 1", () => {
    expect(checkChunkSize(undefined)).toBeUndefined();
    expect(checkChunkSize(CHUNK_ITEMS_MAX)).toBe(CHUNK_ITEMS_MAX);
    for (const bad of [0, -1, 1.5, Number.NaN, CHUNK_ITEMS_MAX + 1])
      expect(() => checkChunkSize(bad)).toThrow(RangeError);
    for (const bad of ["1", null, 1n]) expect(() => checkChunkSize(bad)).toThrow(TypeError);
  });
});

describe("inputs", () => {
  test("without a length are read to their end, others are taken as they are", () => {
    const list = [1, 2];
    expect(materialise(list)).toBe(list);
    expect(materialise(new Set([1, 2]))).toEqual([1, 2]);
    expect(materialise("ab")).toEqual(["a", "b"]);
    expect(() => materialise(5 as never)).toThrow(TypeError);
    expect(() => materialise(undefined as never)).toThrow(TypeError);
  });

  test("whose iterator throws give its own error", () => {
    const own = new Error("mine");
    function* broken() {
      yield 1;
      throw own;
    }
    expect(() => materialise(broken())).toThrow(own);
  });
});
