import {
  BoundedSemaphore,
  type Guard,
  Lock,
  LockLostError,
  Manager,
  NotHeldError,
  RLock,
  Semaphore,
  TimeoutError,
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

describe("a Lock", () => {
  test("is held by one guard at a time, and belongs to the next in line once it is released", async () => {
    const lock = new Lock({ fabric: ours.fabric });
    const there = await theirs.receive(lock);
    const first = await lock.acquire();
    expect(await lock.locked()).toBe(true);
    const second = there.acquire();
    expect(await isPending(second)).toBe(true);
    const third = lock.acquire();
    await first.release();
    const next = await second;
    expect(next.token).toBeGreaterThan(first.token);
    expect(await isPending(third)).toBe(true);
    await next.release();
    await (await third).release();
    expect(await there.locked()).toBe(false);
  });

  test("is now or never with a timeout of 0 and less, and gives up in time with another", async () => {
    const lock = new Lock({ fabric: ours.fabric });
    await using _guard = await lock.acquire();
    expect(await lock.tryAcquire()).toBe(null);
    for (const timeoutMs of [0, -5]) expect(await failure(lock.acquire({ timeoutMs }))).toBeInstanceOf(TimeoutError);
    const late = failure(lock.acquire({ timeoutMs: 300 }));
    expect(await isPending(late)).toBe(true);
    await world.clock.advance(300);
    expect(await late).toBeInstanceOf(TimeoutError);
  });

  test("is given up by the signal's reason", async () => {
    const lock = new Lock({ fabric: ours.fabric });
    await using _guard = await lock.acquire();
    const abort = new AbortController();
    const waiting = failure(lock.acquire({ signal: abort.signal }));
    await world.settle();
    const reason = new Error("enough");
    abort.abort(reason);
    expect(await waiting).toBe(reason);
    expect(await failure(lock.acquire({ signal: abort.signal }))).toBe(reason);
  });

  test("released in a scoped block is free, also when the body throws", async () => {
    const lock = new Lock({ fabric: ours.fabric });
    const thrown = new Error("in the block");
    const block = async (): Promise<void> => {
      await using _guard = await lock.acquire();
      expect(await lock.locked()).toBe(true);
      throw thrown;
    };
    expect(await failure(block())).toBe(thrown);
    expect(await lock.locked()).toBe(false);
    expect(await failure(lock.run(() => Promise.reject(thrown)))).toBe(thrown);
    expect(await lock.locked()).toBe(false);
    expect(await lock.run(async (guard: Guard) => [guard.token > 0n, await lock.locked()])).toEqual([true, true]);
    expect(await lock.locked()).toBe(false);
  });

  test("is released by the client that holds it, its newest guard first, and by nobody else", async () => {
    const lock = new Lock({ fabric: ours.fabric });
    const there = await theirs.receive(lock);
    const guard = await lock.acquire();
    expect(await failure(there.release())).toBeInstanceOf(NotHeldError);
    expect(await there.locked()).toBe(true);
    await lock.release();
    expect(await there.locked()).toBe(false);
    expect(await failure(lock.release())).toBeInstanceOf(NotHeldError);
    expect(await failure(guard.release())).toBeInstanceOf(NotHeldError);
    expect(() => guard.assertHeld()).toThrow(NotHeldError);
    await guard[Symbol.asyncDispose]();
  });

  test("of a name is the same for all", async () => {
    const lock = new Lock({ name: "ledger", fabric: ours.fabric });
    const same = new Lock({ name: "ledger", fabric: theirs.fabric });
    await using _guard = await lock.acquire();
    expect(await same.tryAcquire()).toBe(null);
  });

  test("refuses options that cannot be", async () => {
    expect(() => new Lock({ ttl: 5 } as never)).toThrow("no option ttl");
    expect(() => new Lock({ ttlMs: 5, fabric: ours.fabric })).toThrow(RangeError);
    expect(() => new Lock({ fabric: {} })).toThrow(TypeError);
    const lock = new Lock({ fabric: ours.fabric });
    expect(await failure(lock.acquire({ timeoutMs: Number.NaN }))).toBeInstanceOf(TypeError);
    expect(await failure(lock.acquire({ patience: 5 } as never))).toBeInstanceOf(TypeError);
    expect(await failure(lock.run(5 as never))).toBeInstanceOf(TypeError);
    expect(await lock.locked()).toBe(false);
  });
});

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

describe("an RLock", () => {
  test("is acquired again by who holds it, and free after as many releases", async () => {
    const rlock = new RLock({ fabric: ours.fabric });
    const there = await theirs.receive(rlock);
    const guards = [await rlock.acquire(), await rlock.acquire({ timeoutMs: 0 }), await rlock.tryAcquire()];
    expect(new Set(guards.map((guard) => guard?.token)).size).toBe(1);
    for (let release = 0; release < 3; release++) {
      expect(await there.tryAcquire()).toBe(null);
      await rlock.release();
    }
    expect(await failure(rlock.release())).toBeInstanceOf(NotHeldError);
    expect(await there.locked()).toBe(false);
  });

  test("belongs to a run with all that it begins, and keeps other runs out", async () => {
    const rlock = new RLock({ fabric: ours.fabric });
    const log: string[] = [];
    const run = (name: string): Promise<void> =>
      rlock.run(async () => {
        log.push(`${name} in`);
        await rlock.run(() => rlock.run(() => log.push(`${name} deeper`)));
        await world.settle();
        log.push(`${name} out`);
      });
    await Promise.all([run("a"), run("b")]);
    expect(log).toEqual(["a in", "a deeper", "a out", "b in", "b deeper", "b out"]);
    expect(await rlock.locked()).toBe(false);
  });

  test("asked for twice at a time by one owner is asked for once", async () => {
    const rlock = new RLock({ fabric: ours.fabric });
    const there = await theirs.receive(rlock);
    const other = await there.acquire();
    const both = [rlock.acquire(), rlock.acquire({ timeoutMs: 60_000 })];
    const tired = failure(rlock.acquire({ timeoutMs: 100 }));
    expect(await failure(rlock.acquire({ timeoutMs: 0 }))).toBeInstanceOf(TimeoutError);
    await world.clock.advance(100);
    expect(await tired).toBeInstanceOf(TimeoutError);
    await other.release();
    for (const guard of await Promise.all(both)) {
      expect(await there.tryAcquire()).toBe(null);
      await guard.release();
    }
    expect(await there.locked()).toBe(false);
  });
});

describe("a Semaphore", () => {
  test("gives so many permits, each back by its guard", async () => {
    const semaphore = new Semaphore(2, { fabric: ours.fabric });
    const first = await semaphore.acquire();
    const second = await semaphore.acquire();
    expect(await semaphore.getValue()).toBe(0);
    expect(await semaphore.tryAcquire()).toBe(null);
    await second.release();
    expect(await semaphore.getValue()).toBe(1);
    await first.release();
    expect(await failure(first.release())).toBeInstanceOf(NotHeldError);
    expect(await semaphore.getValue()).toBe(2);
    await semaphore.run(async () => expect(await semaphore.getValue()).toBe(1));
    expect(await semaphore.getValue()).toBe(2);
  });

  test("without a permit fails at once when it is not to wait, and in time when it is", async () => {
    const semaphore = new Semaphore(0, { fabric: ours.fabric });
    expect(await semaphore.tryAcquire()).toBe(null);
    expect(await failure(semaphore.acquire({ timeoutMs: 0 }))).toBeInstanceOf(TimeoutError);
    for (const timeoutMs of [100, 250]) {
      const late = failure(semaphore.acquire({ timeoutMs }));
      await world.clock.advance(timeoutMs - 1);
      expect(await isPending(late)).toBe(true);
      await world.clock.advance(1);
      expect(await late).toBeInstanceOf(TimeoutError);
    }
  });

  test("takes permits from anybody, to signal", async () => {
    const semaphore = new Semaphore(0, { fabric: ours.fabric });
    const there = await theirs.receive(semaphore);
    const waiting = Promise.all([semaphore.acquire(), semaphore.acquire()]);
    await world.settle();
    await there.release(2);
    const guards = await waiting;
    expect(await there.getValue()).toBe(0);
    for (const guard of guards) await guard.release();
    expect(await there.getValue()).toBe(2);
    expect(await failure(semaphore.release(0))).toBeInstanceOf(RangeError);
  });

  test("that is bounded refuses more than it had at first", async () => {
    const bounded = new BoundedSemaphore(2, { fabric: ours.fabric });
    const there = await theirs.receive(bounded);
    expect(there).toBeInstanceOf(BoundedSemaphore);
    const guard = await bounded.acquire();
    await there.release();
    expect(await bounded.getValue()).toBe(2);
    expect(await failure(there.release())).toBeInstanceOf(RangeError);
    await guard.release();
    expect(await bounded.getValue()).toBe(2);
  });

  test("has the permits of a session back that is over, and takes one for it before that", async () => {
    for (const semaphore of [
      new Semaphore(1, { fabric: ours.fabric }),
      new BoundedSemaphore(1, { fabric: ours.fabric }),
    ]) {
      const there = await theirs.receive(semaphore);
      await there.acquire();
      await semaphore.release();
      expect(await semaphore.getValue()).toBe(1);
    }
    const semaphore = new Semaphore(1, { fabric: ours.fabric });
    await (await theirs.receive(semaphore)).acquire();
    const waiting = semaphore.acquire();
    expect(await isPending(waiting)).toBe(true);
    await theirs.session.close();
    await (await waiting).release();
    expect(await semaphore.getValue()).toBe(1);
  });
});
