import { ITEM_BYTES_MAX, PART_BYTES_MAX, ProtocolError } from "@heddle/kernel";
import { encodeRange, encodeRepeat, type WorkerRequestEntry } from "@heddle/wire";
import { describe, expect, test } from "vitest";
import { SUMMARY_BYTES_MAX } from "./limits.ts";
import { Bench } from "./testing.ts";

const skip = (assignment: number): WorkerRequestEntry => ({ kind: { $case: "skipChunk", value: { assignment } } });

test("a worker says first who it is, and at once", () => {
  const bench = new Bench();
  expect(bench.sent).toEqual([{ kind: { $case: "workerReady", value: { pid: 77, nodeVersion: "v24.0.0" } } }]);
  expect(bench.flushes).toEqual([1]);
});

describe("a chunk that succeeds", () => {
  test.each([
    ["numbers", [1, -2, 0.5], [2, -4, 1]],
    ["whole numbers", [1, 2, 3], [2, 4, 6]],
    ["a range", encodeRange(10, 5, 3), [20, 30, 40]],
    ["one value repeated", encodeRepeat(4, 3, "argument"), [8, 8, 8]],
    ["nothing at all", [], []],
  ])("has a value for each item of %s, in order", async (_what, items, done) => {
    const bench = new Bench();
    bench.job(1, (x: number) => x * 2);
    expect(await bench.run(1, items)).toEqual({ assignment: 1, done });
  });

  test("takes and gives everything that can travel", async () => {
    const bench = new Bench();
    bench.job(1, (x: unknown) => [x]);
    const items = [new Map([[1n, new Date(5)]]), undefined, null, "ä", new Uint8Array(3), { a: { b: [true] } }];
    expect(await bench.run(1, items)).toEqual({ assignment: 1, done: items.map((item) => [item]) });
  });

  test("waits for promises, mixed with plain values, one item after the other", async () => {
    const bench = new Bench();
    const log: string[] = [];
    bench.job(1, (x: number) => {
      log.push(`begin ${x}`);
      if (x % 2 === 0) return x;
      return Promise.resolve().then(() => {
        log.push(`end ${x}`);
        return Promise.resolve(x * 10);
      });
    });
    expect(await bench.run(1, [1, 2, 3])).toEqual({ assignment: 1, done: [10, 2, 30] });
    expect(log).toEqual(["begin 1", "end 1", "begin 2", "begin 3", "end 3"]);
  });

  test("runs the items of its span only", async () => {
    const bench = new Bench();
    bench.job(1, (x: number) => x);
    expect(await bench.run(1, [0, 1, 2, 3, 4], { span: { offset: 1, count: 3 } })).toMatchObject({ done: [1, 2, 3] });
    expect(
      await bench.run(
        1,
        ["a", "b", "c"].map((x) => ({ x })),
        { span: { offset: 2, count: 1 } },
      ),
    ).toMatchObject({
      done: [{ x: "c" }],
    });
  });

  test("spreads argument tuples over the parameters", async () => {
    const bench = new Bench();
    bench.job(1, (a: number, b: number, ...rest: number[]) => [a - b, rest.length], true);
    expect(await bench.run(1, [[5, 3], [1, 2, 3, 4], []])).toMatchObject({
      done: [
        [2, 0],
        [-1, 2],
        [Number.NaN, 0],
      ],
    });
  });

  test("of thousands of numbers that turn into something else has every value in its place", async () => {
    const bench = new Bench();
    bench.job(1, (x: number) => (x === 1_500 ? "odd" : x));
    const answer = await bench.run(1, encodeRange(0, 1, 3_000));
    expect(answer).toEqual({ assignment: 1, done: Array.from({ length: 3_000 }, (_, x) => (x === 1_500 ? "odd" : x)) });
  });

  test("knows how long it ran, and whether somebody wrote", async () => {
    const bench = new Bench();
    bench.job(1, () => {
      bench.nowMs += 1.5;
      bench.wrote = true;
    });
    bench.job(2, () => 0);
    await bench.run(1, [1, 2]);
    await bench.run(2, [1]);
    expect(
      bench.sent.slice(1).map(({ kind }) => (kind?.$case === "chunkReturned" ? kind.value : undefined)),
    ).toMatchObject([
      { runMicros: 3_000, wroteOutput: true },
      { runMicros: 0, wroteOutput: false },
    ]);
  });
});

