import type { SchedulerLimits } from "./limits.ts";
import type { Span, SpanSeed } from "./state.ts";

/** What becomes of a span whose attempt the system ended. */
export type Verdict =
  | { readonly type: "rerun"; readonly spans: readonly SpanSeed[] }
  /** The only item of the span is given up. */
  | { readonly type: "quarantine" };

/**
 * The worker died. A mark names the item: it goes on alone, what stands before and after it goes on without blame. An item that was alone is
 * named by that. The first death of several items without marks only turns marks on; later ones without a mark are counted and halve the span.
 */
export function judgeDeath(
  span: Span,
  marks: boolean,
  markedOffset: number | undefined,
  limits: SchedulerLimits,
): Verdict {
  if (span.count > 1) {
    if (markedOffset !== undefined && holds(span, markedOffset))
      return { type: "rerun", spans: isolate(span, markedOffset) };
    if (!marks) return { type: "rerun", spans: [{ ...seed(span), marks: true }] };
  }
  return countDeath(span, span.losses, limits);
}

/** The death is not counted against the item. */
export function tryElsewhere(span: Span): Verdict {
  return { type: "rerun", spans: [{ ...seed(span), marks: true }] };
}

/** The node was lost. The first losses blame nobody, later ones count as deaths without a mark. */
export function judgeLoss(span: Span, limits: SchedulerLimits): Verdict {
  const losses = span.losses + 1;
  if (losses < limits.lossesMax) return { type: "rerun", spans: [{ ...seed(span), losses }] };
  return countDeath(span, losses, limits);
}

/** Whether its next death would quarantine its item: what others left behind in a worker must not count against it. */
export function isLoneSuspect({ count, deaths }: Span): boolean {
  return count === 1 && deaths > 0;
}

/**
 * The rest of a span from its failed item on: the failed item with what is left of its grain, the failures of the item so far, this one included,
 * go with it; then the grains behind it, which have no part in that. One part when the chunk has no grains.
 */
export function restFrom(span: Span, offset: number, failures: number): SpanSeed[] {
  const end = span.offset + span.count;
  const border = grainEnd(span, offset);
  const parts = [{ ...seed(span), offset, count: border - offset, failures }, part(span, border, end)];
  return parts.filter((it) => it.count > 0);
}

/** The failed item of a span alone; the failures of the item so far, this one included, go with it. */
export function itemAt(span: Span, offset: number, failures: number): SpanSeed {
  return { ...seed(span), offset, count: 1, failures };
}

/** The items [from, offset) of a span and those behind `offset`, without blame for the item in between; empty parts are left out. */
export function partsAround(span: Span, from: number, offset: number): SpanSeed[] {
  return [part(span, from, offset), part(span, offset + 1, span.offset + span.count)].filter((it) => it.count > 0);
}

/** The items of a span from `from` on, one part for each grain of its chunk that they touch; one part when the chunk has none. */
export function grainsFrom(span: Span, from: number): SpanSeed[] {
  const end = span.offset + span.count;
  const parts: SpanSeed[] = [];
  for (let at = from; at < end; ) {
    const next = grainEnd(span, at);
    parts.push(part(span, at, next));
    at = next;
  }
  return parts;
}

/** Where the grain that holds `offset` ends, or the span before. */
function grainEnd(span: Span, offset: number): number {
  const { grain } = span.chunk;
  const end = span.offset + span.count;
  return grain === 0 ? end : Math.min(end, (Math.floor(offset / grain) + 1) * grain);
}

/** Whether the item at an offset of the chunk is one of the span's. */
export function holds(span: Span, offset: number): boolean {
  return Number.isInteger(offset) && offset >= span.offset && offset < span.offset + span.count;
}

/** Own errors of the item at `offset` after one more. */
export function failuresAt(span: Span, offset: number): number {
  return offset === span.offset ? span.failures + 1 : 1;
}

function countDeath(span: Span, losses: number, limits: SchedulerLimits): Verdict {
  const deaths = span.deaths + 1;
  const blamed: SpanSeed = { ...seed(span), losses, marks: true };
  if (deaths < limits.deathsMax) return { type: "rerun", spans: [{ ...blamed, deaths }] };
  if (span.count === 1) return { type: "quarantine" };
  const half = Math.ceil(span.count / 2);
  return {
    type: "rerun",
    spans: [
      { ...blamed, count: half, deaths: 0 },
      { ...blamed, offset: span.offset + half, count: span.count - half, deaths: 0, failures: 0 },
    ],
  };
}

/** The item at `offset` alone with one death, the items before and after it with none; empty parts are left out. */
function isolate(span: Span, offset: number): SpanSeed[] {
  const end = span.offset + span.count;
  const marked = (from: number, to: number, deaths: number): SpanSeed => ({
    ...part(span, from, to),
    marks: true,
    deaths,
  });
  const parts = [marked(span.offset, offset, 0), marked(offset, offset + 1, 1), marked(offset + 1, end, 0)];
  return parts.filter((it) => it.count > 0);
}

/** Some items of a span with its history; the own errors of its first item stay with that. */
function part(span: Span, from: number, to: number): SpanSeed {
  return { ...seed(span), offset: from, count: to - from, failures: from === span.offset ? span.failures : 0 };
}

function seed(span: Span): SpanSeed {
  const { offset, count, attempt, marks, failures, deaths, losses } = span;
  return { offset, count, attempt, marks, failures, deaths, losses };
}
