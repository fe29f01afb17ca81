import type { ItemSpan, Resumed } from "@heddle/core-scheduler";
import type { Random } from "@heddle/kernel";

/** A chunk that is offered again: which of its items have their answer. */
type Repeated = readonly boolean[];

/** What the client of a job has of it from a session before. */
export interface Resume {
  readonly resumed: Resumed;
  /** Its first chunks. */
  readonly chunks: readonly Repeated[];
}

/** Bytes of each result that came in a session before, but for those that were consumed. */
export const ITEM_BYTES = 3;

/** Draws what was answered of the chunks that a job begins with, of `itemsMax` items at most. What stands before all gaps of an ordered job is consumed. */
export function drawResume(random: Random, itemsMax: number, ordered: boolean): Resume {
  const chunks = Array.from({ length: 1 + random.int(4) }, () => drawChunk(random, 1 + random.int(itemsMax)));
  const items = chunks.flatMap((chunk, number) => chunk.map((isSettled) => ({ number, isSettled })));
  const firstGap = items.findIndex(({ isSettled }) => !isSettled);
  const last = items.findLastIndex(({ isSettled }) => isSettled);
  const unread = items.filter(({ isSettled }, at) => isSettled && (!ordered || at > firstGap)).length;
  const gaps = items.filter(({ isSettled }, at) => ordered && !isSettled && at < last);
  return { resumed: { unreadBytes: unread * ITEM_BYTES, gapChunks: (gaps.at(-1)?.number ?? -1) + 1 }, chunks };
}

/** As the core is told of it. */
export function settledOf(chunk: Repeated): readonly ItemSpan[] {
  const text = chunk.map((isSettled) => (isSettled ? "x" : " ")).join("");
  return [...text.matchAll(/x+/g)].map((run) => ({ offset: run.index, count: run[0].length }));
}

/** One item at least has no answer: else it would not be offered again. */
function drawChunk(random: Random, count: number): Repeated {
  const open = random.int(count);
  return Array.from({ length: count }, (_, at) => at !== open && random.int(2) === 0);
}
