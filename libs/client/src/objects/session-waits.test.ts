import { EmptyError, TimeoutError } from "@heddle/kernel";
import { Verb } from "@heddle/wire";
import { describe, expect, test } from "vitest";
import { acquire, OBJECT, outcome, refused, ScriptedManager, settle, TTL_MS } from "./testing.ts";

describe("waits of a session", () => {
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
    expect(String(refusedOne?.error)).toMatch(/was not free within 500 ms/);
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

  test("for items that were not sent at their timeout ask for what is there once the manager hears of them: nobody else can say that a queue is empty", async () => {
    await using manager = await ScriptedManager.start();
    await manager.kill();
    const get = { verb: "queue-get", object: OBJECT, numbers: [1] } as const;
    const aborting = new AbortController();
    const waits = [{ timeoutMs: 100 }, { timeoutMs: 100 }, { timeoutMs: 60_000 }, { signal: aborting.signal }];
    const [filled, empty, patient, aborted] = waits.map((options) => outcome(manager.session.wait(get, options)));
    await manager.clock.advance(100);
    aborting.abort(new Error("enough"));
    await settle();
    expect([filled, empty, patient]).toEqual([{}, {}, {}]);
    expect(aborted?.error).toEqual(new Error("enough"));
    await manager.restart();
    await manager.clock.advance(2_000);
    expect(manager.operations.map(({ verb, numbers }) => [verb, numbers[0]])).toEqual([
      [Verb.QUEUE_GET, 0],
      [Verb.QUEUE_GET, 0],
      [Verb.QUEUE_GET, 1],
    ]);
    manager.reply({ seq: 1, numbers: [7] }, { seq: 2, ...refused("empty") }, { seq: 3, numbers: [8] });
    await settle();
    expect([filled?.value, patient?.value]).toMatchObject([{ numbers: [7] }, { numbers: [8] }]);
    expect(empty?.error).toBeInstanceOf(EmptyError);
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
