import {
  Barrier,
  BoundedSemaphore,
  BrokenBarrierError,
  Condition,
  Event,
  type Guard,
  Lock,
  NotHeldError,
  objectsAdmin,
  RLock,
  Semaphore,
  TimeoutError,
} from "heddle";
import { expect, test } from "vitest";
import { eventually, failure } from "../../harness/waiting.ts";
import { child, ended, fiveOf, type GetShared, type SharedRun } from "./shared.ts";

/** Locks and semaphores between a program, its tasks and its processes. */
export function describeLocks(get: GetShared): void {
  test("LOCK-02: an rlock is its owner's until it is released as often as it was acquired", async () => {
    const { fabric, pool } = get();
    const rlock = new RLock({ fabric });
    const isFree = (): Promise<boolean> =>
      pool.apply(
        async (lock: RLock) => {
          const guard = await lock.tryAcquire();
          await guard?.release();
          return guard !== null;
        },
        [rlock],
      );
    for (let depth = 0; depth < 3; depth++) expect(await rlock.tryAcquire()).not.toBeNull();
    for (let depth = 3; depth > 0; depth--) {
      expect(await isFree()).toBe(false);
      await rlock.release();
    }
    expect(await isFree()).toBe(true);
    expect(await failure(rlock.release())).toBeInstanceOf(NotHeldError);
  });

  test("LOCK-02: an rlock of a task is that of the next one after as many releases", async () => {
    const { fabric, pool } = get();
    const rlock = new RLock({ fabric });
    const depths = await pool.map(
      async () => {
        for (let depth = 0; depth < 3; depth++) await rlock.acquire();
        for (let depth = 0; depth < 3; depth++) await rlock.release();
        return await rlock.release().then(
          () => "not held, and released",
          (error: Error) => error.name,
        );
      },
      [1, 2, 3, 4],
      { chunkSize: 1 },
    );
    expect(depths).toEqual(Array(4).fill("NotHeldError"));
    expect(await rlock.locked()).toBe(false);
  });

  test("LOCK-03: a lock is free after the scope that acquired it, here or in a task, also when that throws", async () => {
    const { fabric, pool } = get();
    const lock = new Lock({ fabric });
    const fails = async (): Promise<void> => {
      await using _guard = await lock.acquire();
      expect(await pool.apply(() => lock.locked())).toBe(true);
      throw new RangeError("in the scope");
    };
    expect(await failure(fails())).toBeInstanceOf(RangeError);
    expect(await lock.locked()).toBe(false);
    const inTask = (bad: boolean): Promise<boolean> =>
      lock.run(() => {
        if (bad) throw new RangeError("in the scope");
        return lock.locked();
      });
    expect(await pool.apply(inTask, [false])).toBe(true);
    expect(await lock.locked()).toBe(false);
    expect(await failure(pool.apply(inTask, [true]))).toBeInstanceOf(RangeError);
    expect(await lock.locked()).toBe(false);
  });

  test("what a task has acquired and not released is free once it has returned or thrown", async () => {
    const { fabric, pool } = get();
    const [lock, rlock, semaphore] = [new Lock({ fabric }), new RLock({ fabric }), new Semaphore(2, { fabric })];
    const forgets = async (bad: boolean): Promise<string> => {
      const guards = [await lock.acquire(), await rlock.acquire(), await rlock.acquire(), await semaphore.acquire()];
      Reflect.set(globalThis, "forgotten", guards);
      if (bad) throw new RangeError("with locks");
      return (await lock.locked()) ? "held" : "free";
    };
    for (let round = 0; round < 3; round++) {
      expect(await failure(pool.apply(forgets, [true]))).toBeInstanceOf(RangeError);
      expect(await pool.map(forgets, [false, false], { chunkSize: 1 })).toEqual(["held", "held"]);
      expect([await lock.locked(), await rlock.locked(), await semaphore.getValue()]).toEqual([false, false, 2]);
    }
    const releases = async (): Promise<string[]> => {
      const guards = (Reflect.get(globalThis, "forgotten") ?? []) as Guard[];
      const released = guards.map((guard) => guard.release().then(String, (error: Error) => error.name));
      return await Promise.all(released);
    };
    expect(await pool.apply(releases)).toEqual(Array(4).fill("NotHeldError"));
  });

  test("what a task waits for and does not await is nobody's when it is granted after its end", async () => {
    const { fabric, pool } = get();
    const condition = new Condition({ fabric });
    const lock = new Lock({ fabric });
    const guard = await lock.acquire();
    const asks = async (): Promise<void> => {
      void lock.acquire();
      await condition.acquire();
      void condition.wait();
    };
    await pool.apply(asks);
    await guard.release();
    await (await lock.acquire()).release();
    await condition.run(() => condition.notify());
    await (await condition.acquire()).release();
    expect([await lock.locked(), await condition.lock.locked()]).toEqual([false, false]);
  });

  test("what an initializer has acquired is its worker's through all of its tasks", async () => {
    const { fabric } = get();
    const lock = new Lock({ fabric });
    const pool = fabric.pool({
      processes: 1,
      initializer: async () => {
        await lock.acquire();
      },
    });
    expect(await pool.map(() => lock.locked(), [1, 2, 3], { chunkSize: 1 })).toEqual([true, true, true]);
    await pool.terminate();
    await (await lock.acquire()).release();
  });

  test("who holds a lock or a permit that an operator takes away is told at once, here and in a task", async () => {
    const { fabric, pool } = get();
    const [lock, semaphore] = [
      new Lock({ fabric, name: "broken" }),
      new Semaphore(1, { fabric, name: "broken permits" }),
    ];
    const { breakLock } = objectsAdmin(fabric);
    const holds = async (of: Lock | Semaphore): Promise<string> => {
      try {
        return await of.run(async (guard) => {
          await new Promise((resolve) => guard.signal.addEventListener("abort", resolve));
          try {
            guard.assertHeld();
            return "still held";
          } catch {
            return "lost, and nothing said of it at the end";
          }
        });
      } catch (error) {
        return String(error);
      }
    };
    const isTaken = async (): Promise<true | undefined> =>
      (await lock.locked()) && (await semaphore.getValue()) === 0 ? true : undefined;
    for (const hold of [holds, (of: Lock | Semaphore) => pool.apply(holds, [of])]) {
      const both = Promise.all([hold(lock), hold(semaphore)]);
      await eventually("both holders", isTaken);
      await breakLock("broken", { reason: "it hung" });
      await breakLock("broken permits");
      expect(await both).toEqual([
        'LockLostError: lock "broken" was lost: an operator took it away: it hung',
        'LockLostError: semaphore "broken permits" was lost: an operator took it away',
      ]);
      expect([await lock.locked(), await semaphore.getValue()]).toEqual([false, 1]);
    }
    await Promise.all([lock.destroy(), semaphore.destroy()]);
  });

  test("LOCK-03: counting under a lock loses nothing, whoever counts", async () => {
    const { manager, pool, cluster } = get();
    const lock = manager.lock();
    const counter = manager.value("i32", 0);
    const count = async (times: number): Promise<void> => {
      for (let n = 0; n < times; n++) await lock.run(async () => await counter.set((await counter.get()) + 1));
    };
    const others = await Promise.all([0, 1].map((node) => child(get(), node, count, [20])));
    await cluster.drive(Promise.all([count(20), pool.map(count, [20, 20], { chunkSize: 1 })]));
    await ended(get(), ...others);
    expect(await counter.get()).toBe(100);
  });

  test("LOCK-04: a lock that a process holds is not released by another, and is free once that process is over", async () => {
    const { manager } = get();
    const lock = manager.lock();
    const [held, done] = [manager.event(), manager.event()];
    const holder = await child(
      get(),
      1,
      async () => {
        await lock.acquire();
        await held.set();
        await done.wait();
      },
      [],
    );
    await held.wait();
    expect(await failure(lock.release())).toBeInstanceOf(NotHeldError);
    expect(await failure(lock.release())).toBeInstanceOf(NotHeldError);
    const next = lock.acquire();
    expect([await lock.locked(), await lock.tryAcquire()]).toEqual([true, null]);
    await done.set();
    await ended(get(), holder);
    await (await next).release();
    expect(await failure(lock.release())).toBeInstanceOf(NotHeldError);
  });

  test("SEM-03: a bounded semaphore counts its permits up to its bound, wherever they are", async () => {
    const { fabric, pool } = get();
    const semaphore = new BoundedSemaphore(2, { fabric });
    const first = await semaphore.acquire();
    const values = await pool.apply(async () => {
      const before = await semaphore.getValue();
      const guard = await semaphore.acquire();
      const seen = [before, await semaphore.getValue(), await semaphore.tryAcquire()];
      await guard.release();
      return [...seen, await semaphore.getValue()];
    });
    expect(values).toEqual([1, 0, null, 1]);
    await first.release();
    expect(await semaphore.getValue()).toBe(2);
    expect(await failure(semaphore.release())).toBeInstanceOf(RangeError);
    expect(await pool.apply(() => semaphore.release().catch((error: Error) => error.name))).toBe("RangeError");
    expect(await semaphore.getValue()).toBe(2);
  });

  test("SEM-04: a semaphore without permits is refused at once or when the time is up", async () => {
    const { fabric, pool } = get();
    const semaphore = new Semaphore(0, { fabric });
    const waits = await pool.apply(async () => {
      const waited: unknown[] = [await semaphore.tryAcquire()];
      for (const timeoutMs of [0, 100, 200]) {
        const sinceMs = performance.now();
        const name = await semaphore.acquire({ timeoutMs }).catch((error: Error) => error.name);
        waited.push(name, performance.now() - sinceMs >= timeoutMs - 1);
      }
      return waited;
    });
    expect(waits).toEqual([null, "TimeoutError", true, "TimeoutError", true, "TimeoutError", true]);
    expect(await failure(semaphore.acquire({ timeoutMs: 50 }))).toBeInstanceOf(TimeoutError);
  });

  test("SEM-05: a permit that a process has taken is released by another, and is back when that process is over, within the bound", async () => {
    const { manager } = get();
    for (const [semaphore, atLast] of [
      [manager.semaphore(1), 2],
      [manager.boundedSemaphore(1), 1],
    ] as const) {
      const [taken, done] = [manager.event(), manager.event()];
      const take = async (): Promise<void> => {
        await semaphore.acquire();
        await taken.set();
        await done.wait();
      };
      const taker = await child(get(), 1, take, []);
      await taken.wait();
      expect(await semaphore.getValue()).toBe(0);
      await semaphore.release();
      expect(await semaphore.getValue()).toBe(1);
      await done.set();
      await ended(get(), taker);
      expect(await semaphore.getValue()).toBe(atLast);
    }
  });

  test("SEM-05: the permits of a process that is over are taken by those who wait", async () => {
    const { manager, cluster } = get();
    for (const semaphore of [manager.semaphore(1), manager.boundedSemaphore(1)]) {
      const taker = await child(get(), 1, async () => void (await semaphore.acquire()), []);
      await ended(get(), taker);
      await (await cluster.drive(semaphore.acquire())).release();
      expect(await semaphore.getValue()).toBe(1);
    }
  });
}

