import type { Millis, Random, Write, WriteOutcome } from "@heddle/kernel";
import { drawMs, type Life, type SimHost, type World } from "@heddle/sim";

/** What a simulated disk does wrong. */
export interface DiskPlan {
  /** How long a commit takes: exponential above `min`, with this mean. */
  readonly commitMs: readonly [min: Millis, mean: Millis];
  /** Probability that a write finds no space. The next one is asked anew. */
  readonly full: number;
  /** Probability that a write fails so that nobody knows whether it is kept: its server ends, and is started again. */
  readonly broken: number;
  /** Probability that its machine loses power amid a commit, which is kept or not then. */
  readonly torn: number;
}

/** A disk that is quick, has room and never breaks. */
export const calmDisk: DiskPlan = { commitMs: [0, 1], full: 0, broken: 0, torn: 0 };

/** Virtual time after which a server that ended by itself, or lost power, is started again, as by `heddle up`. */
const RESTART_MS = 500;

/** The disk below what a simulated server keeps in memory. It outlives the server's crashes, but for a torn end. */
export class SimulatedDisk {
  /** How many faults of each kind it has made. */
  readonly faults = new Map<string, number>();
  readonly #world: World;
  readonly #random: Random;
  readonly #host: () => SimHost;
  #plan: DiskPlan;
  #life: Life | undefined;

  /** `host`: the machine that it is in. */
  constructor(world: World, options: { readonly name: string; readonly plan: DiskPlan; readonly host: () => SimHost }) {
    this.#world = world;
    this.#random = world.random(options.name);
    this.#plan = options.plan;
    this.#host = options.host;
  }

  /** It is such a one from now on. */
  set(plan: DiskPlan): void {
    this.#plan = plan;
  }

  /** A server has started, which writes from now on, and ends when it `failed`. */
  mount(life: Life): void {
    this.#life = life;
  }

  /** The server has given itself up: its process ends, and whoever runs it starts another. */
  restart(life: Life): void {
    if (!life.alive) return;
    const { clock } = this.#world;
    const host = this.#host();
    host.crash();
    clock.setTimer(clock.nowMs() + RESTART_MS, () => {
      if (host.state === "down") host.restart();
    });
  }

  /** A commit takes its time. One under way when the machine crashes is kept or lost, and nobody is told. */
  readonly write: Write = () => {
    const life = this.#life;
    const outcome = this.#outcome();
    return new Promise((resolve) => {
      if (life === undefined || !life.alive) return; // of a process that is gone: never done
      const torn = life.onEnd(() => {
        const isKept = this.#random.int(2) === 0;
        this.#count(isKept ? "commit kept in a crash" : "commit lost in a crash");
        if (isKept) resolve("kept");
      });
      const commitMs = drawMs(this.#random, this.#plan.commitMs);
      life.post(commitMs, "commit", () => {
        torn[Symbol.dispose]();
        resolve(outcome);
      });
      if (this.#happens(this.#plan.torn)) life.post(commitMs / 2, "power is lost", () => this.restart(life));
    });
  };

  #happens(probability: number): boolean {
    return probability > 0 && this.#random.float() < probability;
  }

  #outcome(): WriteOutcome {
    const { full, broken } = this.#plan;
    if (this.#happens(full)) {
      this.#count("disk full");
      return "full";
    }
    if (!this.#happens(broken)) return "kept";
    this.#count("disk broken");
    return this.#random.int(2) === 0 ? "failed-kept" : "failed-lost";
  }

  #count(kind: string): void {
    this.faults.set(kind, (this.faults.get(kind) ?? 0) + 1);
  }
}
