import { isDeepStrictEqual } from "node:util";
import type { Fabric } from "@heddle/client";
import { seededRandom } from "@heddle/kernel";
import { SimulatedCluster } from "../../harness/simulated-cluster.ts";
import { isOfOutages, isOfSystem, type Lane, PromiseBroken, passed, promised } from "./lane.ts";
import { laneOf } from "./lanes.ts";
import type { SystemPlan } from "./plan.ts";

/** What a seed came to. */
export interface SeedReport {
  readonly seed: number;
  /** The same for the same seed and the same code. */
  readonly digest: string;
  readonly events: number;
  readonly virtualMs: number;
  /** Lanes that gave all that they promise. */
  readonly kept: number;
  /** Lanes that an error of the system ended, by its name. */
  readonly ended: ReadonlyMap<string, number>;
  /** Faults that struck, by kind. */
  readonly faults: ReadonlyMap<string, number>;
}

/** Looks at a state that may still change, until it has not. */
const LOOKS_MAX = 100;

/** Runs a plan: trouble, then a healed world in which everything settles, then what is left is judged. Rejects with what is wrong. */
export async function runSystem(plan: SystemPlan): Promise<SeedReport> {
  const { seed, nodes, slots, faults, disk, unavailableTimeoutMs } = plan;
  const cluster = new SimulatedCluster({
    ...{ seed, nodes, slots, disk, unavailableTimeoutMs },
    ...{ plan: faults, coordinatorCrashes: true },
  });
  const run = new SystemRun(cluster, plan);
  const ended = await run.through();
  await run.judge();
  await cluster[Symbol.asyncDispose]();
  promised(cluster.world.processes.live.size === 0, () => "worker processes outlive their agents");
  const { digest, events, virtualMs } = cluster.world.report("done");
  return { seed, digest, events, virtualMs, ...ended, faults: run.faults };
}

class SystemRun {
  readonly #cluster: SimulatedCluster;
  readonly #plan: SystemPlan;
  readonly #lanes: Lane[] = [];
  readonly #running: Promise<void>[] = [];
  /** Names of lanes that have not settled. */
  readonly #pending = new Set<string>();

  constructor(cluster: SimulatedCluster, plan: SystemPlan) {
    this.#cluster = cluster;
    this.#plan = plan;
  }

  /** Of machines of one kind together. */
  get faults(): ReadonlyMap<string, number> {
    const counts = new Map<string, number>();
    const { world, disk, manager } = this.#cluster;
    for (const [kind, count] of [...world.faults, ...disk.faults, ...(manager?.disk.faults ?? [])]) {
      const name = kind.replace(/ n\d+$/, " agent").replace(/ (client-\d+|observer)$/, " client");
      counts.set(name, (counts.get(name) ?? 0) + count);
    }
    return counts;
  }

  /** Everything at once while there is trouble; then it is healed, and all must settle. */
  async through(): Promise<Pick<SeedReport, "kept" | "ended">> {
    const cluster = this.#cluster;
    const gone = this.#plan.clients.map((_, at) => this.#begin(at));
    const settled = Promise.allSettled(this.#running);
    await cluster.drive(Promise.race([settled, passed(cluster, this.#plan.stormMs)]));
    cluster.heal();
    for (const leave of gone) leave();
    await cluster.drive(passed(cluster, 1_000)); // servers whose disks broke last are started again
    const outcomes = await cluster.drive(settled).catch((cause: unknown) => {
      throw new PromiseBroken(`still pending: ${[...this.#pending].join(", ")}`, { cause });
    });
    const ended = new Map<string, number>();
    for (const outcome of outcomes) {
      if (outcome.status === "fulfilled") continue;
      const name = this.#excused(outcome.reason);
      ended.set(name, (ended.get(name) ?? 0) + 1);
    }
    await cluster.drive(cluster.settled());
    return { kept: outcomes.filter(({ status }) => status === "fulfilled").length, ended };
  }

  /** All that is shared is what it must be, in the manager that lives, in its journal, and in the one that is started on that. */
  async judge(): Promise<void> {
    const cluster = this.#cluster;
    const { fabric } = cluster.client();
    for (const { judge } of this.#lanes) if (judge !== undefined) await cluster.drive(judge(fabric));
    const before = await this.#read(fabric);
    await this.#judgeJournal();
    cluster.manager?.host.restart();
    const after = await this.#read(fabric);
    promised(isDeepStrictEqual(after, before), () => `restarted, the manager has ${shown(after)} of ${shown(before)}`);
    await cluster.drive(fabric.close());
  }

  /** Begins what a client does. Gives what makes it leave if it is to die amid that: sooner by chance, else then. */
  #begin(at: number): () => void {
    const { seed, clients, hasGoner } = this.#plan;
    const { world } = this.#cluster;
    const client = this.#cluster.client();
    const isGoner = hasGoner && at === clients.length - 1;
    for (const [number, laneName] of (clients[at] ?? []).entries()) {
      const name = `${laneName} ${at}.${number}`;
      const random = seededRandom(seed, name);
      const pool = client.fabric.pool();
      const stage = { cluster: this.#cluster, fabric: client.fabric, pool, random, plan: this.#plan, isGoner, name };
      const lane = laneOf(laneName, stage);
      this.#lanes.push(lane);
      const begun = passed(this.#cluster, random.int(this.#plan.stormMs)).then(lane.run);
      const running = named(
        begun.finally(() => (isGoner ? undefined : pool.terminate())),
        name,
      );
      running.catch(() => undefined);
      if (isGoner) continue;
      this.#running.push(running);
      this.#pending.add(name);
      const settled = (): boolean => this.#pending.delete(name);
      running.then(settled, settled);
    }
    if (!isGoner) return () => undefined;
    const leave = (): void => client.host.crash();
    world.clock.setTimer(world.random("goner").int(this.#plan.stormMs), leave);
    return leave;
  }

  /** The name of an error of the system that may end a lane in such weather. Throws what is none. */
  #excused(error: unknown): string {
    const isExcuse = this.#plan.weather === "storm" ? isOfSystem : isOfOutages;
    if (!isExcuse(error)) throw error;
    return error.name;
  }

  async #judgeJournal(): Promise<void> {
    const { manager } = this.#cluster;
    if (manager === undefined) return;
    for (let look = 0; look < LOOKS_MAX; look++) {
      const before = manager.numbers();
      const replayed = await this.#cluster.drive(manager.replayed());
      if (isDeepStrictEqual(manager.numbers(), before) && isDeepStrictEqual(replayed, before)) return;
      await this.#cluster.drive(passed(this.#cluster, 100));
    }
    const [live, replayed] = [manager.numbers(), await this.#cluster.drive(manager.replayed())];
    throw new PromiseBroken(`the journal gives ${shown(replayed)} of ${shown(live)}`);
  }

  async #read(fabric: Fabric): Promise<readonly unknown[]> {
    const all: unknown[] = [];
    for (const { read } of this.#lanes) if (read !== undefined) all.push(await this.#cluster.drive(read(fabric)));
    return all;
  }
}

function shown(value: unknown): string {
  return JSON.stringify(value, (_, each: unknown) => (typeof each === "bigint" ? `${each}n` : each));
}

/** Says in which lane something broke. */
async function named<T>(running: Promise<T>, name: string): Promise<T> {
  try {
    return await running;
  } catch (error) {
    if (error instanceof Error) Object.assign(error, { lane: name });
    throw error;
  }
}
