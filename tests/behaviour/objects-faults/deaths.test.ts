import { fileURLToPath } from "node:url";
import { BrokenBarrierError, connect, Event, type Fabric, Lock, type Manager, WorkerLostError } from "heddle";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Caller, type ObjectName } from "../../harness/caller.ts";
import { ProcessCluster } from "../../harness/process-cluster.ts";
import { ServedManager } from "../../harness/served-manager.ts";
import { eventually, failure, settles } from "../../harness/waiting.ts";

/** Of those that are killed: the least there is. */
const TTL_MS = 2_000;

describe("a program that is killed (-9)", () => {
  const scope = new AsyncDisposableStack();
  let served: ServedManager;
  let address = "";
  let fabric: Fabric;

  beforeAll(async () => {
    const report = fileURLToPath(new URL("../scripts/heap-report.ts", import.meta.url));
    served = scope.use(await ServedManager.start({ nodeFlags: ["--expose-gc", `--import=${report}`] }));
    address = await served.coordinates();
    fabric = await connect(address);
    scope.defer(() => fabric.close());
  });
  afterAll(() => scope.disposeAsync());

  test("with a lock that 100 wait for leaves it to them, in the order in which they asked, each with a larger token (L02)", async () => {
    const lock: ObjectName = { kind: "lock", name: "wanted by 100" };
    await using holder = await Caller.start(address, TTL_MS);
    let last = (await holder.call(lock, "acquire")) as bigint;
    const sessions = [1, 2, 3, 4].map(() => fabric.manager({ ttlMs: 60_000 }));
    const order: number[] = [];
    const waiters: Promise<void>[] = [];
    for (let waiter = 0; waiter < 100; waiter++) {
      const manager = sessions[(waiter * 7) % sessions.length] as Manager;
      waiters.push(
        manager.lock({ name: lock.name }).run(({ token }) => {
          order.push(waiter);
          expect(token).toBeGreaterThan(last);
          last = token;
        }),
      );
      await manager.flush();
      await manager.connect(); // it stands in line before the next one comes
    }
    expect(order).toEqual([]);
    await holder.kill();
    await settles(Promise.all(waiters), () => `${order.length} of 100 had the lock`, 20_000);
    expect(order).toEqual(Array.from({ length: 100 }, (_, waiter) => waiter));
    await Promise.all(sessions.map((manager) => manager.close()));
  }, 60_000);

  test("at a barrier breaks it for all the others, and it is as new after a reset (L10)", async () => {
    const name = { kind: "barrier", name: "of four", args: [4] } as const;
    await using party = await Caller.start(address, TTL_MS);
    await using manager = fabric.manager({ ttlMs: 60_000 });
    const barrier = manager.barrier(4, { name: name.name });
    void party.call(name, "wait");
    await eventually("the one that will be killed", async () => ((await barrier.nWaiting()) === 1 ? true : undefined));
    const others = [barrier.wait(), barrier.wait()].map(failure);
    await eventually("all but one", async () => ((await barrier.nWaiting()) === 3 ? true : undefined));
    await party.kill();
    const errors = await settles(Promise.all(others), () => "those who wait at a broken barrier", 20_000);
    for (const error of [...errors, await failure(barrier.wait())]) expect(error).toBeInstanceOf(BrokenBarrierError);
    await barrier.reset();
    const again = await Promise.all([1, 2, 3, 4].map(() => barrier.wait()));
    expect(again.toSorted()).toEqual([0, 1, 2, 3]);
  }, 60_000);

  test("thousands of objects that come and go leave the manager's memory where it was (L10)", async () => {
    const heap = async (): Promise<number> => {
      const before = heaps(served.complaints).length;
      process.kill(served.pid, "SIGUSR2");
      return await eventually("a report of the heap", () => heaps(served.complaints)[before]);
    };
    for (let round = 0; round < 4; round++) await churn(fabric);
    const before = await heap();
    for (let round = 0; round < 12; round++) await churn(fabric);
    expect(await heap()).toBeLessThan(before * 1.1);
  }, 60_000);
});

function heaps(text: string): number[] {
  return Array.from(text.matchAll(/^heap (\d+)$/gm), ([, bytes]) => Number(bytes));
}

/** Sessions that make many objects of every kind that is waited at, use them, and end: half of them without a destroy. */
async function churn(fabric: Fabric): Promise<void> {
  const sessions = Array.from({ length: 4 }, () => fabric.manager({ ttlMs: 60_000 }));
  await Promise.all(
    sessions.map(async (manager) => {
      const uses = Array.from({ length: 60 }, async (_, at) => {
        const [semaphore, lock, event] = [manager.semaphore(2), manager.lock(), manager.event()];
        await semaphore.run(() => lock.run(() => event.set()));
        await event.wait();
        if (at % 2 === 0) await Promise.all([semaphore.destroy(), lock.destroy(), event.destroy()]);
      });
      await Promise.all(uses);
      await manager.close();
    }),
  );
}

describe("a worker with a lock", () => {
  let cluster: ProcessCluster;
  let fabric: Fabric;

  beforeAll(async () => {
    // what agents and clients ask for is 15 s
    cluster = await ProcessCluster.start({
      ...{ nodes: 1, slots: 2, manager: true },
      managerFlags: ["--ttl-max-ms", String(TTL_MS)],
    });
    fabric = await cluster.fabric();
  });
  afterAll(() => cluster[Symbol.asyncDispose]());

  test("that aborts leaves it at once: the session of its agent lives on, and so do the locks of its siblings (L07)", async () => {
    await using pool = fabric.pool({ processes: 2 });
    const [wanted, kept] = [new Lock({ fabric, name: "wanted" }), new Lock({ fabric, name: "kept" })];
    const [inside, go, waits] = [new Event({ fabric }), new Event({ fabric }), new Event({ fabric })];
    const doomed = pool.applyAsync(async () => {
      await wanted.run(async () => {
        await inside.set();
        await go.wait();
        process.abort();
      });
    });
    const lost = failure(doomed);
    await inside.wait();
    const sibling = pool.applyAsync(() =>
      kept.run(async (guard) => {
        await waits.set();
        const token = await wanted.run((mine) => mine.token);
        guard.assertHeld();
        return [guard.signal.aborted, token] as const;
      }),
    );
    await Promise.race([waits.wait(), sibling.get()]);
    await go.set();
    const [isAborted, token] = await cluster.drive(sibling);
    expect([isAborted, typeof token]).toEqual([false, "bigint"]);
    expect(await cluster.drive(lost)).toBeInstanceOf(WorkerLostError);
    await cluster.drive(wanted.run(() => kept.run(() => undefined)));
  }, 60_000);

  test("that computes for three leases without a turn of its event loop keeps it, and may write (L04)", async () => {
    await using pool = fabric.pool({ processes: 1 });
    await using manager = fabric.manager();
    const list = manager.list<string>([], { name: "written in the worker" });
    await list.created;
    const lock = new Lock({ fabric });
    const inside = new Event({ fabric });
    const busyMs = 3 * TTL_MS;
    const task = pool.applyAsync(async () => {
      await lock.run(async (guard) => {
        await inside.set();
        const fromMs = performance.now();
        while (performance.now() < fromMs + busyMs);
        guard.assertHeld();
        await list.append("after the loop");
      });
    });
    await inside.wait();
    const next = lock.run(() => list.append("the next"));
    await cluster.drive(task);
    await cluster.drive(next);
    expect(await list.toArray()).toEqual(["after the loop", "the next"]);
  }, 60_000);
});
