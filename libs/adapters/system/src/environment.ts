import type { Environment } from "@heddle/kernel";
import { systemClock } from "./clock.ts";
import { type LogOptions, stderrLogger } from "./log.ts";
import { systemRandom } from "./random.ts";

/** The real world: this machine's clock and chance, and a log on standard error (from "warn" on unless said otherwise). */
export function systemEnvironment(log: LogOptions = { level: "warn" }): Environment {
  return { clock: systemClock(), random: systemRandom(), log: stderrLogger(log) };
}