/** Six that wait at a condition: two here, two in each worker. Each tells in `woken` whether it was notified, with the lock held. */
class Waiters {
  readonly condition: Condition;
  readonly woken: ReturnType<SharedRun["manager"]["list"]>;
  /** Resolves when all of them have gone on. */
  readonly over: Promise<unknown>;

  private constructor(condition: Condition, woken: Waiters["woken"], over: Promise<unknown>) {
    this.condition = condition;
    this.woken = woken;
    this.over = over;
  }

  /** Resolves once all six wait. */
  static async start({ manager, pool, cluster }: SharedRun, timeoutMs?: number): Promise<Waiters> {
    const condition = manager.condition();
    const woken = manager.list<unknown>();
    const sleeping = manager.semaphore(0);
    const wait = (): Promise<void> =>
      condition.run(async (guard) => {
        await sleeping.release();
        const notified = await condition.wait({ timeoutMs });
        guard.assertHeld();
        await woken.append(notified);
      });
    const two = async (): Promise<void> => void (await Promise.all([wait(), wait()]));
    const over = cluster.drive(Promise.all([two(), pool.map(two, [1, 2], { chunkSize: 1 })]));
    for (let sleeper = 0; sleeper < 6; sleeper++) await sleeping.acquire();
    return new Waiters(condition, woken, over);
  }

