import { existsSync, readFileSync } from "node:fs";
import { ItemTimeoutError, PoolInitError, PoolTerminatedError, range, WorkerLostError } from "heddle";
import { expect, test } from "vitest";
import { eventually, failure } from "../../harness/waiting.ts";
import type { PoolRun } from "./pool.ts";

type Get = () => PoolRun;

const MANY = 10_000;
/** The item that does it. */
const BAD = 6_543;
/** Longest wait for the named error of what hangs Python's pool. */
const NAMED_WITHIN_MS = 10_000;

/** All items but the bad one have their results, in order; gives the bad one's error. */
function othersComplete(settled: readonly PromiseSettledResult<number>[]): unknown {
  expect(settled).toHaveLength(MANY);
  const wrong = settled.findIndex((one, n) => n !== BAD && !(one.status === "fulfilled" && one.value === n + 1));
  expect(wrong).toBe(-1);
  const bad = settled[BAD];
  return bad?.status === "rejected" ? bad.reason : undefined;
}

function within<T>(promise: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not within ${NAMED_WITHIN_MS} ms`)), NAMED_WITHIN_MS);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/** Items that take their worker with them, each in a map of ten thousand. */
export function describeKillers(get: Get): void {
  test.for([
    ["calls process.exit(7)", (): void => process.exit(7), { signal: null, exitCode: 7 }],
    ["kills its process by SIGKILL", (): void => void process.kill(process.pid, "SIGKILL"), { signal: "SIGKILL" }],
    ["has a segmentation fault", (): void => void process.kill(process.pid, "SIGSEGV"), { signal: "SIGSEGV" }],
    ["aborts", (): void => process.abort(), { signal: "SIGABRT" }],
  ] as const)("an item that %s is named, and costs the others nothing", async ([, act, how]) => {
    await using pool = get().fabric.pool();
    const bad = BAD;
    const settled = await pool.map(
      (n: number) => {
        if (n === bad) {
          console.error("the last words");
          act();
        }
        return n + 1;
      },
      range(MANY),
      { onError: "collect" },
    );
    const error = othersComplete(settled) as WorkerLostError;
    expect(error).toBeInstanceOf(WorkerLostError);
    expect(error).toMatchObject({ index: BAD, ...how });
    expect(error.stderrTail).toContain("the last words");
    expect(error.attempts).toBeGreaterThanOrEqual(2);
    expect(get().cluster.nodes).toContain(error.node);
  });

  test("an item that eats all memory is named with what it had, and costs the others nothing", async () => {
    await using pool = get().fabric.pool();
    const bad = BAD;
    const settled = await pool.map(
      (n: number) => {
        if (n === bad) for (const kept: number[][] = []; ; ) kept.push(new Array<number>(10_000_000).fill(0.5));
        return n + 1;
      },
      range(MANY),
      { onError: "collect" },
    );
    const error = othersComplete(settled) as WorkerLostError;
    expect(error).toBeInstanceOf(WorkerLostError);
    expect(error).toMatchObject({ index: BAD, signal: "SIGABRT" });
    expect(error.stderrTail).toMatch(/heap/i);
    expect(error.rssBytes).toBeGreaterThan(100 * 1024 * 1024);
  }, 120_000);

  test("an endless loop ends with the item's time, and costs the others nothing", async () => {
    await using pool = get().fabric.pool();
    const bad = BAD;
    const settled = await pool.map(
      (n: number) => {
        if (n === bad) for (;;);
        return n + 1;
      },
      range(MANY),
      { onError: "collect", itemTimeoutMs: 500 },
    );
    const error = othersComplete(settled) as ItemTimeoutError;
    expect(error).toBeInstanceOf(ItemTimeoutError);
    expect(error.index).toBe(BAD);
  });

  test("a trap of SIGTERM and a grandchild in a session of its own do not outlive an item's time", async () => {
    const file = `${get().cluster.directory}/grandchild-${process.hrtime.bigint()}`;
    await using pool = get().fabric.pool();
    const bad = BAD;
    const settled = await pool.map(
      (n: number) => {
        if (n === bad) {
          process.on("SIGTERM", () => undefined);
          const { spawn } = process.getBuiltinModule("node:child_process");
          const { writeFileSync } = process.getBuiltinModule("node:fs");
          const child = spawn("sleep", ["600"], { detached: true, stdio: "ignore" });
          writeFileSync(file, String(child.pid));
          for (;;);
        }
        return n + 1;
      },
      range(MANY),
      { onError: "collect", itemTimeoutMs: 700 },
    );
    expect(othersComplete(settled)).toBeInstanceOf(ItemTimeoutError);
    const pid = Number(readFileSync(file, "utf8"));
    await eventually("the grandchild is gone", () => (existsSync(`/proc/${pid}`) ? undefined : true));
  });

  test("a worker that is killed from outside costs nobody anything, a retry neither", async () => {
    await using pool = get().fabric.pool();
    const map = pool.map(
      (n: number) => {
        const until = performance.now() + 0.2;
        while (performance.now() < until);
        return n + 1;
      },
      range(MANY),
      { retries: 0 },
    );
    await get().cluster.killWorker();
    expect(await map).toEqual(Array.from({ length: MANY }, (_, n) => n + 1));
  });
}

/** What hangs multiprocessing's pool for ever ends in the named error within ten seconds. */
export function describeSharpEdges(get: Get): void {
  test("E1, E2: a worker that dies or exits in a task is a WorkerLostError, and the pool works on", async () => {
    await using pool = get().fabric.pool();
    expect(await within(failure(pool.apply(() => process.kill(process.pid, "SIGKILL"))))).toBeInstanceOf(
      WorkerLostError,
    );
    const exited = await within(failure(pool.map(() => process.exit(3), [1])));
    expect(exited).toMatchObject({ name: "WorkerLostError", index: 0, exitCode: 3 });
    expect(await pool.apply((x: number) => x, [1])).toBe(1);
  });

  test.for([
    [
      "throws",
      (): void => {
        throw new RangeError("not today");
      },
    ],
    ["rejects", (): Promise<never> => Promise.reject(new RangeError("not today"))],
  ] as const)("E3: an initializer that %s is a PoolInitError with its cause", async ([, initializer]) => {
    await using pool = get().fabric.pool({ initializer });
    const error = await within(failure(pool.map((x: number) => x, range(10))));
    expect(error).toBeInstanceOf(PoolInitError);
    expect((error as Error).cause).toBeInstanceOf(RangeError);
    expect((error as Error).cause).toMatchObject({ message: "not today" });
    await using other = get().fabric.pool();
    expect(await other.apply((x: number) => x, [1])).toBe(1);
  });

  test("E3: an initializer that ends its process is a PoolInitError that says how", async () => {
    await using pool = get().fabric.pool({ initializer: () => process.exit(9) });
    const error = await within(failure(pool.apply((x: number) => x, [1])));
    expect(error).toBeInstanceOf(PoolInitError);
    expect((error as Error).message).toMatch(/exited with code 9/);
  });

  test("E4: what callbacks throw is logged, and costs neither this result nor a later one", async () => {
    await using pool = get().fabric.pool();
    const callback = (): never => {
      throw new Error("of the callback");
    };
    expect(await within(pool.applyAsync((x: number) => x, [1], { callback }).get())).toBe(1);
    const failing = (): never => {
      throw new RangeError("of the task");
    };
    expect(await within(failure(pool.applyAsync(failing, [], { errorCallback: callback }).get()))).toBeInstanceOf(
      RangeError,
    );
    expect(await within(pool.apply((x: number) => x, [2]))).toBe(2);
  });

  test("E5: an error class whose constructor takes other arguments arrives with its name and fields", async () => {
    await using pool = get().fabric.pool();
    const error = await within(
      failure(
        pool.apply(() => {
          class TwoArgumentsError extends Error {
            readonly code: number;
            constructor(code: number, what: { readonly text: string }) {
              super(what.text);
              this.name = "TwoArgumentsError";
              this.code = code;
            }
          }
          throw new TwoArgumentsError(5, { text: "both" });
        }),
      ),
    );
    expect(error).toMatchObject({ name: "TwoArgumentsError", message: "both", code: 5 });
    expect(await within(pool.apply((x: number) => x, [2]))).toBe(2);
  });

  test.for([0, -1, Number.NaN, "3", 1.5, null] as const)(
    "E6: chunkSize %s is refused by every call",
    async (chunkSize) => {
      await using pool = get().fabric.pool();
      const options = { chunkSize } as never;
      const same = (x: number): number => x;
      const expected = typeof chunkSize === "number" ? RangeError : TypeError;
      expect(() => pool.imap(same, [1], options)).toThrow(expected);
      expect(() => pool.imapUnordered(same, [1], options)).toThrow(expected);
      expect(() => pool.mapAsync(same, [1], options)).toThrow(expected);
      expect(await failure(pool.map(same, [1], options))).toBeInstanceOf(expected);
      expect(await failure(pool.mapReduce(same, (a: number, b: number) => a + b, [1], options))).toBeInstanceOf(
        expected,
      );
      expect(await pool.map(same, [1])).toEqual([1]);
    },
  );

  test("E7: what is outstanding when a pool is terminated rejects", async () => {
    const pool = get().fabric.pool();
    const forEver = (): Promise<unknown> => new Promise((resolve) => setTimeout(resolve, 600_000));
    const results = [pool.applyAsync(forEver), pool.mapAsync(forEver, [1, 2])];
    const stream = pool.imap(forEver, [1, 2]);
    const next = stream.next();
    await failure(stream.next({ timeoutMs: 100 }));
    await pool.terminate();
    for (const result of results) expect(await within(failure(result.get()))).toBeInstanceOf(PoolTerminatedError);
    expect(await within(failure(next))).toBeInstanceOf(PoolTerminatedError);
    expect(await within(stream.next())).toEqual({ done: true, value: undefined });
  });
}

/** What makes no sense is refused in words, and the pool lives. */
export function describeBadInput(get: Get): void {
  const same = (x: number): number => x;

  test.for([0, -1, 1.5, Number.NaN, "2"] as const)("a pool of %s processes is refused", (processes) => {
    expect(() => get().fabric.pool({ processes: processes as never })).toThrow(/processes/);
  });

  test.for([
    [{ timeoutMs: -1 }, RangeError],
    [{ timeoutMs: "1" }, TypeError],
    [{ itemTimeoutMs: 0 }, RangeError],
    [{ itemTimeoutMs: -5 }, RangeError],
    [{ retries: -1 }, RangeError],
    [{ concurrency: 0 }, RangeError],
    [{ onError: "ignore" }, TypeError],
    [{ into: Array }, TypeError],
    [{ into: Float64Array, onError: "collect" }, TypeError],
    [{ progress: "yes" }, TypeError],
    [{ seed: 0.5 }, RangeError],
    [{ labels: { a: 1 } }, TypeError],
    [{ resources: { gpu: -1 } }, RangeError],
    [{ jobId: "no spaces please" }, RangeError],
    [{ chunkSise: 3 }, TypeError],
  ] as const)("options %j are refused", async ([options, expected]) => {
    await using pool = get().fabric.pool();
    expect(await failure(pool.map(same, [1], options as never))).toBeInstanceOf(expected);
    expect(await pool.map(same, [1])).toEqual([1]);
  });

  test("iterators that throw, give nonsense or never end cost their own call alone", async () => {
    await using pool = get().fabric.pool();
    const own = new Error("mine");
    const throwing = {
      [Symbol.iterator]: () => {
        throw own;
      },
    };
    const nonsense = { [Symbol.iterator]: () => ({ next: () => 5 as never }) };
    const late = { [Symbol.asyncIterator]: () => ({ next: () => Promise.reject(own) }) };
    const silent = { [Symbol.asyncIterator]: () => ({ next: () => new Promise<never>(() => undefined) }) };
    expect(await failure(pool.map(same, throwing as never))).toBe(own);
    expect(await failure(pool.map(same, nonsense as never))).toBeInstanceOf(TypeError);
    expect(await failure(pool.map(same, late as never))).toBe(own);
    const waiting = pool.mapAsync(same, silent as AsyncIterable<number>, { timeoutMs: 200 });
    expect(await failure(waiting.get())).toMatchObject({ name: "TimeoutError" });
    const endless = (function* () {
      for (let n = 0; ; n++) yield n;
    })();
    const abort = new AbortController();
    const endlessMap = failure(pool.map(same, endless, { signal: abort.signal, progress: () => abort.abort(own) }));
    expect(await endlessMap).toBe(own);
    expect(await pool.map(same, [1])).toEqual([1]);
  });

  test("a signal that was aborted before, or is while it runs, ends a call with its reason", async () => {
    await using pool = get().fabric.pool();
    const reason = new Error("enough");
    expect(await failure(pool.map(same, [1], { signal: AbortSignal.abort(reason) }))).toBe(reason);
    expect(() => pool.imap(same, [1], { signal: AbortSignal.abort(reason) })).toThrow(reason);
    const abort = new AbortController();
    const stream = pool.imap(same, range(1_000_000), { signal: abort.signal });
    await stream.next();
    abort.abort(reason);
    expect(await failure(stream.next())).toBe(reason);
    expect(await pool.map(same, [1])).toEqual([1]);
  });

  test("a job id names one job: the same call has its result, and another is a conflict", async () => {
    await using pool = get().fabric.pool();
    const jobId = `mine-${process.hrtime.bigint()}`;
    expect(await pool.apply(same, [1], { jobId })).toBe(1);
    expect(await pool.apply(same, [1], { jobId })).toBe(1);
    expect(await failure(pool.apply(same, [2], { jobId }))).toMatchObject({ name: "ConflictError" });
  });
}
