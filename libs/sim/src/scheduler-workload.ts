import type { JobKey } from "@heddle/core-scheduler";
import { seededRandom } from "@heddle/kernel";
import type { Workload } from "./scheduler-agents.ts";
import type { SwarmOptions } from "./scheduler-faults.ts";

/** What each item does, by its seed and place alone; flaky ones count how often they ran. */
export function items(seed: number, options: SwarmOptions): Workload {
  const left = new Map<string, number>();
  return {
    run: (job, chunk, offset) => {
      if (isPoisoned(seed, options, job, chunk, offset)) return "poison";
      const place = `${job}/${chunk}/${offset}`;
      const random = seededRandom(seed, `item ${place}`);
      const trouble = seededRandom(seed, `overdue ${place}`).float() < options.overdues ? "overdue" : "error";
      if (random.float() < options.broken) return trouble;
      const failures = left.get(place) ?? (random.float() < options.flaky ? 1 + random.int(2) : 0);
      left.set(place, failures - 1);
      return failures > 0 ? trouble : "ok";
    },
  };
}

/** Whether an item kills its worker, always. */
export function isPoisoned(seed: number, options: SwarmOptions, job: JobKey, chunk: number, offset: number): boolean {
  if (options.poison === 0) return false;
  return seededRandom(seed, `poison ${job}/${chunk}/${offset}`).float() < options.poison;
}
