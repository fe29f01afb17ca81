import { readFileSync } from "node:fs";
import { HeddleError, Pool, type RemotePlace, SerializationError } from "heddle";
import { describe, expect, test } from "vitest";
import { EmbeddedCluster } from "../harness/embedded-cluster.ts";
import { ProcessCluster } from "../harness/process-cluster.ts";
import type { RealCluster } from "../harness/real-cluster.ts";

const clusters: readonly (readonly [name: string, start: () => Promise<RealCluster>])[] = [
  ["an embedded fabric", () => Promise.resolve(new EmbeddedCluster())],
  ["two agents over gRPC", () => ProcessCluster.start()],
];

class WeftError extends TypeError {
  readonly row: number;
  readonly socket = (): void => undefined;

  constructor(row: number) {
    super(`no weft in row ${row}`, { cause: new RangeError("too thin", { cause: "moths" }) });
    this.name = "WeftError";
    this.row = row;
  }
}

function deeper(levels: number): never {
  if (levels > 0) return deeper(levels - 1);
  throw new EvalError("at the bottom");
}

const lines = readFileSync(import.meta.filename, "utf8").split("\n");

/** The line of this file, from 1, that has the text first. */
function lineOf(text: string): number {
  return lines.findIndex((line) => line.includes(text)) + 1;
}

interface Thrown {
  readonly what: string;
  readonly run: () => unknown;
  /** What the caller's error must look like. */
  readonly like: object;
  readonly type?: new (...args: never[]) => Error;
}

const thrown: readonly Thrown[] = [
  {
    what: "a built-in error",
    run: () => {
      throw new RangeError("out");
    },
    like: { name: "RangeError", message: "out" },
    type: RangeError,
  },
  {
    what: "a rejection",
    run: async () => {
      await null;
      throw new SyntaxError("late");
    },
    like: { name: "SyntaxError", message: "late" },
    type: SyntaxError,
  },
  {
    what: "a class of its own, with fields and causes",
    run: () => {
      throw new WeftError(3);
    },
    like: {
      name: "WeftError",
      message: "no weft in row 3",
      row: 3,
      socket: expect.stringContaining("function"),
      cause: expect.objectContaining({ message: "too thin", cause: "moths" }),
    },
  },
  {
    what: "several errors at once",
    run: () => {
      throw new AggregateError([new TypeError("one"), new Error("two", { cause: 2 })], "both");
    },
    like: {
      message: "both",
      errors: [expect.any(TypeError), expect.objectContaining({ message: "two", cause: 2 })],
    },
    type: AggregateError,
  },
  { what: "an error from deep inside", run: () => deeper(4), like: { message: "at the bottom" }, type: EvalError },
  {
    what: "an error of the web platform",
    run: () => {
      throw new DOMException("stopped", "AbortError");
    },
    like: { name: "AbortError", message: "stopped" },
  },
];

describe.each(clusters)("what a task throws, on %s,", (_name, start) => {
  test("arrives as its class, with its fields, where it happened and the user's own lines", async () => {
    await using cluster = await start();
    const pool = (await cluster.fabric()).pool();
    for (const { what, run, like, type } of thrown) {
      const call = pool.mapAsync((n: number) => (n === 2 ? run() : n), [0, 1, 2, 3], { chunkSize: 2 });
      const error = (await cluster.drive(call.get().catch((caught: unknown) => caught))) as Error & {
        remote: RemotePlace;
      };
      expect(error, what).toMatchObject(like);
      if (type !== undefined) expect(error, what).toBeInstanceOf(type);
      expect(error.remote, what).toMatchObject({ jobId: call.jobId, chunk: 1, index: 2, attempt: 1 });
      expect(cluster.nodes).toContain(error.remote.node);
      expect(error.remote.pid).not.toBe(process.pid);
    }
  });

  test("has a stack of the user's files and lines alone, its causes too", async () => {
    await using cluster = await start();
    const pool = (await cluster.fabric()).pool();
    const call = pool.apply(() => {
      throw new WeftError(1);
    });
    const error = (await cluster.drive(call.catch((caught: unknown) => caught))) as Error & { remote: RemotePlace };
    const frames = `${error.stack}\n${(error.cause as Error).stack}`.split("\n").filter((line) => /^\s+at /.test(line));
    expect(frames.length).toBeGreaterThanOrEqual(3);
    for (const frame of frames) expect(frame).toMatch(/tests\/behaviour\/remote-errors\.test\.ts:\d+:\d+\)?$/);
    expect(error.stack).toContain(`${import.meta.filename}:${lineOf("throw new WeftError(1);")}:`);
    expect((error.cause as Error).stack).toContain(
      `new WeftError (${import.meta.filename}:${lineOf("cause: new Range")}:`,
    );
    expect(error.remote.stack).toBe(error.stack);
  });

  test("may be anything: what is no error arrives as it is, and what cannot travel as words", async () => {
    await using cluster = await start();
    const pool = (await cluster.fabric()).pool();
    const things: readonly unknown[] = ["words", 7, null, { code: 3 }, undefined];
    for (const thing of things) {
      const call = pool.apply(() => Promise.reject(thing));
      const outcome = await cluster.drive(
        call.then(
          () => "no error",
          (caught: unknown) => ({ caught }),
        ),
      );
      expect(outcome).toMatchObject({ caught: thing });
    }
    const symbol: unknown = await cluster.drive(
      pool.apply(() => Promise.reject(Symbol("s"))).catch((caught: unknown) => caught),
    );
    expect(symbol).toMatchObject({ message: expect.stringContaining("what was thrown cannot travel") });
  });

  test("is an error of heddle's own class where a task lets one pass", async () => {
    await using cluster = await start();
    const pool = (await cluster.fabric()).pool();
    const call = pool.applyAsync(async () => {
      const inner = new Pool({ processes: 1 });
      await inner.apply(() => Symbol());
    });
    const error: unknown = await cluster.drive(call.get().catch((caught: unknown) => caught));
    expect(error).toBeInstanceOf(SerializationError);
    expect(error).toMatchObject({
      code: "serialization",
      path: "$",
      side: "result",
      remote: { index: 0, jobId: call.jobId },
    });
    const told = pool.apply(() => Promise.reject(Object.assign(new Error("mine"), { code: "limit" })));
    expect(await cluster.drive(told.catch((caught: unknown) => caught))).not.toBeInstanceOf(HeddleError);
  });

  test("is told of once for a pool: the next call is fine", async () => {
    await using cluster = await start();
    const pool = (await cluster.fabric()).pool({ processes: 1 });
    const failing = pool.map((n: number) => deeper(n), [1]);
    await expect(cluster.drive(failing)).rejects.toThrow(EvalError);
    expect(await cluster.drive(pool.map((n: number) => n + 1, [1]))).toEqual([2]);
  });
});
