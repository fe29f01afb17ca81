/** Result bytes that wait for a client's window. Above, its jobs get no new chunk until half of it is gone. */
export const CLIENT_RESULT_BACKLOG_BYTES = 8 * 1024 * 1024;
/** Ended jobs that are remembered for `get jobs`. Older ones are forgotten. */
export const ENDED_JOBS_MAX = 1_000;
/** How long an ended job is remembered. */
export const ENDED_JOB_AGE_MS = 60 * 60 * 1_000;
/** Clients at a time. One more is refused with goodbye "limit". */
export const CLIENTS_MAX = 1_000;
/** Nodes at a time. One more is refused with goodbye "limit". */
export const NODES_MAX = 1_000;
/** Pools of one client at a time. One more is refused with goodbye "limit". */
export const CLIENT_POOLS_MAX = 1_000;
/** Output lines that wait for a client's window, in bytes. Above, lines are dropped and counted. */
export const CLIENT_OUTPUT_BACKLOG_BYTES = 4 * 1024 * 1024;
/** Names whose incarnations are counted on after their node is gone. The one that joined longest ago begins again at 1. */
export const INCARNATIONS_MAX = 10_000;
