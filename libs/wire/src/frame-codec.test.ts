import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { RunRequest, RunResponse } from "./gen/heddle/v1/jobs.ts";
import { AttachRequest, AttachResponse } from "./gen/heddle/v1/nodes.ts";
import { WorkerRequest, WorkerResponse } from "./gen/heddle/v1/worker.ts";
import { fromWorker, jobsRun, nodesAttach, toWorker } from "./index.ts";

const uint32 = fc.oneof(fc.integer({ min: 0, max: 300 }), fc.integer({ min: 0, max: 0xffff_ffff }));
const uint64 = fc.oneof(uint32, fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER }));
const data = fc.oneof(
  fc.uint8Array({ maxLength: 20 }),
  fc.integer({ min: 90, max: 140 }).map((length) => new Uint8Array(length).fill(7)),
  fc.integer({ min: 16_300, max: 16_500 }).map((length) => new Uint8Array(length).fill(9)),
);
const payload = fc.record({
  encoding: fc.constantFrom(0, 1, 2, 3, 4, 5, 6 as const),
  count: uint32,
  size: uint32,
  data,
  partStream: uint32,
});
const span = fc.option(fc.record({ offset: uint32, count: uint32 }), { nil: undefined });
const part = fc.record({ partStream: uint32, data, last: fc.boolean(), aborted: fc.boolean() });
const maybe = <T>(values: fc.Arbitrary<T>) => fc.option(values, { nil: undefined, freq: 5 });
const entry = <Case extends string, T>($case: Case, value: fc.Arbitrary<T>) =>
  value.map((inside) => ({ kind: { $case, value: inside } }));

const spans = fc.array(fc.record({ offset: uint32, count: uint32 }), { maxLength: 3 });
const offerChunk = fc.record({
  job: uint32,
  chunk: uint32,
  firstIndex: uint64,
  input: maybe(payload),
  grain: uint32,
  settled: fc.oneof({ weight: 4, arbitrary: fc.constant<{ offset: number; count: number }[]>([]) }, spans),
});
const spanDone = fc.record({ job: uint32, chunk: uint32, span, values: maybe(payload), runMicros: uint32 });
const restored = fc.option(fc.record({ offset: uint32, state: maybe(payload) }), { nil: undefined, freq: 2 });
const assignChunk = fc.record({
  assignment: uint32,
  job: uint32,
  chunk: uint32,
  span,
  firstIndex: uint64,
  input: maybe(payload),
  attempt: uint32,
  marks: fc.boolean(),
  poolSlots: uint32,
  fresh: fc.boolean(),
  grain: uint32,
  restored,
});
const outcome = fc.oneof(
  { weight: 4, arbitrary: payload.map((value) => ({ $case: "done" as const, value })) },
  fc.record({ fault: fc.string() }).map((value) => ({ $case: "notStarted" as const, value })),
  fc.record({ completed: uint32, values: maybe(payload) }).map((value) => ({ $case: "partDone" as const, value })),
);
const chunkFinished = fc.record({ assignment: uint32, pid: uint32, runMicros: uint32, outcome: maybe(outcome) });
const runChunk = fc.record({
  assignment: uint32,
  job: uint32,
  chunk: uint32,
  span,
  firstIndex: uint64,
  input: maybe(payload),
  attempt: uint32,
  marks: fc.boolean(),
  grain: uint32,
  restored,
});
const returned = fc.oneof(
  { weight: 4, arbitrary: payload.map((value) => ({ $case: "done" as const, value })) },
  fc.record({ completed: uint32, values: maybe(payload) }).map((value) => ({ $case: "part" as const, value })),
  fc.constant({ $case: "skipped" as const, value: {} }),
);
const chunkReturned = fc.record({
  assignment: uint32,
  runMicros: uint32,
  wroteOutput: fc.boolean(),
  outcome: maybe(returned),
  rssBytes: uint64,
});
const workerReady = fc.record({ pid: uint32, nodeVersion: fc.string() });
const artifactPlace = fc.record({ hash: fc.string(), location: fc.string(), missing: fc.string() });
const control = maybe(
  fc
    .record({ code: fc.string(), message: fc.string() })
    .map((value) => ({ kind: { $case: "goodbye" as const, value } })),
);
const none = fc.constant({ kind: undefined });
const frame = <Entry>(...entries: fc.Arbitrary<Entry>[]) =>
  fc.record({
    sequence: uint64,
    acknowledged: uint64,
    control,
    entries: fc.array(fc.oneof(...entries), { maxLength: 6 }),
  });

const message = <Entry>(...entries: fc.Arbitrary<Entry>[]) =>
  fc.record({ entries: fc.array(fc.oneof(...entries), { maxLength: 6 }) });

