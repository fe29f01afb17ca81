import { JobId } from "@heddle/kernel";
import { encodePayload } from "@heddle/wire";
import { expect, test } from "vitest";
import { JobRun } from "./job-run.ts";
import { forget, type JobRequest, type Line, recount, wakeAll } from "./line.ts";
import { range } from "./range.ts";
import { RangeReader } from "./readers.ts";
import { chunkSizer } from "./sizing.ts";

/** A line with one open job of four chunks, all offered. `onValues`: what the user's code does with a result. */
function lineWithJob(onValues: (line: Line, request: JobRequest) => void = () => undefined) {
  const released: unknown[] = [];
  const line = {
    jobs: new Map(),
    unsealed: new Set(),
    behind: new Set(),
    held: new Set(),
    dormant: new Set(),
    artifacts: { release: (artifact: unknown) => void released.push(artifact) },
    openChunks: 10,
    openBytes: 1_000,
  } as unknown as Line;
  const shape = { total: 4, concurrency: 1, isFolded: false, mayPack: true };
  const run: JobRun = new JobRun(JobId("j"), {
    reader: new RangeReader(range(4)),
    sizer: chunkSizer({ chunkSize: 1, slots: () => 1, ...shape }),
    sink: { values: () => onValues(line, request), failed: () => undefined },
    onItemError: "fail",
  });
  run.number = 1;
  const request = { run, artifacts: ["code"] } as unknown as JobRequest;
  line.jobs.set(1, request);
  while (run.poll() === "ready") run.take();
  recount(line, request);
  return { line, run, request, released };
}

const done = { job: 1, chunk: 0, span: undefined, values: undefined, runMicros: 0 };

test("the sums of a line follow its jobs, and a job that is over leaves nothing in them", () => {
  const { line, run, request, released } = lineWithJob();
  expect([line.openChunks, line.openBytes]).toEqual([14, 1_096]);
  run.spanDone(done, encodePayload([0], "result"));
  recount(line, request);
  recount(line, request);
  expect([line.openChunks, line.openBytes]).toEqual([13, 1_072]);
  forget(line, request);
  recount(line, request);
  expect([line.openChunks, line.openBytes, line.jobs.size, released]).toEqual([10, 1_000, 0, ["code"]]);
});

test("a job that is forgotten from within its own answer is taken out of the sums once", () => {
  const { line, run, request } = lineWithJob((on, one) => {
    forget(on, one);
    one.run.fail(new Error("enough"));
  });
  run.spanDone(done, encodePayload([0], "result"));
  recount(line, request);
  expect([line.openChunks, line.openBytes]).toEqual([10, 1_000]);
});

test("jobs that wait are woken all together", () => {
  const { line, request } = lineWithJob();
  expect(wakeAll(line)).toBe(false);
  line.dormant.add(request);
  expect(wakeAll(line)).toBe(true);
  expect([line.dormant.size, line.unsealed.has(request)]).toEqual([0, true]);
});
