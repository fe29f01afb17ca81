import { type Random, seededRandom } from "@heddle/kernel";
import { type FaultPlan, swarmPlan } from "@heddle/sim";
import type { Dict, Fabric, List } from "heddle";
import { describe, expect, test, vi } from "vitest";
import { SimulatedCluster } from "../harness/simulated-cluster.ts";
import { calmDisk } from "../harness/simulated-disk.ts";
import { passed } from "../harness/whole-pool-calls.ts";

vi.setConfig({ testTimeout: 120_000 }); // ten seconds alone, many more on a busy machine

const SEEDS = Number(process.env.HEDDLE_SIM_SEEDS ?? 30);
const FIRST = Number(process.env.HEDDLE_SIM_FIRST ?? 1);
const ONLY = process.env.HEDDLE_SIM_SEED;
/** Virtual time of trouble, at most. */
const STORM_MS = 60_000;
/** Errors of items of which nobody can know whether they count: the manager was away, or had forgotten the call. */
const UNKNOWN = new Set(["OutcomeUnknownError", "UnavailableError", "SessionLostError"]);

const seeds = ONLY === undefined ? Array.from({ length: SEEDS }, (_, at) => FIRST + at) : [Number(ONLY)];

/** What items write: the same mark in each, and the number of marks. */
interface Marks {
  readonly byItem: Dict<number, string>;
  readonly lines: List<string>;
  readonly sums: Dict<string, number>;
}

function marksOf(fabric: Fabric): Marks {
  const manager = fabric.manager();
  return {
    byItem: manager.dict<number, string>(undefined, { name: "by item" }),
    lines: manager.list<string>([], { name: "lines" }),
    sums: manager.dict<string, number>(undefined, { name: "sums" }),
  };
}

/** What came of a run. */
interface Outcome {
  /** Items that have their result. */
  readonly answered: number;
  /** Runs of items that began. */
  readonly runs: number;
  /** The call failed as a whole. */
  readonly isLost: boolean;
}

interface Case {
  readonly plan: (drawn: FaultPlan) => FaultPlan;
  readonly patienceMs: number;
  /** The coordinator keeps the job. */
  readonly isKept?: boolean;
}

/** A call whose items read and write while everything goes wrong; then all is healed, and it must have been as if each item had run once or never. */
async function run(seed: number, { plan, patienceMs, isKept = false }: Case): Promise<Outcome> {
  const random = seededRandom(seed, "effects once");
  const cluster = new SimulatedCluster({
    ...{ seed, nodes: 1 + random.int(3), slots: 1 + random.int(2), unavailableTimeoutMs: patienceMs },
    ...{ plan: plan(swarmPlan(random)), coordinatorCrashes: true },
    disk: { ...calmDisk, torn: random.int(2) * 0.01 },
  });
  const fabric = await cluster.drive(cluster.fabric());
  const isReady = (): Promise<boolean> =>
    fabric.ready({ timeoutMs: 60_000 }).then(
      () => true,
      () => false,
    );
  // who never reached a coordinator is not patient; where machines are down more than up it may never be so far
  for (let tries = 1; !(await cluster.drive(isReady())); tries++) if (tries === 5) cluster.heal();
  await using pool = fabric.pool();
  const { byItem, lines, sums } = marksOf(fabric);
  let runs = 0;
  const task = taskOf(cluster, random, () => ++runs);
  const count = 10 + random.int(60);
  const inputs = Array.from({ length: count }, (_, n): Parameters<typeof task> => [byItem, lines, sums, n]);
  const how = { chunkSize: 1 + random.int(8), retries: random.int(3), onError: "collect", effects: "once" } as const;
  const call = pool.starmapAsync(task, inputs, { ...how, speculate: random.int(2) === 0, detach: isKept });
  const begun: Promise<unknown> = outcomeOf<unknown>(isKept ? call.accepted() : call);
  await cluster.drive(Promise.race([begun, passed(cluster, STORM_MS)]));
  if (isKept) await cluster.drive(passed(cluster, random.int(STORM_MS)));
  cluster.heal();
  cluster.startCoordinator();
  if (isKept) {
    await cluster.drive(begun);
    await expectClosed(cluster); // nobody listens to it, nor could, where it was not accepted
  }
  const settled = await cluster.drive(outcomeOf(call));
  await cluster.drive(cluster.settled());
  const judge = marksOf(cluster.client().fabric);
  const there = await cluster.drive(
    Promise.all([judge.byItem.entries(), judge.lines.toArray(), judge.sums.get("marks", 0)]),
  );
  await expectClosed(cluster);
  await cluster[Symbol.asyncDispose]();
  const answered = expectOnce(settled, there);
  return { answered, runs, isLost: settled instanceof Error };
}

