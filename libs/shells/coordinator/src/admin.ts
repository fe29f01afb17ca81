import type { JobView, NodeView, Scheduler } from "@heddle/core-scheduler";
import { JobId, type Millis } from "@heddle/kernel";
import { type Caller, identityText } from "@heddle/port-rpc";
import type {
  ChunkStatus,
  DescribeJobRequest,
  DescribeJobResponse,
  DescribeNodeResponse,
  GetStatusResponse,
  JobStatus,
  ListJobsResponse,
  ListNodesResponse,
  NodeJob,
  NodeStatus,
} from "@heddle/wire";
import type { ClientDesk } from "./client-desk.ts";
import { nodeNamed } from "./cordon-desk.ts";
import {
  chunkStatus,
  endedAttempt,
  jobNamed,
  jobWaits,
  nodesOf,
  ownChunk,
  runningAttempt,
  runningOf,
  unknownJob,
} from "./explain.ts";
import { pastChunk, submittedChunk } from "./explain-chunks.ts";
import type { JobHistory } from "./history.ts";
import type { KeptDesk } from "./kept-desk.ts";
import type { AssignmentRecord, EndedJob, JobRecord, Ledger, NodeRecord } from "./ledger.ts";
import { ENDED_JOBS_MAX, NODE_JOBS_SHOWN_MAX, REASON_LENGTH_MAX, RUNNING_TOLD_MAX } from "./limits.ts";
import { tallyOf } from "./node-tally.ts";
import { plainLine } from "./plain.ts";
import type { ProcessDesk } from "./process-desk.ts";

/** What a coordinator says of itself. */
export interface Identity {
  readonly build: string;
  readonly serverId: string;
  readonly pid: number;
  readonly startedMs: Millis;
  /** Address of its manager; undefined when it has none. */
  readonly manager: string | undefined;
}

/** Jobs that the ledger does not know of. */
interface OtherJobs {
  readonly kept: KeptDesk;
  readonly history: JobHistory;
}

/** Answers the Admin service from the ledger and the core; reads only. */
export class AdminView {
  readonly #identity: Identity;
  readonly #core: Scheduler;
  readonly #ledger: Ledger;
  readonly #processes: ProcessDesk;
  readonly #others: OtherJobs;

  constructor(identity: Identity, core: Scheduler, ledger: Ledger, clients: ClientDesk, history: JobHistory) {
    this.#identity = identity;
    this.#core = core;
    this.#ledger = ledger;
    this.#processes = clients.processes;
    this.#others = { kept: clients.kept, history };
  }

