import { describe, expect, test } from "vitest";
import { failureText, runMany, runSeed } from "./many.ts";
import { OptionsError, parseOptions } from "./options.ts";
import { planOf } from "./plan.ts";

const SEEDS = Number(process.env.HEDDLE_SIM_SEEDS ?? 800);
const FIRST = Number(process.env.HEDDLE_SIM_FIRST ?? 1);
const ONLY = process.env.HEDDLE_SIM_SEED;

describe("clients, coordinator, manager and agents in one world, through whatever a seed draws", () => {
  test(`keep every promise of ${SEEDS} seeds`, { timeout: 300_000 }, async () => {
    const first = Number(ONLY ?? FIRST);
    const seeds = ONLY === undefined ? SEEDS : 1;
    const broken: string[] = [];
    const report = await runMany(
      { first, seeds, minutes: undefined, twice: false },
      { nowMs: () => performance.now(), failed: (seed, error) => broken.push(failureText(seed, error)) },
    );
    expect(broken).toEqual([]);
    if (ONLY !== undefined || SEEDS < 300) return;
    expect(report.kept).toBeGreaterThan(2 * SEEDS);
    const machines = ["crash agent", "crash coordinator", "crash manager", "pause client", "pause coordinator"];
    const links = ["break link", "blackhole", "half-open link", "partition"];
    const disk = ["disk broken", "disk full", "commit kept in a crash", "commit lost in a crash"];
    for (const kind of [...machines, ...links, ...disk, "kill worker"])
      expect(report.faults.get(kind) ?? 0, kind).toBeGreaterThan(0);
  });

  test("do the same, to the byte, when a seed is run again", { timeout: 120_000 }, async () => {
    const digests = new Set<string>();
    for (let seed = 1; seed <= 15; seed++) digests.add((await runSeed(seed, true)).digest);
    expect(digests.size).toBe(15);
  });

  test("a seed makes one plan, and plans differ", () => {
    expect(planOf(7)).toEqual(planOf(7));
    expect(planOf(7)).not.toEqual(planOf(8));
  });
});

describe("the command", () => {
  test("runs one seed, or seeds for a time", () => {
    const chance = (): number => 5;
    expect(parseOptions([], chance)).toEqual({ first: 5, seeds: undefined, minutes: 1, twice: false });
    expect(parseOptions(["--seed", "7"], chance)).toMatchObject({ first: 7, seeds: 1, minutes: undefined });
    expect(parseOptions(["--seed", "7", "--hours", "2"], chance)).toMatchObject({
      first: 7,
      seeds: undefined,
      minutes: 120,
    });
    expect(parseOptions(["--seeds", "9", "--twice"], chance)).toMatchObject({
      seeds: 9,
      minutes: undefined,
      twice: true,
    });
  });

  test("refuses what cannot be", () => {
    for (const args of [
      ["--seed", "0"],
      ["--minutes", "x"],
      ["--hours", "-1"],
      ["--years", "1"],
    ])
      expect(() => parseOptions(args, () => 1)).toThrow(OptionsError);
  });
});
