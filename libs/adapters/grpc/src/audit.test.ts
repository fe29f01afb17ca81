import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Audit } from "./audit.ts";
import { AUDIT_LINES_MAX, AUDIT_SPAN_MS, AUDIT_TEXT_CHARS } from "./limits.ts";
import { keptLog } from "./test-log.ts";

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

const refusal = { peer: "10.0.0.1:5", who: 'client "alice"', path: "/a.B/C", why: "no client may" };

test("each refusal is a line, until they are many: then they are counted, and lines go on in the next span", () => {
  const log = keptLog();
  using audit = new Audit(log.logger);
  for (let count = 0; count < AUDIT_LINES_MAX + 7; count++) audit.refused(refusal);
  expect(log.of("refused")).toEqual(Array(AUDIT_LINES_MAX).fill(refusal));
  expect(log.of("more were refused than were logged")).toEqual([]);
  vi.advanceTimersByTime(AUDIT_SPAN_MS);
  expect(log.of("more were refused than were logged")).toEqual([{ count: 7 }]);
  audit.refused(refusal);
  expect(log.of("refused").length).toBe(AUDIT_LINES_MAX + 1);
  vi.advanceTimersByTime(10 * AUDIT_SPAN_MS);
  expect(log.of("more were refused than were logged").length).toBe(1);
});

test("what a peer says is cut", () => {
  const log = keptLog();
  using audit = new Audit(log.logger);
  audit.refused({ peer: "x", path: "/".repeat(9_999), why: "y".repeat(9_999) });
  const cut = { path: "/".repeat(AUDIT_TEXT_CHARS), why: "y".repeat(AUDIT_TEXT_CHARS) };
  expect(log.of("refused")).toEqual([{ peer: "x", who: undefined, ...cut }]);
});
