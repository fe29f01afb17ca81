import { AsyncLocalStorage } from "node:async_hooks";
import {
  type AsyncScope,
  ClosedError,
  EmptyError,
  LimitError,
  LockLostError,
  NotFoundError,
  OutcomeUnknownError,
  SessionLostError,
  StateError,
  TimeoutError,
  UnavailableError,
} from "@heddle/kernel";
import { Verb } from "@heddle/wire";
import { describe, expect, test } from "vitest";
import { MANAGER_LINKLESS_MS, OPERATIONS_IN_FLIGHT_MAX, OPERATIONS_PER_ENTRY_MAX } from "../limits.ts";
import type { LeaseLoss, OperationRequest } from "./channel.ts";
import { MANAGER, OBJECT, refused, ScriptedManager, settle, TTL_MS } from "./testing.ts";

const append: OperationRequest = { verb: "list-append", object: OBJECT, values: [new Uint8Array([1])] };
const length: OperationRequest = { verb: "list-length", object: OBJECT };
const acquire: OperationRequest = { verb: "lock-acquire", object: OBJECT, numbers: [1, 0] };

/** What it rejects with; undefined while it is neither. */
function outcome(promise: Promise<unknown>): { error?: unknown; value?: unknown } {
  const seen: { error?: unknown; value?: unknown } = {};
  promise.then(
    (value) => {
      seen.value = value;
    },
    (error: unknown) => {
      seen.error = error;
    },
  );
  return seen;
}

function openScope<T>(): AsyncScope<T> {
  const storage = new AsyncLocalStorage<T>();
  return { run: (value, run) => storage.run(value, run), get: () => storage.getStore() };
}

