import {
  BoundedSemaphore,
  Condition,
  type Guard,
  Lock,
  LockLostError,
  Manager,
  NotHeldError,
  Pipe,
  Queue,
  RLock,
  Semaphore,
  TimeoutError,
  Value,
} from "heddle";
import { describe, expect, test } from "vitest";
import type { ObjectsPlace } from "../../harness/objects-place.ts";
import { failure } from "../../harness/waiting.ts";

type Get = () => ObjectsPlace;

/** Locks and semaphores, whoever runs them. */
export function describeLocks(get: Get): void {
  describe("a Lock", () => describeLock(get));
  describe("an RLock", () => describeRLock(get));
  describe("a Semaphore", () => describeSemaphore(get));
}

/** Whether a promise is not settled though everything that was asked has arrived. */
async function isPending(place: ObjectsPlace, promise: Promise<unknown>): Promise<boolean> {
  let pending = true;
  promise.then(
    () => {
      pending = false;
    },
    () => {
      pending = false;
    },
  );
  await place.arrived();
  return pending;
}

function describeLock(place: Get): void {
  test("is held by one guard at a time, and belongs to the next in line once it is released", async () => {
    const lock = new Lock({ fabric: place().ours });
    const there = await place().receive(lock);
    const first = await lock.acquire();
    expect(await lock.locked()).toBe(true);
    const second = there.acquire();
    expect(await isPending(place(), second)).toBe(true);
    const third = lock.acquire();
    await first.release();
    const next = await second;
    expect(next.token).toBeGreaterThan(first.token);
    expect(await isPending(place(), third)).toBe(true);
    await next.release();
    await (await third).release();
    expect(await there.locked()).toBe(false);
  });

  test("is now or never with a timeout of 0 and less, and gives up in time with another", async () => {
    const lock = new Lock({ fabric: place().ours });
    await using _guard = await lock.acquire();
    expect(await lock.tryAcquire()).toBe(null);
    for (const timeoutMs of [0, -5]) expect(await failure(lock.acquire({ timeoutMs }))).toBeInstanceOf(TimeoutError);
    const sinceMs = place().nowMs();
    expect(await place().ends(failure(lock.acquire({ timeoutMs: 300 })))).toBeInstanceOf(TimeoutError);
    expect(place().nowMs() - sinceMs).toBeGreaterThanOrEqual(300);
  });

  test("is given up by the signal's reason", async () => {
    const lock = new Lock({ fabric: place().ours });
    await using _guard = await lock.acquire();
    const abort = new AbortController();
    const waiting = failure(lock.acquire({ signal: abort.signal }));
    await place().arrived();
    const reason = new Error("enough");
    abort.abort(reason);
    expect(await waiting).toBe(reason);
    expect(await failure(lock.acquire({ signal: abort.signal }))).toBe(reason);
  });

  test("released in a scoped block is free, also when the body throws", async () => {
    const lock = new Lock({ fabric: place().ours });
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
    const lock = new Lock({ fabric: place().ours });
    const there = await place().receive(lock);
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
    const lock = new Lock({ name: "ledger", fabric: place().ours });
    const same = new Lock({ name: "ledger", fabric: place().theirs });
    await using _guard = await lock.acquire();
    expect(await same.tryAcquire()).toBe(null);
  });

  test("and what else is no plain object is refused where options go", async () => {
    await using manager = new Manager({ fabric: place().ours });
    const lock = manager.lock();
    const refused = (what: string, option: string) =>
      new TypeError(`options of ${what} must be an object such as { ${option} }, got a Lock`);
    expect(() => new Condition(lock as never)).toThrow(refused("a condition", "lock"));
    expect(() => manager.condition(lock as never)).toThrow(refused("a condition", "lock"));
    expect(() => new Value("i32", 0, lock as never)).toThrow(refused("a value", "lock"));
    expect(() => manager.value(5, lock as never)).toThrow(refused("a value", "lock"));
    expect(() => manager.list([], lock as never)).toThrow(refused("a list", "name"));
    expect(() => new Queue(lock as never)).toThrow(refused("a queue", "name"));
    expect(() => Pipe(lock as never)).toThrow(refused("a pipe", "name"));
    expect(() => new Lock(manager as never)).toThrow("got a Manager");
    expect(() => new Condition(new RLock({ fabric: place().ours }) as never)).toThrow("such as { lock }, got an RLock");
  });

  test("refuses options that cannot be", async () => {
    expect(() => new Lock({ ttl: 5 } as never)).toThrow("no option ttl");
    expect(() => new Lock({ ttlMs: 5, fabric: place().ours })).toThrow(RangeError);
    expect(() => new Lock({ fabric: {} })).toThrow(TypeError);
    const lock = new Lock({ fabric: place().ours });
    expect(await failure(lock.acquire({ timeoutMs: Number.NaN }))).toBeInstanceOf(TypeError);
    expect(await failure(lock.acquire({ patience: 5 } as never))).toBeInstanceOf(TypeError);
    expect(await failure(lock.run(5 as never))).toBeInstanceOf(TypeError);
    expect(await lock.locked()).toBe(false);
  });
}

