import type { Growth } from "./gauges.ts";
import type { FaultKind } from "./kinds.ts";
import { argumentsOf, type ChaosOptions } from "./options.ts";

/** A call that was refused, in seconds of the run. */
export interface ExplainedCall {
  readonly client: string;
  readonly lane: string;
  readonly error: string;
  readonly fromS: number;
  readonly untilS: number;
  readonly faults: readonly string[];
}

/** What a run was. */
export interface Report {
  readonly options: ChaosOptions;
  readonly seconds: number;
  /** Faults that were made, by kind. */
  readonly faults: Readonly<Partial<Record<FaultKind, number>>>;
  /** Faults that could not be made, with the reason. */
  readonly skipped: readonly string[];
  /** Things that clients did, by lane. */
  readonly done: Readonly<Record<string, number>>;
  readonly histories: { readonly calls: number; readonly histories: number; readonly undecided: number };
  /** Chunks that ran again because of a death or a loss, of all coordinators. */
  readonly attemptsLost: number;
  /** Errors that faults explain, by name and lane. */
  readonly errors: Readonly<Record<string, number>>;
  /** Each of them, with numbers of faults that explain it. */
  readonly explained: readonly ExplainedCall[];
  readonly growth: readonly Growth[];
  /** Each fails the run. */
  readonly problems: readonly string[];
}

/** Of those that are told at the end; the others were told when they were found. */
const SHOWN_PROBLEMS_MAX = 20;

/** A report for people. */
export function summary(report: Report): string {
  const { options, seconds, faults, skipped, done, histories, attemptsLost, errors, growth, problems } = report;
  const sum = (counts: Readonly<Record<string, number>>): number =>
    Object.values(counts).reduce((total, count) => total + count, 0);
  const list = (counts: Readonly<Record<string, number>>): string =>
    Object.entries(counts)
      .toSorted(([, a], [, b]) => b - a)
      .map(([name, count]) => `${name} ${count}`)
      .join(", ");
  return [
    `${sum(faults)} faults in ${Math.round(seconds)} s: ${list(faults)}`,
    ...(skipped.length === 0 ? [] : [`not made: ${skipped.join("; ")}`]),
    `${sum(done)} things done: ${list(done)}`,
    `${histories.calls} calls in ${histories.histories} histories, ${histories.undecided} of them undecided`,
    `${attemptsLost} attempts lost and run again`,
    `errors that faults explain: ${sum(errors) === 0 ? "none" : list(errors)}`,
    ...growth.map(
      ({ party, minutes, heapMiBPerMinute: heap, rssMiBPerMinute: rss, first, last }) =>
        `${party.padEnd(12)} ${minutes.toFixed(1).padStart(5)} min  heap ${heap.toFixed(2).padStart(7)} MiB/min  rss ${rss.toFixed(2).padStart(7)} MiB/min` +
        `  files ${first.files} to ${last.files}, threads ${first.threads} to ${last.threads}, timers ${first.timers} to ${last.timers}`,
    ),
    ...problems.slice(0, SHOWN_PROBLEMS_MAX).map((problem) => `WRONG: ${problem}`),
    ...(problems.length > SHOWN_PROBLEMS_MAX ? [`and ${problems.length - SHOWN_PROBLEMS_MAX} more`] : []),
    problems.length === 0
      ? "all is well"
      : `${problems.length} problems; again: npm run chaos -- ${argumentsOf(options)}`,
  ].join("\n");
}