describe("operations of a session", () => {
  test("that are asked in one turn travel in one entry, in order, cut where an entry is full", async () => {
    await using manager = await ScriptedManager.start();
    manager.answer = () => ({});
    await manager.session.call(append);
    const asked = Array.from({ length: OPERATIONS_PER_ENTRY_MAX + 3 }, () => manager.session.call(append));
    await Promise.all(asked);
    expect(manager.asked.map(({ operations }) => operations.length)).toEqual([1, OPERATIONS_PER_ENTRY_MAX, 3]);
    const seqs = manager.operations.map(({ seq }) => seq);
    expect(seqs).toEqual(Array.from({ length: seqs.length }, (_, at) => at + 1));
  });

  test("are read as their replies are heard, each by its own reader", async () => {
    await using manager = await ScriptedManager.start();
    manager.answer = ({ seq }) => ({ numbers: [seq * 10], revision: seq });
    const { session } = manager;
    const tenfold = await Promise.all([1, 2].map(() => session.call(length, ({ numbers }) => numbers[0])));
    expect(tenfold).toEqual([10, 20]);
    const reading = session.call(length, () => {
      throw new RangeError("unreadable");
    });
    await expect(reading).rejects.toThrow("unreadable");
  });

  test("beyond the window wait for replies; those that wait for others do not count", async () => {
    await using manager = await ScriptedManager.start();
    const { session } = manager;
    for (let count = 0; count < OPERATIONS_IN_FLIGHT_MAX; count++) void session.call(append);
    void session.wait(acquire).catch(() => undefined);
    void session.call(append);
    void session.wait(acquire).catch(() => undefined);
    await settle();
    expect(manager.operations.length).toBe(OPERATIONS_IN_FLIGHT_MAX + 1);
    manager.reply({ seq: 7 });
    await settle();
    expect(manager.operations.slice(-2).map(({ seq }) => seq)).toEqual([
      OPERATIONS_IN_FLIGHT_MAX + 2,
      OPERATIONS_IN_FLIGHT_MAX + 3,
    ]);
    manager.answer = () => ({});
    manager.reply(...manager.operations.map(({ seq }) => ({ seq })));
    await session.flush();
  });

  test("that are large travel in parts, and few of them at a time", async () => {
    await using manager = await ScriptedManager.start();
    const bytes = 40 * 1024 * 1024;
    const large = { ...append, values: [new Uint8Array(bytes)] };
    const both = [manager.session.call(large), manager.session.call(large)];
    for (let turns = 0; turns < 20; turns++) await settle();
    expect(manager.said).toContain("part");
    expect(manager.asked.length).toBe(1);
    manager.reply({ seq: 1 }, { seq: 2 });
    await both[0];
    manager.reply({ seq: 2 });
    await settle();
    manager.reply({ seq: 2 });
    await both[1];
  });

  test("tell with the next write which replies have come, and again on a new stream when that is not known to have arrived", async () => {
    await using manager = await ScriptedManager.start();
    const { session } = manager;
    manager.answer = ({ seq }) => (seq === 7 ? undefined : {});
    await session.call(append);
    await Promise.all([session.call(length), session.call(append)]);
    await session.call(length);
    await session.call(append);
    await session.call(append);
    void session.call(append);
    await settle();
    expect(manager.asked.map(({ acknowledged }) => acknowledged)).toEqual([[], [1, 1], [], [3, 2], [5, 1], [6, 1]]);
    await manager.kill();
    await manager.restart();
    expect(manager.asked.slice(6)).toMatchObject([{ acknowledged: [6, 1], operations: [{ seq: 7 }] }]);
  });

  test("without a reply are sent again on a new stream, in order, and what is answered twice is answered once", async () => {
    await using manager = await ScriptedManager.start();
    const { session } = manager;
    const waiting = outcome(session.wait(acquire));
    const written = [session.call(append), session.call(append), session.call(length)].map(outcome);
    await settle();
    manager.reply({ seq: 3, revision: 9 });
    await settle();
    await manager.kill();
    void session.call(append);
    await manager.restart();
    expect(manager.said).toEqual([expect.stringMatching(/^open /), "attach 101"]);
    expect(manager.operations.slice(4).map(({ seq, verb }) => [seq, verb])).toEqual([
      [1, Verb.LOCK_ACQUIRE],
      [2, Verb.LIST_APPEND],
      [4, Verb.LIST_LENGTH],
      [5, Verb.LIST_APPEND],
    ]);
    manager.reply({ seq: 2, revision: 1 }, { seq: 2, revision: 2 }, { seq: 1, revision: 3 }, { seq: 4 }, { seq: 5 });
    await settle();
    expect(waiting.value).toMatchObject({ revision: 3 });
    expect(written.map(({ value }) => value)).toMatchObject([{ revision: 1 }, { revision: 9 }, { revision: 0 }]);
  });

  test("ask for a session with the same nonce until there is one, and for another after its end", async () => {
    await using manager = await ScriptedManager.start();
    manager.admit = () => "nothing";
    const first = outcome(manager.session.call(length));
    await settle();
    await manager.kill();
    manager.admit = () => "open";
    manager.answer = () => ({});
    await manager.restart();
    expect(first.value).toBeDefined();
    manager.endSession("expired");
    await settle();
    await manager.session.call(length);
    const [again, same, other] = manager.said;
    expect(same).toBe(again);
    expect(other).toMatch(/^open /);
    expect(other).not.toBe(again);
  });

  test.each([
    ["range", RangeError],
    ["type", TypeError],
    ["not-found", NotFoundError],
    ["empty", EmptyError],
    ["busy", TimeoutError],
    ["timeout", TimeoutError],
    ["closed", ClosedError],
    ["state", StateError],
    ["limit", Error],
  ])("that are refused with code %s reject with the class for it", async (code, type) => {
    await using manager = await ScriptedManager.start();
    manager.answer = () => refused(code, "in words");
    const error = await manager.session.call(append).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(type);
    expect((error as Error).message).toContain("in words");
  });

  test("that hit a limit say which, and those beyond the limit of what may wait are refused at once", async () => {
    await using manager = await ScriptedManager.start();
    const limit = { limitName: "OBJECT_ITEMS_MAX", limit: 3, actual: 4 };
    manager.answer = () => {
      const { error } = refused("limit", "full");
      return { error: error === undefined ? undefined : { ...error, ...limit } };
    };
    await expect(manager.session.call(append)).rejects.toMatchObject({ name: "LimitError", ...limit });
    manager.answer = undefined;
    for (let count = 0; count < 100_000; count++) void manager.session.wait(acquire).catch(() => undefined);
    await expect(manager.session.wait(acquire)).rejects.toBeInstanceOf(LimitError);
  });

  test("keep the process alive while they have no reply, and no longer", async () => {
    await using manager = await ScriptedManager.start();
    expect(manager.holds).toBe(0);
    void manager.session.call(append);
    void manager.session.call(append);
    await settle();
    expect(manager.holds).toBe(1);
    manager.reply({ seq: 1 });
    await settle();
    expect(manager.holds).toBe(1);
    manager.reply({ seq: 2 });
    await settle();
    expect(manager.holds).toBe(0);
  });
});

