import { addGaps, countOf, gapsIn } from "./gaps.ts";
import { lookForNode } from "./lack.ts";
import { needsOf } from "./needs.ts";
import { addChunk, dropPending, dropSpan, placedSpans } from "./spans.ts";
import { type Assignment, type Job, newJob, newPool, type Pool, type State } from "./state.ts";
import type { ClientKey, Effect, Fault, Input, JobKey, PoolKey } from "./types.ts";
import { UsedKeys } from "./used-keys.ts";

type InputOf<T extends Input["type"]> = Extract<Input, { readonly type: T }>;
type JobOutcome = Extract<Effect, { readonly type: "end-job" }>["outcome"];

/** Keys that were ever used, by kind. */
export class KeyBook {
  readonly clients = new UsedKeys();
  readonly pools = new UsedKeys();
  readonly jobs = new UsedKeys();
  readonly nodes = new UsedKeys();
}

export function onClientJoined(state: State, keys: KeyBook, key: ClientKey): void {
  if (keys.clients.claim(key)) state.clients.set(key, { key, pools: new Set(), throttled: false });
}

export function onClientLeft(state: State, key: ClientKey): void {
  const client = state.clients.get(key);
  if (client === undefined) return;
  state.clients.delete(key);
  for (const pool of client.pools) closePool(state, pool);
}

export function onClientThrottled(state: State, key: ClientKey, throttled: boolean): void {
  const client = state.clients.get(key);
  if (client === undefined || client.throttled === throttled) return;
  client.throttled = throttled;
  for (const pool of client.pools) for (const job of pool.jobs) state.queue.refresh(job);
}

export function onPoolOpened(state: State, keys: KeyBook, input: InputOf<"pool-opened">): void {
  const client = state.clients.get(input.client);
  if (!keys.pools.claim(input.pool) || client === undefined) return;
  const pool = newPool(input, client, needsOf(undefined, input.requirements));
  client.pools.add(pool);
  state.pools.set(pool.key, pool);
}

export function onPoolClosed(state: State, key: PoolKey): void {
  const pool = state.pools.get(key);
  if (pool !== undefined && !pool.closed) closePool(state, pool);
}

/** A job in a pool that is closed or was never opened ends at once: nobody may wait for it. */
export function onJobOpened(state: State, keys: KeyBook, input: InputOf<"job-opened">): void {
  if (!keys.jobs.claim(input.job)) return;
  const pool = state.pools.get(input.pool);
  if (pool === undefined || pool.closed) {
    state.effects.push({ type: "end-job", job: input.job, outcome: "cancelled", fault: undefined });
    return;
  }
  const job = newJob(input, pool, needsOf(pool.needs, input.requirements));
  if (job.depth > 0) pool.isNested = true;
  pool.jobs.add(job);
  state.fleet.jobOpened(job);
  state.jobs.set(job.key, job);
  if (job.runTimes !== undefined) state.speculation.jobs.add(job);
  lookForNode(state, job);
}

/** Out of order, after the seal or repeated: ignored. For a job that starts no chunk any more: released at once. */
export function onChunkOffered(state: State, input: InputOf<"chunk-offered">): void {
  const job = state.jobs.get(input.job);
  if (job !== undefined) {
    if (input.chunk !== job.chunksOffered || job.chunksSealed !== undefined || !(input.count >= 1)) return;
    job.chunksOffered++;
    job.itemsOffered += input.count;
    if (job.state === "running" && addWork(job, input)) {
      if (job.rankAt < 0) state.queue.refresh(job);
      return;
    }
    job.chunksDone++;
  }
  state.effects.push({ type: "release-chunk", job: input.job, chunk: input.chunk });
}

/** What was never delivered, or of a job without a bound, is taken by nobody. */
export function onResultsTaken(state: State, key: JobKey, bytes: number): void {
  const job = state.jobs.get(key);
  if (job === undefined || !(bytes > 0)) return;
  job.unreadBytes = Math.max(0, job.unreadBytes - bytes);
  state.queue.refresh(job);
}

export function onJobThrottled(state: State, key: JobKey, throttled: boolean): void {
  const job = state.jobs.get(key);
  if (job === undefined || job.throttled === throttled) return;
  job.throttled = throttled;
  state.queue.refresh(job);
}

export function onJobSealed(state: State, key: JobKey, chunks: number): void {
  const job = state.jobs.get(key);
  if (job === undefined || job.state === "ended" || job.chunksSealed !== undefined) return;
  job.chunksSealed = chunks;
  const offered = job.chunksOffered;
  if (job.state === "failing" || chunks === offered) endIfComplete(state, job);
  else
    abandonJob(
      state,
      job,
      "failed",
      poolFault(`the job was sealed with ${chunks} chunks, but ${offered} were offered`),
    );
}

export function onJobCancelRequested(state: State, key: JobKey): void {
  const job = state.jobs.get(key);
  if (job !== undefined) abandonJob(state, job, "cancelled", undefined);
}

