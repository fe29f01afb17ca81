import { FRAME_BYTES_MAX, SESSION_WINDOW_BYTES } from "@heddle/kernel";
import { expect, test } from "vitest";
import type { Frame } from "./frame.ts";
import { Inbox } from "./inbox.ts";
import { SESSION_SIZES } from "./limits.ts";

function frame(sequence: number, count = sequence === 0 ? 0 : 1): Frame<string> {
  return { sequence, acknowledged: 0, control: undefined, entries: Array.from({ length: count }, () => "w") };
}

test("frames in sequence are new, and an acknowledgement is due after 64 of them", () => {
  const inbox = new Inbox(SESSION_SIZES);
  for (let sequence = 1; sequence <= 63; sequence++) expect(inbox.take(frame(sequence), 10)).toBe(true);
  expect(inbox.acknowledgementDue).toBe(false);
  inbox.take(frame(64), 10);
  expect(inbox.acknowledgementDue).toBe(true);
  expect(inbox.acknowledge()).toBe(64);
  expect(inbox.acknowledgementDue).toBe(false);
});

test("an acknowledgement is due after a quarter of the window", () => {
  const inbox = new Inbox(SESSION_SIZES);
  inbox.take(frame(1), SESSION_WINDOW_BYTES / 4 - 100);
  expect(inbox.acknowledgementDue).toBe(false);
  inbox.take(frame(2), 100);
  expect(inbox.acknowledgementDue).toBe(true);
});

test("a full frame is acknowledged at once, so that four of them never stall the sender", () => {
  const inbox = new Inbox(SESSION_SIZES);
  inbox.take(frame(1, 2), FRAME_BYTES_MAX);
  expect(inbox.acknowledgementDue).toBe(true);
});

test("a frame without entries says nothing of sequences", () => {
  const inbox = new Inbox(SESSION_SIZES);
  expect(inbox.take(frame(0), 10)).toBe(false);
  expect(inbox.received).toBe(0);
});

test("a new link may repeat frames, which are seen, and then goes on", () => {
  const inbox = new Inbox(SESSION_SIZES);
  for (const sequence of [1, 2, 3]) inbox.take(frame(sequence), 10);
  inbox.resume();
  expect([2, 3, 4].map((sequence) => inbox.take(frame(sequence), 10))).toEqual([false, false, true]);
  expect(inbox.received).toBe(4);
});

test.each([
  ["a gap", [1, 3], "frame 3 came where 2 was expected"],
  ["a repetition on one link", [1, 2, 2], "frame 2 came where 3 was expected"],
  ["a step back on one link", [1, 2, 1], "frame 1 came where 3 was expected"],
  ["a first frame from the future", [2], "frame 2 came where 1 was expected"],
])("%s is a protocol error", (_what, sequences, message) => {
  const inbox = new Inbox(SESSION_SIZES);
  const take = () => {
    for (const sequence of sequences) inbox.take(frame(sequence), 10);
  };
  expect(take).toThrow(message);
});

test("too many entries, entries without a sequence and a sequence without entries are protocol errors", () => {
  const inbox = new Inbox(SESSION_SIZES);
  expect(() => inbox.take(frame(1, 513), 10)).toThrow("a frame holds 513 entries, at most 512 may be");
  expect(() => inbox.take(frame(0, 1), 10)).toThrow("frame 0 holds 1 entries");
  expect(() => inbox.take(frame(1, 0), 10)).toThrow("frame 1 holds 0 entries");
});
