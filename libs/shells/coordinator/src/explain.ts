import type { NodeView, Scheduler, SpanView, Wait } from "@heddle/core-scheduler";
import { JobId, type Millis, NotFoundError, unreachable } from "@heddle/kernel";
import type { ChunkStatus, DescribeJobRequest, JobAttempt, JobWait } from "@heddle/wire";
import type { Attempt } from "./attempts.ts";
import { checkThere, extentOf, keptChunk } from "./explain-chunks.ts";
import type { AssignmentRecord, JobRecord, Ledger } from "./ledger.ts";
import { ATTEMPT_SUMMARY_LENGTH_MAX, RUNNING_TOLD_MAX } from "./limits.ts";
import { plainLine } from "./plain.ts";

/** A job that is open or remembered. Throws NotFoundError, and InvalidArgumentError for what is no id. */
export function jobNamed({ jobIds }: Ledger, id: string): JobRecord {
  const job = jobIds.get(JobId(id));
  if (job === undefined) throw unknownJob(id);
  return job;
}

export function unknownJob(id: string): NotFoundError {
  return new NotFoundError(`there is no job ${id}, or it is remembered no longer`);
}

/** Why what waits waits. */
export function jobWaits(core: Scheduler, { key, keptFor }: JobRecord, nowMs: Millis): JobWait[] {
  return core.waits(key).map((wait) => {
    const isForDisk = wait.type === "throttled-client" && keptFor !== undefined;
    const detail = plainLine(isForDisk ? DISK_WAIT : waitText(wait), 2 * ATTEMPT_SUMMARY_LENGTH_MAX);
    return { cause: wait.type, chunks: wait.chunks, detail, leftMs: leftMs(endOf(wait), nowMs) };
  });
}

/** What runs of a job, or of one chunk of it, longest first; all of it. */
export function runningOf({ assignments }: Ledger, job: JobRecord, chunk: number | undefined): AssignmentRecord[] {
  const own = assignments.values().filter((it) => it.job === job && (chunk === undefined || ownChunk(it) === chunk));
  return [...own].sort((a, b) => a.placedMs - b.placedMs);
}

