import { ProtocolError } from "@heddle/kernel";
import { encodeValue, type PrepareJob } from "@heddle/wire";
import { describe, expect, test } from "vitest";
import { INIT_ERROR_BYTES_MAX, SUMMARY_BYTES_MAX } from "./limits.ts";
import { Bench } from "./testing.ts";

const inits = (bench: Bench, fn: unknown, ...args: unknown[]): Partial<PrepareJob> => {
  const initializer = { function: bench.placed("init", fn), args: encodeValue(args, "argument") };
  return { initializer: { ...initializer, argsArtifact: "", argsLocation: "" } };
};
const kinds = (bench: Bench): unknown[] => bench.sent.map(({ kind }) => kind?.$case);

describe("an initializer", () => {
  test("runs once, awaited, before the first chunk, with its arguments; then the worker says that it has joined", async () => {
    const bench = new Bench();
    const log: unknown[] = [];
    const init = async (...args: unknown[]): Promise<void> => {
      log.push("begins", ...args);
      await Promise.resolve();
      log.push("ends");
    };
    bench.job(1, (x: number) => void log.push(x), false, inits(bench, init, "a", { b: 2 }));
    bench.job(2, (x: number) => void log.push(x), false, inits(bench, init, "other"));
    await bench.run(1, [1, 2]);
    await bench.run(2, [3]);
    expect(log).toEqual(["begins", "a", { b: 2 }, "ends", 1, 2, 3]);
    expect(kinds(bench)).toEqual(["workerReady", "workerJoined", "chunkReturned", "chunkReturned"]);
  });

  test("takes no time of the chunk's", async () => {
    const bench = new Bench();
    const slow = (): void => {
      bench.nowMs += 500;
    };
    bench.job(1, (x: number) => x, false, inits(bench, slow));
    await bench.run(1, [1]);
    expect(bench.said("chunkReturned")).toMatchObject([{ runMicros: 0 }]);
  });

  test("reads arguments that are an artifact of their own", async () => {
    const bench = new Bench();
    const heard: unknown[] = [];
    bench.values.set("args", encodeValue([1, "large"], "argument"));
    const function_ = bench.placed("init", (...args: unknown[]) => void heard.push(...args));
    const initializer = { function: function_, args: new Uint8Array(0), argsArtifact: "args", argsLocation: "/x" };
    bench.job(1, (x: number) => x, false, { initializer });
    await bench.run(1, [1]);
    expect(heard).toEqual([1, "large"]);
  });

  test("that throws is the answer to the chunk, and the worker runs nothing more", async () => {
    const bench = new Bench();
    let ran = 0;
    const init = (): void => {
      throw new RangeError("no\nluck", { cause: 7 });
    };
    bench.job(1, () => ran++, false, inits(bench, init));
    bench.tell(...bench.chunk(1, [1]), ...bench.chunk(1, [2]));
    const [answer] = await bench.answered(1);
    expect(answer).toMatchObject({ assignment: 1, initFailure: "RangeError: no luck" });
    const { error } = answer as { error: RangeError };
    expect([error.message, error.cause]).toEqual(["no\nluck", 7]);
    bench.tell(...bench.chunk(1, [3]));
    await new Promise((resolve) => setImmediate(resolve));
    expect([ran, bench.answers.length]).toEqual([0, 1]);
  });

  test("that cannot be loaded has failed, too", async () => {
    const bench = new Bench();
    bench.job(1, (x: number) => x, false, inits(bench, new ProtocolError("export init does not exist")));
    expect(await bench.run(1, [1])).toMatchObject({ initFailure: "ProtocolError: export init does not exist" });
  });

  test("that throws something large is told by its summary alone", async () => {
    const bench = new Bench();
    const init = (): never => {
      throw new Error("x".repeat(INIT_ERROR_BYTES_MAX));
    };
    bench.job(1, (x: number) => x, false, inits(bench, init));
    const answer = await bench.run(1, [1]);
    expect(answer).toMatchObject({ error: undefined });
    expect((answer as { initFailure: string }).initFailure).toHaveLength(SUMMARY_BYTES_MAX);
  });

  test("leaves its chunk out when that is not wanted any more, and the next one runs", async () => {
    const bench = new Bench();
    const begun = Promise.withResolvers<void>();
    const through = Promise.withResolvers<void>();
    const ran: number[] = [];
    const init = (): Promise<void> => {
      begun.resolve();
      return through.promise;
    };
    bench.job(1, (x: number) => void ran.push(x), false, inits(bench, init));
    bench.tell(...bench.chunk(1, [1]));
    await begun.promise;
    bench.tell({ kind: { $case: "skipChunk", value: { assignment: 1 } } });
    bench.tell(...bench.chunk(1, [2]));
    through.resolve();
    expect(await bench.answered(2)).toMatchObject([{ assignment: 1, skipped: true }, { assignment: 2 }]);
    expect(ran).toEqual([2]);
    expect(kinds(bench).slice(0, 2)).toEqual(["workerReady", "workerJoined"]);
  });

  test("is no task", async () => {
    const bench = new Bench();
    let task: unknown = "not asked";
    const init = (): void => {
      task = bench.runtime.task();
    };
    bench.job(1, (x: number) => x, false, inits(bench, init));
    await bench.run(1, [1]);
    expect(task).toBe(undefined);
  });

  test("lends its slot while it waits for the fabric, and has it back for the chunk", async () => {
    const bench = new Bench();
    const init = async (): Promise<void> => {
      using _hold = bench.runtime.hold();
      await new Promise((resolve) => setImmediate(resolve));
    };
    bench.job(1, (x: number) => x, false, inits(bench, init));
    await bench.run(1, [1]);
    expect(bench.said("taskWaiting")).toEqual([{ waiting: true }, { waiting: false }]);
  });
});

test("a job that primes has a worker join, and no value", async () => {
  const bench = new Bench();
  let joined = 0;
  bench.job(1, undefined, false, { prime: true, ...inits(bench, () => void joined++) });
  expect(await bench.run(1, [null])).toMatchObject({ done: [undefined] });
  expect(joined).toBe(1);
  expect(bench.loads).toHaveLength(1);
});
