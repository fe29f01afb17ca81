import { JobId, PAYLOAD_BYTES_MAX } from "@heddle/kernel";
import { Encoding, encodePayload, encodeValue, JobOutcome, type SpanDone } from "@heddle/wire";
import { expect, test } from "vitest";
import { type JobParts, JobRun } from "./job-run.ts";
import { range } from "./range.ts";
import { RangeReader, type Reader } from "./readers.ts";
import { ArraySink, SettledSink } from "./result-sinks.ts";
import { chunkSizer } from "./sizing.ts";
import { IterableReader } from "./stream-readers.ts";
import { userFailure } from "./testing.ts";

function runOf(reader: Reader, parts: Partial<JobParts> & { readonly chunkSize?: number } = {}) {
  const { chunkSize = 2, ...rest } = parts;
  const shape = { total: reader.total, concurrency: 1, isFolded: false, mayPack: true };
  const sizer = chunkSizer({ chunkSize, slots: () => 1, ...shape });
  const sink = new ArraySink(reader.total);
  const run = new JobRun(JobId("j"), { reader, sizer, sink, onItemError: "fail", ...rest });
  return { run, sink };
}

function takeAll(run: JobRun): [chunk: number, firstIndex: number, count: number][] {
  const taken: [number, number, number][] = [];
  while (run.poll() === "ready") {
    const { chunk, firstIndex, payload } = run.take();
    taken.push([chunk, firstIndex, payload.count]);
  }
  return taken;
}

function done(chunk: number, span?: { readonly offset: number; readonly count: number }): SpanDone {
  return { job: 1, chunk, span, values: undefined, runMicros: 1_000_000 };
}

const values = (...all: unknown[]) => encodePayload(all, "result");
const end = (outcome: JobOutcome) => ({ job: 1, outcome, error: undefined });

test("chunks are numbered without gaps, and counted while they are open", async () => {
  const { run, sink } = runOf(new RangeReader(range(5)));
  expect(takeAll(run)).toEqual([
    [0, 0, 2],
    [1, 2, 2],
    [2, 4, 1],
  ]);
  expect([run.poll(), run.chunkCount, run.openChunks, run.openBytes]).toEqual(["end", 3, 3, 72]);
  run.spanDone(done(1), values(2, 3));
  run.spanDone(done(0, { offset: 1, count: 1 }), values(1));
  expect([run.openChunks, run.counts]).toEqual([2, { done: 3, failed: 0, total: 5 }]);
  run.spanDone(done(0, { offset: 0, count: 1 }), values(0));
  run.spanDone(done(2), values(4));
  run.ended(end(JobOutcome.DONE));
  await run.outcome;
  expect([sink.results, run.openChunks, run.openBytes]).toEqual([[0, 1, 2, 3, 4], 0, 0]);
});

test("no more chunks are offered than keep the slots busy, and answers wake it", () => {
  let wakes = 0;
  const { run } = runOf(new RangeReader(range(100)));
  run.onWake = () => void wakes++;
  expect(takeAll(run)).toHaveLength(4);
  expect(run.poll()).toBe("wait");
  run.spanDone(done(0), values(0, 1));
  expect(wakes).toBe(1);
  expect(takeAll(run)).toHaveLength(1);
});

test("a chunk above the largest payload fails its call with LimitError", () => {
  const payload = { encoding: Encoding.F64, count: 1, bytes: new Uint8Array(PAYLOAD_BYTES_MAX + 1) };
  const reader: Reader = { total: 1, read: () => ({ type: "chunk", payload }), close: () => undefined };
  expect(() => runOf(reader).run.poll()).toThrow(
    expect.objectContaining({ limitName: "PAYLOAD_BYTES_MAX", actual: PAYLOAD_BYTES_MAX + 1 }) as never,
  );
});

test.for([
  ["for a chunk that is not open", done(4), [1, 2]],
  ["for more items than a chunk has", done(0, { offset: 1, count: 2 }), [1, 2]],
  ["for no items", done(0, { offset: 0, count: 0 }), []],
  ["with fewer values than items", done(0), [1]],
] as const)("an answer %s is the coordinator's fault", ([, answer, items]) => {
  const { run } = runOf(new RangeReader(range(5)));
  takeAll(run);
  expect(() => run.spanDone(answer, values(...items))).toThrow(expect.objectContaining({ code: "protocol" }) as never);
});

test("more answers than a chunk has items are the coordinator's fault", () => {
  const { run } = runOf(new RangeReader(range(2)));
  takeAll(run);
  run.spanDone(done(0, { offset: 0, count: 1 }), values(1));
  expect(() => run.spanDone(done(0), values(1, 2))).toThrow("2 values came for items 0+2 of chunk 0");
});

