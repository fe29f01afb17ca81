import type { Growth, Series } from "./gauges.ts";
import type { KeptCounts } from "./kept-jobs.ts";
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
  /** Of clients' lanes, and of detached jobs. `overtaken`: second attempts of stragglers that answered. */
  readonly work: { readonly jobs: number; readonly items: number; readonly overtaken: number };
  /** Detached jobs: by how many submissions they came, by whom they were heard. */
  readonly kept: Readonly<KeptCounts>;
  /** Runs of items that note them, how many items those are, and how often one ran again. */
  readonly runs: { readonly noted: number; readonly items: number; readonly again: number };
  readonly histories: { readonly calls: number; readonly histories: number; readonly undecided: number };
  /** Chunks that ran again because of a death or a loss, of all coordinators. */
  readonly attemptsLost: number;
  /** Errors that faults explain, by name and lane. */
  readonly errors: Readonly<Record<string, number>>;
  /** Each of them, with numbers of faults that explain it. */
  readonly explained: readonly ExplainedCall[];
  readonly growth: readonly Growth[];
  /** Memory, files, threads and timers of every process, all along. */
  readonly samples: readonly Series[];
  /** Each fails the run. */
  readonly problems: readonly string[];
}

/** Of those that are told at the end; the others were told when they were found. */
const SHOWN_PROBLEMS_MAX = 20;

/** A report for people. */
export function summary(report: Report): string {
  const { options, seconds, faults, skipped, done, histories, attemptsLost, errors, problems } = report;
  const { work, kept, runs } = report;
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
    `${work.jobs} jobs of ${work.items} items; ${work.overtaken} of them answered by the second attempt of a straggler`,
    `${kept.jobs} of them detached, of ${kept.items} items: ${kept.submissions} submissions (${kept.killedSubmitters} killed in the middle), ${kept.listeners} listeners`,
    `${runs.noted} runs of ${runs.items} items were noted: ${runs.again} ran again`,
    `${histories.calls} calls in ${histories.histories} histories, ${histories.undecided} of them undecided`,
    `${attemptsLost} attempts lost and run again`,
    `errors that faults explain: ${sum(errors) === 0 ? "none" : list(errors)}`,
    ...memoryLines(report),
    ...problems.slice(0, SHOWN_PROBLEMS_MAX).map((problem) => `WRONG: ${problem}`),
    ...(problems.length > SHOWN_PROBLEMS_MAX ? [`and ${problems.length - SHOWN_PROBLEMS_MAX} more`] : []),
    problems.length === 0
      ? "all is well"
      : `${problems.length} problems; again: npm run chaos -- ${argumentsOf(options)}`,
  ].join("\n");
}

/** Of each process that has lived for a while: what it held first and last, once it was warm, and how fast that grew. */
function memoryLines({ growth }: Report): string[] {
  const mib = (bytes: number): string => (bytes / 1024 / 1024).toFixed(0).padStart(4);
  const slope = (mibPerHour: number): string => mibPerHour.toFixed(1).padStart(7);
  return growth.map(
    ({ party, pid, minutes, heapMiBPerHour, rssMiBPerHour, first, last }) =>
      `${party.padEnd(12)} ${String(pid).padStart(7)} ${minutes.toFixed(1).padStart(5)} min` +
      `  heap ${mib(first.heapBytes)} to ${mib(last.heapBytes)} MiB, ${slope(heapMiBPerHour)} MiB/h` +
      `  rss ${mib(first.rssBytes)} to ${mib(last.rssBytes)} MiB, ${slope(rssMiBPerHour)} MiB/h` +
      `  files ${first.files} to ${last.files}, threads ${first.threads} to ${last.threads}, timers ${first.timers} to ${last.timers}`,
  );
}
