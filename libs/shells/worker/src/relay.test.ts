import { SESSION_WINDOW_BYTES } from "@heddle/kernel";
import type { SessionEnd } from "@heddle/port-rpc";
import type { RunRequestEntry, RunResponseEntry, WorkerResponseEntry } from "@heddle/wire";
import { describe, expect, test } from "vitest";
import { Relay } from "./relay.ts";

const said = (job: number): RunRequestEntry => ({ kind: { $case: "cancelJob", value: { job, reason: "" } } });
const answer: RunResponseEntry = { kind: { $case: "capacity", value: { slots: 1, nodes: 1 } } };

function open() {
  const sent: NonNullable<WorkerResponseEntry["kind"]>[] = [];
  const relay = new Relay(({ kind }) => void (kind !== undefined && sent.push(kind)));
  const dial = () => {
    const heard: RunResponseEntry[] = [];
    const ends: SessionEnd[] = [];
    const handler = {
      entries: (all: readonly RunResponseEntry[]) => void heard.push(...all),
      ended: (end: SessionEnd) => void ends.push(end),
    };
    return { heard, ends, session: relay.dial(handler, () => undefined) };
  };
  return { sent, relay, dial };
}

test("each session has a number of its own, and what is said of an earlier one never reaches the next", () => {
  const { sent, relay, dial } = open();
  const first = dial();
  first.session.send(said(1));
  void first.session.close();
  const second = dial();
  second.session.send(said(1));
  expect(sent.map(({ $case, value }) => [$case, (value as { session: number }).session])).toEqual([
    ["nestedRequest", 1],
    ["nestedClose", 1],
    ["nestedRequest", 2],
  ]);
  relay.hear({ $case: "nestedResponse", value: { session: 1, entries: [answer] } });
  relay.hear({ $case: "nestedEnded", value: { session: 1, code: "unavailable", message: "late" } });
  relay.hear({ $case: "nestedResponse", value: { session: 2, entries: [answer] } });
  expect([first.heard, first.ends, second.heard, second.ends]).toEqual([[], [], [answer], []]);
});

test("a session that the agent ends tells its task why, once, and says no more", () => {
  const { sent, relay, dial } = open();
  const { session, ends } = dial();
  const goodbye = { code: "unavailable", message: "the coordinator is gone" };
  relay.hear({ $case: "nestedEnded", value: { session: 1, ...goodbye } });
  relay.hear({ $case: "nestedEnded", value: { session: 1, ...goodbye } });
  expect(ends).toMatchObject([{ reason: "goodbye", goodbye }]);
  session.send(said(1));
  void session.close();
  expect(sent).toEqual([]);
});

test("a session that is opened in the place of an open one ends that in words", () => {
  const { sent, dial } = open();
  const [first, second] = [dial(), dial()];
  expect(first.ends).toEqual([{ reason: "goodbye", goodbye: { code: "closed", message: expect.any(String) } }]);
  first.session.send(said(1));
  second.session.send(said(2));
  expect(sent).toMatchObject([{ $case: "nestedRequest", value: { session: 2 } }]);
});

test("a task waits while more than a window of what it said has not left the machine", async () => {
  const { relay, dial } = open();
  const { session } = dial();
  session.send(said(1), SESSION_WINDOW_BYTES + 5);
  let isDrained = false;
  const drained = session.drained().then(() => {
    isDrained = true;
  });
  relay.hear({ $case: "nestedTaken", value: { session: 1, bytes: 5 } });
  await Promise.resolve();
  expect([isDrained, session.queuedBytes]).toEqual([false, SESSION_WINDOW_BYTES]);
  relay.hear({ $case: "nestedTaken", value: { session: 1, bytes: 1 } });
  await drained;
  expect(session.queuedBytes).toBe(SESSION_WINDOW_BYTES - 1);
});

describe("a task that awaits the fabric", () => {
  const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
  const waits = (sent: readonly NonNullable<WorkerResponseEntry["kind"]>[]): unknown[] =>
    sent.map(({ $case, value }) => [$case, value]);
  const waiting = (is: boolean) => ["taskWaiting", { waiting: is }];

  test("is told of at once, and again when nothing is awaited; several calls of one turn are told as one", async () => {
    const { sent, relay } = open();
    relay.running(true);
    const holds = [relay.hold(), relay.hold()];
    await turn();
    expect(waits(sent)).toEqual([waiting(true)]);
    holds[0]?.[Symbol.dispose]();
    holds[0]?.[Symbol.dispose]();
    await turn();
    expect(waits(sent)).toEqual([waiting(true)]);
    holds[1]?.[Symbol.dispose]();
    const next = relay.hold(); // the next call follows in the same turn
    await turn();
    expect(waits(sent)).toEqual([waiting(true)]);
    next[Symbol.dispose]();
    await turn();
    expect(waits(sent)).toEqual([waiting(true), waiting(false)]);
  });

  test("is not told of when the wait was over at once", async () => {
    const { sent, relay } = open();
    relay.running(true);
    relay.hold()[Symbol.dispose]();
    await turn();
    expect(sent).toEqual([]);
  });

  test("goes on by itself at the end of its chunk, and what is still awaited counts for the next one", async () => {
    const { sent, relay } = open();
    relay.running(true);
    const left = relay.hold();
    await turn();
    relay.running(false);
    await turn();
    expect(waits(sent)).toEqual([waiting(true)]);
    relay.running(true);
    await turn();
    expect(waits(sent)).toEqual([waiting(true), waiting(true)]);
    relay.running(false);
    left[Symbol.dispose]();
    await turn();
    expect(sent).toHaveLength(2);
  });
});
