import { encodeRange } from "@heddle/wire";
import { describe, expect, test } from "vitest";
import { Bench } from "./testing.ts";

/** The first two random numbers of each item of a job with that seed. */
async function drawn(seed: { seedLow?: number; seedHigh?: number }, firstIndex = 0, count = 3): Promise<unknown> {
  const bench = new Bench();
  bench.job(1, () => [bench.runtime.task()?.random(), bench.runtime.task()?.random()], false, seed);
  return await bench.results(1, encodeRange(0, 1, count), { firstIndex });
}

describe("random numbers of a task", () => {
  test("depend on the seed and the index alone", async () => {
    const all = (await drawn({ seedLow: 5, seedHigh: 6 }, 0, 10)) as number[][];
    expect(await drawn({ seedLow: 5, seedHigh: 6 }, 4, 3)).toEqual(all.slice(4, 7));
    expect(await drawn({ seedLow: 5, seedHigh: 7 }, 0, 10)).not.toEqual(all);
    expect(await drawn({ seedLow: 6, seedHigh: 6 }, 0, 10)).not.toEqual(all);
    const numbers = all.flat();
    expect(new Set(numbers).size).toBe(20);
    expect(numbers.every((number) => number >= 0 && number < 1)).toBe(true);
  });

  test("begin anew when the item runs again", async () => {
    const bench = new Bench();
    bench.job(1, () => bench.runtime.task()?.random());
    const first = await bench.results(1, [0]);
    expect(await bench.results(1, [0], { attempt: 2 })).toEqual(first);
  });

  test("go on for whoever keeps what task() gave it, though other items run", async () => {
    const bench = new Bench();
    const draw: (() => number)[] = [];
    bench.job(1, () => {
      const task = bench.runtime.task();
      if (task !== undefined) draw.push(() => task.random());
      return task?.random();
    });
    const done = await bench.results<number>(1, [0, 1]);
    const late = draw.map((next) => next());
    const both = (await drawn({}, 0, 2)) as number[][];
    expect(done.map((first, at) => [first, late[at]])).toEqual(both);
  });

  test("are spread evenly", async () => {
    const numbers = ((await drawn({ seedLow: 1 }, 0, 5_000)) as number[][]).flat();
    const mean = numbers.reduce((a, b) => a + b) / numbers.length;
    expect(Math.abs(mean - 0.5)).toBeLessThan(0.02);
  });
});