describe("writes that nobody awaits", () => {
  test("are no unhandled rejections when they fail: flush says the first, once", async () => {
    const unhandled: unknown[] = [];
    const listen = (reason: unknown): void => void unhandled.push(reason);
    process.on("unhandledRejection", listen);
    await using manager = await ScriptedManager.start();
    try {
      manager.answer = ({ seq }) => (seq === 1 ? {} : refused("range", `no ${seq}`));
      for (let count = 0; count < 4; count++) void manager.session.call(append);
      void manager.session.call(length); // reads nothing that anybody misses
      const seen = manager.session.call(append);
      await expect(seen).rejects.toThrow("no 6");
      await settle();
      expect(unhandled).toEqual([]);
      await expect(manager.session.flush()).rejects.toThrow("no 2");
      await manager.session.flush();
    } finally {
      process.off("unhandledRejection", listen);
    }
  });

  test("that somebody looked at before the flush are not said again", async () => {
    await using manager = await ScriptedManager.start();
    manager.answer = () => refused("range");
    const late = manager.session.call(append);
    await settle();
    await expect(late).rejects.toBeInstanceOf(RangeError);
    await manager.session.flush();
  });

  test("are waited for by flush, as are items that wait for room; what waits for others is not", async () => {
    await using manager = await ScriptedManager.start();
    const { session } = manager;
    void session.wait(acquire).catch(() => undefined);
    void session.call(append);
    void session.wait({ verb: "queue-put", object: OBJECT, numbers: [1] });
    const flushed = outcome(session.flush().then(() => "flushed"));
    await settle();
    manager.reply({ seq: 2 });
    void session.call(append);
    await settle();
    expect(flushed).toEqual({});
    manager.reply({ seq: 3 });
    await settle();
    expect(flushed).toEqual({ value: "flushed" });
    manager.reply({ seq: 4 });
  });
});

