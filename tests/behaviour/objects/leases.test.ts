import { type Guard, Lock, LockLostError, Manager, NotHeldError } from "heddle";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type ObjectsClient, ObjectsWorld } from "../../harness/objects-world.ts";
import { failure } from "../../harness/waiting.ts";

let world: ObjectsWorld;
let ours: ObjectsClient;
let theirs: ObjectsClient;
beforeEach(async () => {
  world = await ObjectsWorld.open();
  ours = await world.client("ours");
  theirs = await world.client("theirs");
});
afterEach(() => world[Symbol.asyncDispose]());

/** Whether a promise is settled once everything that is ready has run. */
async function isPending(promise: Promise<unknown>): Promise<boolean> {
  let pending = true;
  promise.then(
    () => {
      pending = false;
    },
    () => {
      pending = false;
    },
  );
  await world.settle();
  return pending;
}

describe("a lease that is lost", () => {
  test("aborts the signal, fails the run and what is written in it; the next holder has a larger token", async () => {
    const lock = new Lock({ fabric: ours.fabric });
    const manager = new Manager({ fabric: ours.fabric });
    const list = manager.list<string>();
    const there = await theirs.receive(lock);
    const entered = Promise.withResolvers<Guard>();
    const { promise: resumed, resolve: resume } = Promise.withResolvers<void>();
    let written: unknown;
    const run = failure(
      lock.run(async (guard) => {
        await list.append("before");
        entered.resolve(guard);
        await resumed;
        written = await failure(list.append("late"));
      }),
    );
    const guard = await entered.promise;
    const next = there.acquire();
    ours.cutOff();
    await world.clock.advance(14_000);
    guard.assertHeld();
    expect(guard.signal.aborted).toBe(false);
    await world.clock.advance(1_000);
    expect(guard.signal.reason).toBeInstanceOf(LockLostError);
    expect(guard.signal.reason).toMatchObject({ lock: lock.id, token: guard.token });
    expect(() => guard.assertHeld()).toThrow(LockLostError);
    await world.clock.advance(1_000);
    expect((await next).token).toBeGreaterThan(guard.token);
    ours.reconnect();
    resume();
    await world.clock.advance(3_000);
    expect(written).toBeInstanceOf(LockLostError);
    expect(await run).toBeInstanceOf(LockLostError);
  });

  test("by a pause is known at the first look, before any timer has fired", async () => {
    const lock = new Lock({ fabric: ours.fabric });
    const guard = await lock.acquire();
    await world.settle();
    void world.clock.block(20_000);
    expect(() => guard.assertHeld()).toThrow(LockLostError);
    expect(guard.signal.aborted).toBe(true);
    await world.settle();
  });

  test("comes back with the manager when that had only been away", async () => {
    const lock = new Lock({ fabric: ours.fabric });
    await using manager = new Manager({ fabric: ours.fabric });
    const list = manager.list<string>();
    await list.append("first");
    const guard = await lock.acquire();
    const { signal } = guard;
    await world.kill();
    await world.clock.advance(16_000);
    expect(signal.aborted).toBe(true);
    expect(await failure(guard.run(() => list.append("while it is away")))).toBeInstanceOf(LockLostError);
    await world.start();
    await world.clock.advance(5_000);
    guard.assertHeld();
    expect(signal.aborted).toBe(true);
    await guard.run(() => list.append("under the same token"));
    expect(await list.toArray()).toEqual(["first", "under the same token"]);
    await guard.release();
  });

  test("goes unnoticed when the manager is back in time", async () => {
    const lock = new Lock({ fabric: ours.fabric });
    const there = await theirs.receive(lock);
    const guard = await lock.acquire();
    const next = there.acquire();
    await world.settle();
    await world.kill();
    await world.clock.advance(5_000);
    await world.start();
    await world.clock.advance(5_000);
    guard.assertHeld();
    expect(guard.signal.aborted).toBe(false);
    expect(await isPending(next)).toBe(true);
    await guard.release();
    expect((await next).token).toBeGreaterThan(guard.token);
  });

  test("makes a release say so", async () => {
    const lock = new Lock({ fabric: ours.fabric });
    const guard = await lock.acquire();
    ours.cutOff();
    await world.clock.advance(20_000);
    ours.reconnect();
    await world.clock.advance(5_000);
    expect(await failure(guard.release())).toBeInstanceOf(LockLostError);
    expect(await failure(guard.release())).toBeInstanceOf(NotHeldError);
  });
});