describe("marks", () => {
  test("are written before each item where they are asked for, and not elsewhere", async () => {
    const bench = new Bench();
    bench.job(1, (x: number) => bench.marks.length * 10 + x);
    expect(await bench.run(1, [1, 2, 3], { marks: true, span: { offset: 1, count: 2 } })).toMatchObject({
      done: [12, 23],
    });
    bench.job(2, async (x: number) => bench.marks.length * 10 + x);
    expect(await bench.run(2, [1, 2], { marks: true })).toMatchObject({ done: [31, 42] });
    await bench.run(1, [1]);
    expect(bench.marks).toEqual([
      [1, 1],
      [1, 2],
      [2, 0],
      [2, 1],
    ]);
  });
});

describe("a chunk that fails", () => {
  test.each([
    [
      "throws",
      (x: number) => {
        if (x === 3) throw new RangeError("three", { cause: "odd" });
        return x;
      },
    ],
    [
      "rejects",
      async (x: number) => {
        if (x === 3) throw new RangeError("three", { cause: "odd" });
        return x;
      },
    ],
    [
      "rejects after plain values",
      (x: number) => (x === 3 ? Promise.reject(new RangeError("three", { cause: "odd" })) : x),
    ],
  ])("where its function %s stops there, with the values before and the error as it was", async (_how, fn) => {
    const bench = new Bench();
    let calls = 0;
    bench.job(1, (x: number) => {
      calls++;
      return fn(x);
    });
    const answer = await bench.run(1, [0, 1, 2, 3, 4], { span: { offset: 1, count: 4 }, attempt: 2 });
    expect(answer).toMatchObject({ completed: 2, values: [1, 2], offset: 3, summary: "RangeError: three" });
    expect(answer).toMatchObject({ place: { node: "n1", pid: 77, attempt: 2 } });
    const { error } = answer as { error: RangeError };
    expect(error).toBeInstanceOf(RangeError);
    expect(error.cause).toBe("odd");
    expect(error.stack).toContain("worker.test.ts");
    expect(calls).toBe(3);
  });

  test.each([
    ["a string", "nothing here", "nothing here"],
    ["undefined", undefined, "thrown: undefined"],
    ["an error without a message", new TypeError(), "TypeError"],
    ["an error of many lines", new Error("a\n  b\nc"), "Error: a b c"],
    [
      "something that cannot be described",
      {
        toString: () => {
          throw new Error("no");
        },
      },
      "something was thrown that cannot be described",
    ],
  ])("with %s says so in one line", async (_what, thrown, summary) => {
    const bench = new Bench();
    bench.job(1, () => {
      throw thrown;
    });
    expect(await bench.run(1, [0])).toMatchObject({ summary, completed: 0, offset: 0 });
  });

  test("has a short summary, whatever the message, and the whole error beside it", async () => {
    const bench = new Bench();
    const message = "ä".repeat(PART_BYTES_MAX);
    bench.job(1, () => {
      throw new Error(message);
    });
    const answer = (await bench.run(1, [0])) as { summary: string; error: Error };
    expect(new TextEncoder().encode(answer.summary).length).toBeLessThanOrEqual(SUMMARY_BYTES_MAX);
    expect(answer.summary).toMatch(/^Error: ää/);
    expect(answer.error.message).toBe(message);
  });

  test("because a result cannot travel names the item and the way to the culprit, and keeps the values before", async () => {
    const bench = new Bench();
    let calls = 0;
    bench.job(1, (x: number) => {
      calls++;
      return x === 1 ? { rows: [{ socket: () => 0 }] } : x;
    });
    expect(await bench.run(1, [0, 1, 2])).toMatchObject({
      completed: 1,
      values: [0],
      offset: 1,
      refused: { code: "serialization", path: "$.rows[0].socket", side: "result" },
    });
    expect(calls).toBe(2);
  });

  test("because a result is too large says which limit", async () => {
    const bench = new Bench();
    bench.job(1, (x: number) => (x === 1 ? new Uint8Array(ITEM_BYTES_MAX + 1) : x));
    expect(await bench.run(1, [0, 1])).toMatchObject({
      completed: 1,
      offset: 1,
      refused: { code: "limit", limitName: "ITEM_BYTES_MAX", limit: ITEM_BYTES_MAX, actual: expect.any(Number) },
      summary: expect.stringContaining("ITEM_BYTES_MAX"),
    });
  });

  test("because its items are not what they claim is the argument's fault", async () => {
    const bench = new Bench();
    bench.job(1, (x: number) => x);
    const broken = { ...encodeRange(0, 1, 3), encoding: 6 as const, bytes: Uint8Array.of(1, 0xc1, 1) };
    expect(await bench.run(1, broken)).toMatchObject({
      completed: 1,
      values: [1],
      offset: 1,
      refused: { code: "serialization", side: "argument" },
    });
    expect(await bench.run(1, { ...broken, count: 9 })).toMatchObject({
      completed: 0,
      refused: { code: "serialization" },
    });
  });

  test("because its module does has the module's own error at the first item, each time", async () => {
    const bench = new Bench();
    bench.job(1, new SyntaxError("unexpected"));
    for (const _ of [1, 2]) {
      const answer = await bench.run(1, [7, 8], { span: { offset: 1, count: 1 } });
      expect(answer).toMatchObject({ completed: 0, values: [], offset: 1, summary: "SyntaxError: unexpected" });
      expect((answer as { error: unknown }).error).toBeInstanceOf(SyntaxError);
    }
  });

  test("never does because its code was evicted: it is asked for once more, and loaded where it is then", async () => {
    const bench = new Bench();
    bench.job(1, (x: number) => x + 1);
    bench.missingAt = "/a";
    expect(await bench.run(1, [7])).toMatchObject({ done: [8] });
    expect(bench.loads).toEqual(["/a", "/b"]);
    expect(bench.sent).toContainEqual({ kind: { $case: "wantArtifact", value: { hash: "h" } } });
  });

  test("because its code was evicted and cannot be had again says why", async () => {
    const bench = new Bench();
    bench.job(1, (x: number) => x + 1);
    bench.missingAt = "/a";
    bench.place = "";
    const answer = await bench.run(1, [7]);
    expect(answer).toMatchObject({ refused: { code: "protocol", message: expect.stringContaining("nobody has it") } });
  });

  test("because its code is not what was announced is the fabric's fault", async () => {
    const bench = new Bench();
    bench.job(1, new ProtocolError("wrong hash"));
    expect(await bench.run(1, [7])).toMatchObject({ completed: 0, offset: 0, refused: { code: "protocol" } });
    expect(await bench.run(2, [7])).toMatchObject({
      summary: expect.stringContaining("job 2"),
      refused: { code: "protocol" },
    });
  });
});

