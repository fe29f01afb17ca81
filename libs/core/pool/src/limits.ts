import { NESTING_DEPTH_MAX } from "@heddle/kernel";

/** The named bounds of the worker pool. Each says what happens there. */

/**
 * Live workers per slot, over all pools. At the bound an idle worker of another pool is evicted before one is started.
 */
export const WORKERS_PER_SLOT_MAX = 2;
/**
 * Tasks per slot that may wait for the fabric, for each level of tasks in tasks: a chunk that is inside of `n` tasks starts only while fewer
 * than (n + 1) times as many wait. Above, it stays in its queue, and what the waiting ones wait for still finds room: it is one level
 * deeper. So no task that waits ever has to keep its slot.
 */
export const WAITING_PER_SLOT_AND_LEVEL = 4;
/**
 * Tasks per slot that wait at a time, at most: the deepest level's, and those that ran when that was reached. Each keeps a process. Cannot be
 * passed, since no chunk starts that could; levels above NESTING_DEPTH_MAX count as that.
 */
export const WAITING_PER_SLOT_MAX = (NESTING_DEPTH_MAX + 1) * WAITING_PER_SLOT_AND_LEVEL + 1;
/**
 * Times what the last worker took to start: for so long from its first chunk on a worker that is in use is not evicted for another pool. So
 * of more pools than there may be workers some run while others wait for their turn, and starting workers takes a fifth of the time, not all.
 */
export const TENURE_PER_START = 4;
/** A worker's tenure is at least so long, however quickly workers start. */
export const TENURE_MIN_MS = 100;
/** Nor is it longer: who waits for a worker waits for no more than this, and for one to start. */
export const TENURE_MAX_MS = 2_000;
/** A worker that has been idle for longer is not in use: it has no tenure. */
export const IN_USE_MS = 50;
/** Credit that is lent for chunks of one pool that wait for its first worker, at most. More are held against the node's credit. */
export const WORKERLESS_CREDIT_MAX = 32;
/** Chunks that one worker may hold behind its head. More wait in the queue. */
export const WORKER_DEPTH_MAX = 256;
/**
 * Work that one worker may hold behind its head: about what it does while an answer and the next chunk are under way.
 */
export const PREFETCH_MS = 2.5;
/** Chunks per slot granted beyond the running one. Twice WORKER_DEPTH_MAX: the other half is on its way. */
export const CREDIT_PER_SLOT_MAX = 512;
/** Chunks of a mean above this are granted one per slot: any node may take the next one. */
export const CREDIT_LONG_MS = 50;
/** Work per slot that must ask for less before the granted credit falls. It rises at once. */
export const CREDIT_WINDOW_MS = 100;
/** A pool with a smaller part of the recent work has no say in the credit. */
export const CREDIT_SHARE_MIN = 0.1;
/** A mean this many times outside of its credit level's range still keeps the level. */
export const CREDIT_HYSTERESIS = 1.4;
/** A chunk that has run for longer is reported as started. */
export const REPORT_STARTED_MS = 5;
/** A head that has run for longer is long: what waits behind it is taken back when there is a slot for it. */
export const LONG_HEAD_MS = 20;
/** Marks that are read so much later than they were due: the machine stood still meanwhile, and that counts against no item. */
export const STOOD_STILL_MS = 100;
/** From SIGTERM to SIGKILL. */
export const KILL_GRACE_MS = 1_000;
/** A worker that is not ready by then is killed, and counts as one that could not be started. */
export const SPAWN_READY_MS = 30_000;
/** Delay after the first failed start. Doubles with each further one. */
export const SPAWN_BACKOFF_FIRST_MS = 100;
/** Longest delay between attempts to start a worker. */
export const SPAWN_BACKOFF_MAX_MS = 5_000;
/** From this many failed starts in a row on, chunks without a worker finish as not started, with the fault. */
export const SPAWN_FAILURES_MAX = 3;
/** Weight of a new run time in a pool's mean. The first ones weigh more: they are all there is. */
export const MEAN_WEIGHT = 1 / 8;
/** Shortest run time that counts. */
export const RUN_MS_MIN = 0.001;
/** Longest run time that counts: a day. */
export const RUN_MS_MAX = 86_400_000;
/**
 * Finished assignments remembered, so that a repeated `chunk-assigned` is known as one. A power of two; older ones are
 * forgotten.
 */
export const FINISHED_REMEMBERED = 4_096;
