import { type LogFields, silentLogger } from "@heddle/kernel";
import { expect, test } from "vitest";
import { Audit } from "./audit.ts";
import { AUDIT_LINES_MAX, AUDIT_SPAN_MS, AUDIT_TEXT_CHARS } from "./limits.ts";
import { ManualClock } from "./testing.ts";

const refusal = { peer: "10.0.0.1:5", who: 'client "alice"', path: "/a.B/C", why: "no client may" };

function openAudit() {
  const lines: { readonly message: string; readonly fields: LogFields | undefined }[] = [];
  const clock = new ManualClock();
  const warn = (message: string, fields?: LogFields): void => void lines.push({ message, fields });
  const of = (message: string) => lines.filter((line) => line.message === message).map(({ fields }) => fields);
  return { clock, of, audit: new Audit({ clock, log: { ...silentLogger, warn } }) };
}

test("each refusal is a line, until they are many: then they are counted, and lines go on in the next span", async () => {
  const { clock, of, audit } = openAudit();
  for (let count = 0; count < AUDIT_LINES_MAX + 7; count++) audit.refused(refusal);
  expect(of("refused")).toEqual(Array(AUDIT_LINES_MAX).fill(refusal));
  expect(of("more were refused than were logged")).toEqual([]);
  await clock.advance(AUDIT_SPAN_MS);
  expect(of("more were refused than were logged")).toEqual([{ count: 7 }]);
  audit.refused(refusal);
  expect(of("refused").length).toBe(AUDIT_LINES_MAX + 1);
  await clock.advance(10 * AUDIT_SPAN_MS);
  expect(of("more were refused than were logged").length).toBe(1);
});

test("what a peer says is cut", () => {
  const { of, audit } = openAudit();
  audit.refused({ peer: "x", path: "/".repeat(9_999), why: "y".repeat(9_999) });
  const cut = { path: "/".repeat(AUDIT_TEXT_CHARS), why: "y".repeat(AUDIT_TEXT_CHARS) };
  expect(of("refused")).toEqual([{ peer: "x", who: undefined, ...cut }]);
});
