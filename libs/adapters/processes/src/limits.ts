/** One frame between agent and worker. A worker that announces more is killed; one of ours is a LimitError where it is sent. */
export const WORKER_FRAME_BYTES_MAX = 1024 * 1024;
/** Entries of one turn share frames up to this size. */
export const WORKER_FRAME_BYTES_TARGET = 256 * 1024;
/**
 * Sent to one worker and not yet taken by its pipe. A worker that runs user code does not read, so whole payloads may wait here;
 * above this bound it is killed with a fault. Twice the largest payload: one that runs and one prefetched behind it.
 */
export const WORKER_UNSENT_BYTES_MAX = 1024 * 1024 * 1024;
/** Unsent bytes above which a worker's `drained()` waits. */
export const WORKER_LINK_BUFFER_BYTES = 1024 * 1024;
/** After a worker's death its pipes are read to the end, but no longer than this: a process it left behind may hold them open. */
export const PIPE_END_WAIT_MS = 250;
/** A worker whose link ended and that still lives after this time is killed. */
export const LINK_END_GRACE_MS = 1_000;
/** Resident set sizes are sampled this often. */
export const RSS_SAMPLE_MS = 500;
/** What a worker counts for, beside its memory, where the system looks for a process to kill because there is none left; in thousandths of all there is. */
export const WORKER_OOM_SCORE = 500;
/** Passes over the process table in search of stragglers; what forks faster than this is left to the next sweep. */
export const SWEEP_PASSES_MAX = 50;
/** Processes looked at before other work gets its turn. */
export const SWEEP_SLICE = 64;
/** Disposing gives up on processes that do not die of SIGKILL (stuck in the kernel) after this time. */
export const DISPOSE_WAIT_MS = 5_000;
/** A reaper that dies is started again so often, then the log says that there is none. */
export const REAPER_RESTARTS_MAX = 3;
