import { ManualClock } from "@heddle/port-rpc/testing";
import { expect, test } from "vitest";
import { STREAM_WINDOW_ITEMS_MAX, STREAM_WINDOW_MS } from "./limits.ts";
import { settle } from "./testing.ts";
import { StreamWindow } from "./window.ts";

function open(bufferSize?: number, unit = 1, slots = 4) {
  const clock = new ManualClock(settle);
  return { clock, window: new StreamWindow(clock, { bufferSize, unit: () => unit, slots: () => slots }) };
}

test("a window of given size keeps it", async () => {
  const { clock, window } = open(7);
  await clock.advance(10);
  window.arrived(100_000);
  expect(window.items).toBe(7);
});

test("a window without a size is enough for all slots twice, also while there are none", () => {
  expect(open(undefined, 3, 4).window.items).toBe(24);
  expect(open(undefined, 3, 0).window.items).toBe(6);
});

test("a window grows to what came in lately", async () => {
  const { clock, window } = open();
  await clock.advance(10);
  window.arrived(1_000);
  expect(window.items).toBe(100 * STREAM_WINDOW_MS);
  await clock.advance(10);
  window.arrived(2_000);
  expect(window.items).toBe(150 * STREAM_WINDOW_MS);
});

test("a window shrinks again when less comes in, down to what all slots need", async () => {
  const { clock, window } = open();
  await clock.advance(10);
  window.arrived(1_000);
  for (let second = 0; second < 12; second++) {
    await clock.advance(1_000);
    window.arrived(1);
  }
  expect(window.items).toBe(8);
});

test("what comes within a moment is counted together, and no window is without bound", async () => {
  const { clock, window } = open();
  window.arrived(1_000_000_000);
  expect(window.items).toBe(8);
  await clock.advance(2);
  window.arrived(1);
  expect(window.items).toBe(STREAM_WINDOW_ITEMS_MAX);
});
