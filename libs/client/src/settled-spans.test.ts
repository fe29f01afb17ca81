import { seededRandom } from "@heddle/kernel";
import { expect, test } from "vitest";
import { SettledSpans } from "./settled-spans.ts";

test("each item is new once, however spans lie over each other, and those that touch are one", () => {
  const random = seededRandom(1, "spans");
  for (let round = 0; round < 200; round++) {
    const spans = new SettledSpans();
    const isSettled = new Array<boolean>(40).fill(false);
    for (let step = 0; step < 15; step++) {
      const offset = random.int(40);
      const count = 1 + random.int(40 - offset);
      const expected = [];
      for (let at = offset; at < offset + count; at++) if (!isSettled[at]) expected.push(at);
      const gaps = spans.add(offset, count);
      expect(gaps.flatMap((gap) => Array.from({ length: gap.count }, (_, at) => gap.offset + at))).toEqual(expected);
      isSettled.fill(true, offset, offset + count);
      const all = spans.largest(40);
      const text = isSettled.map((is) => (is ? "x" : " ")).join("");
      expect(all).toEqual([...text.matchAll(/x+/g)].map((run) => ({ offset: run.index, count: run[0].length })));
      expect(spans.firstGap).toBe(text.indexOf(" ") < 0 ? 40 : text.indexOf(" "));
    }
  }
});

test("of more spans than may be told the largest are, in order", () => {
  const spans = new SettledSpans();
  for (const [offset, count] of [
    [0, 1],
    [10, 5],
    [20, 3],
    [30, 1],
  ] as const)
    spans.add(offset, count);
  expect(spans.largest(2)).toEqual([
    { offset: 10, count: 5 },
    { offset: 20, count: 3 },
  ]);
});
