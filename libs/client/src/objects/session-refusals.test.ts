import { AuthenticationError, PermissionError, UnavailableError } from "@heddle/kernel";
import { describe, expect, test } from "vitest";
import { MANAGER_ANSWER_MS } from "../limits.ts";
import { acquire, append, COORDINATOR, MANAGER, outcome, ScriptedManager, settle, TTL_MS } from "./testing.ts";

const stranger = new AuthenticationError("the server does not know this certificate");

describe("a session that is not let in when it is first asked for", () => {
  test("by the coordinator fails at once, with the refusal", async () => {
    await using manager = await ScriptedManager.start();
    manager.refusals.set(COORDINATOR, stranger);
    const asked = outcome(manager.session.call(append));
    await settle();
    expect(asked.error).toBe(stranger);
    manager.refusals.clear();
    manager.answer = () => ({});
    await manager.session.call(append); // whoever asks again tries again
  });

  test("by the manager goes through the coordinator, which lets it in", async () => {
    await using manager = await ScriptedManager.start();
    manager.refusals.set(MANAGER, stranger);
    manager.relays = true;
    manager.answer = () => ({});
    const asked = outcome(manager.session.call(append));
    await settle();
    expect(asked.value).toBeDefined();
  });

  test("by the coordinator that is to relay, the last way there is, fails at once, with the refusal", async () => {
    await using manager = await ScriptedManager.start();
    const refusal = new PermissionError("role admin may not operate");
    manager.network.blackhole(MANAGER, true);
    const asked = outcome(manager.session.call(append));
    await settle(); // the coordinator has said where the manager is
    manager.refusals.set(COORDINATOR, refusal);
    await manager.clock.advance(MANAGER_ANSWER_MS);
    expect(asked.error).toBe(refusal);
  });

  test("by a manager whose coordinator relays for nobody yet is tried again", async () => {
    await using manager = await ScriptedManager.start();
    manager.refusals.set(MANAGER, stranger);
    const asked = outcome(manager.session.call(append)); // the coordinator takes the stream, and ends it
    manager.answer = () => ({});
    await manager.clock.advance(3_000);
    expect(asked).toEqual({});
    manager.refusals.clear();
    await manager.clock.advance(3_000);
    expect(asked.value).toBeDefined();
  });
});

describe("a session that is not let in any more", () => {
  test("is gone on with when it is let in again: nothing is lost", async () => {
    await using manager = await ScriptedManager.start();
    const { session, clock } = manager;
    manager.answer = () => ({});
    await session.call(append);
    for (const address of [MANAGER, COORDINATOR]) manager.refusals.set(address, stranger);
    manager.network.cut(MANAGER);
    const asked = outcome(session.call(append));
    await clock.advance(TTL_MS / 2);
    expect(asked).toEqual({});
    manager.refusals.clear();
    await clock.advance(3_000);
    expect(asked.value).toBeDefined();
    expect([session.session, session.loss]).toEqual([101, undefined]);
  });

  test("ends with the refusal once its patience is over, for whatever was asked", async () => {
    await using manager = await ScriptedManager.start();
    const { session, clock } = manager;
    manager.answer = () => ({});
    await session.call(append);
    for (const address of [MANAGER, COORDINATOR]) manager.refusals.set(address, stranger);
    manager.network.cut(MANAGER);
    const asked = [session.call(append), session.wait(acquire)].map(outcome);
    await clock.advance(29_000);
    expect(asked).toEqual([{}, {}]);
    await clock.advance(2_000);
    for (const { error } of asked) {
      expect(error).toBeInstanceOf(AuthenticationError);
      expect(String(error)).toContain(`could not be reached for 30000 ms: ${stranger.message}`);
    }
  });

  test("and then finds nobody at all is unavailable", async () => {
    await using manager = await ScriptedManager.start();
    const { session, clock } = manager;
    manager.answer = () => ({});
    await session.call(append);
    for (const address of [MANAGER, COORDINATOR]) manager.refusals.set(address, stranger);
    await manager.kill();
    const asked = outcome(session.call(append));
    await clock.advance(10_000);
    manager.refusals.clear();
    await clock.advance(21_000);
    expect(asked.error).toBeInstanceOf(UnavailableError);
  });

  test("for its beats alone, on a stream that goes on, loses its lease, and says why", async () => {
    await using manager = await ScriptedManager.start();
    const { session, clock } = manager;
    manager.answer = () => ({});
    manager.beats = "silent";
    await session.call(append);
    for (const address of [MANAGER, COORDINATOR]) manager.refusals.set(address, stranger);
    await clock.advance(TTL_MS);
    expect(session.loss).toEqual({
      type: "late",
      reason: `the manager was not heard of for the lease of ${TTL_MS} ms: ${stranger.message}`,
    });
    manager.refusals.clear();
    manager.beats = "alive";
    await clock.advance(2_000);
    expect(session.loss).toBeUndefined();
  });
});