const kinds = [
  {
    name: "a client's frames",
    generated: RunRequest,
    ours: jobsRun.request,
    frames: frame<RunRequest["entries"][number]>(entry("offerChunk", offerChunk), entry("part", part), none),
  },
  {
    name: "frames to a client",
    generated: RunResponse,
    ours: jobsRun.response,
    frames: frame<RunResponse["entries"][number]>(entry("spanDone", spanDone), entry("part", part), none),
  },
  {
    name: "a node's frames",
    generated: AttachRequest,
    ours: nodesAttach.request,
    frames: frame<AttachRequest["entries"][number]>(entry("chunkFinished", chunkFinished), entry("part", part), none),
  },
  {
    name: "frames to a node",
    generated: AttachResponse,
    ours: nodesAttach.response,
    frames: frame<AttachResponse["entries"][number]>(entry("assignChunk", assignChunk), entry("part", part), none),
  },
  {
    name: "what an agent says to a worker",
    generated: WorkerRequest,
    ours: toWorker,
    frames: message<WorkerRequest["entries"][number]>(
      entry("runChunk", runChunk),
      entry("part", part),
      entry("artifactPlace", artifactPlace),
      none,
    ),
  },
  {
    name: "what a worker says to its agent",
    generated: WorkerResponse,
    ours: fromWorker,
    frames: message<WorkerResponse["entries"][number]>(
      entry("chunkReturned", chunkReturned),
      entry("part", part),
      entry("workerReady", workerReady),
      none,
    ),
  },
] as const;

interface Codec {
  encode(message: unknown): { finish(): Uint8Array; pieces?(): readonly Uint8Array[] };
  decode(bytes: Uint8Array): unknown;
}

/** What came of it: a message, or that it was refused, and why. */
function outcomeOf(run: () => unknown): unknown {
  try {
    return { message: run() };
  } catch (error) {
    return { refused: (error as Error).message };
  }
}

describe.each(kinds)("$name", ({ generated, ours, frames }) => {
  const theirs = generated as Codec;
  const mine = ours as Codec;

  test("have the bytes that the generated code writes, and are read as it reads them", () => {
    fc.assert(
      fc.property(frames as fc.Arbitrary<unknown>, (message) => {
        const bytes = theirs.encode(message).finish();
        const encoded = mine.encode(message);
        expect(Buffer.from(encoded.finish()).equals(bytes)).toBe(true);
        expect(Buffer.concat(encoded.pieces?.() ?? []).equals(bytes)).toBe(true);
        expect(mine.decode(bytes)).toEqual(theirs.decode(bytes));
        expect(mine.decode(Buffer.from(bytes))).toEqual(theirs.decode(bytes));
      }),
      { numRuns: 400, seed: 20_261_125 },
    );
  });

  test("that are damaged are read, or refused in the same words, as by the generated code", () => {
    fc.assert(
      fc.property(frames as fc.Arbitrary<unknown>, fc.nat(), fc.nat(255), fc.boolean(), (message, at, byte, cuts) => {
        const whole = theirs.encode(message).finish();
        const bytes = cuts ? whole.subarray(0, at % (whole.length + 1)) : Uint8Array.from(whole);
        if (!cuts && bytes.length > 0) bytes[at % bytes.length] = byte;
        expect(outcomeOf(() => mine.decode(bytes))).toEqual(outcomeOf(() => theirs.decode(bytes)));
      }),
      { numRuns: 1_500, seed: 20_261_126 },
    );
  });
});

test("large bytes leave as they are, uncopied, between the bytes of their message", () => {
  const parts = [40_000, 100, 16_384].map((length, at) => new Uint8Array(length).fill(at));
  const entries = parts.map((bytes) => ({
    kind: { $case: "part" as const, value: { partStream: 1, data: bytes, last: false, aborted: false } },
  }));
  const pieces = fromWorker.encode({ entries }).pieces();
  expect(pieces.map((piece) => parts.indexOf(piece as Uint8Array<ArrayBuffer>))).toEqual([-1, 0, -1, 2]);
});

test("what a field cannot hold is refused in the words of the generated code", () => {
  const input = { encoding: 1, count: 1, size: 1, data: Uint8Array.of(1), partStream: 0 } as const;
  for (const wrong of [-1, 0.5, 2 ** 32, Number.NaN]) {
    const value = { job: wrong, chunk: 0, firstIndex: 0, input, grain: 0, settled: [] };
    const message = RunRequest.create({ sequence: 1, entries: [{ kind: { $case: "offerChunk", value } }] });
    const refused = outcomeOf(() => RunRequest.encode(message).finish());
    expect(refused).toHaveProperty("refused");
    expect(outcomeOf(() => jobsRun.request.encode(message).finish())).toEqual(refused);
  }
});
