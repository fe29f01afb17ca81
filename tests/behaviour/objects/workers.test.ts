import {
  type Connection,
  EndOfStreamError,
  Event,
  type Fabric,
  Lock,
  Manager,
  Pipe,
  Process,
  type ProcessOptions,
  Queue,
  RLock,
} from "heddle";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { clusters } from "../../harness/clusters.ts";
import type { RealCluster } from "../../harness/real-cluster.ts";
import { failure } from "../../harness/waiting.ts";

describe.each(clusters)("shared objects in processes and tasks on %s", (_name, open) => {
  let cluster: RealCluster;
  let fabric: Fabric;
  beforeAll(async () => {
    cluster = await open();
    fabric = await cluster.fabric();
  });
  afterAll(async () => {
    await cluster[Symbol.asyncDispose]();
  });

  async function started(target: ProcessOptions["target"], ...args: unknown[]): Promise<Process> {
    const process = new Process({ target, args, fabric });
    await cluster.drive(process.start());
    return process;
  }

  async function ended(process: Process): Promise<number | null> {
    await cluster.drive(process.join());
    return process.exitCode;
  }

  async function _ran(target: ProcessOptions["target"], ...args: unknown[]): Promise<number | null> {
    return await ended(await started(target, ...args));
  }

  test("a lock of a process that is killed goes to the next at once, not when a lease is over", async () => {
    const lock = new Lock({ fabric });
    const acquired = new Event({ fabric });
    const child = await started(async () => {
      await lock.run(async () => {
        await acquired.set();
        for (;;);
      });
    });
    await cluster.drive(acquired.wait());
    const next = lock.acquire();
    const sinceMs = performance.now();
    await child.kill();
    await using _guard = await cluster.drive(next);
    expect(performance.now() - sinceMs).toBeLessThan(10_000);
    expect(await ended(child)).toBe(-9);
  });

  test("PIPE-01: two processes talk through the ends of a pipe", async () => {
    const [here, far] = Pipe<number>({ fabric });
    const results = new Queue<number>({ fabric });
    const pinger = async (end: Connection<number>): Promise<void> => {
      let ball = 0;
      for (let round = 0; round < 20; round++) {
        await end.send(ball);
        ball = await end.recv();
      }
      await results.put(ball);
      await end.close();
    };
    const ponger = async (end: Connection<number>): Promise<void> => {
      while (await end.poll(Number.POSITIVE_INFINITY)) {
        const ball = await end.recv().catch(() => undefined);
        if (ball === undefined) return;
        await end.send(ball + 1);
      }
    };
    const [ping, pong] = [await started(pinger, here), await started(ponger, far)];
    await here.close();
    await far.close();
    expect([await ended(ping), await ended(pong)]).toEqual([0, 0]);
    expect(await results.get()).toBe(20);
  });

  test("the end of a process that never closed its pipe is the end of the stream", async () => {
    const [reader, writer] = Pipe<string>({ duplex: false, fabric });
    const child = await started(async () => {
      await writer.send("last words");
    });
    await writer.close();
    expect(await cluster.drive(reader.recv())).toBe("last words");
    expect(await cluster.drive(failure(reader.recv()))).toBeInstanceOf(EndOfStreamError);
    expect(await ended(child)).toBe(0);
  });

  test("an end given to many tasks lasts until the last of them, though its sender has closed it", async () => {
    await using pool = fabric.pool({ processes: 2 });
    const [reader, writer] = Pipe<number>({ duplex: false, fabric });
    const sending = pool.starmap(
      async (end: Connection<number>, n: number) => {
        await end.send(n);
        await end.close();
      },
      Array.from({ length: 6 }, (_, n) => [writer, n] as const),
      { chunkSize: 2 },
    );
    const got: number[] = [];
    for (let message = 0; message < 6; message++) got.push(await cluster.drive(reader.recv()));
    await cluster.drive(sending);
    expect(got.sort()).toEqual([0, 1, 2, 3, 4, 5]);
    await writer.close();
    expect(await cluster.drive(failure(reader.recv()))).toBeInstanceOf(EndOfStreamError);
  });

  test("an rlock belongs to a task's attempt, whichever others run in the same worker; so does what release finds", async () => {
    await using pool = fabric.pool({ processes: 1 });
    await using manager = new Manager({ fabric });
    const rlock = new RLock({ fabric });
    const lock = new Lock({ fabric });
    const log = manager.list<string>();
    const task = async (n: number): Promise<string> => {
      await rlock.acquire();
      await rlock.acquire();
      await log.append(`${n} in`);
      for (let look = 0; look < 5; look++) await log.length(); // the others have every chance to come in between
      await log.append(`${n} out`);
      await rlock.release();
      await rlock.release();
      if (n === 0) await lock.acquire();
      const refused = n === 0 ? "" : await lock.release().catch((error: Error) => error.name);
      return refused ?? "released";
    };
    const results = await cluster.drive(pool.map(task, [0, 1, 2, 3], { chunkSize: 4, concurrency: 4 }));
    expect(results).toEqual(["", "NotHeldError", "NotHeldError", "NotHeldError"]);
    const entries = await log.toArray();
    for (let at = 0; at < 8; at += 2) expect(entries[at + 1]).toBe(entries[at]?.replace("in", "out"));
  });
});
