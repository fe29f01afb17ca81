import { FabricProcess, ProcessFamily } from "@heddle/client";
import { type Random, seededRandom } from "@heddle/kernel";
import { swarmPlan } from "@heddle/sim";
import { type Fabric, UnavailableError } from "heddle";
import { describe, expect, test } from "vitest";
import { SimulatedCluster } from "../harness/simulated-cluster.ts";

const SEEDS = Number(process.env.HEDDLE_SIM_SEEDS ?? 200);
const ONLY = process.env.HEDDLE_SIM_SEED;
const LOST = -9;

/** One process of a run: what it is for, and the exit code that it has unless it is lost with its node. */
interface Trial {
  readonly child: FabricProcess;
  readonly exitCode: number;
  /** Ends one that would not end by itself. */
  readonly finish: () => Promise<void>;
}

/**
 * Processes on the whole fabric through whatever its seed draws. Then everything is healed, and every process must be over: with its own exit
 * code, with that of the lost, or with one error that says that the fabric was out of reach; and nothing may run for a client that is gone.
 */
describe("processes through what a seed draws", () => {
  test(`of ${SEEDS} seeds are all over in the end, as they should be`, async () => {
    const seeds = ONLY === undefined ? Array.from({ length: SEEDS }, (_, at) => at + 1) : [Number(ONLY)];
    const counts = new Map<string, number>();
    for (const seed of seeds) {
      const outcomes = await run(seed).catch((cause: unknown) => {
        throw new Error(`seed ${seed} failed; HEDDLE_SIM_SEED=${seed} replays it`, { cause });
      });
      for (const outcome of outcomes) counts.set(outcome, (counts.get(outcome) ?? 0) + 1);
    }
    if (ONLY !== undefined) return;
    expect(counts.get("own") ?? 0).toBeGreaterThan(SEEDS);
    expect(counts.get("lost") ?? 0).toBeGreaterThan(0);
    expect(counts.get("unavailable") ?? 0).toBeGreaterThan(0);
  });
});

async function run(seed: number): Promise<readonly string[]> {
  const random = seededRandom(seed, "options");
  const isCalm = random.int(4) === 0;
  const nodes = 1 + random.int(4);
  const plan = isCalm ? {} : { plan: swarmPlan(random) };
  await using cluster = new SimulatedCluster({ seed, nodes, slots: 1 + random.int(2), ...plan });
  const fabric = await cluster.drive(cluster.fabric());
  const family = new ProcessFamily(() => ({ name: "MainProcess", path: "", pid: 1, daemon: false, node: undefined }));
  const trials = Array.from({ length: 1 + random.int(8) }, () => trial(cluster, { random, fabric, family }));
  const starts = trials.map(async ({ child }) => {
    await passed(cluster, random.int(5_000));
    await child.start();
  });
  const starting = Promise.allSettled(starts);
  await cluster.drive(Promise.race([starting, passed(cluster, random.int(60_000))]));
  cluster.heal();
  const started = await cluster.drive(starting);
  if (random.int(3) === 0) {
    cluster.vanishClient();
    await cluster.drive(cluster.settled());
    return [];
  }
  const outcomes: string[] = [];
  for (const [at, { child, exitCode, finish }] of trials.entries()) {
    const start = started[at];
    if (start?.status === "rejected") {
      expect(start.reason).toBeInstanceOf(UnavailableError);
      outcomes.push("unavailable");
      continue;
    }
    await finish();
    outcomes.push(await outcomeOf(cluster, child, exitCode));
  }
  if (isCalm) expect(outcomes).toEqual(trials.map(() => "own"));
  expect(family.active).toEqual([]);
  await cluster.drive(cluster.settled());
  return outcomes;
}

async function outcomeOf(cluster: SimulatedCluster, child: FabricProcess, exitCode: number): Promise<string> {
  try {
    await cluster.drive(child.join());
  } catch (error) {
    expect(error).toBeInstanceOf(UnavailableError);
    expect(child.exitCode).toBe(LOST);
    return "unavailable";
  }
  if (child.exitCode === exitCode) return "own";
  expect(child.exitCode).toBe(LOST);
  return "lost";
}

function trial(
  cluster: SimulatedCluster,
  { random, fabric, family }: { readonly random: Random; readonly fabric: Fabric; readonly family: ProcessFamily },
): Trial {
  const { tasks } = cluster;
  const kinds = [
    { target: tasks.square, exitCode: 0 },
    { target: tasks.slowSquare(1 + random.int(2_000)), exitCode: 0 },
    { target: tasks.failAt(1), exitCode: 1 },
    { target: tasks.exitOn(1, 7), exitCode: 7 },
    { target: tasks.crashOn(1), exitCode: -9 },
    { target: tasks.never, exitCode: -15, signal: "terminate" },
    { target: tasks.never, exitCode: -9, signal: "kill" },
  ] as const;
  const kind = kinds[random.int(kinds.length)] ?? kinds[0];
  const child = new FabricProcess(fabric.host, { target: kind.target, args: [1] }, family);
  const signal = "signal" in kind ? kind.signal : undefined;
  const finish = async (): Promise<void> => (signal === undefined ? undefined : child[signal]());
  return { child, exitCode: kind.exitCode, finish };
}

function passed(cluster: SimulatedCluster, ms: number): Promise<void> {
  const { clock } = cluster.world;
  return new Promise((resolve) => clock.setTimer(clock.nowMs() + ms, resolve));
}