function outcomeOf<R>(call: PromiseLike<R>): Promise<R | Error> {
  return Promise.resolve(call).catch((error: unknown) => (error instanceof Error ? error : new Error(String(error))));
}

/** Writes marks that no other run writes, by reading and writing, blindly and without waiting; sometimes it fails after that. */
function taskOf(cluster: SimulatedCluster, random: Random, serial: () => number) {
  const failsEvery = 2 + random.int(10);
  return async (byItem: Dict<number, string>, lines: List<string>, sums: Dict<string, number>, n: number) => {
    const mark = `${n}/${serial()}`;
    const { sleep } = cluster.world.processes.here();
    await byItem.set(n, mark);
    void lines.append(mark);
    await sleep(n % 7);
    await sums.modify("marks", (marks = 0) => marks + 1);
    if (serial() % failsEvery === 0) throw new RangeError(`no ${n}`);
    return mark;
  };
}

/** The manager comes to know no job any more. */
async function expectClosed(cluster: SimulatedCluster): Promise<void> {
  const open = (): number | undefined => cluster.manager?.numbers().heddle_manager_effects_jobs;
  for (let looks = 0; open() !== 0 && looks < 600; looks++) await cluster.drive(passed(cluster, 1_000));
  expect(open()).toBe(0);
}

type There = readonly [entries: readonly [number, string][], lines: readonly string[], sum: number];

/** Of each item that has a result there is that very mark, of others none; and none is there twice. Gives how many have. */
function expectOnce(settled: readonly PromiseSettledResult<string>[] | Error, [entries, lines, sum]: There): number {
  const byItem = new Map(entries);
  expect([...lines].sort()).toEqual([...byItem.values()].sort()); // each run counts as a whole
  expect(sum).toBe(byItem.size);
  for (const [n, mark] of byItem) expect(mark.startsWith(`${n}/`)).toBe(true);
  if (settled instanceof Error) {
    expect([...UNKNOWN]).toContain(settled.name);
    return 0;
  }
  for (const [n, one] of settled.entries()) {
    if (one.status === "fulfilled") expect([n, byItem.get(n)]).toEqual([n, one.value]);
    else if (!UNKNOWN.has(one.reason.name))
      expect([n, byItem.get(n), one.reason.name]).toEqual([n, undefined, one.reason.name]);
  }
  return settled.filter(({ status }) => status === "fulfilled").length;
}

async function runAll(how: Case): Promise<readonly Outcome[]> {
  const outcomes: Outcome[] = [];
  for (const seed of seeds) {
    outcomes.push(
      await run(seed, how).catch((cause: unknown) => {
        throw new Error(`seed ${seed} failed; HEDDLE_SIM_SEED=${seed} replays it`, { cause });
      }),
    );
  }
  return outcomes;
}

describe("what items write counts if and only if they are answered, each once", () => {
  test(`while coordinator, manager, agents and workers are killed at any step, of ${SEEDS} seeds`, async () => {
    const plan = (drawn: FaultPlan): FaultPlan => ({
      ...drawn,
      partition: 0,
      blackhole: 0,
      pause: 0,
      killWorker: 0.5,
      crash: 0.2,
    });
    const outcomes = await runAll({ plan, patienceMs: 3_600_000 });
    if (ONLY !== undefined) return;
    expect(outcomes.filter(({ isLost }) => isLost).length).toBeLessThan(SEEDS / 4);
    const [answered, runs] = [
      outcomes.reduce((sum, one) => sum + one.answered, 0),
      outcomes.reduce((sum, one) => sum + one.runs, 0),
    ];
    expect(answered).toBeGreaterThan(15 * SEEDS);
    expect(runs).toBeGreaterThan(answered); // some ran again
  });

  test(`of a job that is kept, while coordinator, manager, agents and workers are killed at any step, of ${SEEDS} seeds`, async () => {
    const plan = (drawn: FaultPlan): FaultPlan => ({
      ...drawn,
      partition: 0,
      blackhole: 0,
      killWorker: 0.5,
      crash: 0.2,
    });
    const outcomes = await runAll({ plan, patienceMs: 3_600_000, isKept: true });
    if (ONLY === undefined) expect(outcomes.reduce((sum, one) => sum + one.answered, 0)).toBeGreaterThan(15 * SEEDS);
  });

  test(`among all other faults, of ${SEEDS} seeds`, async () => {
    await runAll({ plan: (drawn) => drawn, patienceMs: 60_000 });
  });
});
