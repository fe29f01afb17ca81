import { encodeRange } from "@heddle/wire";
import { describe, expect, test } from "vitest";
import { PART_RESULT_BYTES } from "./limits.ts";
import { Bench } from "./testing.ts";

/** A worker whose job 1 takes so many milliseconds for each item. */
function taking(msOf: (x: number) => number, isAsync = false): Bench {
  const bench = new Bench();
  const take = (x: number): number => {
    bench.nowMs += msOf(x);
    return x;
  };
  bench.job(1, isAsync ? async (x: number) => take(x) : take);
  return bench;
}

describe("a chunk of several grains", () => {
  test("runs to its end while they are quick", async () => {
    const bench = taking(() => 0.5);
    expect(await bench.run(1, [1, 2, 3, 4, 5], { grain: 2 })).toMatchObject({ done: [1, 2, 3, 4, 5] });
  });

  test("gives back the rest when one of them took long, and not before it ended", async () => {
    const bench = taking((x) => (x === 3 ? 3 : 0));
    const answer = await bench.run(1, encodeRange(1, 1, 7), { grain: 3 });
    expect(answer).toEqual({ assignment: 1, part: [1, 2, 3], completed: 3 });
    const later = taking((x) => (x === 4 ? 3 : 0));
    expect(await later.run(1, encodeRange(1, 1, 7), { grain: 3 })).toMatchObject({ part: [1, 2, 3, 4, 5, 6] });
  });

  test("has nothing to give back when the last one took long", async () => {
    const bench = taking((x) => (x === 4 ? 3 : 0));
    expect(await bench.run(1, [1, 2, 3, 4], { grain: 2 })).toMatchObject({ done: [1, 2, 3, 4] });
  });

  test("gives back the rest once it has run for long in all", async () => {
    const bench = taking(() => 1.5);
    expect(await bench.run(1, encodeRange(0, 1, 100), { grain: 1 })).toMatchObject({ completed: 7 });
  });

  test("gives back the rest once its results are large", async () => {
    const bench = new Bench();
    bench.job(1, () => "x".repeat(PART_RESULT_BYTES / 2));
    expect(await bench.run(1, encodeRange(0, 1, 100), { grain: 1 })).toMatchObject({ completed: 2 });
  });

  test("counts its grains from the chunk's first item, whatever the span", async () => {
    const bench = taking((x) => (x === 2 ? 3 : 0));
    const more = { grain: 3, span: { offset: 2, count: 6 } };
    expect(await bench.run(1, [0, 1, 2, 3, 4, 5, 6, 7, 8], more)).toMatchObject({ part: [2] });
  });

  test("gives back the rest between two items that are waited for", async () => {
    const bench = taking((x) => (x === 2 ? 3 : 0), true);
    expect(await bench.run(1, [1, 2, 3, 4, 5, 6], { grain: 6 })).toMatchObject({ part: [1, 2], completed: 2 });
  });

  test("answers with the error of an item that fails, as ever", async () => {
    const bench = taking((x) => {
      if (x === 4) throw new Error("four");
      return 0;
    });
    expect(await bench.run(1, [1, 2, 3, 4, 5], { grain: 2 })).toMatchObject({ completed: 3, offset: 3 });
  });
});

test("a chunk that is one does not look at the clock, however long it takes", async () => {
  const bench = taking(() => 100);
  expect(await bench.run(1, [1, 2, 3])).toMatchObject({ done: [1, 2, 3] });
});