  status(nowMs: Millis): GetStatusResponse {
    const { build, serverId, pid, startedMs, manager = "" } = this.#identity;
    const all = Map.groupBy(this.#core.nodes(), ({ state }) => state);
    const nodes = all.get("ready") ?? [];
    const cordoned = (["cordoned", "draining", "drained"] as const).map((state) => all.get(state)?.length ?? 0);
    const jobs = this.#core.jobs();
    return {
      build,
      serverId,
      pid,
      uptimeMs: Math.round(nowMs - startedMs),
      nodes: nodes.length,
      slots: nodes.reduce((sum, node) => sum + node.slots, 0),
      chunksPlaced: jobs.reduce((sum, job) => sum + job.chunksPlaced, 0),
      chunksWaiting: jobs.reduce((sum, job) => sum + job.chunksWaiting, 0),
      jobs: jobs.length,
      clients: this.#ledger.clients.size,
      manager,
      nodesCordoned: cordoned.reduce((sum, count) => sum + count, 0),
      nodesSilent: all.get("silent")?.length ?? 0,
      nodesExcluded: all.get("excluded")?.length ?? 0,
    };
  }

  nodes(nowMs: Millis): ListNodesResponse {
    const views = new Map(this.#core.nodes().map((view) => [view.node, view]));
    const nodes = [...this.#ledger.nodes.values()].map((node) => this.#node(node, views.get(node.key), nowMs));
    return { nodes: nodes.sort((a, b) => (a.name < b.name ? -1 : 1)) };
  }

  node(node: NodeRecord, nowMs: Millis): NodeStatus {
    const view = this.#core.nodes().find(({ node: key }) => key === node.key);
    return this.#node(node, view, nowMs);
  }

  /** Throws NotFoundError, and PermissionError for an agent that asks about another's. */
  describeNode(name: string, caller: Caller, nowMs: Millis): DescribeNodeResponse {
    const node = nodeNamed(this.#ledger, name, caller);
    return {
      node: this.node(node, nowMs),
      jobs: nodeJobs(node, nowMs),
      processes: this.#processes.on(node, nowMs),
      tally: tallyOf(node),
      lostBefore: this.#ledger.nodeNames.get(node.name)?.lost ?? 0,
    };
  }

  #node(node: NodeRecord, view: NodeView | undefined, nowMs: Millis): NodeStatus {
    const { host, pid, build, labels, resources, slots } = node.registration;
    const cordon = this.#ledger.cordons.get(node.name);
    const processes = this.#processes.countOn(node);
    const state = view?.state ?? "silent";
    return {
      name: node.name,
      state: state === "drained" && processes > 0 ? "draining" : state,
      slots,
      chunks: view?.chunks ?? 0,
      credit: view?.credit ?? 0,
      ageMs: Math.round(nowMs - node.joinedMs),
      incarnation: node.incarnation,
      host,
      pid,
      build,
      labels,
      resources,
      reason: cordon?.reason || plainLine(view?.exclusion?.reason ?? "", REASON_LENGTH_MAX),
      processes,
      drainLeftMs: Math.max(0, Math.ceil((cordon?.drain?.stopAtMs ?? nowMs) - nowMs)),
      drainStoppedChunks: cordon?.drain?.stoppedChunks ?? 0,
      drainStoppedProcesses: cordon?.drain?.stoppedProcesses ?? 0,
      heardMs: Math.max(0, Math.round(nowMs - (node.session.heardMs ?? nowMs))),
      excludedLeftMs: Math.max(0, Math.ceil((view?.exclusion?.untilMs ?? nowMs) - nowMs)),
      identity: identityText(node.caller),
      endsLeftMs: node.lifetime === undefined ? 0 : Math.max(1, Math.ceil(node.lifetime.endsAtMs - nowMs)),
      silentMs: node.silentSinceMs === undefined ? 0 : Math.max(1, Math.round(nowMs - node.silentSinceMs)),
    };
  }

  /** Throws NotFoundError. */
  describeJob(request: DescribeJobRequest, nowMs: Millis): DescribeJobResponse {
    const [core, ledger] = [this.#core, this.#ledger];
    const id = JobId(request.jobId);
    const other = this.#others.kept.submitting(nowMs).find(({ jobId }) => jobId === id);
    if (other !== undefined) return briefly(other, submittedChunk(this.#others.kept.get(id), request));
    if (!ledger.jobIds.has(id)) return this.#describePast(request);
    const job = jobNamed(ledger, request.jobId);
    const chunk = chunkStatus({ core, ledger }, job, request, nowMs);
    const isAll = chunk === undefined;
    const running = isAll || chunk.chunk !== undefined ? runningOf(ledger, job, chunk?.chunk) : [];
    const attempts = ledger.attempts.of(job).filter((attempt) => isAll || ownChunk(attempt) === chunk.chunk);
    return {
      job: this.#job(job, nowMs),
      waits: isAll ? jobWaits(core, job, nowMs) : [],
      running: running.slice(0, RUNNING_TOLD_MAX).map((assignment) => runningAttempt(assignment, nowMs)),
      runningCount: running.length,
      attempts: attempts.map((attempt) => endedAttempt(attempt, nowMs)),
      nodes: nodesOf(running).map((node) => this.node(node, nowMs)),
      chunk,
      poolSlotsMax: job.pool.opened.processes,
    };
  }

  jobs(nowMs: Millis): ListJobsResponse {
    const views = new Map(this.#core.jobs().map((view) => [view.job, view]));
    const live: JobStatus[] = [];
    for (const job of this.#ledger.jobs.values()) {
      const view = views.get(job.key);
      if (view !== undefined) live.push(liveStatus(job, view, nowMs));
    }
    const ended = this.#ledger.ended.map((end) => endedStatus(end, nowMs));
    const { kept, history } = this.#others;
    const past = history.statuses(ENDED_JOBS_MAX - ended.length);
    return { jobs: [...kept.submitting(nowMs), ...live.reverse(), ...ended.reverse(), ...past] };
  }

  /** Throws NotFoundError. */
  #describePast(request: DescribeJobRequest): DescribeJobResponse {
    const status = this.#others.history.find(JobId(request.jobId));
    if (status === undefined) throw unknownJob(request.jobId);
    return briefly(status, pastChunk(status, request));
  }

  #job(job: JobRecord, nowMs: Millis): JobStatus | undefined {
    const view = this.#core.jobs().find(({ job: key }) => key === job.key);
    if (view !== undefined && this.#ledger.jobs.has(job.key)) return liveStatus(job, view, nowMs);
    const ended = this.#ledger.ended.findLast((end) => end.job === job);
    return ended && endedStatus(ended, nowMs);
  }
}

/** Of a job of which nothing more is known. */
function briefly(job: JobStatus, chunk: ChunkStatus | undefined): DescribeJobResponse {
  const nothing = { waits: [], running: [], runningCount: 0, attempts: [], nodes: [] };
  return { job, ...nothing, chunk, poolSlotsMax: 0 };
}

/** What a node holds, by job, the one that is there for longest first. */
function nodeJobs(node: NodeRecord, nowMs: Millis): NodeJob[] {
  const byJob = Map.groupBy(node.assignments.values(), ({ job }: AssignmentRecord) => job);
  return [...byJob].slice(0, NODE_JOBS_SHOWN_MAX).map(([job, [first, ...others]]) => {
    const longestMs = Math.round(nowMs - (first?.placedMs ?? nowMs));
    return {
      jobId: job.id,
      name: nameOf(job),
      chunks: 1 + others.length,
      longestMs,
      client: job.pool.client.description,
    };
  });
}

function nameOf(job: JobRecord): string {
  return job.opened.name === "" ? (job.function?.displayName ?? "") : job.opened.name;
}

function liveStatus(job: JobRecord, { state, chunksPlaced }: JobView, nowMs: Millis): JobStatus {
  return { ...common(job), state, ageMs: Math.round(nowMs - job.openedMs), durationMs: 0, chunksPlaced };
}

/** Of a job that is over. */
export function endedStatus({ job, outcome, endedMs }: EndedJob, nowMs: Millis): JobStatus {
  const durationMs = Math.max(1, Math.round(endedMs - job.openedMs));
  return {
    ...common(job),
    state: outcome,
    ageMs: Math.round(nowMs - job.openedMs),
    durationMs,
    chunksPlaced: 0,
  };
}

function common(job: JobRecord) {
  const kept = job.keptFor;
  return {
    jobId: job.id,
    name: nameOf(job),
    itemsDone: job.itemsDone + (kept?.itemsBefore ?? 0),
    itemsOffered: kept?.items ?? job.itemsOffered,
    chunksOffered: kept?.chunkCount ?? job.chunksOffered,
    chunksDone: job.chunksDone + (kept?.chunksBefore ?? 0),
    client: job.pool.client.description,
    failure: job.failure,
    identity: identityText(job.pool.client.caller),
    kept: kept !== undefined,
    detached: kept?.isDetached === true,
    listeners: kept?.listenerCount ?? 0,
  };
}
