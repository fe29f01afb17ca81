import { describe, expect, test } from "vitest";
import { lockRows, objectRows, whyLines } from "./lock-words.ts";

const holder = { session: 3, owner: 2, token: 9, heldMs: 5_000, description: "agent n1@vm pid 7", permits: 1 };
const gate = {
  object: "@gate",
  kind: "semaphore",
  holders: [holder, { ...holder, session: 4, owner: 0, description: "", permits: 2 }],
  ...{ waiting: 3, free: 1, brokenReason: "", held: 4 },
};
const waiter = { session: 5, owner: 0, waitedMs: 61_000, description: "a.ts@vm pid 8" };
const report = { lock: gate, queue: [waiter], waits: [], deadlock: [] };

describe("what holds a semaphore", () => {
  test("is told with its permits, workers by their owner, and those that were left off are counted", () => {
    expect(whyLines(report)).toEqual([
      "semaphore/gate has 1 permit free; held by:",
      "  owner 2 of session 3 (agent n1@vm pid 7) for 5s, token 9",
      "  session 4 for 5s, token 9, 2 permits",
      "  and 2 more",
      "3 wait for it, the next one first:",
      "  session 5 (a.ts@vm pid 8) for 61s",
      "  and 2 more",
    ]);
  });

  test("is described in rows", () => {
    expect(lockRows(report)).toEqual([
      ["Name", "gate"],
      ["Kind", "semaphore"],
      ["Free", "1"],
      ["Held by", "owner 2 of session 3 (agent n1@vm pid 7) for 5s, token 9"],
      ["", "session 4 for 5s, token 9, 2 permits"],
      ["", "and 2 more"],
      ["Waiting", "session 5 (a.ts@vm pid 8) for 61s"],
      ["", "and 2 more"],
    ]);
  });
});

test("a lock that is free has no holder, and the reason for which it was broken stays", () => {
  const lock = { ...gate, kind: "lock", holders: [], held: 0, waiting: 0, brokenReason: "stuck" };
  const free = { ...report, lock, queue: [] };
  expect(whyLines(free)).toEqual([
    "lock/gate is free: nobody holds it.",
    "An administrator took it from its holder last because: stuck",
  ]);
  expect(lockRows(free).slice(2)).toEqual([
    ["Held by", "nobody"],
    ["Waiting", "nobody"],
    ["Broken", "stuck"],
  ]);
});

test("an object that has a name stays for good, others end with their session", () => {
  const object = { object: "@jobs", kind: "queue", spec: "queue", items: 2, bytes: 9, created: 1, changed: 4 };
  const named = objectRows({ object: { ...object, session: 0, waiting: 0 }, description: "" });
  expect(named.at(-1)).toEqual(["Lives", "for good"]);
  const other = objectRows({ object: { ...object, session: 6, waiting: 0 }, description: "a.ts@vm pid 8" });
  expect(other.at(-1)).toEqual(["Lives", "as long as session 6 (a.ts@vm pid 8)"]);
});
