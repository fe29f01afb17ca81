import { type Random, seededRandom } from "@heddle/kernel";
import { calmPlan, type FaultPlan, swarmPlan } from "@heddle/sim";
import { calmDisk, type DiskPlan } from "../../harness/simulated-disk.ts";
import { type LaneName, laneNames } from "./lanes.ts";

/** What a seed is made of: a fabric, what its clients do, and what goes wrong meanwhile. */
export interface SystemPlan {
  readonly seed: number;
  /**
   * "storm": anything goes wrong for any time, and a call may end with an error of the system. "outages": coordinator, manager and links are away for
   * less than a lease at a time, and nobody may see an error.
   */
  readonly weather: "storm" | "outages";
  readonly nodes: number;
  readonly slots: number;
  readonly faults: FaultPlan;
  readonly disk: DiskPlan;
  /** Virtual time of trouble, at most. */
  readonly stormMs: number;
  readonly unavailableTimeoutMs: number;
  /** What each client does, all at once. */
  readonly clients: readonly (readonly LaneName[])[];
  /** The last client dies amid its calls. */
  readonly hasGoner: boolean;
}

const NODES_MAX = 3;
const SLOTS_MAX = 3;
const CLIENTS_MAX = 3;
const LANES_MAX = 3;
/** Virtual time of trouble: most runs are shorter than a lease, some see many of them pass. */
const STORMS_MS = [3_000, 10_000, 30_000, 90_000] as const;

/** Draws a plan. The same seed, the same plan. */
export function planOf(seed: number): SystemPlan {
  const random = seededRandom(seed, "system");
  const weather = random.int(3) === 0 ? "outages" : "storm";
  const clients = Array.from({ length: 1 + random.int(CLIENTS_MAX) }, () => lanesOf(random));
  return {
    seed,
    weather,
    nodes: 1 + random.int(NODES_MAX),
    slots: 1 + random.int(SLOTS_MAX),
    faults: weather === "storm" ? swarmPlan(random) : outagesPlan(random),
    disk: diskOf(random, weather),
    stormMs: pick(random, STORMS_MS),
    unavailableTimeoutMs: weather === "storm" ? pick(random, [5_000, 60_000]) : 3_600_000,
    clients,
    hasGoner: clients.length > 1 && random.int(3) === 0,
  };
}

function lanesOf(random: Random): readonly LaneName[] {
  return Array.from({ length: 1 + random.int(LANES_MAX) }, () => pick(random, laneNames));
}

/** Short ones: at most ten times their mean, which is less than a lease. */
function outagesPlan(random: Random): FaultPlan {
  const rate = (most: number): number => (random.int(2) === 0 ? 0 : (most * (1 + random.int(20))) / 20);
  return {
    ...calmPlan,
    delayMs: [random.int(3), pick(random, [2, 10, 50])],
    breakLink: rate(0.5),
    blackhole: rate(0.1),
    crash: rate(0.15),
    refuseDial: rate(0.1),
    outageMs: [1, pick(random, [50, 200, 400])],
    clockDriftPpm: random.int(2) * 200,
  };
}

function diskOf(random: Random, weather: SystemPlan["weather"]): DiskPlan {
  const commitMs = [random.int(2), pick(random, [1, 5, 30])] as const;
  if (random.int(2) === 0) return { ...calmDisk, commitMs };
  const chance = (): number => random.int(3) * 0.01;
  return { commitMs, full: weather === "storm" ? chance() : 0, broken: chance(), torn: chance() };
}

/** One of some. */
export function pick<T>(random: Random, choices: readonly [T, ...T[]] | readonly T[]): T {
  const choice = choices[random.int(choices.length)];
  if (choice === undefined) throw new RangeError("there is nothing to choose from");
  return choice;
}
