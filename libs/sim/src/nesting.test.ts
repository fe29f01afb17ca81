import { describe, expect, test } from "vitest";
import { type NestingPlan, NestingWorld } from "./nesting-world.ts";

const SEEDS = 60;

const sizes: readonly Omit<NestingPlan, "seed" | "deathEvery">[] = [
  { nodes: 1, slots: 1, depth: 1, width: 3, processes: undefined },
  { nodes: 1, slots: 1, depth: 3, width: 2, processes: 1 },
  { nodes: 1, slots: 2, depth: 2, width: 3, processes: 1 },
  { nodes: 1, slots: 2, depth: 3, width: 2, processes: undefined },
  { nodes: 2, slots: 1, depth: 2, width: 4, processes: 2 },
  { nodes: 2, slots: 2, depth: 3, width: 2, processes: 1 },
  { nodes: 1, slots: 1, depth: 0, width: 20, processes: undefined },
];

describe.each(sizes)(
  "tasks in tasks, $depth deep, $width wide, on $nodes x $slots slots, pools of $processes",
  (size) => {
    test(`never wait for each other for ever (${SEEDS} seeds)`, () => {
      for (let seed = 1; seed <= SEEDS; seed++) {
        const world = new NestingWorld({ ...size, seed, deathEvery: 0 });
        world.run();
        const tasks = Array.from({ length: size.depth + 1 }, (_, level) => size.width ** (level + 1));
        expect(world.finished).toBe(tasks.reduce((sum, count) => sum + count));
        expect(world.workersMost).toBeLessThanOrEqual(2 * size.slots + size.slots * 2 ** (size.depth + 2));
      }
    });

    test("nor when workers die in the middle", () => {
      for (let seed = 1; seed <= SEEDS; seed++) new NestingWorld({ ...size, seed, deathEvery: 40 }).run();
    });
  },
);
