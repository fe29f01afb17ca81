import { seededRandom } from "@heddle/kernel";
import { type FaultPlan, swarmPlan } from "@heddle/sim";
import { UnavailableError, WorkerLostError } from "heddle";
import { describe, expect, test, vi } from "vitest";
import { SimulatedCluster } from "../harness/simulated-cluster.ts";
import { moreCalls, passed, type Stage, wholePoolCalls } from "../harness/whole-pool-calls.ts";

vi.setConfig({ testTimeout: 120_000 }); // eight seconds alone, many more on a busy machine

const SEEDS = Number(process.env.HEDDLE_SIM_SEEDS ?? 30);
const FIRST = Number(process.env.HEDDLE_SIM_FIRST ?? 1);
const ONLY = process.env.HEDDLE_SIM_SEED;
/** Virtual time of trouble, at most. */
const STORM_MS = 90_000;

const seeds = ONLY === undefined ? Array.from({ length: SEEDS }, (_, at) => FIRST + at) : [Number(ONLY)];

/** How many calls gave what they promise, and what ended the others. */
interface Outcome {
  readonly kept: number;
  readonly errors: readonly unknown[];
}

/** Calls of every kind while `trouble` lasts; all is healed then, and every call must settle. */
async function run(seed: number, { plan, patienceMs, trouble }: Case): Promise<Outcome> {
  const random = seededRandom(seed, "coordinator crashes");
  const coordinatorCrashes = true;
  const cluster = new SimulatedCluster({
    ...{ seed, nodes: 1 + random.int(3), slots: 1 + random.int(3), unavailableTimeoutMs: patienceMs },
    ...{ plan: plan(swarmPlan(random)), coordinatorCrashes },
  });
  const fabric = await cluster.drive(cluster.fabric());
  // who never reached a coordinator is not patient
  const isReady = (): Promise<boolean> =>
    fabric
      .ready()
      .then(() => true)
      .catch(() => false);
  while (!(await cluster.drive(isReady())));
  const joinedPids = new Set<number>();
  const initializer = (): void => void joinedPids.add(cluster.world.processes.here().pid);
  const hasInitializer = random.int(2) === 0;
  await using pool = fabric.pool(hasInitializer ? { initializer } : {});
  const joined: Stage["joined"] = (fn) => (n) => {
    if (hasInitializer && !joinedPids.has(cluster.world.processes.here().pid)) throw new Error("not joined");
    return fn(n);
  };
  const calls = [...wholePoolCalls, ...moreCalls].filter(() => random.int(3) === 0);
  const settled = Promise.allSettled(calls.map((call) => call({ cluster, pool, random, joined })));
  const over = { isOver: false };
  await cluster.drive(Promise.race([settled, trouble(cluster, seed, over)]));
  over.isOver = true;
  cluster.heal();
  cluster.startCoordinator();
  const outcomes = await cluster.drive(settled);
  await cluster.drive(pool.terminate()); // a stream that gave the error of an item waits for whoever reads on
  await cluster.drive(cluster.settled());
  await cluster[Symbol.asyncDispose]();
  expect([...cluster.world.processes.live]).toEqual([]);
  const errors = outcomes.flatMap((outcome) => (outcome.status === "rejected" ? [outcome.reason as unknown] : []));
  return { kept: outcomes.length - errors.length, errors };
}

interface Case {
  readonly plan: (drawn: FaultPlan) => FaultPlan;
  readonly patienceMs: number;
  /** Goes on until it is over. */
  readonly trouble: (cluster: SimulatedCluster, seed: number, over: { readonly isOver: boolean }) => Promise<void>;
}

/** The coordinator crashes again and again: sometimes as soon as it is back. */
const crashes: Case["trouble"] = async (cluster, seed, over) => {
  const random = seededRandom(seed, "crashes");
  const untilMs = cluster.world.clock.nowMs() + STORM_MS;
  while (cluster.world.clock.nowMs() < untilMs) {
    await passed(cluster, random.int([50, 1_000, 10_000][random.int(3)] ?? 50));
    if (over.isOver) return;
    cluster.killCoordinator();
    await passed(cluster, random.int([10, 500, 5_000][random.int(3)] ?? 10));
    cluster.startCoordinator();
  }
};

describe("a coordinator that crashes at any time, and is started again", () => {
  test(`costs no call of ${SEEDS} seeds anything, whatever links do meanwhile`, async () => {
    let kept = 0;
    for (const seed of seeds) {
      const plan = (drawn: FaultPlan): FaultPlan => ({ ...drawn, crash: 0, killWorker: 0, partition: 0 });
      const outcome = await run(seed, { plan, patienceMs: 3_600_000, trouble: crashes }).catch((cause: unknown) => {
        throw new Error(`seed ${seed} failed; HEDDLE_SIM_SEED=${seed} replays it`, { cause });
      });
      expect(outcome.errors, `seed ${seed}`).toEqual([]);
      kept += outcome.kept;
    }
    if (ONLY === undefined) expect(kept).toBeGreaterThan(2 * SEEDS);
  });

  test(`among all other faults of ${SEEDS} seeds ends each call rightly, or with one error of the system`, async () => {
    for (const seed of seeds) {
      const trouble = (cluster: SimulatedCluster): Promise<void> => passed(cluster, STORM_MS);
      const outcome = await run(seed, { plan: (drawn) => drawn, patienceMs: 60_000, trouble }).catch(
        (cause: unknown) => {
          throw new Error(`seed ${seed} failed; HEDDLE_SIM_SEED=${seed} replays it`, { cause });
        },
      );
      for (const error of outcome.errors)
        if (!(error instanceof UnavailableError || error instanceof WorkerLostError)) throw error;
    }
  });
});
