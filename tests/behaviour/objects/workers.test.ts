import {
  Barrier,
  BoundedSemaphore,
  Condition,
  type Connection,
  EmptyError,
  EndOfStreamError,
  Event,
  type Fabric,
  JoinableQueue,
  Lock,
  Manager,
  NotHeldError,
  Pipe,
  Process,
  type ProcessOptions,
  Queue,
  RLock,
  Semaphore,
  wait,
} from "heddle";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { EmbeddedCluster } from "../../harness/embedded-cluster.ts";
import { ProcessCluster } from "../../harness/process-cluster.ts";
import type { RealCluster } from "../../harness/real-cluster.ts";
import { failure } from "../../harness/waiting.ts";

const clusters: readonly (readonly [name: string, start: () => Promise<RealCluster>])[] = [
  ["an embedded fabric", () => Promise.resolve(new EmbeddedCluster())],
  ["two agents over gRPC", () => ProcessCluster.start({ manager: true })],
];

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

  async function ran(target: ProcessOptions["target"], ...args: unknown[]): Promise<number | null> {
    return await ended(await started(target, ...args));
  }

  test("LOCK-04: a lock of a process that is over is free, and was never another's to release", async () => {
    const lock = new Lock({ fabric });
    const acquired = new Event({ fabric });
    const leave = new Event({ fabric });
    const child = await started(async () => {
      await lock.acquire();
      await acquired.set();
      await leave.wait();
    });
    await cluster.drive(acquired.wait());
    expect(await lock.tryAcquire()).toBe(null);
    expect(await failure(lock.release())).toBeInstanceOf(NotHeldError);
    await leave.set();
    expect(await ended(child)).toBe(0);
    await cluster.drive((await lock.acquire()).release());
    expect(await failure(lock.release())).toBeInstanceOf(NotHeldError);
  });

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

  test("SEM-05: permits that a process took come back with its end; one may be added before", async () => {
    for (const semaphore of [new Semaphore(1, { fabric }), new BoundedSemaphore(1, { fabric })]) {
      const leave = new Event({ fabric });
      const taken = new Event({ fabric });
      const child = await started(async () => {
        await semaphore.acquire();
        await taken.set();
        await leave.wait();
      });
      await cluster.drive(taken.wait());
      await semaphore.release();
      expect(await semaphore.getValue()).toBe(1);
      await leave.set();
      expect(await ended(child)).toBe(0);
      expect(await semaphore.getValue()).toBe(semaphore instanceof BoundedSemaphore ? 1 : 2);
    }
  });

  test("COND-03: processes that wait at a condition are all woken", async () => {
    const condition = new Condition({ fabric });
    const woken = new Queue<boolean>({ fabric });
    const ready = new Semaphore(0, { fabric });
    const child = async (): Promise<void> => {
      await condition.run(async () => {
        await ready.release();
        await woken.put(await condition.wait());
      });
    };
    const children = [await started(child), await started(child), await started(child)];
    for (const _child of children) await cluster.drive(ready.acquire());
    await condition.run(() => condition.notifyAll());
    for (const one of children) expect(await ended(one)).toBe(0);
    expect([await woken.get(), await woken.get(), await woken.get()]).toEqual([true, true, true]);
  });

  test("BAR-04: the action of a barrier that processes meet at runs once, before any goes on", async () => {
    await using manager = new Manager({ fabric });
    const list = manager.list<string>();
    const lengths = new Queue<number>({ fabric });
    const barrier = new Barrier(3, {
      action: async () => {
        await list.append("once");
      },
      fabric,
    });
    const child = async (): Promise<void> => {
      await barrier.wait();
      await lengths.put(await list.length());
    };
    const children = [await started(child), await started(child), await started(child)];
    for (const one of children) expect(await ended(one)).toBe(0);
    expect([await lengths.get(), await lengths.get(), await lengths.get()]).toEqual([1, 1, 1]);
  });

  test("QUE-06: what a process put is there after its end, in order", async () => {
    const queue = new Queue<number>({ fabric });
    for (let item = 0; item < 10; item++) await queue.put(item);
    const child = (): void => {
      for (let item = 10; item < 20; item++) void queue.put(item);
    };
    expect(await ran(child)).toBe(0);
    const got: number[] = [];
    for (let item = 0; item < 20; item++) got.push(await queue.get());
    expect(got).toEqual(Array.from({ length: 20 }, (_, item) => item));
    expect(await failure(queue.get({ block: false }))).toBeInstanceOf(EmptyError);
  });

  test("QUE-08: processes work off a queue that is joined", async () => {
    const queue = new JoinableQueue<number | null>({ fabric });
    const done = new Queue<number>({ fabric });
    const worker = async (): Promise<void> => {
      for (let item = await queue.get(); item !== null; item = await queue.get()) {
        await done.put(item);
        await queue.taskDone();
      }
    };
    const workers = [await started(worker), await started(worker), await started(worker), await started(worker)];
    for (let item = 0; item < 10; item++) await queue.put(item);
    await cluster.drive(queue.join());
    expect(await done.qsize()).toBe(10);
    for (const _worker of workers) await queue.put(null);
    for (const one of workers) expect(await ended(one)).toBe(0);
  });

  test("QUE-11: a manager's queue is used by a task as by who made it", async () => {
    await using manager = new Manager({ fabric });
    await using pool = fabric.pool({ processes: 1 });
    for (const queue of [manager.queue<number>({ maxSize: 2 }), manager.joinableQueue<number>({ maxSize: 2 })]) {
      await queue.put(5);
      await queue.put(6);
      const seen = pool.apply(
        async (there) => [
          await there.qsize(),
          await there.full(),
          await there.empty(),
          await there.get(),
          await there.get(),
        ],
        [queue],
      );
      expect(await cluster.drive(seen)).toEqual([2, true, false, 5, 6]);
      expect([await queue.empty(), await queue.full()]).toEqual([true, false]);
    }
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

  test("WAIT-01: messages of four processes are received as they come, and their ends are seen", async () => {
    const readers: Connection<readonly [number, number]>[] = [];
    const children: Process[] = [];
    const child = async (writer: Connection<readonly [number, number]>): Promise<void> => {
      for (let message = 0; message < 10; message++) await writer.send([message, process.pid]);
      await writer.close();
    };
    for (let each = 0; each < 4; each++) {
      const [reader, writer] = Pipe<readonly [number, number]>({ duplex: false, fabric });
      children.push(await started(child, writer));
      await writer.close();
      readers.push(reader);
    }
    const received: string[] = [];
    let left = readers;
    while (left.length > 0)
      for (const reader of await cluster.drive(wait(left))) {
        const message = await reader.recv().catch((error: unknown) => error);
        if (Array.isArray(message)) received.push(message.join(" of "));
        else {
          expect(message).toBeInstanceOf(EndOfStreamError);
          left = left.filter((one) => one !== reader);
        }
      }
    const pids = children.map(({ pid }) => pid);
    const expected = pids.flatMap((pid) => Array.from({ length: 10 }, (_, message) => `${message} of ${pid}`));
    expect(received.sort()).toEqual(expected.sort());
    for (const one of children) expect(await ended(one)).toBe(0);
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
      await new Promise((resolve) => setTimeout(resolve, 20));
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
