import type { Report } from "./contender.ts";
import { type ContenderId, commandOf, type Entry, planFor } from "./contenders.ts";
import { busyShare } from "./disturbance.ts";
import { type Figures, figuresOf } from "./figures.ts";
import { type PlannedOperation, type SchedulerSizes, WORKERS } from "./rows.ts";
import { runChild } from "./run-child.ts";

export interface RoundsOptions {
  readonly runs: number;
  readonly plan: readonly PlannedOperation[];
  readonly schedulerSizes: SchedulerSizes;
  /** Interpreters of contenders in Python. */
  readonly pythons: ReadonlyMap<ContenderId, string>;
  readonly signal: AbortSignal;
  /** Told when a contender begins. */
  readonly onStart: (entry: Entry, round: number) => void;
}

export interface Rounds {
  /** Of each contender, one for each round that it got through. */
  readonly figures: ReadonlyMap<ContenderId, readonly Figures[]>;
  readonly hows: ReadonlyMap<ContenderId, Report["hows"]>;
  /** How busy others kept the machine before each measurement, from 0 to 1. */
  readonly busyShares: readonly number[];
  /** One line each. */
  readonly failures: readonly string[];
}

/** Round after round every contender, one process at a time: what changes on the machine meanwhile falls on all of them. */
export async function runRounds(entries: readonly Entry[], options: RoundsOptions): Promise<Rounds> {
  const figures = new Map<ContenderId, Figures[]>();
  const hows = new Map<ContenderId, Report["hows"]>();
  const busyShares: number[] = [];
  const failures: string[] = [];
  for (let round = 1; round <= options.runs; round++)
    for (const entry of entries) {
      busyShares.push(await busyShare());
      options.onStart(entry, round);
      const plan = planFor(entry, options.plan);
      const argument = entry.id === "scheduler" ? options.schedulerSizes : plan;
      const command = commandOf(entry.id, argument, options.pythons.get(entry.id) ?? "python3");
      try {
        const report = await runChild(command, entry, options.signal);
        figures.set(entry.id, [...(figures.get(entry.id) ?? []), figuresOf(report, plan, WORKERS)]);
        hows.set(entry.id, report.hows);
        failures.push(...failuresOf(entry, report, round));
      } catch (error) {
        options.signal.throwIfAborted();
        failures.push(`${entry.label}, round ${round}: ${String(error)}`);
      }
    }
  return { figures, hows, busyShares, failures };
}

function failuresOf({ label }: Entry, { failures }: Report, round: number): string[] {
  return Object.entries(failures).map(([id, why]) => `${label}, round ${round}, ${id}: ${why}`);
}