function describeRLock(place: Get): void {
  test("is acquired again by who holds it, and free after as many releases", async () => {
    const rlock = new RLock({ fabric: place().ours });
    const there = await place().receive(rlock);
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
    const rlock = new RLock({ fabric: place().ours });
    const log: string[] = [];
    const run = (name: string): Promise<void> =>
      rlock.run(async () => {
        log.push(`${name} in`);
        await rlock.run(() => rlock.run(() => log.push(`${name} deeper`)));
        await place().arrived();
        log.push(`${name} out`);
      });
    await Promise.all([run("a"), run("b")]);
    expect(log).toEqual(["a in", "a deeper", "a out", "b in", "b deeper", "b out"]);
    expect(await rlock.locked()).toBe(false);
  });

  test("acquired again while the answer to the first is on its way stays held when that one is released", async () => {
    const rlock = new RLock({ fabric: place().ours });
    const there = await place().receive(rlock);
    for (let jobs = 0; jobs < 60; jobs++) {
      const first = rlock.acquire().then((guard) => guard.release());
      for (let job = 0; job < jobs; job++) await Promise.resolve();
      const second = await rlock.acquire();
      await first;
      expect(await there.tryAcquire()).toBe(null);
      await second.release();
    }
  });

  test("asked for twice at a time by one owner is asked for once", async () => {
    const rlock = new RLock({ fabric: place().ours });
    const there = await place().receive(rlock);
    const other = await there.acquire();
    const both = [rlock.acquire(), rlock.acquire({ timeoutMs: 60_000 })];
    const tired = failure(rlock.acquire({ timeoutMs: 100 }));
    expect(await failure(rlock.acquire({ timeoutMs: 0 }))).toBeInstanceOf(TimeoutError);
    expect(await place().ends(tired)).toBeInstanceOf(TimeoutError);
    await other.release();
    for (const guard of await Promise.all(both)) {
      expect(await there.tryAcquire()).toBe(null);
      await guard.release();
    }
    expect(await there.locked()).toBe(false);
  });
}

function describeSemaphore(place: Get): void {
  test("gives so many permits, each back by its guard", async () => {
    const semaphore = new Semaphore(2, { fabric: place().ours });
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

  test("guards what is written with a permit", async () => {
    const semaphore = new Semaphore(2, { fabric: place().ours });
    await using manager = new Manager({ fabric: place().ours });
    const list = manager.list<number>();
    const guard = await semaphore.acquire();
    const late = semaphore.run(async () => {
      await list.append(1);
      await guard.run(() => list.append(2));
      await guard.run(async () => {
        await guard.release();
        expect(await failure(list.append(3))).toBeInstanceOf(LockLostError);
      });
      await list.append(4);
    });
    await late;
    expect(await list.toArray()).toEqual([1, 2, 4]);
  });

  test("without a permit fails at once when it is not to wait, and in time when it is", async () => {
    const semaphore = new Semaphore(0, { fabric: place().ours });
    expect(await semaphore.tryAcquire()).toBe(null);
    expect(await failure(semaphore.acquire({ timeoutMs: 0 }))).toBeInstanceOf(TimeoutError);
    for (const timeoutMs of [100, 250]) {
      const sinceMs = place().nowMs();
      expect(await place().ends(failure(semaphore.acquire({ timeoutMs })))).toBeInstanceOf(TimeoutError);
      expect(place().nowMs() - sinceMs).toBeGreaterThanOrEqual(timeoutMs);
    }
  });

  test("takes permits from anybody, to signal", async () => {
    const semaphore = new Semaphore(0, { fabric: place().ours });
    const there = await place().receive(semaphore);
    const waiting = Promise.all([semaphore.acquire(), semaphore.acquire()]);
    await place().arrived();
    await there.release(2);
    const guards = await waiting;
    expect(await there.getValue()).toBe(0);
    for (const guard of guards) await guard.release();
    expect(await there.getValue()).toBe(2);
    expect(await failure(semaphore.release(0))).toBeInstanceOf(RangeError);
  });

  test("that is bounded refuses more than it had at first", async () => {
    const bounded = new BoundedSemaphore(2, { fabric: place().ours });
    const there = await place().receive(bounded);
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
      new Semaphore(1, { fabric: place().ours }),
      new BoundedSemaphore(1, { fabric: place().ours }),
    ]) {
      const there = await place().receive(semaphore);
      await there.acquire();
      await semaphore.release();
      expect(await semaphore.getValue()).toBe(1);
    }
    const semaphore = new Semaphore(1, { fabric: place().ours });
    await (await place().receive(semaphore)).acquire();
    const waiting = semaphore.acquire();
    expect(await isPending(place(), waiting)).toBe(true);
    await place().leave();
    await (await waiting).release();
    expect(await semaphore.getValue()).toBe(1);
  });
}