describe("waits", () => {
  test("are polls at a timeout of 0 and less", async () => {
    await using manager = await ScriptedManager.start();
    manager.answer = () => refused("busy", "it is held");
    for (const timeoutMs of [0, -5])
      await expect(manager.session.wait(acquire, { timeoutMs })).rejects.toBeInstanceOf(TimeoutError);
    expect(manager.operations.map(({ numbers }) => numbers)).toEqual([
      [0, 0],
      [0, 0],
    ]);
  });

  test("that time out ask the manager to cancel, and it decides: cancelled, or granted after all", async () => {
    await using manager = await ScriptedManager.start();
    const { session, clock } = manager;
    const [refusedOne, granted] = [1, 2].map(() => outcome(session.wait(acquire, { timeoutMs: 500 })));
    await clock.advance(499);
    expect(manager.operations.length).toBe(2);
    await clock.advance(1);
    expect(manager.operations.slice(2)).toMatchObject([
      { verb: Verb.CANCEL, object: OBJECT, numbers: [1] },
      { verb: Verb.CANCEL, object: OBJECT, numbers: [2] },
    ]);
    expect([refusedOne, granted]).toEqual([{}, {}]);
    manager.reply({ seq: 1, ...refused("cancelled") }, { seq: 2, numbers: [77] }, { seq: 3 }, { seq: 4 });
    await settle();
    expect(refusedOne?.error).toBeInstanceOf(TimeoutError);
    expect(String(refusedOne?.error)).toMatch(/lock-acquire.*500 ms/);
    expect(granted?.value).toMatchObject({ numbers: [77] });
  });

  test("that are aborted reject with the signal's reason, before they are asked too", async () => {
    await using manager = await ScriptedManager.start();
    const { session } = manager;
    const abort = new AbortController();
    const waiting = outcome(session.wait(acquire, { signal: abort.signal }));
    await settle();
    const reason = { why: "no more" };
    abort.abort(reason);
    await settle();
    manager.reply({ seq: 1, ...refused("cancelled") }, { seq: 2 });
    await settle();
    expect(waiting.error).toBe(reason);
    await expect(session.wait(acquire, { signal: abort.signal })).rejects.toBe(reason);
    expect(manager.operations.length).toBe(2);
  });

  test("that begin with something that cannot be taken back are asked and cancelled for a poll", async () => {
    await using manager = await ScriptedManager.start();
    const waiting = outcome(
      manager.session.wait({ verb: "condition-wait", object: OBJECT, numbers: [1, 5] }, { timeoutMs: 0 }),
    );
    await settle();
    expect(manager.operations).toMatchObject([{ numbers: [1, 5] }, { verb: Verb.CANCEL, numbers: [1] }]);
    manager.reply({ seq: 1, numbers: [9, 0] }, { seq: 2 });
    await settle();
    expect(waiting.value).toMatchObject({ numbers: [9, 0] });
  });

  test("that were not sent are over at their timeout without anybody being asked", async () => {
    await using manager = await ScriptedManager.start();
    await manager.kill();
    const waiting = outcome(manager.session.wait(acquire, { timeoutMs: 100 }));
    await manager.clock.advance(100);
    expect(waiting.error).toBeInstanceOf(TimeoutError);
    expect(manager.holds).toBe(0);
  });

  test("that time out while the lease is lost are over, and what is granted to them later is given back", async () => {
    await using manager = await ScriptedManager.start();
    const { session, clock } = manager;
    const waiting = outcome(session.wait(acquire, { timeoutMs: 20_000 }));
    const brief = outcome(session.wait(acquire, { timeoutMs: 1_000 }));
    await settle();
    await manager.kill();
    await clock.advance(1_500);
    expect(brief).toEqual({});
    await clock.advance(TTL_MS);
    expect(session.loss?.type).toBe("late");
    expect(brief.error).toBeInstanceOf(TimeoutError);
    await manager.restart();
    manager.reply({ seq: 1, numbers: [50] }, { seq: 2, numbers: [51] });
    await settle();
    expect(waiting.value).toMatchObject({ numbers: [50] });
    expect(manager.operations.at(-1)).toMatchObject({ verb: Verb.LOCK_RELEASE, numbers: [51] });
    manager.reply({ seq: manager.operations.at(-1)?.seq ?? 0 }, { seq: 3 });
  });
});

describe("guards", () => {
  test("travel with the writes of what runs under them, through awaits, and with nothing else", async () => {
    await using manager = await ScriptedManager.start({ openScope });
    const { session } = manager;
    manager.answer = () => ({});
    const held = { lock: OBJECT, token: 5 };
    await session.withGuards([held], async () => {
      await session.call(append);
      await session.call(length);
      held.token = 6;
      await session.withGuards([{ lock: "@b", token: 8 }], () => session.call(append));
      await session.call({ verb: "lock-release", object: OBJECT, numbers: [6] });
      await session.wait(acquire);
    });
    await session.call(append);
    expect(manager.operations.map(({ guards }) => guards)).toEqual([
      [{ lock: OBJECT, token: 5 }],
      [],
      [
        { lock: OBJECT, token: 6 },
        { lock: "@b", token: 8 },
      ],
      [],
      [],
      [],
    ]);
  });

  test("that are stale make the write a LockLostError that names the lock", async () => {
    await using manager = await ScriptedManager.start();
    const { session } = manager;
    manager.answer = () => refused("lock-lost", 'lock "b" is not held by token 8');
    const guards = [
      { lock: OBJECT, token: 5 },
      { lock: "@b", token: 8 },
    ];
    const error = await session.withGuards(guards, () => session.call(append)).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(LockLostError);
    expect(error).toMatchObject({ lock: "@b", token: 8n });
  });
});

