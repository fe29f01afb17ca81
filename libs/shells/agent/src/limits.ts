/** Output that waits for the coordinator's window, in bytes. Above, lines are dropped and counted. */
export const OUTPUT_BACKLOG_BYTES = 4 * 1024 * 1024;
/** Lines of one worker that are joined into one message, in bytes. */
export const OUTPUT_BLOCK_BYTES = 64 * 1024;
/** First and longest pause before the coordinator is dialled again with a new session. */
export const REDIAL_BACKOFF = { firstMs: 50, maxMs: 2_000 } as const;
/** The same where it refuses a node that it has known before. */
export const REFUSED_BACKOFF = { firstMs: 500, maxMs: 30_000 } as const;
/** How long an agent waits for its first link before it says that there is none. */
export const UNREACHED_WARN_MS = 2_000;
/** How long the place of code is remembered: well below the time for which Blobs keep what was located. */
export const CODE_PLACE_KEEP_MS = 60_000;
/** How long a task's own session with the coordinator outlives its connection: as long as that of any client. */
export const NESTED_UNAVAILABLE_MS = 60_000;
/**
 * What a task says to the coordinator and that the coordinator has not taken, in bytes. A task that heeds NestedTaken stays at one
 * payload beyond a window. Above, its worker is killed.
 */
export const NESTED_QUEUE_BYTES_MAX = 1024 * 1024 * 1024;
/** Artifacts that one worker asks for at a time. Above, it is killed. */
export const WORKER_WANTS_MAX = 256;
/** What an initializer threw, as a worker reports it, in bytes. A worker that sends more is killed. */
export const INIT_ERROR_BYTES_MAX = 64 * 1024;
/** The line about it, likewise. What the agent itself has to say about a worker that died is cut off there. */
export const INIT_SUMMARY_BYTES_MAX = 1024;
/** Words about an item's failure, as a worker reports it, in characters. A worker that says more is killed. */
export const FAILURE_WORDS_MAX = 16 * 1024;
/** A process of a user that is not ready by then is killed, and could not be started. */
export const PROCESS_READY_MS = 30_000;
/** From SIGTERM to SIGKILL, for a process that nobody owns any more. */
export const PROCESS_STOP_GRACE_MS = 1_000;
/** Sessions with the manager that the code in one worker has at a time: its own and one for each Manager. The worker that opens more is dropped. */
export const WORKER_OWNERS_MAX = 1_024;
/** So long before its end an agent leaves, and what runs on it is told: nothing is begun there that would not be over by then. */
export const LIFETIME_GRACE_MS_MAX = 10_000;
/** Of a short life the grace is this part, so that the rest can be used. */
export const LIFETIME_GRACE_SHARE = 0.25;
/** So long before its end what still runs is stopped: enough for a worker to end, and for word of that to arrive. */
export const LIFETIME_STOP_MS_MAX = 2_500;
/** The same as a part of the grace, where that is short. */
export const LIFETIME_STOP_SHARE = 0.25;
/** Bytes that wait for the coordinator's window, above which what items have come to waits, too: the newest of each chunk is said once less than SESSION_WINDOW_BYTES wait, or before the chunk's end. It must not be below that. */
export const CHECKPOINT_BACKLOG_BYTES = 8 * 1024 * 1024;