  /** How many have gone on, once all that were notified have: they come to the lock before who asks now. */
  awake(): Promise<number> {
    return this.condition.run(() => this.woken.length());
  }

  /** Those who wait, as the manager counts them. */
  asleep(): Promise<number | undefined> {
    const { home, id } = this.condition;
    return home.call({ verb: "condition-state", object: id }, ({ numbers }) => numbers[0]);
  }

  notify(count: number): Promise<void> {
    return this.condition.run(() => this.condition.notify(count));
  }
}

/** Conditions, events and barriers between a program, its tasks and its processes. */
export function describeCoordination(get: GetShared): void {
  test("COND-02: waiters of a condition whose time is up have the lock again, one by one, and none is left", async () => {
    const waiters = await Waiters.start(get(), 300);
    await waiters.over;
    expect(await waiters.woken.toArray()).toEqual(Array(6).fill(false));
    expect([await waiters.asleep(), await waiters.condition.lock.locked()]).toEqual([0, false]);
  });

  test("COND-03: notifyAll wakes all six", async () => {
    const waiters = await Waiters.start(get());
    await waiters.condition.run(() => waiters.condition.notifyAll());
    await waiters.over;
    expect(await waiters.woken.toArray()).toEqual(Array(6).fill(true));
  });

  test("COND-04: notify wakes as many as it says, and what is too much is not kept", async () => {
    const waiters = await Waiters.start(get());
    const awake: number[] = [];
    for (const count of [2, 4, 3]) {
      await waiters.notify(count);
      awake.push(await waiters.awake());
    }
    expect(awake).toEqual([2, 6, 6]);
    await waiters.over;
    const { condition } = waiters;
    const late = (): Promise<boolean> => condition.run(() => condition.wait({ timeoutMs: 50 }));
    expect([await late(), await get().pool.apply(late)]).toEqual([false, false]);
  });

  test("COND-07: waitFor gives up when its time is up, however often it was notified", async () => {
    const { manager, pool, cluster } = get();
    const [condition, state, sleeping] = [manager.condition(), manager.value("i32", 0), manager.semaphore(0)];
    const waiting = pool.apply(async () =>
      condition.run(async () => {
        const sinceMs = performance.now();
        await sleeping.release();
        const met = await condition.waitFor(async () => (await state.get()) === 4, { timeoutMs: 300 });
        return [met, performance.now() - sinceMs >= 299];
      }),
    );
    await sleeping.acquire();
    const bump = (): Promise<void> =>
      condition.run(async () => {
        await state.add(1);
        await condition.notify();
      });
    for (let bumps = 0; bumps < 3; bumps++) await bump();
    expect(await cluster.drive(waiting)).toEqual([false, true]);
    const met = pool.apply(() => condition.run(() => condition.waitFor(async () => (await state.get()) === 4)));
    await bump();
    expect(await cluster.drive(met)).toBe(true);
  });

  test("EVT-01, EVT-02: an event lets nobody go on until it is set, and then everybody until it is cleared", async () => {
    const { fabric, pool, cluster } = get();
    const event = new Event({ fabric });
    const look = async (): Promise<readonly boolean[]> => {
      const sinceMs = performance.now();
      const seen = [await event.isSet(), await event.wait({ timeoutMs: 0 }), await event.wait({ timeoutMs: 100 })];
      return [...seen, performance.now() - sinceMs >= 99];
    };
    expect([await look(), await pool.apply(look)]).toEqual(Array(2).fill([false, false, false, true]));
    const waiting = pool.map(() => event.wait(), [1, 2], { chunkSize: 1 });
    await event.set();
    expect(await cluster.drive(waiting)).toEqual([true, true]);
    const set = async (): Promise<readonly boolean[]> => [
      await event.isSet(),
      await event.wait(),
      await event.wait({ timeoutMs: 60_000 }),
      await event.wait(),
    ];
    expect([await set(), await pool.apply(set)]).toEqual(Array(2).fill([true, true, true, true]));
    await pool.apply(() => event.clear());
    expect(await event.isSet()).toBe(false);
  });

  test("BAR-02: five parties go through ten rounds in step", async () => {
    const { fabric, manager } = get();
    const barrier = new Barrier(5, { fabric });
    const log = manager.list<number>();
    await fiveOf(get(), async () => {
      for (let round = 0; round < 10; round++) {
        await log.append(round);
        await barrier.wait();
      }
    });
    expect(await log.toArray()).toEqual(Array.from({ length: 50 }, (_, at) => Math.floor(at / 5)));
  });

  test("BAR-03: each party has a number of its own, one of them 0", async () => {
    const barrier = new Barrier(5, { fabric: get().fabric });
    expect((await fiveOf(get(), () => barrier.wait())).sort()).toEqual([0, 1, 2, 3, 4]);
  });

  test("BAR-04: the action runs once, before anybody goes on", async () => {
    const { fabric, manager } = get();
    const ran = manager.list<string>();
    const barrier = new Barrier(5, { action: () => ran.append("once"), fabric });
    const lengths = await fiveOf(get(), async () => {
      await barrier.wait();
      return await ran.length();
    });
    expect(lengths).toEqual([1, 1, 1, 1, 1]);
  });

  test("BAR-05, BAR-07: who aborts a barrier breaks it for the four others, until it is reset", async () => {
    const barrier = new Barrier(5, { fabric: get().fabric });
    const second = await fiveOf(get(), async () => {
      if ((await barrier.wait()) !== 2)
        return await barrier.wait().then(
          () => "passed",
          (error: Error) => error.name,
        );
      while ((await barrier.nWaiting()) < 4); // until the others wait again
      await barrier.abort();
      return "aborted";
    });
    expect(second.sort()).toEqual([...Array(4).fill("BrokenBarrierError"), "aborted"]);
    expect(await barrier.broken()).toBe(true);
    expect(await failure(barrier.wait())).toBeInstanceOf(BrokenBarrierError);
    await barrier.reset();
    expect((await fiveOf(get(), () => barrier.wait())).sort()).toEqual([0, 1, 2, 3, 4]);
  });

  test("BAR-08: a party that is late breaks the barrier for all, for itself too", async () => {
    const barrier = new Barrier(5, { fabric: get().fabric });
    const second = await fiveOf(get(), async () => {
      if ((await barrier.wait()) === 2) while (!(await barrier.broken()));
      return await barrier.wait({ timeoutMs: 300 }).then(
        () => "passed",
        (error: Error) => error.name,
      );
    });
    expect(second).toEqual(Array(5).fill("BrokenBarrierError"));
  });
}
