import type { ObjectsTotals, Reply, Revision } from "@heddle/core-objects";
import { by, counter, gauge, Histogram, histogram, type Metric } from "@heddle/port-metrics";

/** Bounds of the histogram of commits, in seconds: from memory to a disk that is in trouble. */
const COMMIT_SECONDS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5];

/** What a manager counts as it happens; everything else is looked up when somebody asks. */
export class Counts {
  readonly operations = { done: 0, limit: 0, conflict: 0, "lock-lost": 0, other: 0 };
  readonly commits = new Histogram(COMMIT_SECONDS);
  /** Of jobs whose items' writes count once. */
  readonly effects = { done: 0, conflict: 0, refused: 0 };
  /** Of those commits that were done. */
  readonly effectsItems = { settled: 0, again: 0 };
  sessionsExpired = 0;

  /** An operation is answered; `refusal` is the code of why it was not done. */
  answered(refusal: string | undefined): void {
    this.operations[outcomeOf(refusal)]++;
  }

  /** What items have written was committed, or not; asked again, it does not count again. */
  committed({ refusal, numbers }: Pick<Reply, "refusal" | "numbers">): void {
    if (refusal === undefined) {
      this.effects.done++;
      for (const isSettled of numbers) this.effectsItems[isSettled === 1 ? "settled" : "again"]++;
    } else this.effects[refusal.code === "conflict" ? "conflict" : "refused"]++;
  }
}

/** What the metrics of a manager are made from. */
export interface ManagerFacts {
  readonly counts: Counts;
  readonly totals: ObjectsTotals;
  readonly revision: Revision;
  /** Nothing can be written. */
  readonly isFull: boolean;
  /** Of records behind the newest snapshot, and how long ago that was saved. */
  readonly tail: { readonly bytes: number; readonly snapshotAgeMs: number };
  readonly streams: { readonly operations: number; readonly beats: number };
}

/** What a manager tells those who watch over it. */
export function managerMetrics({ counts, totals, revision, isFull, tail, streams }: ManagerFacts): readonly Metric[] {
  const { locks, others } = totals.waits;
  return [
    gauge("heddle_manager_revision", "Commands and operations in the journal: it rises with every write.", revision),
    gauge("heddle_manager_sessions", "Leased sessions of programs and nodes.", totals.sessions),
    counter("heddle_manager_sessions_expired_total", "Sessions whose lease ran out.", counts.sessionsExpired),
    gauge("heddle_manager_streams", "Streams that are open, by what goes through them.", by("kind", { ...streams })),
    gauge("heddle_manager_owners", "Programs, workers and Managers in them that have written.", totals.owners),
    gauge("heddle_manager_objects", "Shared objects, locks included.", totals.objects),
    gauge(
      "heddle_manager_data_bytes",
      "What shared objects, unacknowledged replies and outcomes of items take in memory.",
      totals.bytes,
    ),
    gauge("heddle_manager_locks_held", "Locks that are held, and holds of permits.", totals.holds),
    gauge(
      "heddle_manager_waits",
      "Operations that wait: for a lock or a permit, or for anything else.",
      by("what", { lock: locks, other: others }),
    ),
    counter(
      "heddle_manager_operations_total",
      "Operations that were answered: done, or refused because of a limit, a conflict, a lock that was lost, or anything else.",
      by("outcome", { ...counts.operations }),
    ),
    gauge("heddle_manager_effects_jobs", "Jobs with effects: once that are open.", totals.jobs),
    counter(
      "heddle_manager_effects_commits_total",
      "Commits of what items of such jobs have written: done, or refused because of a conflict, after which the items run again, or anything else.",
      by("outcome", { ...counts.effects }),
    ),
    counter(
      "heddle_manager_effects_items_total",
      "Items in commits that were done: settled by them, or settled before and answered again, with nothing written.",
      by("outcome", { ...counts.effectsItems }),
    ),
    histogram(
      "heddle_manager_commit_seconds",
      "How long it took to bring commands to the disk, many at a time.",
      counts.commits,
    ),
    gauge(
      "heddle_manager_journal_tail_bytes",
      "Records behind the newest snapshot, which a start has to read.",
      tail.bytes,
    ),
    gauge(
      "heddle_manager_snapshot_age_seconds",
      "Since the newest snapshot was saved, or since the start of a manager that has saved none.",
      tail.snapshotAgeMs / 1_000,
    ),
    gauge("heddle_manager_read_only", "Whether the disk is full and writes are refused: 1 or 0.", isFull ? 1 : 0),
  ];
}

function outcomeOf(refusal: string | undefined): keyof Counts["operations"] {
  switch (refusal) {
    case undefined:
      return "done";
    case "limit":
    case "conflict":
    case "lock-lost":
      return refusal;
    default:
      return "other";
  }
}