describe("the lease of a session", () => {
  test("holds while beats are answered, is lost when they are not, and given back when the session is gone on with", async () => {
    await using manager = await ScriptedManager.start();
    const { session, clock } = manager;
    const losses: (LeaseLoss["type"] | undefined)[] = [];
    session.onLoss((loss) => losses.push(loss?.type));
    manager.answer = () => ({});
    await session.call(append);
    await clock.advance(10 * TTL_MS);
    expect([session.loss, losses]).toEqual([undefined, []]);
    await manager.kill();
    const lostAtMs = clock.nowMs() + TTL_MS;
    await clock.advance(TTL_MS / 2);
    expect(session.loss).toBeUndefined();
    await clock.advance(lostAtMs - clock.nowMs());
    expect(losses).toEqual(["late"]);
    const guarded = session.withGuards([{ lock: OBJECT, token: 5 }], () => session.call(append));
    await expect(guarded).rejects.toBeInstanceOf(LockLostError);
    await manager.restart();
    await clock.advance(3_000);
    expect(session.session).toBe(101);
    expect(losses).toEqual(["late", undefined]);
    await session.withGuards([{ lock: OBJECT, token: 5 }], () => session.call(append));
  });

  test("counts from when it was asked for: a beat that is answered late is worth less", async () => {
    await using manager = await ScriptedManager.start();
    const { session, clock } = manager;
    manager.answer = () => ({});
    await session.call(append);
    manager.beatDelayMs = 1_500;
    await clock.advance(2_000); // the second beat is sent
    const sentMs = clock.nowMs();
    await clock.advance(1_600); // and answered, the third not yet sent
    manager.beats = "silent";
    const untilMs = sentMs + TTL_MS * 0.998 - 50;
    await clock.advance(untilMs - 1 - clock.nowMs());
    expect(session.loss).toBeUndefined();
    await clock.advance(1);
    expect(session.loss?.type).toBe("late");
  });

  test("is known to be lost at the first look after a pause of the process, before any timer", async () => {
    await using manager = await ScriptedManager.start();
    const { session, clock } = manager;
    manager.answer = () => ({});
    await session.call(append);
    let seen: LeaseLoss | undefined;
    clock.setTimer(clock.nowMs(), () => {
      seen = session.loss; // of all timers the first to run
    });
    await clock.block(TTL_MS);
    expect(seen?.type).toBe("late");
    await clock.advance(3_000);
    expect(session.loss).toBeUndefined();
  });

  test("counts as lost when the machine was suspended, until a beat is answered that was sent since", async () => {
    await using manager = await ScriptedManager.start();
    const { session, clock } = manager;
    manager.answer = () => ({});
    await session.call(append);
    expect(session.loss).toBeUndefined();
    manager.bootLeadMs = 1_900;
    await clock.advance(30);
    expect(session.loss).toMatchObject({ type: "late", reason: expect.stringContaining("suspended for 1900 ms") });
    await clock.advance(TTL_MS);
    expect(session.loss).toBeUndefined();
  });

  test.each(["the stream", "a beat"])("is over when %s says so", async (by) => {
    await using manager = await ScriptedManager.start();
    const { session, clock } = manager;
    const losses: (LeaseLoss["type"] | undefined)[] = [];
    session.onLoss((loss) => losses.push(loss?.type));
    const waiting = outcome(session.wait(acquire));
    const writing = outcome(session.call(append));
    const reading = outcome(session.call(length));
    await settle();
    if (by === "a beat") manager.beats = "dead";
    else manager.endSession("expired");
    await clock.advance(TTL_MS);
    expect(losses).toEqual(["ended"]);
    expect(session.session).toBeUndefined();
    expect(waiting.error).toBeInstanceOf(SessionLostError);
    expect(writing.error).toBeInstanceOf(OutcomeUnknownError);
    expect(reading.error).toBeInstanceOf(SessionLostError);
    manager.beats = "alive";
    manager.answer = () => ({});
    await session.call(append);
    expect([session.session, session.loss, losses]).toEqual([102, undefined, ["ended", undefined]]);
  });

  test("is over when the manager does not know the session any more as it is gone on with", async () => {
    await using manager = await ScriptedManager.start();
    const writing = outcome(manager.session.call(append));
    await settle();
    manager.admit = () => "unknown";
    await manager.kill();
    await manager.restart();
    expect(writing.error).toBeInstanceOf(OutcomeUnknownError);
  });
});

