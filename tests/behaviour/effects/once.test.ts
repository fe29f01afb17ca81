import { type Dict, type Fabric, LimitError, type List, Manager, StateError } from "heddle";
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from "vitest";
import { clusters } from "../../harness/clusters.ts";
import { expectMarks, ledgerOf } from "../../harness/effects-ledger.ts";
import { ProcessCluster } from "../../harness/process-cluster.ts";
import type { RealCluster } from "../../harness/real-cluster.ts";
import { failure } from "../../harness/waiting.ts";
import * as tasks from "./once-tasks.ts";

vi.setConfig({ testTimeout: 120_000, hookTimeout: 60_000 }); // many processes start on a machine that may be busy

const once = { effects: "once", chunkSize: 1 } as const;
const valuesOf = (settled: readonly PromiseSettledResult<string>[]): (string | undefined)[] =>
  settled.map((one) => (one.status === "fulfilled" ? one.value : undefined));
const numbers = (count: number): number[] => Array.from({ length: count }, (_, n) => n);

describe.each(clusters)('with effects: "once" on %s', (_name, start) => {
  let cluster: RealCluster;
  let fabric: Fabric;
  beforeAll(async () => {
    cluster = await start();
    fabric = await cluster.fabric();
  });
  afterAll(() => cluster[Symbol.asyncDispose]());

  function managed(): Manager {
    const manager = new Manager({ fabric });
    onTestFinished(() => manager.close());
    return manager;
  }

  test.each([
    ["modify", tasks.addByModify],
    ["compareAndSet", tasks.addByCompare],
  ])("T04: 64 chunks that add to one key by %s come to the right sum", async (_method, add) => {
    const manager = managed();
    const total: Dict<string, number> = manager.dict();
    const inputs = numbers(64).map((n): [Dict<string, number>, number] => [total, n]);
    expect(await fabric.pool().starmap(add, inputs, once)).toEqual(numbers(64));
    expect(await total.get("sum")).toBe(2_016);
  });

  test("T04: a result above 1 MiB is a LimitError that says so, and nothing of its item counts; one of nearly 1 MiB does", async () => {
    const total: Dict<string, number> = managed().dict();
    const pool = fabric.pool();
    const error = await failure(pool.starmap(tasks.large, [[total, 1024 * 1024]], once));
    expect(error).toBeInstanceOf(LimitError);
    expect(error).toMatchObject({
      limitName: "OUTCOME_BYTES_MAX",
      message: expect.stringContaining("write it to a file"),
    });
    expect(await total.get("sum")).toBeUndefined();
    const [bytes] = await pool.starmap(tasks.large, [[total, 1_000_000]], once);
    expect(bytes).toHaveLength(1_000_000);
    expect(await total.get("sum")).toBe(1);
  });

  test("T04: an item that writes more than 10,000 times is a LimitError, and nothing of it counts; those before it in its chunk do", async () => {
    const lines: List<number> = managed().list();
    const inputs: [List<number>, number][] = [
      [lines, 10_000],
      [lines, 3],
      [lines, 10_001],
    ];
    const settled = await fabric
      .pool()
      .starmap(tasks.appendMany, inputs, { effects: "once", chunkSize: 3, onError: "collect" });
    expect(settled).toMatchObject([
      { value: 10_000 },
      { value: 3 },
      { reason: { limitName: "EFFECTS_OPERATIONS_MAX", limit: 10_000, actual: 10_001 } },
    ]);
    expect(await lines.length()).toBe(10_003);
  });

  test("an item is answered as it would be without, by all that can be asked, and leaves the same", async () => {
    const manager = managed();
    const world = (): Parameters<typeof tasks.askEverything> => [
      manager.dict([["text", "word"]]),
      manager.list([2]),
      { array: manager.array("i32", 4), value: manager.value("i64"), space: manager.namespace({ y: 1 }) },
    ];
    const [live, counted] = [world(), world()];
    const pool = fabric.pool();
    const [expected] = await pool.starmap(tasks.askEverything, [live]);
    const [seen] = await pool.starmap(tasks.askEverything, [counted], once);
    const plain = (answers: unknown[] | undefined): unknown[] =>
      (answers ?? []).map((one) => (typeof one === "string" ? one.replace(/(dict|list) [0-9a-f]{8}/, "$1") : one));
    expect(plain(seen)).toEqual(plain(expected));
    const left = async ([dict, list, { array, value, space }]: typeof live): Promise<unknown> => [
      await dict.entries(),
      await list.toArray(),
      await array.slice(),
      await value.get(),
      [await space.get("x"), await space.get("y")],
    ];
    expect(await left(counted)).toEqual(await left(live));
  });

  test("items see what those before them in their chunk have written, and all of it counts", async () => {
    const lines: List<number> = managed().list();
    const inputs = numbers(5).map((n): [List<number>, number] => [lines, n]);
    const seen = await fabric.pool().starmap(tasks.appendAndRead, inputs, { effects: "once", chunkSize: 5 });
    expect(seen).toEqual(numbers(5).map((n) => numbers(n + 1)));
    expect(await lines.toArray()).toEqual(numbers(5));
  });

  test("items that fail and are retried have written once, those that fail for good not at all", async () => {
    const count = 24;
    const ledger = ledgerOf(managed(), count);
    const failing = (n: number): "once" | "always" | "never" =>
      n % 5 === 0 ? "always" : n % 3 === 0 ? "once" : "never";
    const inputs = numbers(count).map((n): Parameters<typeof tasks.markAndFail> => [ledger, n, failing(n)]);
    const settled = await fabric
      .pool()
      .starmap(tasks.markAndFail, inputs, { effects: "once", chunkSize: 4, retries: 1, onError: "collect" });
    expect(settled.map(({ status }) => status)).toEqual(
      numbers(count).map((n) => (n % 5 === 0 ? "rejected" : "fulfilled")),
    );
    await expectMarks(ledger, valuesOf(settled));
  });

  test("a worker that dies in the middle of a chunk has written what its items come to, and the item that kills it nothing", async () => {
    const count = 12;
    const ledger = ledgerOf(managed(), count);
    const inputs = numbers(count).map((n): Parameters<typeof tasks.markOrDie> => [ledger, n, 7]);
    const settled = await fabric
      .pool()
      .starmap(tasks.markOrDie, inputs, { effects: "once", chunkSize: 4, onError: "collect" });
    expect(settled.flatMap((one, n) => (one.status === "rejected" ? [[n, one.reason.name]] : []))).toEqual([
      [7, "WorkerLostError"],
    ]);
    await expectMarks(ledger, valuesOf(settled));
  });

  test("a transaction is part of its item", async () => {
    const manager = managed();
    const [from, to] = [manager.dict<string, number>({ sum: 5 }), manager.dict<string, number>()];
    const moved = await fabric.pool().starmap(
      tasks.move,
      [
        [from, to],
        [from, to],
        [from, to],
      ],
      once,
    );
    expect(moved.reduce((sum, n) => sum + n, 0)).toBe(8);
    expect([await from.get("sum"), await to.get("sum")]).toEqual([0, 8]);
  });

  test("locks, events, queues, removals, watches and other calls are refused in words", async () => {
    const total: Dict<string, number> = managed().dict();
    const [said = []] = await fabric.pool().starmap(tasks.askForbidden, [[total]], once);
    expect(said).toHaveLength(8);
    for (const words of said) expect(words).toMatch(/^StateError: .*effects: "once"/);
    expect(await total.size()).toBe(0);
  });

  test("a write that nobody awaits fails its item when it is refused, and nothing of that counts", async () => {
    const manager = managed();
    const [empty, total] = [manager.list<number>(), manager.dict<string, number>()];
    const error = await failure(fabric.pool().starmap(tasks.popUnseen, [[empty, total]], once));
    expect(error).toBeInstanceOf(RangeError);
    expect(await total.get("sum")).toBeUndefined();
  });

  test("what an item writes when it is over does not count, and fails nobody", async () => {
    const total: Dict<string, number> = managed().dict();
    const inputs: [Dict<string, number>, number][] = [
      [total, 1],
      [total, 60],
    ];
    const options = { effects: "once", chunkSize: 2 } as const;
    expect(await fabric.pool({ processes: 1 }).starmap(tasks.writeLate, inputs, options)).toEqual([1, 60]);
    expect(await total.entries()).toEqual([["sum", 61]]);
  });

  test("objects that items make are there for whoever finds them in what counts", async () => {
    const into: Dict<string, Dict<string, number>> = managed().dict();
    await fabric.pool().starmap(tasks.nest, [[into, "own"]], once);
    expect(await (await into.get("own"))?.entries()).toEqual([
      ["made", 1],
      ["more", 2],
    ]);
  });

  test("what cannot be is refused at once: side by side, folded, or of another word", async () => {
    const pool = fabric.pool();
    await expect(pool.map(Math.abs, [1], { effects: "once", concurrency: 2 })).rejects.toThrow(RangeError);
    const fold = { effects: "once" } as object;
    await expect(pool.mapReduce(Math.abs, Math.max, [1], fold)).rejects.toThrow(/mapReduce has no option effects/);
    await expect(pool.map(Math.abs, [1], { effects: "twice" as "once" })).rejects.toThrow(/"live" or "once"/);
  });
});

test("a call on a fabric without a manager says that it needs one", async () => {
  await using cluster = await ProcessCluster.start({ nodes: 1 });
  const fabric = await cluster.fabric();
  const error = await failure(fabric.pool().map(Math.abs, [1], { effects: "once" }));
  expect(error).toBeInstanceOf(StateError);
  expect(error).toMatchObject({ message: expect.stringContaining("has no manager") });
});
