import type { PoolView } from "@heddle/core-pool";
import { unreachable } from "@heddle/kernel";
import { by, counter, gauge, type Metric } from "@heddle/port-metrics";
import type { ChunkFinished } from "@heddle/wire";
import type { WorkerRecord } from "./records.ts";

/** How an assignment ends at an agent. */
type Ending =
  | "done"
  | "part-done"
  | "item-error"
  | "item-overdue"
  | "worker-death"
  | "init-failed"
  | "not-started"
  | "stopped";

/** What an agent counts as it happens; everything else is looked up when somebody asks. */
export class Counts {
  readonly chunks: Record<Ending, number> = {
    done: 0,
    "part-done": 0,
    "item-error": 0,
    "item-overdue": 0,
    "worker-death": 0,
    "init-failed": 0,
    "not-started": 0,
    stopped: 0,
  };
  /** Worker processes that ended without having been told to. */
  readonly deaths = { exited: 0, sigkill: 0, signal: 0, "not-started": 0, protocol: 0 };
  workersStarted = 0;
  /** How often the coordinator came in reach. */
  links = 0;

  /** An assignment is over. */
  finished(outcome: ChunkFinished["outcome"]): void {
    this.chunks[endingOf(outcome)]++;
  }

  /** A worker process is gone; one that was told to end is no death. */
  ended({ exit, isTold, offence, ready }: WorkerRecord): void {
    if (offence !== undefined) this.deaths.protocol++;
    else if (isTold || exit === undefined) return;
    else if (!ready) this.deaths["not-started"]++;
    else if (exit.signal === null) this.deaths.exited++;
    else this.deaths[exit.signal === "SIGKILL" ? "sigkill" : "signal"]++;
  }
}

/** What the metrics of an agent are made from. */
export interface AgentFacts {
  readonly counts: Counts;
  readonly slots: number;
  readonly pool: PoolView;
  /** Processes of users. */
  readonly processes: number;
  /** Of all worker processes, as sampled last. */
  readonly rssBytes: number;
  /** The coordinator is in reach. */
  readonly isLinked: boolean;
}

/** What an agent tells those who watch over it. */
export function agentMetrics({ counts, slots, pool, processes, rssBytes, isLinked }: AgentFacts): readonly Metric[] {
  return [
    gauge("heddle_agent_linked", "Whether the coordinator is in reach: 1 or 0.", isLinked ? 1 : 0),
    counter("heddle_agent_links_total", "How often the coordinator came in reach.", counts.links),
    gauge("heddle_agent_slots", "Chunks that it runs at a time.", slots),
    gauge("heddle_agent_slots_busy", "Slots in use; a task that waits for others lends its own.", pool.running),
    gauge("heddle_agent_chunks_queued", "Chunks that are here and that no worker has.", pool.queued),
    counter(
      "heddle_agent_chunks_finished_total",
      "Assignments that are over, by how they ended.",
      by("outcome", counts.chunks),
    ),
    gauge("heddle_agent_workers", "Worker processes of pools, by state.", by("state", pool.workers)),
    gauge("heddle_agent_processes", "Processes of users, each in a worker process of its own.", processes),
    gauge("heddle_agent_workers_resident_bytes", "Memory of all worker processes, as sampled last.", rssBytes),
    counter(
      "heddle_agent_workers_started_total",
      "Worker processes that were started: those beyond the first of each slot replace others.",
      counts.workersStarted,
    ),
    counter(
      "heddle_agent_worker_deaths_total",
      "Worker processes that ended unasked: by an exit of their own, by SIGKILL as of the kernel short of memory, by another signal, before they were ready, or cut for what they said.",
      by("kind", { ...counts.deaths }),
    ),
  ];
}

function endingOf(outcome: ChunkFinished["outcome"]): Ending {
  switch (outcome?.$case) {
    case "done":
    case undefined:
      return "done";
    case "partDone":
      return "part-done";
    case "itemError":
      return "item-error";
    case "itemOverdue":
      return "item-overdue";
    case "workerDeath":
      return "worker-death";
    case "initFailure":
      return "init-failed";
    case "notStarted":
      return "not-started";
    case "stopped":
      return "stopped";
    default:
      return unreachable(outcome);
  }
}
