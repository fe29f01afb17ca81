import { AsyncLocalStorage } from "node:async_hooks";
import {
  type AsyncScope,
  ClosedError,
  EmptyError,
  LimitError,
  LockLostError,
  NotFoundError,
  StateError,
  TimeoutError,
  UnavailableError,
} from "@heddle/kernel";
import { endlessLeases } from "@heddle/port-rpc";
import { manualEnvironment } from "@heddle/port-rpc/testing";
import { Verb } from "@heddle/wire";
import { describe, expect, test } from "vitest";
import { LEND_AFTER_MS, OPERATIONS_IN_FLIGHT_MAX, OPERATIONS_PER_ENTRY_MAX } from "../limits.ts";
import { PipeTransport } from "./pipe-transport.ts";
import { ObjectsSession } from "./session.ts";
import { acquire, append, length, OBJECT, outcome, refused, ScriptedManager, settle } from "./testing.ts";

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

  test("have their task lend its slot while they wait for others, and not while they are only under way", async () => {
    let lent = 0;
    const lend = (): Disposable => {
      lent++;
      return { [Symbol.dispose]: () => void lent-- };
    };
    await using manager = await ScriptedManager.start({ lend });
    const { session, clock } = manager;
    const appended = session.call(append);
    await clock.advance(2 * LEND_AFTER_MS);
    expect(lent).toBe(0);
    const acquired = session.wait(acquire);
    await clock.advance(2 * LEND_AFTER_MS);
    expect(lent).toBe(1);
    for (const { seq } of manager.operations) manager.reply({ seq });
    await Promise.all([appended, acquired]);
    expect(lent).toBe(0);
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

  test("wait 10 s for the first answer, and as long as they may for a manager that has answered before, in another session too", async () => {
    await using nobody = await ScriptedManager.start();
    await nobody.kill();
    const first = outcome(nobody.session.call(length));
    await nobody.clock.advance(9_900);
    expect(first).toEqual({});
    await nobody.clock.advance(200);
    expect(first.error).toBeInstanceOf(UnavailableError);
    await using manager = await ScriptedManager.start();
    manager.answer = () => ({});
    await manager.session.call(length);
    manager.endSession("expired");
    await settle();
    await manager.kill();
    const later = outcome(manager.session.call(length));
    await manager.clock.advance(15_000);
    expect(later).toEqual({});
    await manager.restart();
    await manager.clock.advance(4_000);
    expect(later.value).toBeDefined();
  });

  test("inside a worker wait as long as they may from the beginning: its agent's way leads nowhere else", async () => {
    const env = manualEnvironment();
    const silent = { operate: () => undefined, listen: () => undefined, closeOwner: () => undefined };
    const session = new ObjectsSession({
      env,
      transport: new PipeTransport(silent, 1, env),
      leases: endlessLeases,
      openScope,
      hold: () => ({ [Symbol.dispose]: () => undefined }),
      unavailableTimeoutMs: 30_000,
    });
    const asked = outcome(session.call(length));
    await env.clock.advance(29_900);
    expect(asked).toEqual({});
    await env.clock.advance(200);
    expect(asked.error).toBeInstanceOf(UnavailableError);
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

  test("an operation that the manager would cut the stream for is refused, with all that is done together in it", async () => {
    await using manager = await ScriptedManager.start();
    const { asked, session } = manager;
    manager.answer = () => ({});
    const written = { verb: "list-append", object: "@list", values: [new Uint8Array(30 * 1024 * 1024)] } as const;
    const together = (count: number) => ({
      ...({ verb: "transaction", object: "" } as const),
      operations: Array.from({ length: count }, () => written),
    });
    const limit = { name: "LimitError", limitName: "OPERATIONS_BYTES_MAX", limit: 80 * 1024 * 1024 };
    await expect(session.call(together(3))).rejects.toMatchObject(limit);
    await session.call(append);
    expect(asked).toHaveLength(1);
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

describe("the end of a session", () => {
  test("comes once what was asked is answered, also what is asked until its asking is over", async () => {
    await using manager = await ScriptedManager.start();
    const { session } = manager;
    const asking = Promise.withResolvers<void>();
    const waiting = outcome(session.wait(acquire));
    void session.call(append);
    const closed = outcome(session.close(asking.promise).then(() => "closed"));
    await settle();
    expect(waiting.error).toBeInstanceOf(ClosedError);
    const late = [session.call(append), session.wait(acquire)].map(outcome);
    asking.resolve();
    await settle();
    expect(late[1]?.error).toBeInstanceOf(ClosedError);
    await expect(session.call(append)).rejects.toBeInstanceOf(ClosedError);
    manager.reply({ seq: 2 });
    await settle();
    expect(closed).toEqual({});
    manager.reply({ seq: 3, revision: 7 });
    await settle();
    expect([closed.value, late[0]?.value]).toMatchObject(["closed", { revision: 7 }]);
  });

  test("comes after a while when nobody answers, and says that a write which nobody awaited was not done", async () => {
    await using manager = await ScriptedManager.start();
    const { session, clock } = manager;
    await manager.kill();
    const seen = outcome(session.call(append));
    void session.call(append);
    const closed = outcome(session.close(new Promise(() => undefined)));
    await clock.advance(1_999);
    expect(closed).toEqual({});
    await clock.advance(1);
    expect(seen.error).toBeInstanceOf(ClosedError);
    await clock.advance(5_000);
    expect(String(closed.error)).toMatch(/ClosedError: list-append .* was not done: .*did not answer within 2000 ms/);
    expect(manager.holds).toBe(0);
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
