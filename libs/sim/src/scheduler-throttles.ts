import type { ClientKey, Input, JobKey } from "@heddle/core-scheduler";
import type { Millis, Random } from "@heddle/kernel";
import type { SwarmOptions } from "./scheduler-faults.ts";

/** What throttles need of the world around them. */
interface ThrottledWorld {
  after(delayMs: Millis, run: () => void): void;
  feed(input: Input): void;
}

/** When clients read too slowly, and results of jobs have no room. */
export class Throttles {
  readonly #world: ThrottledWorld;
  readonly #options: SwarmOptions;
  readonly #ofClients: Random;
  readonly #ofJobs: Random;
  readonly #throttled: Input[] = [];
  #healed = false;

  /** `ofClients`, `ofJobs`: what their times are drawn from. */
  constructor(world: ThrottledWorld, options: SwarmOptions, ofClients: Random, ofJobs: Random) {
    this.#world = world;
    this.#options = options;
    this.#ofClients = ofClients;
    this.#ofJobs = ofJobs;
  }

  client(client: ClientKey): void {
    this.#plan(this.#ofClients, (throttled) => ({ type: "client-throttled", client, throttled }));
  }

  job(job: JobKey): void {
    this.#plan(this.#ofJobs, (throttled) => ({ type: "job-throttled", job, throttled }));
  }

  /** Nothing is held back any more. */
  heal(): void {
    this.#healed = true;
    for (const input of this.#throttled) this.#world.feed(input);
  }

  #plan(random: Random, input: (throttled: boolean) => Input): void {
    if (random.float() >= this.#options.throttles) return;
    const fromMs = random.int(this.#options.faultsUntilMs);
    const end = input(false);
    this.#throttled.push(end);
    this.#world.after(fromMs, () => this.#world.feed(this.#healed ? end : input(true)));
    this.#world.after(fromMs + random.int(500), () => this.#world.feed(end));
  }
}
