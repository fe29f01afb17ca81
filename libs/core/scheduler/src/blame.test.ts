import { describe, expect, test } from "vitest";
import { failuresAt, judgeDeath, judgeLoss, restFrom } from "./blame.ts";
import { SCHEDULER_LIMITS as limits } from "./limits.ts";
import { newJob, newPool, type Span, type SpanSeed } from "./state.ts";
import type { ClientKey, JobKey, PoolKey } from "./types.ts";

const client = { key: 1 as ClientKey, pools: new Set<never>(), throttled: false };
const opened = { pool: 1 as PoolKey, requirements: undefined };
const pool = newPool({ type: "pool-opened", client: client.key, slotsMax: undefined, ...opened }, client, undefined);
const plain = { retries: 0, depth: 0, collect: false, unreadBytesMax: undefined, ordered: false };
const job = newJob({ type: "job-opened", job: 1 as JobKey, ...plain, ...opened }, pool, undefined);
const clean: SpanSeed = { offset: 10, count: 5, attempt: 1, marks: false, failures: 0, deaths: 0, losses: 0 };

function span(more: Partial<SpanSeed> = {}): Span {
  const seed = { ...clean, ...more };
  return { chunk: { job, index: 0, grain: 0, spansOpen: 1, itemsOpen: seed.count }, ...seed, died: undefined };
}

describe("a worker's death", () => {
  test("without marks blames nobody and turns marks on", () => {
    expect(judgeDeath(span({ failures: 2 }), false, undefined, limits)).toEqual({
      type: "rerun",
      spans: [{ ...clean, failures: 2, marks: true }],
    });
  });

  test("with a mark puts the item alone, and its neighbours without blame", () => {
    expect(judgeDeath(span({ marks: true, failures: 1, deaths: 1, losses: 1 }), true, 12, limits)).toEqual({
      type: "rerun",
      spans: [
        { ...clean, marks: true, failures: 1, losses: 1, count: 2 },
        { ...clean, marks: true, losses: 1, offset: 12, count: 1, deaths: 1 },
        { ...clean, marks: true, losses: 1, offset: 13, count: 2 },
      ],
    });
  });

  test("with a mark at the first item leaves that item its own failures", () => {
    expect(judgeDeath(span({ marks: true, failures: 1 }), true, 10, limits)).toEqual({
      type: "rerun",
      spans: [
        { ...clean, marks: true, failures: 1, count: 1, deaths: 1 },
        { ...clean, marks: true, offset: 11, count: 4 },
      ],
    });
  });

  test("with a mark counts although no marks were asked for", () => {
    expect(judgeDeath(span({ count: 2 }), false, 11, limits)).toEqual({
      type: "rerun",
      spans: [
        { ...clean, count: 1, marks: true },
        { ...clean, offset: 11, count: 1, marks: true, deaths: 1 },
      ],
    });
  });

  test.each([9, 15, 10.5, Number.NaN])("with a mark at %d, outside the span, has no mark", (offset) => {
    expect(judgeDeath(span({ marks: true }), true, offset, limits)).toEqual({
      type: "rerun",
      spans: [{ ...clean, marks: true, deaths: 1 }],
    });
  });

  test("without a mark though marks were on halves the span at the second time", () => {
    expect(judgeDeath(span({ marks: true, deaths: 1, failures: 1 }), true, undefined, limits)).toEqual({
      type: "rerun",
      spans: [
        { ...clean, marks: true, failures: 1, count: 3 },
        { ...clean, marks: true, offset: 13, count: 2 },
      ],
    });
  });

  test("with one item blames it at once, and quarantines it at the second time", () => {
    expect(judgeDeath(span({ count: 1 }), false, undefined, limits)).toEqual({
      type: "rerun",
      spans: [{ ...clean, count: 1, marks: true, deaths: 1 }],
    });
    expect(judgeDeath(span({ count: 1, deaths: 1 }), true, 10, limits)).toEqual({ type: "quarantine" });
  });
});

describe("a lost node", () => {
  test("blames nobody twice, and counts as a death from the third on", () => {
    expect(judgeLoss(span({ losses: 1 }), limits)).toEqual({ type: "rerun", spans: [{ ...clean, losses: 2 }] });
    expect(judgeLoss(span({ losses: 2 }), limits)).toEqual({
      type: "rerun",
      spans: [{ ...clean, losses: 3, marks: true, deaths: 1 }],
    });
    expect(judgeLoss(span({ count: 1, losses: 3, deaths: 1 }), limits)).toEqual({ type: "quarantine" });
  });
});

describe("an item's own error", () => {
  test("is counted for the first item of the span, and starts anew for a later one", () => {
    expect(failuresAt(span({ failures: 2 }), 10)).toBe(3);
    expect(failuresAt(span({ failures: 2 }), 11)).toBe(1);
    expect(restFrom(span({ failures: 2 }), 11, 1)).toEqual([{ ...clean, offset: 11, count: 4, failures: 1 }]);
  });
});
