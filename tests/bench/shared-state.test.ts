import { join } from "node:path";
import { expect, test } from "vitest";
import { type ContenderId, entries, planFor } from "./contenders.ts";
import { planOf, rowIds, shareOf, sizesOf } from "./rows.ts";
import { runChild } from "./run-child.ts";

/** Enough to go through every operation once. */
const SHARE = 0.002;
const LIMIT_MS = 100_000;

const isMeasuredHere: readonly ContenderId[] = ["heddle-grpc-objects", "heddle-embedded-objects", "disk"];

test.each(entries.filter(({ id }) => isMeasuredHere.includes(id)))(
  "$label does each operation of its rows on shared state, and is right",
  { timeout: LIMIT_MS },
  async (entry) => {
    const plan = planFor(entry, planOf(rowIds, shareOf(sizesOf(false), SHARE)));
    const child = join(import.meta.dirname, "child.ts");
    const command = [process.execPath, "--conditions=@heddle/source", child, entry.id, JSON.stringify(plan)];
    const { failures, laps } = await runChild(command, { limitMs: LIMIT_MS });
    expect(failures).toEqual({});
    const own = entry.id === "disk" ? ["syncs"] : plan.map(({ id }) => id).filter((id) => id !== "syncs");
    expect(Object.keys(laps)).toEqual(own);
  },
);
