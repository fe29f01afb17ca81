import { FOLD_BLOCK_ITEMS, foldedCount } from "@heddle/kernel";
import { encodeRange, type PrepareJob } from "@heddle/wire";
import { describe, expect, test } from "vitest";
import { type Answer, Bench } from "./testing.ts";

const add = (a: number, b: number): number => a + b;
const folding = (bench: Bench, combine: unknown = add): Partial<PrepareJob> => ({
  combine: bench.placed("combine", combine),
});
const sum = (from: number, until: number): number => ((until - from) * (from + until - 1)) / 2;
const BLOCK = FOLD_BLOCK_ITEMS;
const plain = (from: number, until: number): number[] => Array.from({ length: until - from }, (_, at) => from + at);

describe("results that are folded", () => {
  test.each([
    ["whole", 0, 3 * BLOCK],
    ["cut at both ends", 5, 3 * BLOCK],
    ["cut in the last block", BLOCK, BLOCK + 7],
    ["less than one", 3, 100],
  ])("are one value for each block that is whole, where blocks are %s", async (_what, first, count) => {
    const bench = new Bench();
    bench.job(1, (x: number) => x, false, folding(bench));
    const done = await bench.results<number>(1, encodeRange(first, 1, count), { firstIndex: first });
    const end = first + count;
    const from = Math.ceil(first / BLOCK) * BLOCK;
    const until = Math.max(from, Math.floor(end / BLOCK) * BLOCK);
    const blocks = Array.from({ length: (until - from) / BLOCK }, (_, at) =>
      sum(from + at * BLOCK, from + (at + 1) * BLOCK),
    );
    const expected = blocks.length === 0 ? plain(first, end) : [...plain(first, from), ...blocks, ...plain(until, end)];
    expect(done).toEqual(expected);
    expect(done).toHaveLength(foldedCount(first, count));
  });

  test("are the same whether the function is quick, is async or gives other things than numbers", async () => {
    const bench = new Bench();
    const join = (a: string, b: string): string => `${a}${b}`.slice(-40);
    const name = (x: number): string => `${x},`;
    bench.job(1, name, false, folding(bench, join));
    const inputs = encodeRange(0, 1, 2 * BLOCK);
    const done = await bench.results<string>(1, inputs);
    bench.job(2, async (x: number) => name(x), false, folding(bench, join));
    expect(await bench.run(2, inputs)).toMatchObject({ done });
    const folded = (from: number): string =>
      plain(from, from + BLOCK)
        .map(name)
        .reduce(join);
    expect(done).toEqual([folded(0), folded(BLOCK)]);
  });

  test("of a function that fails are plain where the block is not whole", async () => {
    const bench = new Bench();
    const run = (x: number): number => {
      if (x === BLOCK + 2) throw new Error("no");
      return x;
    };
    bench.job(1, run, false, folding(bench));
    const answer = await bench.run(1, encodeRange(0, 1, 2 * BLOCK));
    expect(answer).toMatchObject({
      completed: BLOCK + 2,
      offset: BLOCK + 2,
      values: [sum(0, BLOCK), BLOCK, BLOCK + 1],
    });
  });

  test.each([
    ["throws", 1, "Error: too much"],
    ["throws, after many blocks", 20, "Error: too much"],
  ])(
    "of a combine that %s fail at their block's last item, with the values before it",
    async (_what, blocks, summary) => {
      const bench = new Bench();
      const limited = (a: number, b: number): number => {
        if (b === blocks * BLOCK - 5) throw new Error("too much");
        return a + b;
      };
      bench.job(1, (x: number) => x, false, folding(bench, limited));
      const answer = await bench.run(1, encodeRange(0, 1, (blocks + 1) * BLOCK));
      const last = blocks * BLOCK - 1;
      expect(answer).toMatchObject({ completed: last, offset: last, summary });
      const { values } = answer as Extract<Answer, { completed: number; values: readonly unknown[] }>;
      expect(values).toHaveLength(foldedCount(0, last));
      expect(values.at(-1)).toBe(last - 1);
    },
  );

  test("by a combine that is async say that it cannot be", async () => {
    const bench = new Bench();
    bench.job(
      1,
      (x: number) => x,
      false,
      folding(bench, async (a: number, b: number) => a + b),
    );
    const answer = await bench.run(1, encodeRange(0, 1, BLOCK));
    expect(answer).toMatchObject({ summary: expect.stringMatching(/^TypeError: combine gave a promise/) });
  });

  test("are given back in part with a block that is not whole", async () => {
    const bench = new Bench();
    const run = (x: number): number => {
      if (x === BLOCK + 3) bench.nowMs += 3;
      return x;
    };
    bench.job(1, run, false, folding(bench));
    const answer = await bench.run(1, encodeRange(0, 1, 3 * BLOCK), { grain: 10 });
    const completed = Math.ceil((BLOCK + 4) / 10) * 10;
    expect(answer).toMatchObject({ completed, part: [sum(0, BLOCK), ...plain(BLOCK, completed)] });
  });

  test("of items that run side by side are folded in order", async () => {
    const bench = new Bench();
    const run = async (x: number): Promise<string> => {
      if (x % 3 === 0) await null;
      return `${x % 10}`;
    };
    bench.job(1, run, false, { ...folding(bench, (a: string, b: string) => a + b), concurrency: 4 });
    const done = await bench.results<string>(1, encodeRange(0, 1, BLOCK));
    expect(done).toEqual([
      plain(0, BLOCK)
        .map((x) => `${x % 10}`)
        .join(""),
    ]);
  });

  test("that cannot travel fail where they are plain", async () => {
    const bench = new Bench();
    bench.job(
      1,
      () => Symbol("odd"),
      false,
      folding(bench, () => 1),
    );
    expect(await bench.run(1, encodeRange(0, 1, BLOCK))).toMatchObject({ done: [1] });
    expect(await bench.run(1, [1, 2])).toMatchObject({ completed: 0, refused: { code: "serialization" } });
  });
});
