import { CHUNK_BYTES_TARGET, CHUNK_ITEMS_MAX, FOLD_BLOCK_ITEMS } from "@heddle/kernel";
import { describe, expect, test } from "vitest";
import { AUTO_CHUNK_MS, AUTO_GROWTH, OPEN_CHUNKS_PER_SLOT, PACKED_CHUNKS_MAX } from "./limits.ts";
import { checkChunkSize, chunkSizer, defaultChunkSize, type SizingOptions } from "./sizing.ts";

function sizer(options: Partial<SizingOptions> = {}) {
  const unsaid = { chunkSize: undefined, total: undefined, concurrency: 1, isFolded: false, mayPack: true };
  return chunkSizer({ ...unsaid, slots: () => 4, ...options });
}

const everything = Number.POSITIVE_INFINITY;

describe("a chunk of default size", () => {
  test("has ceil(n / (4 * slots)) items, and about 1 MiB", () => {
    expect([defaultChunkSize(100, 4), defaultChunkSize(0, 4), defaultChunkSize(5, 0)]).toEqual([7, 1, 2]);
    expect(sizer({ total: 100 }).next(0, everything)).toEqual({ count: 7, grain: 0, bytesTarget: CHUNK_BYTES_TARGET });
  });

  test("goes by the slots that there are at the first chunk", () => {
    let slots = 0;
    const sizes = sizer({ total: 160, slots: () => slots });
    slots = 10;
    expect(sizes.next(0, everything).count).toBe(4);
    slots = 1;
    expect(sizes.next(4, everything).count).toBe(4);
  });

  test("has at least as many items as run at a time in one worker", () => {
    expect(sizer({ total: 100, concurrency: 50 }).next(0, everything).count).toBe(50);
  });

  test("never travels with others, however quick its items are", () => {
    const sizes = sizer({ total: 1_000_000 });
    sizes.observe(100, 0);
    expect(sizes.next(0, everything).grain).toBe(0);
  });

  test("ends where blocks end when results are folded, unless it is smaller than a block", () => {
    const large = sizer({ total: 17 * FOLD_BLOCK_ITEMS, isFolded: true });
    expect(large.next(0, everything).count).toBe(2 * FOLD_BLOCK_ITEMS);
    expect(sizer({ total: 100, isFolded: true }).next(0, everything).count).toBe(7);
  });
});

describe("a chunk of given size", () => {
  test("has that many items, whatever its bytes, and travels alone while nothing is known", () => {
    expect(sizer({ chunkSize: 10, total: 100 }).next(0, everything)).toEqual({
      count: 10,
      grain: 0,
      bytesTarget: Number.POSITIVE_INFINITY,
    });
  });

  test("travels with others of its size when they are done in no time, growing in number step by step", () => {
    const sizes = sizer({ chunkSize: 10 });
    sizes.observe(10, 0);
    const counts = [0, 1, 2, 3].map(() => sizes.next(0, everything));
    const grown = [AUTO_GROWTH, AUTO_GROWTH ** 2, PACKED_CHUNKS_MAX, PACKED_CHUNKS_MAX];
    expect(counts.map(({ count }) => count)).toEqual(grown.map((packed) => packed * 10));
    expect(counts.every(({ grain }) => grain === 10)).toBe(true);
  });

  test("travels alone again when items turn out to be slow", () => {
    const sizes = sizer({ chunkSize: 1 });
    sizes.observe(1, 0);
    expect(sizes.next(0, everything).grain).toBe(1);
    for (let chunk = 0; chunk < 20; chunk++) sizes.observe(1, 100);
    expect(sizes.next(0, everything)).toMatchObject({ count: 1, grain: 0 });
  });

  test("travels alone where workers are replaced after so many chunks", () => {
    const sizes = sizer({ chunkSize: 10, mayPack: false });
    sizes.observe(10, 0);
    expect(sizes.next(0, everything)).toMatchObject({ count: 10, grain: 0 });
  });

  test("travels with so few others that no slot is left with nothing, at the end and in a small window", () => {
    const sizes = sizer({ chunkSize: 1, total: 100 });
    sizes.observe(1, 0);
    expect(sizes.next(60, everything).count).toBe(Math.floor(40 / (4 * OPEN_CHUNKS_PER_SLOT)));
    expect(sizes.next(90, everything)).toMatchObject({ count: 1, grain: 0 });
    expect(sizes.next(0, 16)).toMatchObject({ count: 1, grain: 0 });
  });

  test("travels with so few others that they have few bytes together", () => {
    const sizes = sizer({ chunkSize: 1 });
    sizes.observe(1, 0);
    sizes.encoded(1, 40_000);
    expect(sizes.next(0, everything)).toMatchObject({ count: 1, grain: 0 });
  });

  test("travels alone when results are large", () => {
    const sizes = sizer({ chunkSize: 1 });
    sizes.observe(1, 0, 4 * 1024 * 1024);
    expect(sizes.next(0, everything)).toMatchObject({ count: 1, grain: 0 });
  });
});

