import { argumentsOf, type SimOptions } from "./options.ts";
import { planOf } from "./plan.ts";
import { runSystem, type SeedReport } from "./run.ts";

/** What many seeds came to together. */
export interface ManyReport {
  readonly seeds: number;
  readonly seconds: number;
  readonly events: number;
  readonly virtualMs: number;
  readonly kept: number;
  readonly ended: ReadonlyMap<string, number>;
  readonly faults: ReadonlyMap<string, number>;
  /** Seeds that broke something, and how. */
  readonly failures: readonly { readonly seed: number; readonly error: unknown }[];
}

/** Failures after which no more seeds are begun. */
const FAILURES_MAX = 5;

/** Runs seeds one after the other. `nowMs`: real time; `failed` is told at once. */
export async function runMany(
  { first, seeds = Number.POSITIVE_INFINITY, minutes = Number.POSITIVE_INFINITY, twice }: SimOptions,
  {
    nowMs,
    failed,
    done,
  }: {
    readonly nowMs: () => number;
    readonly failed: (seed: number, error: unknown) => void;
    readonly done?: (seed: number) => void;
  },
): Promise<ManyReport> {
  const startedMs = nowMs();
  const failures: { readonly seed: number; readonly error: unknown }[] = [];
  const [ended, faults] = [new Map<string, number>(), new Map<string, number>()];
  const sums = { seeds: 0, events: 0, virtualMs: 0, kept: 0 };
  for (let seed = first; seed < first + seeds && nowMs() - startedMs < minutes * 60_000; seed++) {
    try {
      const report = await runSeed(seed, twice);
      sums.events += report.events;
      sums.virtualMs += report.virtualMs;
      sums.kept += report.kept;
      addTo(ended, report.ended);
      addTo(faults, report.faults);
    } catch (error) {
      failures.push({ seed, error });
      failed(seed, error);
      if (failures.length === FAILURES_MAX) break;
    }
    sums.seeds++;
    done?.(seed);
  }
  return { ...sums, seconds: (nowMs() - startedMs) / 1_000, ended, faults, failures };
}

/** Runs one seed. Rejections that nobody handles break it, too. `twice`: the second run must be the same as the first. */
export async function runSeed(seed: number, twice: boolean): Promise<SeedReport> {
  const unhandled: unknown[] = [];
  const note = (reason: unknown): void => void unhandled.push(reason);
  process.on("unhandledRejection", note);
  try {
    const report = await runSystem(planOf(seed));
    if (twice) {
      const again = await runSystem(planOf(seed));
      if (again.digest !== report.digest) throw new Error(`two runs differ: ${report.digest} and ${again.digest}`);
    }
    // the engine tells of rejections that nobody handled at the end of its turn
    await new Promise((resolve) => setImmediate(resolve));
    if (unhandled.length > 0) throw new Error("a rejection was handled by nobody", { cause: unhandled[0] });
    return report;
  } finally {
    process.off("unhandledRejection", note);
  }
}

/** What broke, and how to see it again. */
export function failureText(seed: number, error: unknown): string {
  const { weather, clients, stormMs } = planOf(seed);
  const lane = error instanceof Error && "lane" in error ? ` in ${String(error.lane)}` : "";
  const did = clients.map((lanes) => lanes.join(" ")).join(" | ");
  return [
    `seed ${seed}${lane} (${weather} of ${stormMs / 1_000} s; ${did}): ${textOf(error)}`,
    `npm run sim -- ${argumentsOf(seed)}`,
  ].join("\n");
}

function textOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const cause = error.cause === undefined ? "" : `\ncaused by ${textOf(error.cause)}`;
  return `${error.stack ?? error.message}${cause}`;
}

/** The report in words. */
export function summary({ seeds, seconds, events, virtualMs, kept, ended, faults, failures }: ManyReport): string {
  const perSecond = (count: number): string => (count / Math.max(seconds, 0.001)).toFixed(1);
  const counted = (counts: ReadonlyMap<string, number>): string =>
    [...counts]
      .sort(([one], [other]) => (one < other ? -1 : 1))
      .map(([kind, count]) => `${kind} ${count}`)
      .join(", ");
  return [
    `${seeds} seeds in ${seconds.toFixed(1)} s: ${perSecond(seeds)} a second, ${perSecond(events)} events a second, ${perSecond(virtualMs / 1_000)} times as fast as time`,
    `${events} events; calls that gave what they promise: ${kept}; ended by an error of the system: ${counted(ended) || "none"}`,
    `faults: ${counted(faults) || "none"}`,
    failures.length === 0 ? "nothing broke" : `broken: seeds ${failures.map(({ seed }) => seed).join(", ")}`,
  ].join("\n");
}

function addTo(sums: Map<string, number>, counts: ReadonlyMap<string, number>): void {
  for (const [kind, count] of counts) sums.set(kind, (sums.get(kind) ?? 0) + count);
}
