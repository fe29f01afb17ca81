import { ITEM_OVERHEAD_BYTES } from "./limits.ts";
import type { EffectsJob, SettledRun, State } from "./state.ts";

/** What an item counts in its run, beside its outcome. */
const ITEM_END_BYTES = 4;

/** An item and what came of it. */
export interface Outcome {
  readonly index: number;
  readonly outcome: Uint8Array;
}

/** Puts a job into the tables. */
export function enlistJob(state: State, job: EffectsJob): void {
  state.jobs.set(job.id, job);
  (job.maker ?? state).tally.jobs.add(1);
  if (job.creator === undefined) job.maker?.outliving.add(job);
  job.creator?.jobs.add(job);
  chargeJob(state, job, ITEM_OVERHEAD_BYTES);
}

/** Nothing is known of it any more. */
export function forgetJob(state: State, job: EffectsJob): void {
  state.jobs.delete(job.id);
  (job.maker ?? state).tally.jobs.add(-1);
  job.maker?.outliving.delete(job);
  job.creator?.jobs.delete(job);
  state.bytes -= job.bytes;
}

/** What came of an item; undefined while it is not settled. Not to be changed, nor kept. */
export function outcomeOf({ runs }: EffectsJob, index: number): Uint8Array | undefined {
  const run = runs[placeOf(runs, index) - 1];
  if (run === undefined) return undefined;
  const at = index - run.first;
  const end = run.ends[at];
  return end === undefined ? undefined : run.bytes.subarray(run.ends[at - 1] ?? 0, end);
}

/** Outcomes in the order of their items as runs, as few as may be. */
export function runsOf(outcomes: readonly Outcome[]): SettledRun[] {
  const runs: SettledRun[] = [];
  let from = 0;
  for (let at = 1; at <= outcomes.length; at++) {
    if (outcomes[at]?.index === (outcomes[at - 1]?.index ?? 0) + 1) continue;
    runs.push(runOf(outcomes.slice(from, at)));
    from = at;
  }
  return runs;
}

/** Settles the items of a run, of which none may be settled. */
export function addRun({ runs }: EffectsJob, run: SettledRun): void {
  runs.splice(placeOf(runs, run.first), 0, run);
}

/** What a run counts for. */
export function runBytes({ ends, bytes }: SettledRun): number {
  return bytes.length + ITEM_END_BYTES * ends.length + ITEM_OVERHEAD_BYTES;
}

/** The job counts for so much more. */
export function chargeJob(state: State, job: EffectsJob, bytes: number): void {
  job.bytes += bytes;
  state.bytes += bytes;
  state.undo?.push(() => {
    job.bytes -= bytes;
    state.bytes -= bytes;
  });
}

function runOf(outcomes: readonly Outcome[]): SettledRun {
  const ends = new Uint32Array(outcomes.length);
  let end = 0;
  for (const [at, { outcome }] of outcomes.entries()) {
    end += outcome.length;
    ends[at] = end;
  }
  const bytes = new Uint8Array(end);
  for (const [at, { outcome }] of outcomes.entries()) bytes.set(outcome, ends[at - 1] ?? 0);
  return { first: outcomes[0]?.index ?? 0, ends, bytes };
}

/** How many runs begin at or before the item. */
function placeOf(runs: readonly SettledRun[], index: number): number {
  let [low, high] = [0, runs.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((runs[middle]?.first ?? 0) <= index) low = middle + 1;
    else high = middle;
  }
  return low;
}
