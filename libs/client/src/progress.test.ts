import { ManualClock } from "@heddle/port-rpc/testing";
import { expect, test } from "vitest";
import type { ItemCounts } from "./async-result.ts";
import { PROGRESS_PAUSE_MS } from "./limits.ts";
import { type Progress, ProgressMeter, progressLine, progressOf } from "./progress.ts";
import { settle } from "./testing.ts";

test("progress has a rate, and the time that the rest takes when both are known", () => {
  expect(progressOf({ done: 3, failed: 1, total: 10 }, 2_000)).toEqual({
    done: 3,
    failed: 1,
    total: 10,
    elapsedMs: 2_000,
    perSecond: 2,
    etaMs: 3_000,
  });
  expect(progressOf({ done: 4, failed: 0 }, 1_000)).toEqual({ done: 4, failed: 0, elapsedMs: 1_000, perSecond: 4 });
  expect(progressOf({ done: 0, failed: 0, total: 5 }, 0)).toEqual({
    done: 0,
    failed: 0,
    total: 5,
    elapsedMs: 0,
    perSecond: 0,
  });
});

function metered() {
  const clock = new ManualClock(settle);
  let counts: ItemCounts = { done: 0, failed: 0, total: 9 };
  const told: [string, number][] = [];
  const meter = new ProgressMeter(clock, () => counts, {
    changed: ({ done }) => void told.push(["changed", done]),
    over: ({ done }) => void told.push(["over", done]),
  });
  const count = (done: number): void => {
    counts = { ...counts, done };
    meter.changed();
  };
  return { clock, meter, told, count };
}

test("a listener is told of the first change at once, of others after a pause, and of the last in any case", async () => {
  const { clock, meter, told, count } = metered();
  for (let done = 1; done <= 4; done++) count(done);
  await clock.advance(PROGRESS_PAUSE_MS);
  for (let done = 5; done <= 9; done++) count(done);
  meter.ended();
  expect(told).toEqual([
    ["changed", 1],
    ["changed", 5],
    ["changed", 9],
    ["over", 9],
  ]);
});

test("the last word is not said twice", () => {
  const { meter, told, count } = metered();
  count(9);
  meter.ended();
  expect(told).toEqual([
    ["changed", 9],
    ["over", 9],
  ]);
});

test("a call of nothing is told of once, when it is over", () => {
  const { meter, told } = metered();
  meter.ended();
  expect(told).toEqual([
    ["changed", 0],
    ["over", 0],
  ]);
});

test("a call that fails ends what was told of it, and only that", () => {
  const { meter, told, count } = metered();
  meter.stopped();
  expect(told).toEqual([]);
  count(3);
  meter.stopped();
  expect(told).toEqual([
    ["changed", 3],
    ["over", 3],
  ]);
});

test.for<[string, Progress]>([
  [
    "f  45% [##############----------------] 1,234,567/2,700,000 617,284/s 2.4 s left",
    { done: 1_234_567, failed: 0, total: 2_700_000, elapsedMs: 2_000, perSecond: 617_283.5, etaMs: 2_373.9 },
  ],
  [
    "f   0% [------------------------------] 0/5 0/s in 0.0 s",
    { done: 0, failed: 0, total: 5, elapsedMs: 0, perSecond: 0 },
  ],
  [
    "f 100% [##############################] 5/5 2 failed 1/s in 5.0 s",
    { done: 3, failed: 2, total: 5, elapsedMs: 5_000, perSecond: 1, etaMs: 0 },
  ],
  [
    "f  99% [##############################] 999/1,000 1/s 01:40 left",
    { done: 999, failed: 0, total: 1_000, elapsedMs: 1, perSecond: 1, etaMs: 100_000 },
  ],
  ["f 1,000 10/s in 01:40", { done: 1_000, failed: 0, elapsedMs: 100_000, perSecond: 10 }],
  ["f 7 0/s in 2:03:04", { done: 7, failed: 0, elapsedMs: 7_384_000, perSecond: 0.001 }],
  ["f 0/0 0/s in 0.1 s", { done: 0, failed: 0, total: 0, elapsedMs: 100, perSecond: 0 }],
])("a line for a terminal: %s", ([line, progress]) => {
  expect(progressLine("f", progress)).toBe(line);
});
