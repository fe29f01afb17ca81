import { SettledSpans } from "@heddle/client";
import { CHUNK_SETTLED_SPANS_MAX, NotFoundError } from "@heddle/kernel";
import type { ChunkStatus, DescribeJobRequest, JobStatus, Span } from "@heddle/wire";
import type { KeptChunkRecord, KeptJob } from "./kept-job.ts";
import type { JobRecord, KeptFacts } from "./ledger.ts";

/** How much there is of a job. */
interface Extent {
  readonly items: number;
  readonly chunks: number;
}

type Asked = Pick<DescribeJobRequest, "chunk" | "item">;

/** Of a job all of whose chunks are known: kept, sealed or ended; undefined for others, and for one that its client resumed, which does not offer what it has again. */
export function extentOf(job: JobRecord, isOpen: boolean): Extent | undefined {
  const { keptFor, isSealed, itemsOffered, itemsEnd, chunksOffered } = job;
  if (keptFor !== undefined) return { items: keptFor.items, chunks: keptFor.chunkCount };
  if ((isOpen && !isSealed) || itemsEnd !== itemsOffered) return undefined;
  return { items: itemsOffered, chunks: chunksOffered };
}

/** Throws NotFoundError for a chunk or item that a job has not. */
export function checkThere(jobId: string, { items, chunks }: Extent, { chunk, item }: Asked): void {
  if (chunk !== undefined && chunk >= chunks)
    throw new NotFoundError(`job ${jobId} has no chunk ${chunk}: it has ${countText(chunks, "chunk")}`);
  if (item !== undefined && item >= items)
    throw new NotFoundError(`job ${jobId} has no item ${item}: it has ${countText(items, "item")}`);
}

/** A chunk of a kept job that the scheduler does not hold. `isDue`: it is to be run yet. */
export function keptChunk(kept: KeptFacts, chunk: number | undefined, isDue: boolean): ChunkStatus {
  const known = chunk === undefined ? undefined : kept.chunks[chunk];
  if (known !== undefined && isDue) return dueChunk(known, chunk);
  const isDone = known !== undefined && hasResults(kept, known);
  const { firstIndex, count } = isDone ? known : { firstIndex: 0, count: 0 };
  return { chunk, state: "settled", firstIndex, count, spans: [] };
}

/** The chunk that was asked for of a job that is not all on disk yet; undefined for none. */
export function submittedChunk(job: KeptJob | undefined, { chunk: number, item }: Asked): ChunkStatus | undefined {
  if (number === undefined && item === undefined) return undefined;
  const chunk = number ?? job?.chunkNumberOf(item ?? 0) ?? 0;
  const known = job?.chunks[chunk];
  if (known !== undefined) return dueChunk(known, chunk);
  return { chunk: number, state: "not-offered", firstIndex: 0, count: 0, spans: [] };
}

/** The same of a job of which nothing but its end is known. Throws NotFoundError for what it had not. */
export function pastChunk(job: JobStatus, { chunk, item }: Asked): ChunkStatus | undefined {
  if (chunk === undefined && item === undefined) return undefined;
  checkThere(job.jobId, { items: job.itemsOffered, chunks: job.chunksOffered }, { chunk, item });
  return { chunk, state: "settled", firstIndex: 0, count: 0, spans: [] };
}

function dueChunk({ firstIndex, count, settled }: KeptChunkRecord, chunk: number | undefined): ChunkStatus {
  const spans = gapsOf(settled, count).map((gap) => ({ ...gap, ...untried }));
  return { chunk, state: "open", firstIndex, count, spans };
}

const untried = { attempt: 0, state: "waiting", retryMs: 0, failures: 0, deaths: 0, losses: 0, node: "" } as const;

/** What is to be run of a chunk. */
function gapsOf(settled: SettledSpans | undefined, count: number): Span[] {
  const known = new SettledSpans();
  for (const span of settled?.largest(CHUNK_SETTLED_SPANS_MAX) ?? []) known.add(span.offset, span.count);
  return known.add(0, count);
}

/** Whether all of a chunk has results on disk. */
function hasResults({ answers }: KeptFacts, { firstIndex, count }: KeptChunkRecord): boolean {
  let results = 0;
  for (const answer of answers) {
    const isOfChunk = answer.firstIndex >= firstIndex && answer.firstIndex < firstIndex + count;
    if (isOfChunk && answer.failure === undefined) results += answer.count;
  }
  return results === count;
}

function countText(count: number, noun: string): string {
  if (count === 0) return "none";
  return count === 1 ? `1 ${noun}, 0` : `${count} ${noun}s, 0-${count - 1}`;
}
