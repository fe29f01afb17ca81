import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { entries, planFor } from "./contenders.ts";
import { connectTo, startUp } from "./heddle-up.ts";
import { planOf, rowIds, shareOf, sizesOf } from "./rows.ts";
import { runChild } from "./run-child.ts";

/** Enough to go through every operation once. */
const SHARE = 0.002;
const LIMIT_MS = 100_000;

describe("what mutual TLS costs", () => {
  test.each(entries.filter(({ rows }) => rows.includes("n")))(
    "is measured beside the same in clear: $label does each operation, and is right",
    { timeout: LIMIT_MS },
    async (entry) => {
      const plan = planFor(entry, planOf(rowIds, shareOf(sizesOf(false), SHARE)));
      const child = join(import.meta.dirname, "child.ts");
      const command = [process.execPath, "--conditions=@heddle/source", child, entry.id, JSON.stringify(plan)];
      const { failures, laps, hows } = await runChild(command, { limitMs: LIMIT_MS });
      expect(failures).toEqual({});
      expect(Object.keys(laps)).toEqual(["securedNoops", "securedApply"]);
      expect(Object.keys(hows)).toEqual(["securedNoops", "securedApply"]);
    },
  );

  test("is measured with a fabric that nobody enters without a certificate", { timeout: LIMIT_MS }, async () => {
    await using up = await startUp("tls");
    await expect(connectTo({ address: up.facts.address })).rejects.toThrow("the server speaks TLS");
    await using fabric = await connectTo(up.facts);
    expect(await fabric.nodes()).toHaveLength(1);
  });
});
