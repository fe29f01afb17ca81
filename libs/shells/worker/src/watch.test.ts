import { describe, expect, test } from "vitest";
import { Bench } from "./testing.ts";

describe("items that are watched", () => {
  test("are marked before they run, in every chunk, and none is once the chunk is over", async () => {
    const bench = new Bench();
    const under: unknown[] = [];
    bench.job(1, () => void under.push(bench.marked.get(0)), false, { watched: true });
    await bench.run(1, [1, 2, 3], { span: { offset: 1, count: 2 } });
    expect(under).toEqual([1, 2]);
    expect(bench.marked.size).toBe(0);
  });

  test("are unmarked when one of them failed, too", async () => {
    const bench = new Bench();
    const run = async (): Promise<never> => {
      throw new Error("no");
    };
    bench.job(1, run, false, { watched: true });
    expect(await bench.run(1, [1, 2])).toMatchObject({ completed: 0 });
    expect([bench.marks, bench.marked.size]).toEqual([[[1, 0]], 0]);
  });
});

test("marks that look for a crash stay, so that a death between two chunks is no item's", async () => {
  const bench = new Bench();
  bench.job(1, (x: number) => x);
  await bench.run(1, [1, 2], { marks: true });
  expect(bench.marked.get(0)).toBe(1);
});

test("an answer says the size of the resident set where it is asked for", async () => {
  const bench = new Bench();
  bench.rssBytes = 123;
  bench.job(1, (x: number) => x, false, { weighed: true });
  bench.job(2, (x: number) => x);
  await bench.run(1, [1]);
  await bench.run(2, [1]);
  expect(bench.said("chunkReturned").map(({ rssBytes }) => rssBytes)).toEqual([123, 0]);
});

test.each([
  ["got a string", "text", "a string"],
  ["got an object", { length: 1 }, "an object"],
  ["got null", null, "null"],
  ["got undefined", undefined, "undefined"],
  ["got a number", 7, "a number"],
])("an input of a starmap that is no array says what it is: %s", async (_what, item, kind) => {
  const bench = new Bench();
  bench.job(1, (a: number) => a, true);
  const answer = await bench.run(1, [[1], item], { firstIndex: 2 });
  const summary = `TypeError: input 3 of a starmap must be an array of arguments, got ${kind}`;
  expect(answer).toMatchObject({ completed: 1, values: [1], offset: 1, summary });
  expect((answer as { error: unknown }).error).toBeInstanceOf(TypeError);
});
