import { Barrier, BrokenBarrierError, Condition, Event, Lock, Manager, NotHeldError, RLock } from "heddle";
import { describe, expect, test } from "vitest";
import type { ObjectsPlace } from "../../harness/objects-place.ts";
import { failure } from "../../harness/waiting.ts";

type Get = () => ObjectsPlace;

/** Conditions, events and barriers, whoever runs them. */
export function describeCoordination(get: Get): void {
  describe("a Condition", () => describeCondition(get));
  describe("an Event", () => describeEvent(get));
  describe("a Barrier", () => describeBarrier(get));
}

/** How many waits of a condition are over, and what they gave. */
class Waiters {
  readonly woken: boolean[] = [];
  readonly all: Promise<void>[] = [];

  /** Starts them, half in each client, and lets all of them wait. */
  static async of(
    place: ObjectsPlace,
    condition: Condition,
    count: number,
    options: { timeoutMs?: number } = {},
  ): Promise<Waiters> {
    const waiters = new Waiters();
    const there = await place.receive(condition);
    for (let each = 0; each < count; each++) {
      const here = each % 2 === 0 ? condition : there;
      waiters.all.push(
        here.run(async (guard) => {
          const notified = await here.wait(options);
          guard.assertHeld();
          waiters.woken.push(notified);
        }),
      );
    }
    while ((await sleepers(condition)) !== count) await place.arrived();
    return waiters;
  }
}

/** Waits at a condition as the manager counts them. */
function sleepers({ home, id: object }: Condition): Promise<number | undefined> {
  return home.call({ verb: "condition-state", object }, ({ numbers }) => numbers[0]);
}

