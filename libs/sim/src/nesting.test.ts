import { WorkerPool } from "@heddle/core-pool";
import { Scheduler } from "@heddle/core-scheduler";
import { describe, expect, test } from "vitest";
import { type NestingPlan, NestingWorld } from "./nesting-world.ts";

const SEEDS = 40;

type Size = Omit<NestingPlan, "seed" | "deathEvery">;

const sizes: readonly Size[] = [
  { nodes: 1, slots: 1, depth: 1, width: 3, processes: undefined },
  { nodes: 1, slots: 1, depth: 3, width: 2, processes: 1 },
  { nodes: 1, slots: 1, depth: 3, width: 2, processes: undefined },
  { nodes: 1, slots: 2, depth: 2, width: 3, processes: 1 },
  { nodes: 1, slots: 2, depth: 3, width: 2, processes: undefined },
  { nodes: 2, slots: 1, depth: 2, width: 4, processes: 2 },
  { nodes: 2, slots: 2, depth: 3, width: 2, processes: 1 },
  { nodes: 1, slots: 1, depth: 0, width: 20, processes: undefined },
];

function tasksOf({ depth, width }: Size): number {
  const levels = Array.from({ length: depth + 1 }, (_, level) => width ** (level + 1));
  return levels.reduce((sum, count) => sum + count);
}

/** Twice the slots, and for each level what may wait, with what runs. */
function workersMost({ depth, slots }: Size): number {
  return 2 * slots + 4 * (depth + 1) * slots + slots;
}

describe.each(sizes)(
  "tasks in tasks, $depth deep, $width wide, on $nodes x $slots slots, pools of $processes",
  (size) => {
    test(`never wait for each other for ever (${SEEDS} seeds)`, () => {
      for (let seed = 1; seed <= SEEDS; seed++) {
        const world = new NestingWorld({ ...size, seed, deathEvery: 0 });
        world.run();
        expect(world.finished).toBe(tasksOf(size));
        expect(world.workersMost).toBeLessThanOrEqual(workersMost(size));
      }
    });

    test("nor when workers die in the middle, nor leave anything behind when they are cancelled", () => {
      for (let seed = 1; seed <= SEEDS; seed++) {
        new NestingWorld({ ...size, seed, deathEvery: 40 }).run();
        new NestingWorld({ ...size, seed, deathEvery: 60, cancelEvery: 60 }).run();
      }
    });
  },
);

describe("every order of events but for two, in small worlds", () => {
  const small: readonly Size[] = [1, 2].flatMap((slots) =>
    [undefined, 1].flatMap((processes) =>
      [1, 2, 3].map((depth) => ({ nodes: 1, slots, depth, width: depth === 1 ? 2 : 1, processes })),
    ),
  );

  test.each(small)("$depth deep on $slots slots with pools of $processes ends", (size) => {
    let runs = 0;
    const explore = (deviations: ReadonlyMap<number, number>, from: number): void => {
      const bounds = play(size, deviations);
      runs++;
      if (deviations.size === 2) return;
      for (let at = from; at < bounds.length; at++)
        for (let choice = 1; choice < (bounds[at] ?? 0); choice++)
          explore(new Map([...deviations, [at, choice]]), at + 1);
    };
    explore(new Map(), 0);
    expect(runs).toBeGreaterThan(100);
  });

  /** The first that can happen happens, but for the deviations. Returns how many there were to choose from each time. */
  function play(size: Size, deviations: ReadonlyMap<number, number>): number[] {
    const bounds: number[] = [];
    const draw = (bound: number): number => deviations.get(bounds.push(bound) - 1) ?? 0;
    const world = new NestingWorld({ ...size, seed: 1, deathEvery: 0, draw });
    world.run();
    expect(world.finished).toBe(tasksOf(size));
    return bounds;
  }
});

describe("tasks in tasks and others", () => {
  test("end when the outer ones fill all that a node takes ahead", () => {
    for (let seed = 1; seed <= 10; seed++) {
      const size: Size = { nodes: 1, slots: 1, depth: 1, width: 20, processes: undefined, runMsMost: 0.2 };
      const world = new NestingWorld({ ...size, seed, deathEvery: 0 });
      world.run();
      expect(world.finished).toBe(tasksOf(size));
      expect(world.workersMost).toBeLessThanOrEqual(workersMost(size));
    }
  });

  test.each([1, 2])("do not keep a call of others waiting until they are done, on %s slots", (slots) => {
    const flood = { nodes: 1, slots, depth: 1, width: 300, widthFirst: slots, processes: undefined };
    for (const runMsMost of [0.5, 40]) {
      for (let seed = 1; seed <= 5; seed++) {
        const world = new NestingWorld({ ...flood, strangers: 8, runMsMost, seed, deathEvery: 0 });
        const [floodOverAt = 0, strangersOverAt = 0] = world.run();
        expect(strangersOverAt).toBeLessThan(floodOverAt / 2);
      }
    }
  });

  test("would wait for ever if chunks of tasks shared the room of others", () => {
    const makeScheduler: NestingPlan["makeScheduler"] = (options) => {
      const core = new Scheduler(options);
      const step: Scheduler["step"] = (nowMs, input) =>
        core.step(nowMs, input.type === "job-opened" ? { ...input, depth: 0 } : input);
      return { step, validate: () => core.validate() };
    };
    expect(firstStuck({ makeScheduler })).toMatch(/nothing can happen any more/);
  });

  test("would wait for ever if a task that waits kept its slot", () => {
    const makePool: NestingPlan["makePool"] = (options) => {
      const core = new WorkerPool(options);
      const step: WorkerPool["step"] = (nowMs, input) =>
        core.step(nowMs, input.type === "task-waiting" ? { type: "timer-fired" } : input);
      return { step, validate: () => core.validate() };
    };
    expect(firstStuck({ makePool })).toMatch(/nothing can happen any more/);
  });
});

function firstStuck(planted: Partial<NestingPlan>): string {
  for (let seed = 1; seed <= SEEDS; seed++) {
    try {
      new NestingWorld({
        nodes: 1,
        slots: 1,
        depth: 1,
        width: 3,
        processes: undefined,
        seed,
        deathEvery: 0,
        ...planted,
      }).run();
    } catch (error) {
      return String(error);
    }
  }
  return "nothing found";
}