/** Nodes of what is told to run, in order of name. */
export function nodesOf(running: readonly AssignmentRecord[]): AssignmentRecord["node"][] {
  const nodes = new Set(running.slice(0, RUNNING_TOLD_MAX).map(({ node }) => node));
  return [...nodes].sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** A placement that is not over. */
export function runningAttempt(assignment: AssignmentRecord, nowMs: Millis): JobAttempt {
  const { offset, count, firstIndex, attempt, node, placedMs, startedMs } = assignment;
  const place = { chunk: ownChunk(assignment), offset, count, firstIndex, attempt, node: node.name, pid: 0 };
  const ages = { placedMs: ageMs(placedMs, nowMs), startedMs: ageMs(startedMs, nowMs), endedMs: 0 };
  const state = startedMs === undefined ? "placed" : "running";
  return { ...place, ...ages, state, summary: "", exitCode: undefined, signal: "", rssBytes: 0, stderr: [] };
}

/** One that is over. */
export function endedAttempt(attempt: Attempt, nowMs: Millis): JobAttempt {
  const { offset, count, firstIndex, node, pid, end, summary, loss, stderr } = attempt;
  const place = { chunk: ownChunk(attempt), offset, count, firstIndex, attempt: attempt.attempt, node, pid };
  const { placedMs, startedMs, endedMs } = attempt;
  const ages = {
    placedMs: ageMs(placedMs, nowMs),
    startedMs: ageMs(startedMs, nowMs),
    endedMs: ageMs(endedMs, nowMs),
  };
  const { exitCode, signal = "", rssBytes = 0 } = loss ?? {};
  return { ...place, ...ages, state: end, summary, exitCode, signal, rssBytes, stderr: [...stderr] };
}

/** Number of its chunk, as people know it: a kept job that goes on after a restart has others in its run. */
export function ownChunk({ job, chunk }: { readonly job: JobRecord; readonly chunk: number }): number {
  return job.keptFor?.ownNumber(chunk) ?? chunk;
}

/** Which chunk was asked for; undefined for none. Throws NotFoundError for one that cannot be there. */
export function chunkStatus(
  { core, ledger }: { readonly core: Scheduler; readonly ledger: Ledger },
  job: JobRecord,
  { chunk: number, item }: Pick<DescribeJobRequest, "chunk" | "item">,
  nowMs: Millis,
): ChunkStatus | undefined {
  if (number === undefined && item === undefined) return undefined;
  const isOpen = ledger.jobs.has(job.key);
  const extent = extentOf(job, isOpen);
  if (extent !== undefined) checkThere(job.id, extent, { chunk: number, item });
  const chunk = number ?? chunkOf(ledger, job, item ?? 0);
  const run = chunk === undefined || job.keptFor === undefined ? chunk : job.keptFor.runNumber(chunk);
  const known = run === undefined ? undefined : job.chunks.get(run);
  if (run === undefined || known === undefined) {
    if (job.keptFor !== undefined)
      return keptChunk(job.keptFor, chunk, isOpen && run !== undefined && run >= job.chunksOffered);
    const isOffered = chunk === undefined ? (item ?? 0) < job.itemsEnd : chunk < job.chunksOffered;
    return { chunk, state: isOffered ? "settled" : "not-offered", firstIndex: 0, count: 0, spans: [] };
  }
  const spans = core.spans(job.key, run).map((span) => ({
    offset: span.offset,
    count: span.count,
    attempt: span.attempt,
    state: span.assignment !== undefined ? "placed" : span.retryAtMs !== undefined ? "retry" : "waiting",
    retryMs: leftMs(span.retryAtMs, nowMs),
    failures: span.failures,
    deaths: span.deaths,
    losses: span.losses,
    node: nodeOf(ledger, span),
  }));
  return { chunk, state: "open", firstIndex: known.firstIndex, count: known.count, spans };
}

function nodeOf({ assignments }: Ledger, { assignment }: SpanView): string {
  return assignment === undefined ? "" : (assignments.get(assignment)?.node.name ?? "");
}

/** Of what is open or kept, else of what went wrong: nothing else is known of chunks that are settled. */
function chunkOf({ attempts }: Ledger, job: JobRecord, item: number): number | undefined {
  const { keptFor } = job;
  if (keptFor !== undefined && keptFor.chunks.length > 0) return keptFor.chunkNumberOf(item);
  const has = (firstIndex: number, count: number): boolean => item >= firstIndex && item < firstIndex + count;
  for (const [chunk, { firstIndex, count }] of job.chunks) if (has(firstIndex, count)) return chunk;
  const attempt = attempts.of(job).find(({ firstIndex, count }) => has(firstIndex, count));
  return attempt && ownChunk(attempt);
}

/** Of a job that is kept. */
const DISK_WAIT = "its answers wait for the coordinator's disk: nothing new begins until they are there";

function waitText(wait: Wait): string {
  switch (wait.type) {
    case "retry":
      return "an item of each failed, and is tried again after a pause";
    case "throttled-client":
      return "its client reads results too slowly: nothing new begins until it has read what waits for it";
    case "unread-results":
      return `${wait.bytes} bytes of results are not taken by the program, of ${wait.bytesMax} that may be: nothing new begins until it takes some`;
    case "throttled-job":
      return "there is no room for more of its results, in memory or on the coordinator's disk: nothing new begins until its client has read some";
    case "no-node":
      return "there is no node";
    case "lacking":
      return `no node could ever run it: ${wait.lack}`;
    case "no-ready-node":
      return `no node that could run it takes work now: ${statesText(wait.states)}`;
    case "no-lasting-node":
      return lastingText(wait);
    case "pool-bound":
      return `its pool may use ${countText(wait.slotsMax, "slot")} at a time, and has ${countText(wait.used, "chunk")} on nodes`;
    case "resources-taken":
      return `${countText(wait.nodes, "node")} could run it, and ${wait.nodes === 1 ? "has" : "none has"} ${wait.nodes === 1 ? "not " : ""}enough left of ${wait.resources.join(", ") || "what it takes"}`;
    case "slots-taken":
      return `${countText(wait.nodes, "node")} with ${countText(wait.slots, "slot")} could run it, and ${wait.nodes === 1 ? "holds" : "all hold"} as many chunks as ${wait.nodes === 1 ? "it takes" : "they take"}`;
    default:
      return unreachable(wait);
  }
}

function lastingText({ nodes, neededMs, longestMs }: Extract<Wait, { type: "no-lasting-node" }>): string {
  const all = nodes === 1 ? "the node that could run it comes" : `all ${nodes} nodes that could run it come`;
  return `${all} to an end too soon: a chunk of it takes about ${secondsText(neededMs)}, and the last of them begins nothing that is not over in ${secondsText(longestMs)}`;
}

function secondsText(ms: Millis): string {
  return `${Math.max(0, Math.round(ms / 100) / 10)} s`;
}

function endOf(wait: Wait): Millis | undefined {
  if (wait.type === "retry") return wait.nextMs;
  return wait.type === "lacking" ? wait.failsAtMs : undefined;
}

const stateWords: Record<NodeView["state"] | "on-hold" | "no-credit", string> = {
  ready: "ready",
  silent: "silent",
  cordoned: "cordoned",
  draining: "draining",
  drained: "drained",
  excluded: "excluded, for it fails too much",
  "on-hold": "on hold after a failure",
  "no-credit": "not asking for work",
};

function statesText(states: ReadonlyMap<keyof typeof stateWords, number>): string {
  return [...states].map(([state, count]) => `${count} ${stateWords[state]}`).join(", ");
}

function countText(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}

/** Whole milliseconds since then, 1 at least; 0 for never. */
function ageMs(atMs: Millis | undefined, nowMs: Millis): number {
  return atMs === undefined ? 0 : Math.max(1, Math.round(nowMs - atMs));
}

function leftMs(atMs: Millis | undefined, nowMs: Millis): number {
  return atMs === undefined ? 0 : Math.max(1, Math.ceil(atMs - nowMs));
}