describe("chunks", () => {
  test("run in the order in which they came, whatever they wait for, and a failed one is no obstacle", async () => {
    const bench = new Bench();
    const gate = Promise.withResolvers<void>();
    const log: number[] = [];
    bench.job(1, async (x: number) => {
      if (x === 1) await gate.promise;
      log.push(x);
      if (x === 2) throw new Error("two");
    });
    bench.tell(...bench.chunk(1, [1]), ...bench.chunk(1, [2]), ...bench.chunk(1, [3]));
    bench.tell(...bench.chunk(1, [4]));
    gate.resolve();
    const answers = await bench.answered(4);
    expect(answers.map(({ assignment }) => assignment)).toEqual([1, 2, 3, 4]);
    expect(log).toEqual([1, 2, 3, 4]);
  });

  test("wait for parts of their items, and nothing overtakes them", async () => {
    const bench = new Bench();
    bench.job(1, (x: Uint8Array | number) => (typeof x === "number" ? x : x.length));
    const [announcement, ...parts] = bench.chunk(1, [new Uint8Array(3 * PART_BYTES_MAX)]);
    expect(parts.length).toBeGreaterThan(3);
    bench.tell(announcement as WorkerRequestEntry, ...bench.chunk(1, [5]));
    for (const part of parts.slice(0, -1)) bench.tell(part);
    expect(bench.answers).toEqual([]);
    bench.tell(parts.at(-1) as WorkerRequestEntry);
    expect(await bench.answered(2)).toEqual([
      { assignment: 1, done: [3 * PART_BYTES_MAX] },
      { assignment: 2, done: [5] },
    ]);
  });

  test("that were not begun are left out when asked, at once, though a task before them waits", async () => {
    const bench = new Bench();
    const gate = Promise.withResolvers<void>();
    const log: number[] = [];
    bench.job(1, async (x: number) => {
      log.push(x);
      await gate.promise;
      return x;
    });
    bench.tell(...bench.chunk(1, [1]), ...bench.chunk(1, [2]), ...bench.chunk(1, [3]));
    bench.tell(skip(2), skip(1), skip(99)); // one waits, one runs, one was never here
    expect(await bench.answered(1)).toEqual([{ assignment: 2, skipped: true }]);
    gate.resolve();
    expect(await bench.answered(3)).toEqual([
      { assignment: 2, skipped: true },
      { assignment: 1, done: [1] },
      { assignment: 3, done: [3] },
    ]);
    expect(log).toEqual([1, 3]);
  });

  test("whose items will never come in full are left out", async () => {
    const bench = new Bench();
    bench.job(1, (x: number) => x);
    const [announcement] = bench.chunk(1, [new Uint8Array(2 * PART_BYTES_MAX)]);
    const abort = { partStream: 1, data: Buffer.alloc(0), last: true, aborted: true };
    bench.tell(announcement as WorkerRequestEntry, { kind: { $case: "part", value: abort } }, ...bench.chunk(1, [5]));
    expect(await bench.answered(2)).toEqual([
      { assignment: 1, skipped: true },
      { assignment: 2, done: [5] },
    ]);
  });

  test("that are skipped while their items come do not stop the next one", async () => {
    const bench = new Bench();
    bench.job(1, (x: number) => x);
    const [announcement, ...parts] = bench.chunk(1, [new Uint8Array(2 * PART_BYTES_MAX)]);
    bench.tell(announcement as WorkerRequestEntry, ...bench.chunk(1, [5]), skip(1));
    expect(await bench.answered(2)).toEqual([
      { assignment: 1, skipped: true },
      { assignment: 2, done: [5] },
    ]);
    bench.tell(...parts, ...bench.chunk(1, [6]));
    expect((await bench.answered(3)).at(-1)).toEqual({ assignment: 3, done: [6] });
  });
});