/** Ends the job now: its nodes are told to stop, and what they still report is dropped. */
export function abandonJob(state: State, job: Job, outcome: JobOutcome, fault: Fault | undefined): void {
  if (job.state === "ended") return;
  job.state = "ended";
  dropPending(state, job);
  for (const assignment of placedSpans(job)) {
    revoke(state, assignment, "stop");
    if (assignment.overtaken) continue;
    overtake(state, assignment);
    dropSpan(state, assignment.span);
  }
  endJob(state, job, outcome, fault);
}

/** The pool, or what was said of it, is no good. */
export function poolFault(message: string): Fault {
  return { code: "pool-init", message };
}

/** An item failed for good: nothing new starts, what runs may end. The job ends with its last assignment. */
export function failJob(state: State, job: Job): void {
  if (job.state !== "running") return;
  job.state = "failing";
  state.speculation.jobs.delete(job);
  dropPending(state, job);
  for (const assignment of placedSpans(job))
    if (assignment.startedMs === undefined) revoke(state, assignment, "if-unstarted");
  state.queue.refresh(job);
}

/** Ends a job with nothing left to wait for. */
export function endIfComplete(state: State, job: Job): void {
  if (job.state === "failing" && job.spansOpen === 0) endJob(state, job, "failed", undefined);
  if (job.state === "running" && job.spansOpen === 0 && job.chunksSealed !== undefined) {
    endJob(state, job, "done", undefined);
  }
}

/** Asks the node to give an assignment back, once for each way of asking. */
export function revoke(state: State, assignment: Assignment, how: "if-unstarted" | "stop"): void {
  if (assignment.revoked === how || assignment.revoked === "stop") return;
  assignment.revoked = how;
  const { node, id } = assignment;
  state.effects.push({ type: "revoke-chunk", node: node.key, assignment: id, stop: how === "stop" });
}

/** The other assignment of its span, if there is one, is stopped, and is heard no more. */
export function overtake(state: State, assignment: Assignment): void {
  const { backups } = state.speculation;
  const isBackup = backups.has(assignment);
  const twin = separate(state, assignment);
  if (twin === undefined) return;
  if (isBackup) state.speculation.won++;
  twin.overtaken = true;
  revoke(state, twin, "stop");
}

/** Two assignments of one span know of each other no more: one has ended. Returns the other one, if there was one. */
export function separate({ speculation }: State, assignment: Assignment): Assignment | undefined {
  const { twin } = assignment;
  if (twin === undefined) return undefined;
  assignment.twin = undefined;
  twin.twin = undefined;
  speculation.backups.delete(assignment);
  speculation.backups.delete(twin);
  return twin;
}

/** Tells the nodes without an assignment of an ended job or closed pool to let go of it, and lets go of it when no node is left. */
export function letGo(state: State, job: Job): void {
  if (job.state === "ended") forgetJob(state, job);
  if (job.pool.closed) retirePool(state, job.pool);
}

function closePool(state: State, pool: Pool): void {
  pool.closed = true;
  pool.client.pools.delete(pool);
  for (const job of pool.jobs) abandonJob(state, job, "cancelled", undefined);
  state.fleet.forget(pool);
  retirePool(state, pool);
}

function endJob(state: State, job: Job, outcome: JobOutcome, fault: Fault | undefined): void {
  job.state = "ended";
  job.pool.jobs.delete(job);
  state.speculation.jobs.delete(job);
  state.queue.refresh(job);
  state.fleet.jobEnded(job);
  state.effects.push({ type: "end-job", job: job.key, outcome, fault });
  forgetJob(state, job);
}

function forgetJob(state: State, job: Job): void {
  for (const [node, placed] of job.placed) {
    if (placed.count > 0) continue;
    job.placed.delete(node);
    state.effects.push({ type: "forget-job", node: node.key, job: job.key });
  }
  if (job.spansPlaced === 0) state.jobs.delete(job.key);
}

function retirePool(state: State, pool: Pool): void {
  for (const [node, placed] of pool.placed) {
    if (placed.count > 0) continue;
    pool.placed.delete(node);
    state.effects.push({ type: "retire-pool", node: node.key, pool: pool.key });
  }
  if (pool.placed.size === 0) state.pools.delete(pool.key);
}

/** What of an offered chunk is to run. False: nothing is. */
function addWork(job: Job, { chunk, count, grain, settled }: InputOf<"chunk-offered">): boolean {
  if (settled === undefined) {
    addChunk(job, chunk, count, grainOf(grain));
    return true;
  }
  const gaps = gapsIn(count, settled);
  job.itemsDone += count - countOf(gaps);
  if (gaps.length > 0) addGaps(job, chunk, gaps, grainOf(grain));
  return gaps.length > 0;
}

/** What is no grain counts as none. */
function grainOf(grain: number): number {
  return Number.isInteger(grain) && grain > 0 ? grain : 0;
}
