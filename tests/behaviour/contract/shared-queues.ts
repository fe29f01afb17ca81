import {
  ClosedError,
  type Connection,
  EmptyError,
  EndOfStreamError,
  FullError,
  JoinableQueue,
  Pipe,
  Queue,
  wait,
} from "heddle";
import { expect, test } from "vitest";
import { failure } from "../../harness/waiting.ts";
import { child, ended, type GetShared } from "./shared.ts";

const upTo = (count: number): number[] => Array.from({ length: count }, (_, n) => n);

/** Queues between a program, its tasks and its processes. */
export function describeQueues(get: GetShared): void {
  test("QUE-02: a full queue refuses at once what is not to wait, whatever its timeout", async () => {
    const { fabric, pool } = get();
    const queue = new Queue<number>({ maxSize: 2, fabric });
    await queue.put(1);
    await queue.put(2);
    const refusals = async (): Promise<readonly string[]> => {
      const calls = [
        queue.put(3, { block: false }),
        queue.put(4, { block: false, timeoutMs: 600_000 }),
        queue.putNowait(5),
      ];
      return await Promise.all(calls.map((call) => call.then(String, (error: Error) => error.name)));
    };
    for (const seen of [await refusals(), await pool.apply(refusals)]) expect(seen).toEqual(Array(3).fill("FullError"));
    expect(await failure(queue.put(6, { timeoutMs: 50 }))).toBeInstanceOf(FullError);
    expect([await queue.qsize(), await queue.full()]).toEqual([2, true]);
  });

  test("QUE-04: what a process puts is got in order, in each form of asking", async () => {
    const { fabric } = get();
    const queue = new Queue<number>({ fabric });
    const putter = await child(
      get(),
      1,
      async (items: readonly number[]) => {
        for (const item of items) await queue.put(item);
      },
      [[2, 3, 4, 5]],
    );
    const got = [
      await queue.get({ block: true }),
      await queue.get({ timeoutMs: undefined }),
      await queue.get({ timeoutMs: 20_000 }),
    ];
    await ended(get(), putter);
    expect([...got, await queue.getNowait()]).toEqual([2, 3, 4, 5]);
    expect(await queue.empty()).toBe(true);
    expect(await failure(queue.getNowait())).toBeInstanceOf(EmptyError);
  });

  test("QUE-06: a process that ends loses nothing of what it put and did not await", async () => {
    const { fabric } = get();
    const queue = new Queue<number>({ fabric });
    for (const item of upTo(10)) await queue.put(item);
    const putter = await child(
      get(),
      1,
      async () => {
        for (let item = 10; item < 20; item++) await queue.put(item);
      },
      [],
    );
    await ended(get(), putter);
    const got: number[] = [];
    for (let gets = 0; gets < 20; gets++) got.push(await queue.get());
    expect(got).toEqual(upTo(20));
    expect(await failure(queue.get({ block: false }))).toBeInstanceOf(EmptyError);
  });

  test("QUE-07: a queue knows how many items it has, whoever put and got them", async () => {
    const { fabric, pool } = get();
    const queue = new Queue<number>({ fabric });
    const sizes = [await queue.qsize()];
    for (const put of [() => queue.put(1), () => pool.apply(() => queue.put(2))]) {
      await put();
      sizes.push(await queue.qsize());
    }
    for (const take of [() => pool.apply(() => queue.get()), () => queue.get()]) {
      await take();
      sizes.push(await queue.qsize());
    }
    expect(sizes).toEqual([0, 1, 2, 1, 0]);
  });

  test("QUE-08: a joinable queue is joined once all that was put is done, and its workers end by a null each", async () => {
    const { fabric, manager, cluster } = get();
    const queue = new JoinableQueue<number | null>({ fabric });
    const done = manager.list<number>();
    const work = async (): Promise<void> => {
      for (let item = await queue.get(); item !== null; item = await queue.get()) {
        await done.append(item);
        await queue.taskDone();
      }
    };
    const workers = await Promise.all(upTo(4).map((node) => child(get(), node, work, [])));
    for (const item of upTo(10)) await queue.put(item);
    await cluster.drive(queue.join());
    expect((await done.toArray()).sort((a, b) => a - b)).toEqual(upTo(10));
    for (const _ of workers) await queue.put(null);
    await ended(get(), ...workers);
  });

  test("QUE-10: a queue that this process has closed takes and gives nothing here, and goes on elsewhere", async () => {
    const { fabric, pool } = get();
    for (const queue of [new Queue<number>({ fabric }), new JoinableQueue<number>({ fabric })]) {
      const there = pool.apply(
        async (far: Queue<number>) => {
          const item = await far.get();
          await far.close();
          return [item, await far.put(1).catch((error: Error) => error.message)];
        },
        [queue],
      );
      await queue.put(7);
      expect(await there).toEqual([7, expect.stringContaining("is closed")]);
      await queue.put(8);
      await queue.close();
      for (const call of [queue.put(1), queue.get()]) {
        const error = await failure(call);
        expect(error).toBeInstanceOf(ClosedError);
        expect(String(error)).toContain("is closed");
      }
    }
  });

  test("QUE-11: a manager's queue is full for a worker, which empties it", async () => {
    const { manager } = get();
    for (const queue of [manager.queue<number>({ maxSize: 2 }), manager.joinableQueue<number>({ maxSize: 2 })]) {
      await queue.put(5);
      await queue.put(6);
      const seen = manager.list<unknown>();
      const getter = await child(
        get(),
        1,
        async () => {
          await seen.extend([await queue.qsize(), await queue.full(), await queue.empty()]);
          await seen.extend([await queue.get(), await queue.get()]);
        },
        [],
      );
      await ended(get(), getter);
      expect(await seen.toArray()).toEqual([2, true, false, 5, 6]);
      expect([await queue.empty(), await queue.full()]).toEqual([true, false]);
    }
  });
}

