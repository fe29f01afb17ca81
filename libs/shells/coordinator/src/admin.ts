import type { Scheduler } from "@heddle/core-scheduler";
import type { Millis } from "@heddle/kernel";
import type { GetStatusResponse, JobStatus, ListJobsResponse, ListNodesResponse } from "@heddle/wire";
import type { EndedJob, JobRecord, Ledger } from "./ledger.ts";

/** What a coordinator says of itself. */
export interface Identity {
  readonly build: string;
  readonly serverId: string;
  readonly pid: number;
  readonly startedMs: Millis;
  /** Address of its manager; undefined when it has none. */
  readonly manager: string | undefined;
}

/** Answers the Admin service from the ledger and the core; reads only. */
export class AdminView {
  readonly #identity: Identity;
  readonly #core: Scheduler;
  readonly #ledger: Ledger;

  constructor(identity: Identity, core: Scheduler, ledger: Ledger) {
    this.#identity = identity;
    this.#core = core;
    this.#ledger = ledger;
  }

  status(nowMs: Millis): GetStatusResponse {
    const { build, serverId, pid, startedMs, manager = "" } = this.#identity;
    const nodes = this.#core.nodes().filter((node) => node.state === "ready");
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
    };
  }

  nodes(nowMs: Millis): ListNodesResponse {
    const views = new Map(this.#core.nodes().map((view) => [view.node, view]));
    const nodes = [...this.#ledger.nodes.values()].map((node) => {
      const view = views.get(node.key);
      const { host, pid, build, labels, resources, slots } = node.registration;
      return {
        name: node.name,
        state: view?.state ?? "silent",
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
      };
    });
    return { nodes: nodes.sort((a, b) => (a.name < b.name ? -1 : 1)) };
  }

  jobs(nowMs: Millis): ListJobsResponse {
    const views = new Map(this.#core.jobs().map((view) => [view.job, view]));
    const live: JobStatus[] = [];
    for (const job of this.#ledger.jobs.values()) {
      const view = views.get(job.key);
      if (view === undefined) continue;
      live.push({
        ...common(job),
        state: view.state,
        ageMs: Math.round(nowMs - job.openedMs),
        durationMs: 0,
        chunksPlaced: view.chunksPlaced,
      });
    }
    const ended = this.#ledger.ended.map((end) => endedStatus(end, nowMs));
    return { jobs: [...live.reverse(), ...ended.reverse()] };
  }
}

function endedStatus({ job, outcome, endedMs }: EndedJob, nowMs: Millis): JobStatus {
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
  return {
    jobId: job.id,
    name: job.opened.name === "" ? (job.function?.displayName ?? "") : job.opened.name,
    itemsDone: job.itemsDone,
    itemsOffered: job.itemsOffered,
    chunksOffered: job.chunksOffered,
    chunksDone: job.chunksDone,
    client: job.pool.client.description,
    failure: job.failure,
  };
}
