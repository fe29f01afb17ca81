import type { Millis, Random } from "@heddle/kernel";
import type { EventLoop } from "./event-loop.ts";
import { drawMs, type FaultPlan } from "./fault-plan.ts";
import type { Host } from "./host.ts";
import type { Network } from "./network.ts";
import type { ProcessTable } from "./process-table.ts";

/** What faults act upon. */
export interface ChaosWorld {
  readonly loop: EventLoop;
  readonly network: Network;
  readonly random: (stream: string) => Random;
  /** In order of creation. */
  readonly hosts: () => readonly Host[];
  readonly processes: ProcessTable;
}

/** Faults by chance: each kind comes at its own rate, from its own stream of numbers, until healed. */
export class Chaos {
  readonly #world: ChaosWorld;
  readonly #plan: FaultPlan;
  /** Machines that a fault has put down, to be booted again. */
  readonly #fallen = new Set<Host>();
  /** How many faults of each kind have struck; those that strike a machine with its name. */
  readonly counts = new Map<string, number>();
  #isHealed = false;

  constructor(world: ChaosWorld, plan: FaultPlan) {
    this.#world = world;
    this.#plan = plan;
    this.#every("breakLink", (random) => this.#breakLink(random));
    this.#every("blackhole", (random) => this.#blackhole(random));
    this.#every("partition", (random) => this.#partition(random));
    this.#every("crash", (random) => this.#crash(random));
    this.#every("pause", (random) => this.#pause(random));
    this.#every("killWorker", (random) => this.#killWorker(random));
  }

  /** No more faults; what they did to machines is undone. */
  heal(): void {
    this.#isHealed = true;
    for (const host of this.#fallen) if (host.state === "down") host.restart();
    this.#fallen.clear();
  }

  /** Plans the next fault of a kind: a Poisson process. */
  #every(
    kind: "breakLink" | "blackhole" | "partition" | "crash" | "pause" | "killWorker",
    strike: (random: Random) => void,
  ): void {
    const rate = this.#plan[kind];
    if (rate === 0 || this.#isHealed) return;
    const random = this.#world.random(`fault ${kind}`);
    this.#after(drawMs(random, [0, 1_000 / rate]), `fault ${kind}`, () => {
      strike(random);
      this.#every(kind, strike);
    });
  }

  /** Runs unless healed by then. */
  #after(delayMs: Millis, what: string, run: () => void): void {
    const { loop } = this.#world;
    loop.post({ atMs: loop.nowMs + delayMs, owner: undefined, what, run: () => (this.#isHealed ? undefined : run()) });
  }

  #count(kind: string): void {
    this.counts.set(kind, (this.counts.get(kind) ?? 0) + 1);
  }

  #killWorker(random: Random): void {
    const victim = pick([...this.#world.processes.live], random);
    if (victim === undefined) return;
    this.#count("kill worker");
    victim.kill("SIGKILL");
  }

  #breakLink(random: Random): void {
    const connection = pick(this.#world.network.connections, random);
    if (connection === undefined) return;
    this.#count("break link");
    connection.sever("by chance");
  }

  #blackhole(random: Random): void {
    const connection = pick(this.#world.network.connections, random);
    const directions = (["both", "out", "back"] as const)[random.int(3)] ?? "both";
    const outageMs = drawMs(random, this.#plan.outageMs);
    if (connection === undefined) return;
    this.#count(directions === "both" ? "blackhole" : "half-open link");
    connection.blackhole(directions);
    this.#after(outageMs, `mend link ${connection.id}`, () => this.#world.network.mend(connection));
  }

  #partition(random: Random): void {
    const from = pick(this.#world.hosts(), random);
    const to = pick(this.#world.hosts(), random);
    const oneWay = random.int(3) === 0;
    const outageMs = drawMs(random, this.#plan.outageMs);
    if (from === undefined || to === undefined || from === to) return;
    const { network } = this.#world;
    this.#count("partition");
    network.part(from.name, to.name);
    if (!oneWay) network.part(to.name, from.name);
    this.#after(outageMs, `rejoin ${from.name} ${to.name}`, () => {
      network.rejoin(from.name, to.name);
      network.rejoin(to.name, from.name);
    });
  }

  #crash(random: Random): void {
    const host = pick(
      this.#world.hosts().filter((each) => each.mayCrash && each.state !== "down"),
      random,
    );
    const silent = random.int(2) === 0;
    const outageMs = drawMs(random, this.#plan.outageMs);
    if (host === undefined) return;
    this.#count(`crash ${host.name}`);
    host.crash({ silent });
    this.#fallen.add(host);
    this.#after(outageMs, `boot ${host.name}`, () => {
      this.#fallen.delete(host);
      if (host.state === "down") host.restart();
    });
  }

  #pause(random: Random): void {
    const host = pick(
      this.#world.hosts().filter((each) => each.mayPause && each.state === "up"),
      random,
    );
    if (host === undefined) return;
    this.#count(`pause ${host.name}`);
    host.pause(drawMs(random, this.#plan.outageMs));
  }
}

function pick<T>(items: readonly T[], random: Random): T | undefined {
  return items.length === 0 ? undefined : items[random.int(items.length)];
}
