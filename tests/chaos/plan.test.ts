import { describe, expect, test } from "vitest";
import { type FaultKind, faultKinds, kindFacts } from "./kinds.ts";
import { argumentsOf, OptionsError, parseOptions } from "./options.ts";
import { type PlannedFault, partiesOf, planOf } from "./plan.ts";

const optionsOf = (...args: readonly string[]) => parseOptions(args, () => 77);

function firstFaults(count: number, ...args: readonly string[]): PlannedFault[] {
  return planOf(optionsOf(...args))
    .take(count)
    .toArray();
}

describe("the plan of a seed", () => {
  test("is the same each time, whatever else the run is told; another seed has another one", () => {
    const plan = firstFaults(200, "--seed", "5");
    expect(firstFaults(200, "--seed", "5", "--minutes", "60", "--report", "r.json")).toEqual(plan);
    expect(firstFaults(200, "--seed", "6")).not.toEqual(plan);
  });

  test("has every kind, each on parties of its own kind, for as long as it may last", () => {
    const options = optionsOf("--seed", "1");
    const plan = firstFaults(600, "--seed", "1");
    expect(new Set(plan.map(({ kind }) => kind))).toEqual(new Set(faultKinds));
    for (const { kind, target, forMs } of plan) {
      const { targets, lasts } = kindFacts[kind];
      expect(targets.flatMap((party) => partiesOf(party, options))).toContain(target);
      expect(forMs).toBeGreaterThanOrEqual(Math.floor(lasts[0] * options.leaseMs));
      expect(forMs).toBeLessThanOrEqual(Math.ceil(lasts[1] * options.leaseMs));
    }
  });

  test("lets so much time pass from one fault to the next, and has no target bear two at a time", () => {
    const plan = firstFaults(300, "--seed", "3", "--fault-every", "10-30");
    const endsMs = new Map<string, number>();
    for (const [at, { atMs, target, forMs }] of plan.entries()) {
      const pauseMs = atMs - (plan[at - 1]?.atMs ?? 0);
      expect(pauseMs).toBeGreaterThanOrEqual(10_000);
      expect(atMs).toBeGreaterThan(endsMs.get(target) ?? 0);
      endsMs.set(target, atMs + forMs);
    }
  });

  test("goes on when all that a fault could be about are busy", () => {
    const plan = firstFaults(20, "--seed", "2", "--fault-every", "0.1", "--only", "kill-manager");
    expect(plan.map(({ kind, target }) => [kind, target])).toEqual(Array(20).fill(["kill-manager", "manager"]));
  });
});

describe("options", () => {
  test("are said again by the line that repeats a run", () => {
    const options = optionsOf("--seed", "9", "--only", "cut,kill-agent", "--agents", "2", "--minutes", "0.5");
    expect(parseOptions(argumentsOf(options).split(" "), () => 1)).toEqual(options);
    expect(optionsOf().seed).toBe(77);
  });

  test("leave kinds out", () => {
    const { kinds } = optionsOf("--not", "cut,drop");
    const others: FaultKind[] = faultKinds.filter((kind) => kind !== "cut" && kind !== "drop");
    expect(kinds).toEqual(others);
  });

  test.for([
    [["--only", "earthquake"], "not earthquake"],
    [["--fault-every", "30-10"], "--fault-every must be seconds"],
    [["--minutes", "0"], "--minutes must be a number from 0.05"],
    [["--seed", "x"], "--seed must be a number"],
    [["--speed", "3"], "--speed"],
  ] as const)("that there are not, or that cannot be, are refused in words: %s", ([args, words]) => {
    expect(() => optionsOf(...args)).toThrow(OptionsError);
    expect(() => optionsOf(...args)).toThrow(words);
  });
});