describe("results", () => {
  test("too large for one entry follow in parts, and wait for room", async () => {
    const bench = new Bench();
    bench.job(1, (length: number) => new Uint8Array(length).fill(7));
    bench.tell(...bench.chunk(1, [5 * PART_BYTES_MAX]), ...bench.chunk(1, [1]));
    bench.isFull = true;
    await Promise.resolve(); // the module is loaded, the first chunk runs
    await Promise.resolve();
    await Promise.resolve();
    const before = bench.answers.length;
    bench.drain();
    const [first, second] = await bench.answered(2);
    expect(before).toBe(0);
    expect(first).toEqual({ assignment: 1, done: [new Uint8Array(5 * PART_BYTES_MAX).fill(7)] });
    expect(second).toEqual({ assignment: 2, done: [Uint8Array.of(7)] });
  });

  test("of quick chunks leave together, those before a chunk that may take long leave before it", async () => {
    const bench = new Bench();
    const unreported: number[] = [];
    bench.job(1, (ms: number) => {
      unreported.push(bench.sent.length - bench.flushes.reduce((sum, count) => sum + count, 0));
      bench.nowMs += ms;
    });
    await bench.run(1, [0]);
    const quick = Array.from({ length: 100 }, () => bench.chunk(1, [0])).flat();
    bench.tell(...quick);
    await bench.answered(101);
    expect(Math.max(...unreported)).toBeGreaterThan(50);
    unreported.length = 0;
    const slow = Array.from({ length: 10 }, () => bench.chunk(1, [0.5])).flat();
    bench.tell(...slow);
    await bench.answered(111);
    expect(unreported.slice(1)).toEqual(Array.from({ length: 9 }, () => 0));
  });

  test("leave, and requests are looked at, at least every millisecond between chunks", async () => {
    const bench = new Bench();
    bench.job(1, () => {
      bench.nowMs += 0.01;
    });
    bench.tell(...Array.from({ length: 1_000 }, () => bench.chunk(1, [0])).flat());
    await bench.answered(1_000);
    expect(bench.turns).toBeGreaterThanOrEqual(9);
    expect(bench.turns).toBeLessThan(12);
    bench.job(2, () => {
      bench.nowMs += 5;
    });
    const before = bench.turns;
    bench.tell(...bench.chunk(2, [0]), ...bench.chunk(2, [0]), ...bench.chunk(2, [0]));
    await bench.answered(1_003);
    expect(bench.turns).toBeGreaterThanOrEqual(before + 2);
  });
});
