import { PART_BYTES_MAX } from "@heddle/kernel";
import {
  type NestedEntry,
  OfferChunk,
  Output,
  type RunResponseEntry,
  SpanDone,
  WorkerRequest,
  type WorkerRequestEntry,
  WorkerResponse,
  type WorkerResponseEntry,
} from "@heddle/wire";
import { describe, expect, test } from "vitest";
import { requestBytes, responseBytes } from "./entries.ts";
import { FrameWriter } from "./framing.ts";
import { WORKER_FRAME_BYTES_MAX } from "./limits.ts";

const data = new Uint8Array(PART_BYTES_MAX);
const payload = { encoding: 0 as const, count: 1, size: data.length, data, partStream: 0 };
const part = { $case: "part", value: { partStream: 1, data, last: false, aborted: false } } as const;
const chunk = { $case: "offerChunk", value: OfferChunk.fromPartial({ job: 1, input: payload }) } as const;
const content = { $case: "artifactContent", value: { hash: "h", content: payload, missing: "" } } as const;
const values = { $case: "spanDone", value: SpanDone.fromPartial({ job: 1, values: payload }) } as const;
const text = "é".repeat(PART_BYTES_MAX);
const output = { $case: "output", value: Output.fromPartial({ job: 1, text }) } as const;

describe("what a task and the coordinator say to each other shares frames that can be read", () => {
  test.each([
    ["parts", part],
    ["chunks", chunk],
    ["code", content],
  ])("%s from a task", (_what, kind) => {
    const writer = new FrameWriter<WorkerResponseEntry>(
      (entries) => [WorkerResponse.encode({ entries }).finish()],
      responseBytes,
    );
    const entry: NestedEntry = { entry: { kind } as NonNullable<NestedEntry["entry"]>, bulkBytes: data.length };
    const one: WorkerResponseEntry = { kind: { $case: "nestedRequest", value: { session: 1, entries: [entry] } } };
    for (let at = 0; at < 40; at++) writer.add(one);
    expect(Math.max(...writer.take().map(({ length }) => length))).toBeLessThanOrEqual(WORKER_FRAME_BYTES_MAX);
  });

  test.each([
    ["parts", part],
    ["values", values],
    ["printed lines", output],
  ])("%s to a task", (_what, kind) => {
    const writer = new FrameWriter<WorkerRequestEntry>(
      (entries) => [WorkerRequest.encode({ entries }).finish()],
      requestBytes,
    );
    const entries = [{ kind } as unknown as RunResponseEntry];
    for (let at = 0; at < 40; at++) writer.add({ kind: { $case: "nestedResponse", value: { session: 1, entries } } });
    expect(Math.max(...writer.take().map(({ length }) => length))).toBeLessThanOrEqual(WORKER_FRAME_BYTES_MAX);
  });
});
