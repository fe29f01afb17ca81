import { jobLanes } from "./job-lanes.ts";
import type { FaultKind } from "./kinds.ts";

/** A fault as it was. Times are of the machine's monotonic clock. */
export interface FaultRecord {
  readonly number: number;
  readonly kind: FaultKind;
  readonly target: string;
  readonly fromMs: number;
  /** Infinity while it lasts. */
  untilMs: number;
}

/** A call that was refused. */
export interface FailedCall {
  readonly client: string;
  readonly lane: string;
  readonly name: string;
  readonly message: string;
  readonly fromMs: number;
  readonly untilMs: number;
}

/** What may be told by an error: of some lanes, by kinds of faults of the client itself, of a server, or of any agent. */
interface Excuse {
  readonly kinds: ReadonlySet<FaultKind>;
  /** Whether it takes a fault that lasts for a good part of a lease. */
  readonly isLong: boolean;
  readonly lanes: ReadonlySet<string>;
}

/** Lanes that ask the manager, and those that have processes: what only has jobs sees nothing of most faults. */
const sharing = ["history", "count", "lock", "pipe", "writing-tasks", "once", "kept-once", "new-kept-once", "close"];
const processes = ["process", "pipe"];
/** Those whose jobs are on the coordinator's disk before they run. */
const kept = ["kept", "kept-once", "new-kept", "new-kept-once", "twice"];
const everybody = [...sharing, ...processes, ...kept, ...jobLanes.map(([name]) => name)];

function excuse(lanes: readonly string[], isLong: boolean, ...kinds: readonly FaultKind[]): Excuse {
  return { lanes: new Set(lanes), isLong, kinds: new Set(kinds) };
}

/** Whoever is not heard of for a lease is given up. What is slow or dripping may be not heard of. */
const silence: readonly FaultKind[] = ["cut", "half-open", "slow", "drip", "drop", "reject"];
const stops: readonly FaultKind[] = ["stop-agent", "stop-coordinator", "stop-manager", "stop-client"];
const deaths: readonly FaultKind[] = ["kill-agent", "kill-worker", "little-memory", "stop-worker"];
const sessionOver = excuse(sharing, true, ...silence, ...stops);
/** A program to which the manager has never answered waits 10 s for it, and comes to know of it through the coordinator. */
const neverAnswered = excuse(
  ["new-kept-once"],
  false,
  ...silence,
  ...stops,
  ...(["kill-coordinator", "kill-manager", "full-manager-disk"] as const),
);
const nodeOver = excuse(sharing, false, "kill-agent");
/** A process ends with its node, its worker, and its client's session with the coordinator. */
const processOver = [
  excuse(processes, true, ...silence, ...stops),
  excuse(processes, false, ...deaths, "kill-coordinator", "no-forks"),
];
/** A process whose writes are refused ends by that error, and lets go of its end of the pipe. */
const refusedInProcess = excuse(["pipe"], false, "full-manager-disk");

/**
 * Which faults explain an error that a program may see: docs/failure-model.md. Any other error, and any of these without such a fault shortly before, fails the run: jobs go on through
 * whatever ends before their client's patience does.
 */
const excuses: ReadonlyMap<string, readonly Excuse[]> = new Map([
  ["UnavailableError", [sessionOver, neverAnswered, ...processOver]],
  ["SessionLostError", [sessionOver, nodeOver]],
  ["OutcomeUnknownError", [sessionOver, excuse(sharing, false, ...deaths)]],
  ["LockLostError", [sessionOver, nodeOver]],
  ["NotFoundError", [sessionOver, nodeOver]],
  ["LimitError", [excuse(sharing, false, "full-manager-disk"), excuse(kept, false, "full-coordinator-disk")]],
  ["WorkerLostError", [excuse(everybody, true, ...silence, ...stops), excuse(everybody, false, ...deaths)]],
  ["ProcessKilled", processOver],
  ["ProcessEndless", [excuse(processes, true, "stop-worker")]],
  ["PipeSilent", processOver],
  ["EndOfStreamError", [...processOver, refusedInProcess]],
  ["ClosedError", processOver],
]);

/** Part of a lease from which a fault counts as long. */
const LONG_SHARE = 0.6;
/** What a fault does is seen until so many leases after its end. */
const AFTER_LEASES = 2;

/** The faults by which an error is explained; none: it is wrong. */
export function explaining(call: FailedCall, faults: readonly FaultRecord[], leaseMs: number): FaultRecord[] {
  const candidates = (excuses.get(call.name) ?? []).filter(({ lanes }) => lanes.has(call.lane));
  return faults.filter(({ kind, target, fromMs, untilMs }) => {
    const isThere = fromMs < call.untilMs && untilMs + AFTER_LEASES * leaseMs > call.fromMs;
    const isTheirs = !target.startsWith("client-") || target === call.client;
    const isLong = Math.min(untilMs, call.untilMs) - fromMs > LONG_SHARE * leaseMs;
    return isThere && isTheirs && candidates.some((each) => each.kinds.has(kind) && (isLong || !each.isLong));
  });
}
