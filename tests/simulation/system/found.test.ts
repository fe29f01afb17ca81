import { LimitError, TimeoutError, UnavailableError } from "@heddle/kernel";
import { describe, expect, onTestFinished, test } from "vitest";
import { SimulatedCluster } from "../../harness/simulated-cluster.ts";
import { calmDisk } from "../../harness/simulated-disk.ts";
import { passed } from "./lane.ts";

/** A fabric with a manager, and two clients of it. */
async function opened() {
  const cluster = new SimulatedCluster({ seed: 1, nodes: 1, disk: calmDisk, unavailableTimeoutMs: 5_000 });
  onTestFinished(() => cluster[Symbol.asyncDispose]());
  const { manager } = cluster;
  if (manager === undefined) throw new TypeError("there is a manager where there is a disk");
  const [ours, theirs] = [cluster.client().fabric, cluster.client().fabric];
  await cluster.drive(ours.ready());
  return { cluster, manager, ours, theirs };
}

/** What whole-system seeds found, told as stories. The seeds are those of the day on which they did. */
describe("while the manager's disk is full", () => {
  test("a release is refused, and the lock is free all the same as soon as there is room (seed 82)", async () => {
    const { cluster, manager, ours, theirs } = await opened();
    const lock = ours.manager().lock({ name: "ledger" });
    const guard = await cluster.drive(lock.acquire());
    const next = theirs.manager().lock({ name: "ledger" }).acquire();
    await cluster.drive(passed(cluster, 1_000));
    manager.disk.set({ ...calmDisk, full: 1 });
    await expect(cluster.drive(guard.release())).rejects.toThrow(LimitError);
    manager.disk.set(calmDisk);
    expect((await cluster.drive(next)).token).toBeGreaterThan(guard.token);
  });

  test("a permit that could not be given back is another's as soon as there is room", async () => {
    const { cluster, manager, ours, theirs } = await opened();
    const permit = await cluster.drive(ours.manager().semaphore(1, { name: "licences" }).acquire());
    manager.disk.set({ ...calmDisk, full: 1 });
    await expect(cluster.drive(permit.release())).rejects.toThrow(LimitError);
    manager.disk.set(calmDisk);
    await cluster.drive(passed(cluster, 5_000));
    const other = theirs.manager().semaphore(1, { name: "licences" });
    expect((await cluster.drive(other.acquire({ timeoutMs: 1_000 }))).token).toBeGreaterThan(permit.token);
  });

  test("who waits for a lock waits no longer than it said", async () => {
    const { cluster, manager, ours, theirs } = await opened();
    const guard = await cluster.drive(ours.manager().lock({ name: "ledger" }).acquire());
    const { clock } = cluster.world;
    const startedMs = clock.nowMs();
    const waiting = theirs.manager().lock({ name: "ledger" }).acquire({ timeoutMs: 3_000 });
    await cluster.drive(passed(cluster, 1_000));
    manager.disk.set({ ...calmDisk, full: 1 });
    await expect(cluster.drive(waiting)).rejects.toThrow(TimeoutError);
    expect(clock.nowMs() - startedMs).toBeLessThan(4_000);
    manager.disk.set(calmDisk);
    await cluster.drive(passed(cluster, 3_000));
    await cluster.drive(guard.release());
    expect(await cluster.drive(ours.manager().lock({ name: "ledger" }).tryAcquire())).not.toBe(null);
  });
});

describe("when the manager cannot be reached", () => {
  test("objects that could not be made are made when they are next asked for (seeds 60 and 214)", async () => {
    const { cluster, manager, ours } = await opened();
    manager.host.crash();
    const list = ours.manager().list([1, 2], { name: "primes" });
    const asked = [list.append(3), list.length()];
    await cluster.drive(passed(cluster, 7_000)); // making it was given up after 5 s; what waited for that is asked since
    manager.host.restart();
    expect(await cluster.drive(Promise.all(asked))).toEqual([undefined, 3]);
  });

  test("a value that is an argument of a task fails its call, and nothing else (seeds 129 and 141)", async () => {
    const { cluster, manager, ours } = await opened();
    manager.host.crash();
    const unhandled: unknown[] = [];
    const note = (reason: unknown): void => void unhandled.push(reason);
    process.on("unhandledRejection", note);
    onTestFinished(() => void process.off("unhandledRejection", note));
    const cell = ours.manager().value(0, { name: "cell" });
    const call = ours.pool().apply((value: typeof cell) => value.get(), [cell]);
    await expect(cluster.drive(call)).rejects.toThrow(UnavailableError);
    await new Promise((resolve) => setImmediate(resolve));
    expect(unhandled).toEqual([]);
    manager.host.restart();
  });

  test("its end is no news to whoever has heard of it: what a session asked by itself fails in silence (seed 215)", async () => {
    const { cluster, manager, ours, theirs } = await opened();
    await cluster.drive(ours.manager().lock({ name: "ledger" }).acquire());
    const waiter = theirs.manager();
    const waiting = waiter.lock({ name: "ledger" }).acquire({ timeoutMs: 1_000 });
    waiting.catch(() => undefined);
    await cluster.drive(passed(cluster, 900));
    manager.host.crash();
    await expect(cluster.drive(waiting)).rejects.toThrow();
    await cluster.drive(passed(cluster, 10_000));
    await expect(cluster.drive(waiter.close())).resolves.toBeUndefined();
    manager.host.restart();
  });
});
