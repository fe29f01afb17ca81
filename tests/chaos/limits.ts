/** The named bounds of a run. Each says what happens there. */

/** Of a manager's disk, in bytes: what it writes between two snapshots fits several times. */
export const MANAGER_DISK_BYTES = 192 * 1024 * 1024;
/** Of a coordinator's disk, in bytes: the jobs that it keeps at most fit twice, with code beside them. */
export const COORDINATOR_DISK_BYTES = 192 * 1024 * 1024;
/** Of the jobs that a coordinator keeps, in bytes. Above it ended ones go: none that a run still asks for. */
export const KEPT_BYTES = 64 * 1024 * 1024;
/** Of an agent's disk, in bytes. */
export const AGENT_DISK_BYTES = 64 * 1024 * 1024;
/** Clients' connections that are lost for so long, in milliseconds, reject what waits: longer than any fault lasts, or than several right after each other. */
export const unavailableMs = (leaseMs: number): number => Math.max(40_000, 4 * leaseMs);
/** A call that has not settled after so many milliseconds hangs: the run fails. What a fault holds up goes on within two leases, and may meet the next one; servers take their time to start where many do. */
export const hangMs = (leaseMs: number): number => Math.max(90_000, 12 * leaseMs);
/** A process ends, and an end of a pipe has something to say, within so many milliseconds: else something is wrong with it. */
export const processMs = (leaseMs: number): number => Math.max(45_000, 6 * leaseMs);
/** From the end of the last fault until everything that was begun is over, in leases. Above it the run fails. */
export const QUIET_LEASES = 8;
/** From the death of a client until its jobs have ended, in leases. Above it the run fails. */
export const ABANDONED_LEASES = 5;
/** Kept jobs of a client that is gone have so much more where the coordinator was started anew meanwhile, in milliseconds. */
export const KEPT_COMEBACK_MS = 60_000;
/** Calls of unknown outcome may leave a history undecided: of all histories, so many may be. Above it the run fails. */
export const UNDECIDED_SHARE_MAX = 0.5;
/** Steps that one history is judged for. Above it is undecided. */
export const HISTORY_STEPS_MAX = 300_000;

/** Growth of one process that lives for long, from its first minutes to its last. Above it the run fails. */
export const growthMax = {
  heapBytes: 48 * 1024 * 1024,
  rssBytes: 256 * 1024 * 1024,
  files: 64,
  threads: 8,
  timers: 200,
} as const;
/** What a server may have open when everything is over, and its timers. Above it the run fails. */
export const quietMax = { files: 96, threads: 24, timers: 64 } as const;
/** A process younger than this is not judged by its growth. */
export const GROWTH_AGE_MS = 240_000;
/** Its first part, in which caches fill, is left out. */
export const GROWTH_WARM_UP_MS = 60_000;