/** Pipes between a program, its tasks and its processes. */
export function describePipes(get: GetShared): void {
  test("PIPE-02: poll tells at once, or when its time is up, whether there is something to receive", async () => {
    const { fabric } = get();
    const [here, there] = Pipe<unknown>({ fabric });
    const [go, start] = Pipe<string>({ duplex: false, fabric });
    const poller = await child(
      get(),
      1,
      async () => {
        const sinceMs = performance.now();
        const idle = [await there.poll(), await there.poll(-1), await there.poll(150)];
        await there.send([...idle, performance.now() - sinceMs >= 149]);
        await go.recv();
        await there.send([await there.poll(), await there.poll(600_000), await there.recv()]);
      },
      [],
    );
    expect(await here.recv()).toEqual([false, false, false, true]);
    await here.send("item");
    await start.send("go");
    expect(await here.recv()).toEqual([true, true, "item"]);
    await ended(get(), poller);
  });

  test("PIPE-04: a pipe of one direction refuses the other, at whichever end", async () => {
    const { fabric, pool } = get();
    const [reader, writer] = Pipe<number>({ duplex: false, fabric });
    await pool.apply((far: Connection<number>) => far.send(1), [writer]);
    expect(await reader.recv()).toBe(1);
    await writer.send(2);
    expect(await pool.apply((far: Connection<number>) => far.recv(), [reader])).toBe(2);
    for (const wrong of [reader.send(1), writer.recv(), writer.poll()])
      expect(await failure(wrong)).toBeInstanceOf(TypeError);
    const far = pool.apply(async () => {
      const calls = [reader.send(1), writer.recv(), writer.poll()];
      return await Promise.all(calls.map((call) => call.then(String, (error: Error) => error.name)));
    });
    expect(await far).toEqual(["TypeError", "TypeError", "TypeError"]);
  });

  test("a pipe between two processes ends when the one that sends is over", async () => {
    const { fabric, manager } = get();
    const [reader, writer] = Pipe<number>({ duplex: false, fabric });
    const got = manager.list<number | string>();
    const receiver = await child(
      get(),
      0,
      async (end: Connection<number>) => {
        try {
          for (;;) await got.append(await end.recv());
        } catch (error) {
          await got.append((error as Error).name);
        }
      },
      [reader],
    );
    const sender = await child(
      get(),
      1,
      async (end: Connection<number>) => {
        for (let n = 0; n < 100; n++) await end.send(n);
      },
      [writer],
    );
    await writer.close();
    await ended(get(), sender, receiver);
    expect(await got.toArray()).toEqual([...upTo(100), "EndOfStreamError"]);
  });

  test("WAIT-01: wait gives the connections that are ready: each message once, and each end", async () => {
    const { fabric, cluster } = get();
    const readers: Connection<[number, number]>[] = [];
    const children = await Promise.all(
      upTo(4).map(async (at) => {
        const [reader, writer] = Pipe<[number, number]>({ duplex: false, fabric });
        readers.push(reader);
        const send = async (end: Connection<[number, number]>): Promise<void> => {
          for (let message = 0; message < 10; message++) await end.send([message, process.pid]);
          await end.close();
        };
        const sender = await child(get(), at, send, [writer]);
        await writer.close();
        return sender;
      }),
    );
    const received: string[] = [];
    let open = readers;
    while (open.length > 0)
      for (const reader of await cluster.drive(wait(open))) {
        expect(await reader.poll()).toBe(true);
        try {
          received.push((await reader.recv()).join(" of "));
        } catch (error) {
          expect(error).toBeInstanceOf(EndOfStreamError);
          open = open.filter((one) => one !== reader);
        }
      }
    await ended(get(), ...children);
    expect(await wait(children)).toEqual(children);
    const sent = children.flatMap(({ pid }) => upTo(10).map((message) => `${message} of ${pid}`));
    expect(received.sort()).toEqual(sent.sort());
  });
}