function describeCondition(place: Get): void {
  test("whose waiters nobody notifies gives them the lock back one by one when their time is up", async () => {
    const condition = new Condition({ fabric: place().ours });
    const sinceMs = place().nowMs();
    const waiters = await Waiters.of(place(), condition, 6, { timeoutMs: 500 });
    expect(await sleepers(condition)).toBe(6);
    await place().ends(Promise.all(waiters.all));
    expect(place().nowMs() - sinceMs).toBeGreaterThanOrEqual(500);
    expect(waiters.woken).toEqual(Array(6).fill(false));
    expect(await sleepers(condition)).toBe(0);
    expect(await condition.lock.locked()).toBe(false);
  });

  test("wakes all of its waiters", async () => {
    const condition = new Condition({ fabric: place().ours });
    const waiters = await Waiters.of(place(), condition, 6);
    await condition.run(() => condition.notifyAll());
    await Promise.all(waiters.all);
    expect(waiters.woken).toEqual(Array(6).fill(true));
  });

  test("wakes as many as are notified, and keeps no notification for later ones", async () => {
    const condition = new Condition({ fabric: place().ours });
    const waiters = await Waiters.of(place(), condition, 6);
    const notify = async (count: number): Promise<number> => {
      const woken = waiters.woken.length;
      await condition.run(() => condition.notify(count));
      while (waiters.woken.length < Math.min(woken + count, 6)) await place().arrived();
      await place().arrived();
      return waiters.woken.length;
    };
    expect([await notify(2), await notify(4), await notify(3)]).toEqual([2, 6, 6]);
    const late = await Waiters.of(place(), condition, 1, { timeoutMs: 100 });
    await place().ends(Promise.all(late.all));
    expect(late.woken).toEqual([false]);
  });

  test("waits for a predicate for so long in all, however often it is notified", async () => {
    const condition = new Condition({ fabric: place().ours });
    await using manager = new Manager({ fabric: place().ours });
    const state = manager.value(0);
    const there = await place().receive(condition);
    const seen = await place().receive(state);
    const sinceMs = place().nowMs();
    const waiting = there.run(() => there.waitFor(async () => (await seen.get()) === 4, { timeoutMs: 100 }));
    for (let bump = 0; bump < 3; bump++) {
      await place().pass(30);
      await condition.run(async () => {
        await state.add(1);
        await condition.notify();
      });
      await place().arrived();
    }
    expect(await place().ends(waiting)).toBe(false);
    expect(await state.get()).toBe(3);
    expect(place().nowMs() - sinceMs).toBeGreaterThanOrEqual(100);
    const met = there.run(() => there.waitFor(async () => (await seen.get()) === 4));
    await place().arrived();
    await condition.run(async () => {
      await state.add(1);
      await condition.notify();
    });
    expect(await met).toBe(true);
  });

  test("gives guards another token by a wait, and lets go of an rlock altogether", async () => {
    const lock = new RLock({ fabric: place().ours });
    const condition = new Condition({ lock });
    const there = await place().receive(condition);
    expect(there.lock.id).toBe(lock.id);
    const outer = await lock.acquire();
    const inner = await lock.acquire();
    const { token } = outer;
    const waiting = condition.wait();
    await place().arrived();
    expect(() => outer.assertHeld()).toThrow(NotHeldError);
    expect(await failure(outer.release())).toBeInstanceOf(NotHeldError);
    await there.run(() => there.notify());
    expect(await waiting).toBe(true);
    outer.assertHeld();
    expect(outer.token).toBeGreaterThan(token);
    expect(inner.token).toBe(outer.token);
    await inner.release();
    expect(await there.tryAcquire()).toBe(null);
    await outer.release();
    expect(await lock.locked()).toBe(false);
  });

  test("lets writes of a run go on under the new token after a wait", async () => {
    const condition = new Condition({ fabric: place().ours });
    await using manager = new Manager({ fabric: place().ours });
    const list = manager.list<string>();
    const writing = condition.run(async () => {
      await list.append("before");
      await condition.wait();
      await list.append("after");
    });
    await place().arrived();
    await condition.run(() => condition.notify());
    await writing;
    expect(await list.toArray()).toEqual(["before", "after"]);
  });

  test("is for those who hold its lock alone", async () => {
    const condition = new Condition({ fabric: place().ours });
    for (const call of [condition.wait(), condition.notify(), condition.notifyAll(), condition.waitFor(() => true)])
      expect(await failure(call)).toBeInstanceOf(NotHeldError);
    expect(await failure(condition.release())).toBeInstanceOf(NotHeldError);
    expect(() => new Condition({ lock: new Lock({ fabric: place().theirs }), fabric: place().ours })).toThrow(
      TypeError,
    );
    expect(() => new Condition({ lock: {} as never, fabric: place().ours })).toThrow(TypeError);
    expect(await failure(condition.run(() => condition.notify(-1)))).toBeInstanceOf(RangeError);
    expect(await condition.lock.locked()).toBe(false);
  });

  test("with a timeout of 0 lets the others go first, once", async () => {
    const condition = new Condition({ fabric: place().ours });
    const order: string[] = [];
    const first = condition.run(async () => {
      await place().arrived();
      expect(await condition.wait({ timeoutMs: 0 })).toBe(false);
      order.push("first again");
    });
    const second = condition.run(() => order.push("second"));
    await Promise.all([first, second]);
    expect(order).toEqual(["second", "first again"]);
  });

  test("of a name shares its lock by its name", async () => {
    const condition = new Condition({ name: "news", fabric: place().ours });
    const same = new Condition({ name: "news", fabric: place().theirs });
    await using _guard = await condition.acquire();
    expect(await same.tryAcquire()).toBe(null);
  });
}

function describeEvent(place: Get): void {
  test("is not set at first: waits are false when their time is up, at once when they have none", async () => {
    const event = new Event({ fabric: place().ours });
    expect(await event.isSet()).toBe(false);
    for (const timeoutMs of [0, -1]) expect(await event.wait({ timeoutMs })).toBe(false);
    const sinceMs = place().nowMs();
    expect(await place().ends(event.wait({ timeoutMs: 400 }))).toBe(false);
    expect(place().nowMs() - sinceMs).toBeGreaterThanOrEqual(400);
  });

  test("that is set lets everybody go on, as often as they ask, until it is cleared", async () => {
    const event = new Event({ fabric: place().ours });
    const there = await place().receive(event);
    const waiting = Promise.all([event.wait(), there.wait({ timeoutMs: 60_000 })]);
    await place().arrived();
    await there.set();
    expect(await waiting).toEqual([true, true]);
    expect([await event.isSet(), await event.wait(), await event.wait({ timeoutMs: 5 })]).toEqual([true, true, true]);
    await event.clear();
    expect([await there.isSet(), await there.wait({ timeoutMs: 0 })]).toEqual([false, false]);
  });
}

/** What each of the parties, in two clients, gets from something that it does with a barrier. */
async function parties<T>(
  place: ObjectsPlace,
  barrier: Barrier,
  act: (barrier: Barrier, party: number) => Promise<T>,
): Promise<T[]> {
  const there = await place.receive(barrier);
  const all = Array.from({ length: barrier.parties }, (_, party) => act(party % 2 === 0 ? barrier : there, party));
  return await Promise.all(all);
}

