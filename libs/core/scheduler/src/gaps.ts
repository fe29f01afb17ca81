import type { Chunk, Job } from "./state.ts";
import type { ItemSpan } from "./types.ts";

/** The items of a chunk that are not settled, ascending. What is out of order, or not of the chunk, settles nothing. */
export function gapsIn(count: number, settled: readonly ItemSpan[]): ItemSpan[] {
  const gaps: ItemSpan[] = [];
  let at = 0;
  for (const { offset, count: length } of settled) {
    if (!(offset >= at && length >= 1 && offset + length <= count)) continue;
    if (offset > at) gaps.push({ offset: at, count: offset - at });
    at = offset + length;
  }
  if (at < count) gaps.push({ offset: at, count: count - at });
  return gaps;
}

/** Adds a chunk of which only these items are to run, one fresh span for each gap. There is at least one. */
export function addGaps(job: Job, index: number, gaps: readonly ItemSpan[], grain: number): void {
  const chunk: Chunk = { job, index, grain, spansOpen: gaps.length, itemsOpen: countOf(gaps) };
  const untried = { attempt: 0, marks: false, failures: 0, deaths: 0, losses: 0, died: undefined };
  for (const { offset, count } of gaps) job.fresh.push({ chunk, offset, count, ...untried });
  job.spansOpen += gaps.length;
}

/** Items in all. */
export function countOf(spans: readonly ItemSpan[]): number {
  return spans.reduce((sum, { count }) => sum + count, 0);
}
