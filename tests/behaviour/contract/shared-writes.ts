import { Manager, Process, range } from "heddle";
import { expect, test } from "vitest";
import { failure } from "../../harness/waiting.ts";
import { addAsItCloses, fillAsItCloses } from "./closing-tasks.ts";
import { child, ended, type GetShared } from "./shared.ts";

const upTo = (count: number): number[] => Array.from({ length: count }, (_, n) => n);

/** What becomes of writes that tasks and processes do not await, and of what initializers and other clients do with shared objects. */
export function describeWrites(get: GetShared): void {
  test("what tasks write and do not await is done before their call is, each chunk's in order", async () => {
    const { manager, pool, cluster } = get();
    const [list, counter] = [manager.list<number>(), manager.dict<string, number>()];
    const write = (n: number): number => {
      void list.append(n);
      void counter.increment("n");
      return n;
    };
    expect(await cluster.drive(pool.map(write, range(1_000), { chunkSize: 100 }))).toEqual(upTo(1_000));
    const written = await list.toArray();
    expect(await counter.get("n")).toBe(1_000);
    expect(written.toSorted((a, b) => a - b)).toEqual(upTo(1_000));
    for (const chunk of range(10))
      expect(written.filter((n) => Math.floor(n / 100) === chunk)).toEqual(upTo(100).map((n) => chunk * 100 + n));
    await list.clear();
    let seen = 0;
    for await (const n of pool.imap(write, range(20))) {
      expect(await list.includes(n)).toBe(true);
      seen++;
    }
    expect([seen, await list.length()]).toEqual([20, 20]);
    await pool.apply(write, [7]);
    expect(await list.at(-1)).toBe(7);
  });

  test("a write that fails and that no task awaited is the error of its item", async () => {
    const { manager, pool } = get();
    const list = manager.list<number>();
    const write = (n: number): number => {
      void list.append(n);
      if (n === 30) void list.set(99_999, n);
      void list.append(n);
      return n;
    };
    const error = await failure(pool.map(write, range(50), { chunkSize: 1 }));
    expect(error).toBeInstanceOf(RangeError);
    expect(error).toMatchObject({ message: expect.stringContaining("99999"), remote: { index: 30, attempt: 1 } });
    expect(await list.count(30)).toBe(2);
    const settled = await pool.map(write, range(25, 35), { chunkSize: 1, onError: "collect" });
    expect(settled.map(({ status }) => status)).toEqual(upTo(10).map((at) => (at === 5 ? "rejected" : "fulfilled")));
    expect(await failure(pool.apply(() => void list.append((() => 1) as never)))).toMatchObject({
      name: "SerializationError",
    });
    expect(await pool.map(write, [1, 2, 3])).toEqual([1, 2, 3]);
  });

  test("a write that fails is the task's own affair when it looks at the promise", async () => {
    const { manager, pool } = get();
    const list = manager.list<number>();
    const own = async (n: number): Promise<string> => {
      const written = list.set(99_999, n);
      await list.append(n);
      return await written.then(
        () => "written",
        (error: Error) => error.name,
      );
    };
    expect(await pool.map(own, [1, 2, 3])).toEqual(Array(3).fill("RangeError"));
    expect(await list.length()).toBe(3);
  });

  test("what a task has written before it throws is done, and the error is the task's", async () => {
    const { manager, pool } = get();
    const list = manager.list<string>();
    const fails = (): never => {
      void list.append("before");
      throw new TypeError("after");
    };
    expect(await failure(pool.apply(fails))).toMatchObject({ name: "TypeError", message: "after" });
    expect(await list.toArray()).toEqual(["before"]);
  });

  test("what a process writes and does not await is done when it is over; what fails of it is its error", async () => {
    const { manager, fabric, cluster } = get();
    const list = manager.list<number>();
    const fill = (count: number): void => {
      for (let n = 0; n < count; n++) void list.append(n);
    };
    await ended(get(), await child(get(), 1, fill, [5_000]));
    expect(await list.toArray()).toEqual(upTo(5_000));
    const bad = new Process({ target: () => void list.set(99_999, 1), fabric, name: "Bad" });
    await cluster.drive(bad.start());
    await cluster.drive(bad.join());
    expect(bad.exitCode).toBe(1);
    expect(cluster.printed.some(({ stderr, line }) => stderr && /Bad\] RangeError: .*99999/.test(line))).toBe(true);
  });

  test("what a task or a process asks of a manager of its own and does not await is done before that is closed, and fails the task", async () => {
    const { manager, pool } = get();
    await pool.apply(fillAsItCloses, ["filled as it is closed", false]);
    await ended(get(), await child(get(), 1, fillAsItCloses, ["filled as it is closed", false]));
    const list = manager.list<number>([], { name: "filled as it is closed" });
    expect(await list.toArray()).toEqual([...upTo(100), ...upTo(100)]);
    expect(await failure(pool.apply(fillAsItCloses, ["filled as it is closed", true]))).toMatchObject({
      name: "RangeError",
    });
    expect(await list.length()).toBe(300);
    await list.destroy();
  });

  test("what was asked through a fabric and not awaited is done before that is closed, and says its first error", async () => {
    const { manager, pool } = get();
    const total = manager.value("i64", 0n, { name: "added up as the fabric is closed" });
    await pool.apply(addAsItCloses, ["added up as the fabric is closed", false]);
    expect(await total.get()).toBe(100n);
    expect(await failure(pool.apply(addAsItCloses, ["added up as the fabric is closed", true]))).toMatchObject({
      name: "TypeError",
    });
    expect(await total.get()).toBe(200n);
    await total.destroy();
  });

  test("POOL-36: an initializer counts in a namespace: once for the first worker, though no task runs", async () => {
    const { manager, fabric } = get();
    const namespace = manager.namespace({ counter: 0 });
    const pool = fabric.pool({
      processes: 1,
      initializer: async (shared: typeof namespace) => {
        await shared.set("counter", ((await shared.get("counter")) ?? 0) + 1);
      },
      initArgs: [namespace],
    });
    pool.close();
    await pool.join();
    expect(await namespace.get("counter")).toBe(1);
    expect(() => fabric.pool({ initializer: 5 as never })).toThrow(TypeError);
  });

  test("MGR-05: two processes exchange values of every kind over a named queue; what cannot travel disturbs nothing", async () => {
    const { manager } = get();
    const queue = manager.queue<unknown>({ name: "mixed values" });
    const results = manager.list<unknown>();
    const put = async (): Promise<void> => {
      const own = new Manager();
      const there = own.queue<unknown>({ name: "mixed values" });
      const refused = await there.put(() => 1).catch((error: Error) => error.name);
      await there.put(["text", null, true, 3.25, "naïve \u{1f600}", Uint8Array.of(1, 2), refused]);
    };
    const take = async (): Promise<void> => {
      await results.append(await new Manager().queue({ name: "mixed values" }).get());
    };
    await queue.qsize();
    const both = [await child(get(), 0, take, []), await child(get(), 1, put, [])];
    await ended(get(), ...both);
    expect(await results.toArray()).toEqual([
      ["text", null, true, 3.25, "naïve \u{1f600}", Uint8Array.of(1, 2), "SerializationError"],
    ]);
    expect(await queue.destroy()).toBe(true);
  });
}
