import { describe, expect, test } from "vitest";
import type { LogEntry } from "./client-events.ts";
import { explaining, type FailedCall, type FaultRecord } from "./judge.ts";
import { Ledger } from "./ledger.ts";
import { checkLog } from "./shared-lanes.ts";

const LEASE_MS = 15_000;

function fault(kind: FaultRecord["kind"], target: string, fromMs: number, untilMs: number): FaultRecord {
  return { number: 1, kind, target, fromMs, untilMs };
}

function call(name: string, lane: string, fromMs = 10_000, untilMs = 30_000): FailedCall {
  return { client: "client-1", lane, name, message: "", fromMs, untilMs };
}

const explained = (failed: FailedCall, ...faults: readonly FaultRecord[]): boolean =>
  explaining(failed, faults, LEASE_MS).length > 0;

describe("an error is explained", () => {
  test("by a fault of its time that may have it for a consequence", () => {
    const lost = call("SessionLostError", "lock");
    expect(explained(lost, fault("cut", "manager", 12_000, 25_000))).toBe(true);
    expect(explained(lost, fault("full-manager-disk", "manager", 12_000, 25_000))).toBe(false);
    expect(explained(lost)).toBe(false);
  });

  test("by what a process of the caller was refused: it ended, and let go of its pipe", () => {
    const ended = call("EndOfStreamError", "pipe");
    expect(explained(ended, fault("full-manager-disk", "manager", 8_000, 15_000))).toBe(true);
    expect(explained(call("EndOfStreamError", "lock"), fault("full-manager-disk", "manager", 8_000, 15_000))).toBe(
      false,
    );
    expect(explained(ended)).toBe(false);
  });

  test("not by one that was over long before, or began after it", () => {
    const lost = call("SessionLostError", "lock", 100_000, 110_000);
    expect(explained(lost, fault("cut", "manager", 40_000, 60_000))).toBe(false);
    expect(explained(lost, fault("cut", "manager", 110_001, 130_000))).toBe(false);
    expect(explained(lost, fault("cut", "manager", 60_000, 80_000))).toBe(true);
  });

  test("not by one that was too short for a lease to run out", () => {
    const lost = call("LockLostError", "lock");
    expect(explained(lost, fault("stop-client", "client-1", 12_000, 15_000))).toBe(false);
    expect(explained(lost, fault("stop-client", "client-1", 12_000, 25_000))).toBe(true);
  });

  test("not by what befell another client", () => {
    const lost = call("LockLostError", "lock");
    expect(explained(lost, fault("cut", "client-2", 10_000, 29_000))).toBe(false);
  });

  test("not in a job, which goes on when the coordinator dies; a process may be lost then", () => {
    const killed = fault("kill-coordinator", "coordinator", 12_000, 13_000);
    expect(explained(call("UnavailableError", "map"), killed)).toBe(false);
    expect(explained(call("UnavailableError", "process"), killed)).toBe(true);
  });

  test("by a coordinator that died where a program has yet to hear of the manager, and not where one has long", () => {
    const killed = fault("kill-coordinator", "coordinator", 12_000, 13_000);
    expect(explained(call("UnavailableError", "new-kept-once"), killed)).toBe(true);
    for (const lane of ["kept-once", "new-kept", "once"])
      expect(explained(call("UnavailableError", lane), killed)).toBe(false);
  });

  test("by a coordinator's full disk where a job is to be kept, and nowhere else", () => {
    const full = fault("full-coordinator-disk", "coordinator", 12_000, 13_000);
    for (const lane of ["kept", "kept-once", "twice"]) expect(explained(call("LimitError", lane), full)).toBe(true);
    for (const lane of ["map", "once"]) expect(explained(call("LimitError", lane), full)).toBe(false);
    expect(explained(call("NotFoundError", "kept"), full)).toBe(false);
  });

  test("not at all when it is none that the pages know", () => {
    expect(explained(call("TypeError", "lock"), fault("cut", "manager", 10_000, 29_000))).toBe(false);
  });
});

describe("the log of a lock", () => {
  const log = (...entries: readonly [token: number, client: string, what: LogEntry[2]][]): LogEntry[] =>
    entries.map(([token, client, what]) => [BigInt(token), client, what]);

  test("is right when one hold after the other has written, be it not to its end", () => {
    const entries = log([3, "a", "clear"], [5, "b", "enter"], [5, "b", "leave"], [8, "a", "enter"], [9, "a", "enter"]);
    expect(() => checkLog(entries)).not.toThrow();
  });

  test.for([
    ["two are inside at once", log([5, "a", "enter"], [6, "b", "enter"], [5, "a", "leave"])],
    ["an old hold writes", log([5, "a", "enter"], [6, "b", "enter"], [6, "b", "leave"], [5, "a", "leave"])],
    ["a hold is two clients'", log([5, "a", "enter"], [5, "b", "leave"])],
    ["a write is done twice", log([5, "a", "enter"], [5, "a", "enter"])],
  ] as const)("is wrong when %s", ([, entries]) => {
    expect(() => checkLog(entries)).toThrow("two were in the critical section at once, or an old one wrote");
  });
});

describe("counters", () => {
  function ledger(): Ledger {
    const all = new Ledger(60_000, { wrong: () => undefined, hangs: () => undefined });
    const tell = (life: string, key: string, acknowledged: number, unknown: number): void =>
      all.hear({ type: "counted", key, acknowledged, unknown }, life.slice(0, -2), life);
    tell("client-1.0", "client-1.0", 10, 2);
    tell("client-1.0", "under lock", 3, 0);
    tell("client-2.0", "under lock", 4, 1);
    tell("client-2.0", "client-2.0", 5, 0);
    all.killed("client-2.0");
    return all;
  }
  const complaints = (mine: number, theirs: number, together: number): string[] =>
    ledger().complaints({
      counts: [
        ["client-1.0", mine],
        ["client-2.0", theirs],
        ["under lock", together],
      ],
      ...{ log: [], once: [], together: 0 },
    });

  test("have what was acknowledged, and at most what nobody knows beside it", () => {
    for (const [mine, theirs, together] of [
      [10, 5, 7],
      [12, 6, 9],
    ] as const)
      expect(complaints(mine, theirs, together)).toEqual([]);
  });

  test.for([
    [9, 5, 7, "counter client-1.0 is 9, and 10 to 12 were counted"],
    [13, 5, 7, "counter client-1.0 is 13, and 10 to 12 were counted"],
    [10, 7, 7, "counter client-2.0 is 7, and 5 to 6 were counted"],
    [10, 5, 10, "counter under lock is 10, and 7 to 9 were counted"],
  ] as const)("are wrong with less or more: %i, %i, %i", ([mine, theirs, together, words]) => {
    expect(complaints(mine, theirs, together)).toEqual([words]);
  });

  test("a call that does not settle is told once of each life", () => {
    const problems: string[] = [];
    const all = new Ledger(60_000, { wrong: () => undefined, hangs: (problem) => void problems.push(problem) });
    const tally = { jobs: 1, items: 10, overtaken: 0 };
    for (const ageMs of [59_000, 61_000, 62_000])
      all.hear({ type: "progress", done: { map: 1 }, tally, oldest: { lane: "map", ageMs } }, "client-1", "client-1.0");
    expect(problems).toEqual(["client-1.0: map has not settled for 61 s"]);
    expect(all.done()).toEqual({ map: 1 });
    expect(all.tally()).toEqual(tally);
  });
});
