import {
  Barrier,
  Condition,
  Event,
  type Guard,
  Lock,
  LockLostError,
  Manager,
  NotHeldError,
  SessionLostError,
} from "heddle";
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
    expect(await lock.locked().catch((error: Error) => error.name)).toBe("NotFoundError"); // in the next session
    expect(() => guard.assertHeld()).toThrow(LockLostError);
    expect(await failure(guard.release())).toBeInstanceOf(LockLostError);
    expect(await failure(guard.release())).toBeInstanceOf(NotHeldError);
  });
});

describe("a session that is lost", () => {
  test("ends its waits, which never get the lock later", async () => {
    const lock = new Lock({ fabric: ours.fabric });
    const there = await theirs.receive(lock);
    const guard = await lock.acquire();
    const waiting = failure(there.acquire());
    await world.settle();
    theirs.cutOff();
    await world.clock.advance(20_000);
    theirs.reconnect();
    await world.clock.advance(5_000);
    expect(await waiting).toBeInstanceOf(SessionLostError);
    await guard.release();
    await world.settle();
    expect(await lock.locked()).toBe(false);
    await (await there.acquire()).release();
  });

  test("ends a wait at a condition, and the guard with it", async () => {
    const condition = new Condition({ name: "news", fabric: ours.fabric });
    const there = new Condition({ name: "news", fabric: theirs.fabric });
    const guard = await there.acquire();
    const waiting = failure(there.wait());
    await world.settle();
    theirs.cutOff();
    await world.clock.advance(20_000);
    await condition.run(() => condition.notifyAll());
    theirs.reconnect();
    await world.clock.advance(5_000);
    expect(await waiting).toBeInstanceOf(SessionLostError);
    expect(() => guard.assertHeld()).toThrow(LockLostError);
    expect(await condition.lock.locked()).toBe(false);
  });
});

describe("a manager that is killed and comes back", () => {
  test("finds everybody where they were: holders, waits at locks, conditions, events and barriers", async () => {
    const lock = new Lock({ fabric: ours.fabric });
    const condition = new Condition({ fabric: ours.fabric });
    const event = new Event({ fabric: ours.fabric });
    const barrier = new Barrier(2, { fabric: ours.fabric });
    const there = { lock: await theirs.receive(lock), condition: await theirs.receive(condition) };
    const [event2, barrier2] = [await theirs.receive(event), await theirs.receive(barrier)];
    const guard = await lock.acquire();
    const next = there.lock.acquire();
    const notified = there.condition.run(() => there.condition.wait());
    const [set, passed] = [event2.wait(), barrier2.wait()];
    await world.settle();
    await world.kill();
    await world.start();
    await world.clock.advance(3_000);
    await Promise.all([condition.run(() => condition.notify()), event.set(), barrier.wait(), guard.release()]);
    expect(await Promise.all([notified, set, passed])).toEqual([true, true, 0]);
    expect((await next).token).toBeGreaterThan(guard.token);
  });
});

describe("a lock with a lease of its own", () => {
  test("is lost after that, and guards what is written in the other sessions of its fabric", async () => {
    await using manager = new Manager({ fabric: ours.fabric });
    const list = manager.list<string>();
    const lock = manager.lock({ ttlMs: 3_000, name: "short" });
    const guard = await lock.acquire();
    await guard.run(() => list.append("in time"));
    ours.cutOff();
    await world.clock.advance(3_000);
    expect(() => guard.assertHeld()).toThrow(LockLostError);
    ours.reconnect();
    await world.clock.advance(12_000);
    expect(await failure(guard.run(() => list.append("late")))).toBeInstanceOf(LockLostError);
    expect(await list.toArray()).toEqual(["in time"]);
    expect(() => manager.lock({ fabric: ours.fabric })).toThrow(TypeError);
    expect(() => new Lock({ ttlMs: 1_999, fabric: ours.fabric })).toThrow(RangeError);
  });

  test("is refused at the manager when its token is of the past, whoever writes", async () => {
    const lock = new Lock({ fabric: ours.fabric });
    await using manager = new Manager({ fabric: ours.fabric });
    const list = manager.list<string>();
    const entered = Promise.withResolvers<void>();
    const resumed = Promise.withResolvers<void>();
    const guard = await lock.acquire();
    const writing = guard.run(async () => {
      await list.append("held");
      entered.resolve();
      await resumed.promise;
      return await failure(list.append("released"));
    });
    await entered.promise;
    await guard.release();
    resumed.resolve();
    expect(await writing).toBeInstanceOf(LockLostError);
    expect(await list.toArray()).toEqual(["held"]);
  });
});
