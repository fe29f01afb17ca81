import { ClosedError, LockLostError, OutcomeUnknownError, SessionLostError, UnavailableError } from "@heddle/kernel";
import { Verb } from "@heddle/wire";
import { describe, expect, test } from "vitest";
import { MANAGER_LINKLESS_MS } from "../limits.ts";
import type { LeaseLoss } from "./channel.ts";
import { acquire, append, length, MANAGER, OBJECT, outcome, ScriptedManager, settle, TTL_MS } from "./testing.ts";

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
