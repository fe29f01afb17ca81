import type { Effect, JobView, NodeView, Outcome, PoolKey } from "@heddle/core-scheduler";
import { by, counter, gauge, type Metric } from "@heddle/port-metrics";
import type { Ledger } from "./ledger.ts";

type JobOutcome = Extract<Effect, { readonly type: "end-job" }>["outcome"];

/** What a coordinator counts as it happens; everything else is looked up when somebody asks. */
export class Counts {
  readonly jobsEnded: Record<JobOutcome, number> = { done: 0, failed: 0, cancelled: 0 };
  readonly chunksFinished: Record<Outcome["type"], number> = {
    done: 0,
    "part-done": 0,
    "item-error": 0,
    "item-overdue": 0,
    "worker-death": 0,
    "init-failed": 0,
    "not-started": 0,
    stopped: 0,
  };
  itemsDone = 0;
  /** Answers of kept jobs that are on disk. */
  keptAnswers = 0;
  /** Assignments that were on nodes when those were lost. */
  lostWithNodes = 0;
}

/** What the metrics of a coordinator are made from. */
export interface CoordinatorFacts {
  readonly counts: Counts;
  readonly ledger: Ledger;
  readonly nodes: readonly NodeView[];
  readonly jobs: readonly JobView[];
  /** Of stragglers. */
  readonly backups: { readonly started: number; readonly won: number };
  /** Stream sessions that have not ended, those of peers out of reach included. */
  readonly sessions: { readonly client: number; readonly agent: number };
  readonly processes: { readonly placed: number; readonly waiting: number };
  readonly kept: { readonly submitting: number; readonly running: number; readonly ended: number };
  /** Of kept jobs, on disk. */
  readonly keptBytes: number;
  /** Of awaited jobs, on disk: bytes now, and results so far. */
  readonly spill: { readonly bytes: number; readonly results: number };
}

/** What a coordinator tells those who watch over it. */
export function coordinatorMetrics(facts: CoordinatorFacts): readonly Metric[] {
  return [...workMetrics(facts), ...keptMetrics(facts), ...peerMetrics(facts)];
}

function workMetrics({ counts, ledger, jobs, backups, processes }: CoordinatorFacts): Metric[] {
  const placed = sum(jobs, (job) => job.chunksPlaced);
  const waiting = sum(jobs, (job) => job.chunksWaiting);
  const lost = { "node-loss": counts.lostWithNodes, "worker-death": counts.chunksFinished["worker-death"] };
  return [
    gauge("heddle_coordinator_jobs", "Jobs that are not over.", ledger.jobs.size),
    counter(
      "heddle_coordinator_jobs_ended_total",
      "Jobs that are over, by how they ended.",
      by("outcome", counts.jobsEnded),
    ),
    gauge(
      "heddle_coordinator_chunks",
      "Chunks that are on a node, and that wait for one.",
      by("state", { placed, waiting }),
    ),
    counter(
      "heddle_coordinator_chunks_finished_total",
      "Attempts that nodes have finished, by how: a chunk that fails or is split has several.",
      by("outcome", counts.chunksFinished),
    ),
    counter(
      "heddle_coordinator_attempts_lost_total",
      "Attempts that were lost with their node or their worker process, by which.",
      by("cause", lost),
    ),
    counter(
      "heddle_coordinator_backups_total",
      "Second attempts of stragglers: those that were started, and of them those that answered first.",
      by("what", { ...backups }),
    ),
    counter("heddle_coordinator_items_done_total", "Items whose values were sent to their client.", counts.itemsDone),
    gauge(
      "heddle_coordinator_slots_wanted",
      "Slots that open jobs could use now, by the chunks they have and the bounds of their pools: compare with the slots there are.",
      slotsWanted(ledger, jobs),
    ),
    gauge(
      "heddle_coordinator_processes",
      "Processes of users that are on a node, and that wait for one.",
      by("state", processes),
    ),
  ];
}

function keptMetrics({ kept, keptBytes, spill, counts }: CoordinatorFacts): Metric[] {
  return [
    gauge(
      "heddle_coordinator_spill_bytes",
      "Bytes of disk that results have for which clients have no time.",
      spill.bytes,
    ),
    counter("heddle_coordinator_spilled_results_total", "Results that were put there.", spill.results),
    gauge(
      "heddle_coordinator_kept_jobs",
      "Kept jobs that are submitted, that run, and that have ended and can be attached to.",
      by("state", kept),
    ),
    gauge("heddle_coordinator_kept_bytes", "Bytes of kept jobs in the store.", keptBytes),
    counter("heddle_coordinator_kept_answers_total", "Answers of kept jobs that were written.", counts.keptAnswers),
  ];
}

function peerMetrics({ ledger, nodes, sessions }: CoordinatorFacts): Metric[] {
  const states = { ready: 0, silent: 0, cordoned: 0, excluded: 0, draining: 0, drained: 0 };
  const slots = { ...states };
  for (const node of nodes) {
    states[node.state]++;
    slots[node.state] += node.slots;
  }
  const clients = [...ledger.clients.values()];
  const held = {
    inputs: sum(clients, (client) => client.heldBytes),
    results: sum(clients, ({ session }) => session.queuedBytes),
  };
  return [
    gauge("heddle_coordinator_nodes", "Nodes, by state: those that are ready take work.", by("state", states)),
    gauge("heddle_coordinator_slots", "Slots of those nodes, by the node's state.", by("state", slots)),
    gauge("heddle_coordinator_clients", "Programs and nodes' tasks that may open jobs now.", clients.length),
    gauge(
      "heddle_coordinator_sessions",
      "Stream sessions, by who dialled, those out of reach included.",
      by("peer", sessions),
    ),
    gauge(
      "heddle_coordinator_held_bytes",
      "Inputs of open jobs that are kept, and what waits to be sent to clients.",
      by("what", held),
    ),
  ];
}

/** A pool never uses more slots than it may have, however many chunks its jobs have. */
function slotsWanted(ledger: Ledger, jobs: readonly JobView[]): number {
  const pools = new Map<PoolKey, { chunks: number; readonly slotsMax: number }>();
  for (const { job, chunksPlaced, chunksWaiting } of jobs) {
    const pool = ledger.jobs.get(job)?.pool;
    if (pool === undefined) continue; // it has ended, and nodes give its chunks back
    const { processes } = pool.opened;
    const wanted = pools.get(pool.key) ?? {
      chunks: 0,
      slotsMax: processes === 0 ? Number.POSITIVE_INFINITY : processes,
    };
    wanted.chunks += chunksPlaced + chunksWaiting;
    pools.set(pool.key, wanted);
  }
  return sum([...pools.values()], ({ chunks, slotsMax }) => Math.min(chunks, slotsMax));
}

function sum<T>(all: readonly T[], of: (one: T) => number): number {
  return all.reduce((total, one) => total + of(one), 0);
}
