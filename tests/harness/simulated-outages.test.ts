import { range } from "@heddle/client";
import { seededRandom } from "@heddle/kernel";
import { type FaultPlan, swarmPlan } from "@heddle/sim";
import { describe, expect, it } from "vitest";
import { SimulatedCluster } from "./simulated-cluster.ts";

/** Virtual time under faults; what is not over by then is over after healing. */
const STORM_MS = 120_000;
/** Longer than the longest of these jobs takes on one slot. */
const CALM_MS = 3_000_000;

/** Faults that no caller may notice: outages far below the lease, no process that dies with the same item again and again. */
function shortOutages(plan: FaultPlan): FaultPlan {
  const { delayMs, breakLink, blackhole, crash } = plan;
  return {
    ...plan,
    delayMs: [delayMs[0], Math.min(50, delayMs[1])],
    breakLink: breakLink * 4,
    blackhole: blackhole * 4,
    crash: Math.min(crash, 0.02),
    killWorker: 0,
    outageMs: [1, 400],
  };
}

/** One map under the faults of a seed. Resolves to "done" or the name of the error, once nothing of it is left. */
async function mapThrough(seed: number, shape: (plan: FaultPlan) => FaultPlan): Promise<string> {
  const random = seededRandom(seed, "outages");
  const plan = shape(swarmPlan(random));
  const cluster = new SimulatedCluster({ seed, plan, nodes: 1 + random.int(4), slots: 1 + random.int(3) });
  const count = 1 + random.int(300);
  const task = cluster.tasks.slowSquare([10, 500, 5_000][random.int(3)] ?? 10);
  const pool = (await cluster.fabric()).pool();
  let outcome = "";
  const mapped = pool.map(task, range(count), { chunkSize: 1 + random.int(10) }).then(
    (results) => {
      expect(results).toEqual(Array.from({ length: count }, (_, n) => n * n));
      outcome = "done";
    },
    (error: Error) => {
      outcome = `${error.name}: ${error.message}`;
    },
  );
  await cluster.world.run({ deadlineMs: STORM_MS, done: () => outcome !== "" });
  cluster.heal();
  await cluster.world.drive(mapped, { withinMs: CALM_MS });
  await cluster.settled();
  await cluster[Symbol.asyncDispose]();
  expect([...cluster.world.processes.live], `seed ${seed}`).toEqual([]);
  return outcome;
}

describe("a map", () => {
  it("gives all results in order through any short outage of links, machines and processes", async () => {
    for (let seed = 1; seed <= 40; seed++) expect(await mapThrough(seed, shortOutages), `seed ${seed}`).toBe("done");
  });

  it("settles whatever happens, with its results or with one error of the fabric, and leaves nothing behind", async () => {
    for (let seed = 1; seed <= 25; seed++) {
      const outcome = await mapThrough(seed, (plan) => plan);
      expect(outcome, `seed ${seed}`).toMatch(/^(done$|WorkerLostError: |UnavailableError: |TimeoutError: )/);
    }
  });
});