test("the error of the lowest index seen is the call's, and which one that is does not go by time", async () => {
  const { run } = runOf(new RangeReader(range(6)));
  takeAll(run);
  for (const [chunk, offset, words] of [
    [1, 1, "three"],
    [0, 1, "one"],
    [2, 0, "four"],
  ] as const)
    run.itemFailed({ job: 1, chunk, failure: userFailure(offset, new Error(words)) }, undefined);
  expect([run.isLost, run.counts.failed]).toEqual([true, 3]);
  run.ended(end(JobOutcome.FAILED));
  await expect(run.outcome).rejects.toMatchObject({ message: "Error: one", remote: { index: 1, chunk: 0 } });
});

test("a job that is said to be done without all of its results has failed", async () => {
  const { run } = runOf(new RangeReader(range(2)));
  takeAll(run);
  run.ended(end(JobOutcome.DONE));
  await expect(run.outcome).rejects.toMatchObject({ code: "protocol" });
});

test("the number of inputs is known once they were read to their end", () => {
  const { run } = runOf(new IterableReader([1, 2, 3], { chunkSize: 1, functions: undefined }));
  expect(run.counts).toEqual({ done: 0, failed: 0 });
  takeAll(run);
  expect(run.counts).toEqual({ done: 0, failed: 0, total: 3 });
});

test("inputs are read as far ahead of the consumer as the window says, and never by crumbs", () => {
  const { run } = runOf(new RangeReader(range(100)), { chunkSize: 1, windowItems: () => 8 });
  const read = (): number => {
    const count = takeAll(run).length;
    for (let chunk = 0; chunk < run.chunkCount; chunk++)
      try {
        run.spanDone(done(chunk), values(0));
      } catch {
        // it was answered before
      }
    return count;
  };
  expect([read(), read(), read()]).toEqual([4, 4, 0]);
  run.consumed(1);
  expect(read()).toBe(0);
  run.consumed(1);
  expect(read()).toBe(2);
});

test("a window smaller than a chunk lets one chunk through when nothing is unread", () => {
  const { run } = runOf(new RangeReader(range(100)), { chunkSize: 5, windowItems: () => 2 });
  expect(takeAll(run)).toEqual([[0, 0, 5]]);
  run.consumed(4);
  expect(run.poll()).toBe("wait");
  run.consumed(1);
  expect(takeAll(run)).toEqual([[1, 5, 5]]);
});

test("an answer that ends its call from within leaves nothing counted", () => {
  const { run } = runOf(new RangeReader(range(4)), {
    sink: {
      values: () => run.fail(new Error("enough")),
      failed: () => undefined,
    },
  });
  takeAll(run);
  run.spanDone(done(0), values(0, 1));
  expect([run.openChunks, run.openBytes, run.settled]).toEqual([0, 0, true]);
});

test("inputs that end their own call from within are read no further", () => {
  function* inputs() {
    yield 1;
    run.fail(new Error("enough"));
    yield 2;
  }
  const { run } = runOf(new IterableReader(inputs(), { chunkSize: 2, functions: undefined }));
  expect([run.poll(), run.chunkCount]).toEqual(["end", 0]);
});

test("a job without a function has no values, or one for each item", async () => {
  for (const items of [[], [undefined]]) {
    const { run, sink } = runOf(new RangeReader(range(1)), { isPrime: true });
    takeAll(run);
    run.spanDone(done(0), values(...items));
    run.ended(end(JobOutcome.DONE));
    await run.outcome;
    expect(sink.results).toEqual(new Array(1));
  }
});

test("an item whose writes count once and that fails is written off before it is answered: it has its value when it counts already", async () => {
  const asked = new Map<number, PromiseWithResolvers<Uint8Array | undefined>>();
  const writeOff = (index: number): Promise<Uint8Array | undefined> => {
    const answer = Promise.withResolvers<Uint8Array | undefined>();
    asked.set(index, answer);
    return answer.promise;
  };
  const sink = new SettledSink(4);
  const { run } = runOf(new RangeReader(range(4)), { sink, onItemError: "keep", writeOff });
  takeAll(run);
  for (const [chunk, offset] of [
    [0, 0],
    [0, 1],
    [1, 0],
  ] as const)
    run.itemFailed({ job: 1, chunk, failure: userFailure(offset, new Error(`${chunk}.${offset}`)) }, undefined);
  run.spanDone(done(1, { offset: 1, count: 1 }), values("three"));
  run.ended(end(JobOutcome.DONE));
  expect([run.settled, run.restart()]).toEqual([false, false]); // all of it is answered, and nothing left to be run
  asked.get(0)?.resolve(undefined);
  asked.get(1)?.resolve(encodeValue("one", "result"));
  asked.get(2)?.reject(new Error("the manager is away"));
  await run.outcome;
  expect(run.counts).toEqual({ done: 2, failed: 2, total: 4 });
  expect(sink.results).toMatchObject([
    { status: "rejected", reason: { message: "Error: 0.0" } },
    { status: "fulfilled", value: "one" },
    { status: "rejected", reason: { message: "Error: 1.0" } },
    { status: "fulfilled", value: "three" },
  ]);
});