describe("a chunk of automatic size", () => {
  test("is the default where the number of inputs is not known", () => {
    expect(sizer().isEager).toBe(true);
    expect(sizer({ total: 100 }).isEager).toBe(false);
  });

  test("has one item first, or as many as run at a time, then as many as take so long", () => {
    expect(sizer({ chunkSize: "auto" }).next(0, everything).count).toBe(1);
    expect(sizer({ chunkSize: "auto", concurrency: 5 }).next(0, everything).count).toBe(5);
    const sizes = sizer({ chunkSize: "auto" });
    sizes.observe(1, 20);
    expect(sizes.next(0, everything).count).toBe(AUTO_CHUNK_MS / 20);
    sizes.observe(1, 1_000);
    expect(sizes.next(0, everything).count).toBe(1);
  });

  test("grows step by step, whatever the first items took", () => {
    const sizes = sizer({ chunkSize: "auto" });
    sizes.observe(1, 0);
    expect([1, 2, 3].map(() => sizes.next(0, everything).count)).toEqual([8, 64, 512]);
  });

  test("leaves something for every slot, at the end and in a small window", () => {
    const sizes = sizer({ chunkSize: "auto", total: 100 });
    for (let chunk = 0; chunk < 3; chunk++) {
      sizes.observe(1, 0);
      sizes.next(0, everything);
    }
    expect(sizes.next(20, everything).count).toBe(80 / (4 * OPEN_CHUNKS_PER_SLOT));
    expect(sizes.next(0, 32).count).toBe(2);
    expect(sizes.next(99, everything).count).toBe(1);
  });

  test("has no more items than fit the bytes of a chunk, so that no more are read ahead of it", () => {
    const sizes = sizer();
    sizes.observe(1, 0);
    sizes.encoded(1, CHUNK_BYTES_TARGET / 4);
    expect([1, 2, 3].map(() => sizes.next(0, everything).count)).toEqual([4, 4, 4]);
    sizes.encoded(1, 100 * CHUNK_BYTES_TARGET);
    expect(sizes.next(0, everything).count).toBe(1);
  });

  test("is made of whole blocks when results are folded and it is larger than one", () => {
    const sizes = sizer({ isFolded: true, concurrency: FOLD_BLOCK_ITEMS + 1 });
    expect(sizes.next(0, everything).count).toBe(2 * FOLD_BLOCK_ITEMS);
  });
});

test("under way are four chunks for each slot, and more when they are short", () => {
  const sizes = sizer({ chunkSize: 1 });
  expect(sizes.openChunksMax).toBe(4 * OPEN_CHUNKS_PER_SLOT);
  sizes.observe(1, 1_000);
  expect(sizes.openChunksMax).toBe(4 * OPEN_CHUNKS_PER_SLOT);
  const quick = sizer({ chunkSize: 1 });
  quick.observe(1, 1);
  expect(quick.openChunksMax).toBe(4 * 50);
  const instant = sizer({ chunkSize: 1, slots: () => 0 });
  instant.observe(1, 0);
  expect(instant.openChunksMax).toBe(2_500);
});

test("a chunk size must be a whole number from 1, or auto", () => {
  for (const good of [undefined, "auto", 1, CHUNK_ITEMS_MAX]) expect(checkChunkSize(good)).toBeUndefined();
  for (const bad of [0, -1, 1.5, Number.NaN, CHUNK_ITEMS_MAX + 1])
    expect(() => checkChunkSize(bad)).toThrow(
      new RangeError(`chunkSize must be a whole number from 1 to ${CHUNK_ITEMS_MAX}, got ${bad}`),
    );
  for (const [bad, what] of [
    ["3", "a string"],
    [null, "null"],
    [1n, "a bigint"],
  ])
    expect(() => checkChunkSize(bad)).toThrow(new TypeError(`chunkSize must be a number or "auto", got ${what}`));
});
