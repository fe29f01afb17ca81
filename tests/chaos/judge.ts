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

/** What may be told by an error: kinds of faults, of the client itself, of a server, or of any agent. */
interface Excuse {
  readonly kinds: ReadonlySet<FaultKind>;
  /** Whether it takes a fault that lasts for a good part of a lease. */
  readonly isLong: boolean;
}

const excuse = (isLong: boolean, ...kinds: readonly FaultKind[]): Excuse => ({ isLong, kinds: new Set(kinds) });
/** Whoever is not heard of for a lease is given up. What is slow or dripping may be not heard of. */
const silence: readonly FaultKind[] = ["cut", "half-open", "slow", "drip", "drop", "reject"];
const stops: readonly FaultKind[] = ["stop-agent", "stop-coordinator", "stop-manager", "stop-client"];
const givenUp = excuse(true, ...silence, ...stops);
const agentDied = excuse(false, "kill-agent");
const workerDied = excuse(false, "kill-worker", "little-memory", "stop-worker");
const coordinatorDied = excuse(false, "kill-coordinator");

/**
 * Which faults explain an error that a program may see: docs/failure-model.md. Any other error, and any of these without such a fault shortly before, fails the run.
 */
const excuses: ReadonlyMap<string, readonly Excuse[]> = new Map([
  ["UnavailableError", [givenUp, coordinatorDied, excuse(false, "no-forks")]],
  ["SessionLostError", [givenUp, agentDied]],
  ["OutcomeUnknownError", [givenUp, agentDied, workerDied]],
  ["LockLostError", [givenUp, agentDied]],
  ["NotFoundError", [givenUp, agentDied]],
  ["LimitError", [excuse(false, "full-manager-disk")]],
  ["WorkerLostError", [givenUp, agentDied, workerDied]],
  ["ProcessKilled", [givenUp, agentDied, workerDied, coordinatorDied]],
  ["ProcessEndless", [excuse(true, "stop-worker")]],
  ["PipeSilent", [givenUp, agentDied, workerDied, coordinatorDied]],
  ["EndOfStreamError", [givenUp, agentDied, workerDied, coordinatorDied]],
  ["ClosedError", [givenUp, agentDied, workerDied, coordinatorDied]],
]);

/** Part of a lease from which a fault counts as long. */
const LONG_SHARE = 0.6;
/** What a fault does is seen until so many leases after its end. */
const AFTER_LEASES = 2;

/** The faults by which an error is explained; none: it is wrong. */
export function explaining(call: FailedCall, faults: readonly FaultRecord[], leaseMs: number): FaultRecord[] {
  const candidates = excuses.get(call.name) ?? [];
  return faults.filter((fault) => {
    const { kind, target, fromMs, untilMs } = fault;
    const isThere = fromMs < call.untilMs && untilMs + AFTER_LEASES * leaseMs > call.fromMs;
    const isTheirs = !target.startsWith("client-") || target === call.client;
    const lastedMs = Math.min(untilMs, call.untilMs) - fromMs;
    return (
      isThere &&
      isTheirs &&
      candidates.some(({ kinds, isLong }) => kinds.has(kind) && (!isLong || lastedMs > LONG_SHARE * leaseMs))
    );
  });
}
