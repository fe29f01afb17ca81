import { seededRandom } from "@heddle/kernel";
import { expect, it } from "vitest";
import { calmPlan, drawMs, type FaultPlan, swarmPlan } from "./fault-plan.ts";

it("a swarm leaves each kind of fault out in about half of its runs", () => {
  const kinds = ["breakLink", "blackhole", "partition", "crash", "pause", "killWorker", "refuseDial"] as const;
  const plans: FaultPlan[] = Array.from({ length: 400 }, (_, seed) => swarmPlan(seededRandom(seed, "plan")));
  for (const kind of kinds) {
    const off = plans.filter((plan) => plan[kind] === calmPlan[kind]).length;
    expect(off, kind).toBeGreaterThan(150);
    expect(off, kind).toBeLessThan(250);
  }
});

it("drawn times are whole, never below the minimum, and have the mean that was asked for", () => {
  const random = seededRandom(1, "delay");
  const drawn = Array.from({ length: 10_000 }, () => drawMs(random, [5, 50]));
  expect(drawn.every((ms) => Number.isInteger(ms) && ms >= 5)).toBe(true);
  expect(drawn.reduce((sum, ms) => sum + ms, 0) / drawn.length).toBeCloseTo(50, -1);
  expect(drawMs(random, [0, 0])).toBe(0);
});