function describeBarrier(place: Get): void {
  test("keeps its parties in step round after round", async () => {
    const barrier = new Barrier(5, { fabric: place().ours });
    const log: number[] = [];
    await parties(place(), barrier, async (one) => {
      for (let round = 0; round < 10; round++) {
        await one.wait();
        log.push(round);
        await one.wait();
      }
    });
    expect(log).toEqual(Array.from({ length: 50 }, (_, at) => Math.floor(at / 5)));
    expect([await barrier.nWaiting(), await barrier.broken(), barrier.parties]).toEqual([0, false, 5]);
  });

  test("gives each party its own number", async () => {
    const barrier = new Barrier(5, { fabric: place().ours });
    expect((await parties(place(), barrier, (one) => one.wait())).sort()).toEqual([0, 1, 2, 3, 4]);
  });

  test("runs its action once, before anybody goes on", async () => {
    await using manager = new Manager({ fabric: place().ours });
    const list = manager.list<string>();
    const barrier = new Barrier(5, { action: () => list.append("once"), fabric: place().ours });
    const lengths = Array.from({ length: 5 }, async () => {
      await barrier.wait();
      return await list.length();
    });
    expect(await Promise.all(lengths)).toEqual([1, 1, 1, 1, 1]);
  });

  test("whose action throws is broken; who ran it is told why", async () => {
    const thrown = new Error("in the action");
    const barrier = new Barrier(2, { action: () => Promise.reject(thrown), fabric: place().ours });
    const first = failure(barrier.wait());
    await place().arrived();
    expect(await failure(barrier.wait())).toBe(thrown);
    expect(await first).toBeInstanceOf(BrokenBarrierError);
    expect(await barrier.broken()).toBe(true);
  });

  test("that is aborted breaks for all that wait or come, until it is reset", async () => {
    const barrier = new Barrier(5, { fabric: place().ours });
    const second = await parties(place(), barrier, async (one, party) => {
      const index = await one.wait();
      if (index !== 2) return await failure(one.wait());
      await place().arrived();
      await one.abort();
      return party;
    });
    expect(second.filter((end) => end instanceof BrokenBarrierError)).toHaveLength(4);
    expect(await barrier.broken()).toBe(true);
    expect(await failure(barrier.wait())).toBeInstanceOf(BrokenBarrierError);
    await barrier.reset();
    expect((await parties(place(), barrier, (one) => one.wait())).sort()).toEqual([0, 1, 2, 3, 4]);
  });

  test("breaks for all when one is late, for the late one too", async () => {
    const barrier = new Barrier(5, { fabric: place().ours });
    const indices = await parties(place(), barrier, (one) => one.wait());
    const second = parties(place(), barrier, async (one, party) => {
      if (indices[party] === 2) await place().pass(100);
      return await failure(one.wait({ timeoutMs: 50 }));
    });
    expect((await place().ends(second)).map((error) => error instanceof BrokenBarrierError)).toEqual(
      Array(5).fill(true),
    );
  });

  test("has a timeout for waits that have none, and one of 0 breaks it unless it is the last", async () => {
    const barrier = new Barrier(2, { timeoutMs: 50, fabric: place().ours });
    const there = await place().receive(barrier);
    expect(await place().ends(failure(there.wait()))).toBeInstanceOf(BrokenBarrierError);
    await barrier.reset();
    expect(await failure(barrier.wait({ timeoutMs: 0 }))).toBeInstanceOf(BrokenBarrierError);
    await barrier.reset();
    const first = there.wait({ timeoutMs: 60_000 });
    await place().arrived();
    expect([await barrier.wait({ timeoutMs: 0 }), await first]).toEqual([1, 0]);
  });

  test("breaks when one that waits is gone", async () => {
    const barrier = new Barrier(3, { fabric: place().ours });
    const there = await place().receive(barrier);
    const gone = failure(there.wait());
    const left = failure(barrier.wait());
    await place().arrived();
    expect(await barrier.nWaiting()).toBe(2);
    await place().leave();
    expect(await left).toBeInstanceOf(BrokenBarrierError);
    expect(await gone).toMatchObject({ name: "ClosedError" });
  });

  test("refuses what cannot be", () => {
    expect(() => new Barrier(0, { fabric: place().ours })).toThrow(RangeError);
    expect(() => new Barrier("5" as never, { fabric: place().ours })).toThrow(TypeError);
    expect(() => new Barrier(2, { action: 5 as never, fabric: place().ours })).toThrow(TypeError);
  });
}
