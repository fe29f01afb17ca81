import type { Clock } from "./clock.ts";
import type { Logger } from "./log.ts";
import type { Random } from "./random.ts";

/** What a shell may know of the world around it: time, chance and a log. Everything else is a port. */
export interface Environment {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
}
