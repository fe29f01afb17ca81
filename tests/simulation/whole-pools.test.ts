import { seededRandom } from "@heddle/kernel";
import { swarmPlan } from "@heddle/sim";
import { UnavailableError, WorkerLostError } from "heddle";
import { describe, expect, test } from "vitest";
import { SimulatedCluster } from "../harness/simulated-cluster.ts";
import { passed, type Stage, wholePoolCalls } from "../harness/whole-pool-calls.ts";

const SEEDS = Number(process.env.HEDDLE_SIM_SEEDS ?? 40);
const FIRST = Number(process.env.HEDDLE_SIM_FIRST ?? 1);
const ONLY = process.env.HEDDLE_SIM_SEED;

/**
 * Pools with everything that they can be asked for, with the real shells, sessions and codecs, through whatever the seed draws. Once all is
 * healed each call must have settled with just what it promises, or with an error of the system that names what happened.
 */
describe("pools with all that they can be asked for, through what their seed draws", () => {
  test(`settle every call of ${SEEDS} seeds rightly`, async () => {
    const seeds = ONLY === undefined ? Array.from({ length: SEEDS }, (_, at) => FIRST + at) : [Number(ONLY)];
    let kept = 0;
    for (const seed of seeds) {
      kept += await run(seed).catch((cause: unknown) => {
        throw new Error(`seed ${seed} failed; HEDDLE_SIM_SEED=${seed} replays it`, { cause });
      });
    }
    if (ONLY === undefined) expect(kept).toBeGreaterThan(SEEDS * 2);
  });
});

/** How many calls gave what they promise; the others were ended by the system. */
async function run(seed: number): Promise<number> {
  const random = seededRandom(seed, "whole pools");
  const nodes = 1 + random.int(3);
  await using cluster = new SimulatedCluster({ seed, nodes, slots: 1 + random.int(3), plan: swarmPlan(random) });
  const fabric = await cluster.drive(cluster.fabric());
  const initMs = [0, 5, 500][random.int(3)] ?? 0;
  const maxTasksPerChild = random.int(2) === 0 ? undefined : 1 + random.int(20);
  const hasInitializer = random.int(2) === 0;
  const joinedPids = new Set<number>();
  const initializer = async (): Promise<void> => {
    const { pid, sleep } = cluster.world.processes.here();
    await sleep(initMs);
    joinedPids.add(pid);
  };
  await using pool = fabric.pool({
    ...(hasInitializer ? { initializer } : {}),
    ...(maxTasksPerChild === undefined ? {} : { maxTasksPerChild }),
  });
  const joined: Stage["joined"] = (fn) => (n) => {
    if (hasInitializer && !joinedPids.has(cluster.world.processes.here().pid)) throw new Error("not joined");
    return fn(n);
  };
  const stage: Stage = { cluster, pool, random, joined };
  const calls = wholePoolCalls.filter(() => random.int(2) === 0);
  const settled = Promise.allSettled(calls.map((call) => call(stage)));
  await cluster.drive(Promise.race([settled, passed(cluster, random.int(60_000))]));
  cluster.heal();
  let kept = 0;
  for (const outcome of await cluster.drive(settled)) {
    if (outcome.status === "fulfilled") kept++;
    else if (!(outcome.reason instanceof UnavailableError || outcome.reason instanceof WorkerLostError))
      throw outcome.reason;
  }
  await cluster.drive(pool.terminate()); // a stream that gave the error of an item waits for whoever reads on
  await cluster.drive(cluster.settled());
  return kept;
}
