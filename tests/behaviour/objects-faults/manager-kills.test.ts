import { connect, type Guard, LockLostError, type Manager, OutcomeUnknownError, SessionLostError } from "heddle";
import { describe, expect, onTestFinished, test } from "vitest";
import { ServedManager } from "../../harness/served-manager.ts";
import { eventually, failure, settles } from "../../harness/waiting.ts";

/** The least there is. */
const TTL_MS = 2_000;

/** A manager of this process, with a session of its own, closed with the test. */
async function client(address: string, ttlMs = 15_000): Promise<Manager> {
  const fabric = await connect(address);
  onTestFinished(() => fabric.close());
  return fabric.manager({ ttlMs });
}

async function served(): Promise<ServedManager> {
  const manager = await ServedManager.start();
  onTestFinished(() => manager[Symbol.asyncDispose]());
  return manager;
}

/** Resolves when the guard's signal has fired, with its reason. */
function lossOf({ signal }: Guard): Promise<unknown> {
  const lost = new Promise((resolve) => {
    if (signal.aborted) resolve(signal.reason);
    signal.addEventListener("abort", () => resolve(signal.reason));
  });
  return settles(lost, () => "a signal that was to fire");
}

describe("a manager that is killed (-9)", () => {
  test("under load four times has what it acknowledged, once and in order; locks keep holder, token and line; nobody sees an error", async () => {
    const manager = await served();
    const address = await manager.coordinates();
    const clients = await Promise.all([client(address), client(address), client(address)]);
    const [first, second, third] = clients;
    const lock = first.lock({ name: "kept" });
    const guard = await lock.acquire();
    const order: number[] = [];
    const waiters: Promise<void>[] = [];
    const line = [second, third, third, second, first, third];
    for (const [place, each] of line.entries()) {
      waiters.push(
        each.lock({ name: "kept" }).run(({ token }) => {
          expect(token).toBeGreaterThan(guard.token);
          order.push(place);
        }),
      );
      await each.flush(); // the object is known there, and so asked for
      await each.connect(); // it stands in line before the next one comes
    }
    let acknowledged = 0;
    let isOver = false;
    const written = clients.map(async (each, at) => {
      const list = each.list<[number, number]>([], { name: "written" });
      let serial = 0;
      while (!isOver) {
        const batch = Array.from({ length: 100 }, () => list.append([at, serial++]));
        await Promise.all(batch);
        acknowledged += batch.length;
      }
      return serial;
    });
    for (let kill = 0; kill < 4; kill++) {
      const from = acknowledged;
      await eventually("more writes", () => acknowledged > from + 2_000 || undefined);
      await manager.kill();
      await manager.start();
    }
    isOver = true;
    const counts = await Promise.all(written);
    const items = await first.list<[number, number]>([], { name: "written" }).toArray();
    for (const [at, count] of counts.entries())
      expect(items.filter(([who]) => who === at).map(([, serial]) => serial)).toEqual(
        Array.from({ length: count }, (_, serial) => serial),
      );
    expect(items.length).toBe(counts.reduce((sum, count) => sum + count));
    guard.assertHeld();
    expect(guard.signal.aborted).toBe(false);
    expect(order).toEqual([]);
    await guard.run(() => first.list<string>([], { name: "guarded" }).append("same token"));
    await guard.release();
    await Promise.all(waiters);
    expect(order).toEqual([0, 1, 2, 3, 4, 5]);
  }, 60_000);

  test("and away for longer than the lease costs guards until it is back, and those who wait nothing", async () => {
    const manager = await served();
    const address = await manager.coordinates();
    const [ours, theirs] = [await client(address, TTL_MS), await client(address, TTL_MS)];
    const list = ours.list<string>([], { name: "list" });
    await list.append("before");
    const guard = await ours.lock({ name: "lock" }).acquire();
    const next = theirs.lock({ name: "lock" }).acquire();
    await theirs.connect();
    await manager.kill();
    expect(await lossOf(guard)).toMatchObject({ name: "LockLostError", token: guard.token });
    expect(() => guard.assertHeld()).toThrow(LockLostError);
    expect(await failure(guard.run(() => list.append("without a lease")))).toBeInstanceOf(LockLostError);
    await manager.start();
    await eventually("the guard is given back", () => {
      try {
        guard.assertHeld();
        return true;
      } catch (error) {
        expect(error).toBeInstanceOf(LockLostError);
        return undefined;
      }
    });
    expect(guard.signal.aborted).toBe(true);
    await guard.run(() => list.append("under the same token"));
    await guard.release();
    const theirGuard = await settles(next, () => "the next in line");
    expect(theirGuard.token).toBeGreaterThan(guard.token);
    expect(await list.toArray()).toEqual(["before", "under the same token"]);
    await theirGuard.release();
  }, 60_000);
});

test("a client that is cut off for longer than its lease: guards, waits and writes under way end as they are said to, and it goes on in another session", async () => {
  const manager = await served();
  const { wire, address } = await manager.behindWire();
  const [lost, other] = [await client(address, TTL_MS), await client(await manager.coordinates())];
  const list = lost.list<string>([], { name: "list" });
  await list.append("before");
  const guard = await lost.lock({ name: "held" }).acquire();
  const busy = await other.lock({ name: "busy" }).acquire();
  const waiting = failure(lost.lock({ name: "busy" }).acquire());
  await lost.connect();
  wire.sever();
  const writing = failure(list.append("under way"));
  const next = await settles(other.lock({ name: "held" }).acquire(), () => "the lock of a session that is over");
  expect(next.token).toBeGreaterThan(guard.token);
  expect(() => guard.assertHeld()).toThrow(LockLostError);
  expect(guard.signal.reason).toBeInstanceOf(LockLostError);
  wire.rejoin();
  expect(await settles(waiting, () => "a wait of a session that is over")).toBeInstanceOf(SessionLostError);
  expect(await settles(writing, () => "a write of a session that is over")).toBeInstanceOf(OutcomeUnknownError);
  expect(await failure(guard.run(() => list.append("stale")))).toBeInstanceOf(LockLostError);
  await list.append("in another session");
  await busy.release();
  expect(await lost.lock({ name: "busy" }).locked()).toBe(false);
  const items = await other.list<string>([], { name: "list" }).toArray();
  expect(items.filter((item) => item !== "under way")).toEqual(["before", "in another session"]);
  await next.run(() => other.list<string>([], { name: "list" }).append("the next holder"));
  await next.release();
}, 60_000);