describe("a manager that is away", () => {
  test("makes what is pending an UnavailableError in time, and the session is given up", async () => {
    await using manager = await ScriptedManager.start();
    const { session, clock } = manager;
    manager.answer = () => ({});
    await session.call(append);
    await manager.kill();
    const asked = [session.call(append), session.wait(acquire)];
    const waiting = [...asked, session.flush().then(() => "flushed")].map(outcome);
    await clock.advance(29_000);
    expect(waiting).toEqual([{}, {}, {}]);
    await clock.advance(2_000);
    expect(waiting[0]?.error).toBeInstanceOf(UnavailableError);
    expect(waiting[1]?.error).toBeInstanceOf(UnavailableError);
    expect(waiting[2]).toEqual({ value: "flushed" });
    expect(session.loss?.type).toBe("ended");
    expect(manager.holds).toBe(0);
    await manager.restart();
    await session.call(append);
    expect(session.session).toBe(102);
  });

  test("that never answered is told of sooner", async () => {
    await using manager = await ScriptedManager.start();
    await manager.kill();
    const asked = outcome(manager.session.call(append));
    await manager.clock.advance(9_900);
    expect(asked).toEqual({});
    await manager.clock.advance(200);
    expect(asked.error).toBeInstanceOf(UnavailableError);
    expect(String(asked.error)).toMatch(/coordinator.*10000 ms/);
  });

  test.each([
    ["cannot be dialled", false, 0],
    ["says nothing for two seconds", true, 2_000],
  ])("is reached through the coordinator when its own address %s", async (_, isSilent, afterMs) => {
    await using manager = await ScriptedManager.start();
    manager.address = "elsewhere";
    manager.relays = true;
    manager.answer = () => ({});
    if (isSilent) {
      await manager.serve("elsewhere");
      manager.network.blackhole("elsewhere", true);
    }
    const asked = outcome(manager.session.call(append));
    await manager.clock.advance(Math.max(0, afterMs - 1));
    expect(asked.value !== undefined).toBe(!isSilent);
    await manager.clock.advance(1);
    expect(asked.value).toBeDefined();
    await manager.clock.advance(3 * TTL_MS);
    expect(manager.session.loss).toBeUndefined();
  });

  test("for a while is gone on with over one stream: those that were given up meanwhile say nothing", async () => {
    await using manager = await ScriptedManager.start();
    const { session, clock } = manager;
    manager.answer = () => ({});
    await session.call(append);
    for (let round = 1; round <= 12; round++) {
      await manager.kill();
      await clock.advance(2 * MANAGER_LINKLESS_MS + 100 * round);
      await manager.restart();
      await clock.advance(5_000);
      expect(manager.said.filter((word) => word === "attach 101").length).toBe(round);
      await session.call(append);
    }
  });

  test("that a fabric has not is a StateError that says how to start one", async () => {
    await using manager = await ScriptedManager.start();
    manager.address = "";
    await expect(manager.session.call(append)).rejects.toThrow(/--manager/);
    manager.address = MANAGER;
    manager.answer = () => ({});
    await manager.session.call(append);
  });
});

describe("close", () => {
  test("lets what was written get through, also when the session was only just asked for", async () => {
    await using manager = await ScriptedManager.start();
    manager.answer = () => ({});
    const written = outcome(manager.session.call(append));
    const waiting = outcome(manager.session.wait(acquire));
    manager.answer = ({ verb }) => (verb === Verb.LIST_APPEND ? {} : undefined);
    await manager.session.close();
    expect(written.value).toBeDefined();
    expect(waiting.error).toBeInstanceOf(ClosedError);
    expect(manager.said.at(-1)).toBe("closeSession");
    await expect(manager.session.call(append)).rejects.toBeInstanceOf(ClosedError);
    expect([manager.holds, manager.session.session]).toEqual([0, undefined]);
  });

  test("is bounded when nobody answers", async () => {
    await using manager = await ScriptedManager.start();
    const written = outcome(manager.session.call(append));
    await settle();
    const closed = outcome(manager.session.close().then(() => "closed"));
    await manager.clock.advance(5_000);
    expect(written.error).toBeInstanceOf(ClosedError);
    expect(closed).toEqual({ value: "closed" });
  });
});
