import type { Heap } from "@heddle/kernel";
import { type Assignment, type Chunk, type Job, type Span, type SpanSeed, type State, spanHeap } from "./state.ts";

/** Adds a chunk of `count` items as one fresh span. */
export function addChunk(job: Job, index: number, count: number, grain: number): void {
  const chunk: Chunk = { job, index, grain, spansOpen: 1, itemsOpen: count };
  job.fresh.push({
    chunk,
    offset: 0,
    count,
    attempt: 0,
    marks: false,
    failures: 0,
    deaths: 0,
    losses: 0,
    died: undefined,
  });
  job.spansOpen++;
}

/** Settles `count` items of a chunk: they are delivered, failed or dropped. */
export function settleItems(chunk: Chunk, count: number): void {
  chunk.itemsOpen -= count;
}

/** Ends a span in favour of none or several that take over what is left of its items, those that have all, or are blamed, also what is known of a death; releases the chunk with its last span. */
export function replaceSpan(state: State, span: Span, successors: readonly SpanSeed[]): Span[] {
  const { chunk } = span;
  const spans = successors.map(
    (seed): Span => ({ chunk, ...seed, died: seed.deaths > 0 || seed.count === span.count ? span.died : undefined }),
  );
  chunk.spansOpen += spans.length - 1;
  chunk.job.spansOpen += spans.length - 1;
  if (chunk.spansOpen === 0) releaseChunk(state, chunk);
  return spans;
}

/** Settles the whole span without a result. */
export function dropSpan(state: State, span: Span): void {
  settleItems(span.chunk, span.count);
  replaceSpan(state, span, []);
}

/** Drops every PENDING span of the job. */
export function dropPending(state: State, job: Job): void {
  for (let span = job.again.pop(); span !== undefined; span = job.again.pop()) dropSpan(state, span);
  for (let span = job.unbegun.pop(); span !== undefined; span = job.unbegun.pop()) dropSpan(state, span);
  for (const span of job.delayed.keys()) dropSpan(state, span);
  for (const span of job.fresh) dropSpan(state, span);
  job.again = spanHeap();
  job.unbegun = spanHeap();
  job.delayed.clear();
  job.fresh.clear();
}

/** Spans of the job that are LEASED or RUNNING. */
export function* placedSpans(job: Job): Generator<Assignment> {
  for (const node of job.placed.keys()) {
    for (const assignment of node.assignments) if (assignment.job === job) yield assignment;
  }
}

/** A span comes back to be placed again at once; dropped when the job places nothing any more. */
export function requeue(state: State, span: Span): void {
  comeBack(state, span, span.chunk.job.again);
}

/** As `requeue`, for one that was not begun: like a chunk that was never placed it waits for the consumer of the results. */
export function putBack(state: State, span: Span): void {
  comeBack(state, span, span.chunk.job.unbegun);
}

function comeBack(state: State, span: Span, to: Heap<Span>): void {
  const { job } = span.chunk;
  if (job.state !== "running") {
    dropSpan(state, span);
    return;
  }
  to.push(span);
  state.queue.refresh(job);
}

function releaseChunk(state: State, chunk: Chunk): void {
  chunk.job.chunksDone++;
  state.effects.push({ type: "release-chunk", job: chunk.job.key, chunk: chunk.index });
}
