import { seededRandom } from "@heddle/kernel";
import { expect, test } from "vitest";
import { Extents } from "./extents.ts";

test("what is given back is used again before the file grows, and the end goes back with it", () => {
  const extents = new Extents();
  const [a, b, c] = [extents.take(10), extents.take(20), extents.take(30)];
  expect([a, b, c, extents.end, extents.used]).toEqual([0, 10, 30, 60, 60]);
  extents.give(10, 20);
  expect([extents.take(15), extents.take(6), extents.end]).toEqual([10, 60, 66]);
  extents.give(60, 6);
  extents.give(30, 30);
  expect([extents.end, extents.used]).toEqual([25, 25]);
});

test("nothing is ever in two places, and nothing is left when all is given back", () => {
  const random = seededRandom(7);
  for (let round = 0; round < 50; round++) {
    const extents = new Extents();
    const taken: { start: number; size: number }[] = [];
    for (let step = 0; step < 300; step++) {
      if (taken.length > 0 && random.int(2) === 0) {
        const [one] = taken.splice(random.int(taken.length), 1);
        if (one !== undefined) extents.give(one.start, one.size);
      } else {
        const size = 1 + random.int(40);
        const start = extents.take(size);
        for (const other of taken) expect(start + size <= other.start || other.start + other.size <= start).toBe(true);
        taken.push({ start, size });
      }
      expect(extents.used).toBe(taken.reduce((sum, { size }) => sum + size, 0));
      expect(extents.end).toBe(Math.max(0, ...taken.map(({ start, size }) => start + size)));
    }
    for (const { start, size } of taken) extents.give(start, size);
    expect([extents.end, extents.used]).toEqual([0, 0]);
  }
});

test("an extent that was never taken is not given back", () => {
  const extents = new Extents();
  extents.take(10);
  expect(() => extents.give(5, 10)).toThrow("was taken");
});
