import type { Outcome } from "@heddle/core-scheduler";
import type { NodeTally } from "@heddle/wire";
import type { NodeRecord } from "./ledger.ts";

/** Of a node that has run nothing. */
export function emptyTally(): NodeRecord["tally"] {
  return {
    done: 0,
    "part-done": 0,
    "item-error": 0,
    "item-overdue": 0,
    "worker-death": 0,
    "init-failed": 0,
    "not-started": 0,
    stopped: 0,
    "start-fault": 0,
  };
}

/** Counts how an assignment of the node has ended. */
export function noteEnd({ tally }: NodeRecord, outcome: Outcome): void {
  const isFault = outcome.type === "not-started" && outcome.fault !== undefined;
  tally[isFault ? "start-fault" : outcome.type]++;
}

/** The counts, as operators see them. */
export function tallyOf({ tally }: NodeRecord): NodeTally {
  return {
    done: tally.done + tally["part-done"],
    itemFailures: tally["item-error"] + tally["item-overdue"],
    workerDeaths: tally["worker-death"],
    initFailures: tally["init-failed"],
    startFaults: tally["start-fault"],
    givenBack: tally["not-started"],
    stopped: tally.stopped,
  };
}
