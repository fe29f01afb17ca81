import { CLIENT_INPUT_BYTES_MAX } from "@heddle/kernel";

/** Result bytes that wait for a client's window. Above, its jobs get no new chunk until half of it is gone. */
export const CLIENT_RESULT_BACKLOG_BYTES = 8 * 1024 * 1024;
/** The same while results go to disk, beside those that went into a short queue: what does not go to disk, errors of items and what a reader in order waits for, is bounded by it. */
export const ABSORBED_BACKLOG_BYTES = 2 * CLIENT_RESULT_BACKLOG_BYTES;
/**
 * Where there is a disk for them, results go there while as much waits for a client's window, or more than its program may have sent and not taken; they come
 * back as it reads.
 */
export const SPILL_BACKLOG_BYTES = CLIENT_RESULT_BACKLOG_BYTES / 2;
/** Results of one job on disk. Above, none of its chunks starts that was never placed, until all of it is gone: then results of a reader that has caught up need no disk. */
export const JOB_SPILL_BYTES_MAX = 256 * 1024 * 1024;
/** The same, in results: what is known of each is in memory. */
export const JOB_SPILL_RESULTS_MAX = 16_384;
/** Results of one job that wait for the disk. Above, none of its chunks starts that was never placed, until half of it is there. */
export const SPILL_WRITING_BYTES_MAX = 8 * 1024 * 1024;
/** Bytes that one write to disk brings together; one part of a result always goes. */
export const SPILL_WRITE_BYTES_TARGET = 1024 * 1024;
/** Results of all jobs on disk, and those on the way there. Above, jobs are held back as by JOB_SPILL_BYTES_MAX. */
export const SPILL_RESULTS_MAX = 131_072;
/** Bytes of all jobs' results that wait for the disk. Above, the same. */
export const SPILL_UNWRITTEN_BYTES_MAX = 64 * 1024 * 1024;
/** Files of jobs with results on disk. Above, the same. */
export const SPILL_FILES_MAX = 1_024;
/** Of all jobs, on disk, those parts of files included that were read. Above, jobs are held back as by JOB_SPILL_BYTES_MAX. */
export const SPILL_BYTES_MAX = 2 * 1024 * 1024 * 1024;
/** Ended jobs that are remembered for `get jobs`. Older ones are forgotten. */
export const ENDED_JOBS_MAX = 1_000;
/** How long an ended job is remembered. */
export const ENDED_JOB_AGE_MS = 60 * 60 * 1_000;
/** Attempts of one job that did not simply succeed and are kept for `heddle why`. The oldest is forgotten. */
export const JOB_ATTEMPTS_MAX = 100;
/** The same of all jobs, ended ones that are remembered included. */
export const ATTEMPTS_MAX = 10_000;
/** One line about an attempt, in characters; cut there. */
export const ATTEMPT_SUMMARY_LENGTH_MAX = 200;
/** The end of what a worker that died wrote to its standard error, in characters, as far as it is kept with the attempt. */
export const ATTEMPT_STDERR_LENGTH_MAX = 1_024;
/** Chunks that run, and nodes that they run on, which one answer about a job tells of. The others are counted. */
export const RUNNING_TOLD_MAX = 100;
/** Clients at a time. One more is refused with goodbye "limit". */
export const CLIENTS_MAX = 1_000;
/**
 * Clients' sessions of one identity at a time: of a user's programs, or of an agent for its tasks. One more is refused with goodbye "limit", which says
 * whose they are. The user of the coordinator is not bounded by it.
 */
export const CALLER_CLIENTS_MAX = CLIENTS_MAX / 2;
/** Nodes at a time, of one identity too: all of a fabric's agents may share a certificate. One more is refused with goodbye "limit". */
export const NODES_MAX = 1_000;
/** Pools of one client at a time. One more is refused with goodbye "limit". */
export const CLIENT_POOLS_MAX = 1_000;
/** Processes of one client that are not over, those that wait for a node included. One more is refused with LimitError. */
export const CLIENT_PROCESSES_MAX = 1_000;
/** Processes of one node that are not over. Where each node that fits has as many, one more is refused with LimitError. */
export const NODE_PROCESSES_MAX = 256;
/** Nodes on which a process is tried to be started. When none of them can, it is refused with what each of them says. */
export const PROCESS_TRIES_MAX = 3;
/** For so long after a node could not start a process, the next ones go to others where there are any. */
export const PROCESS_FAULT_MS = 60_000;
/** Characters in what people call a process, and in its place in the tree of processes. More ends the peer's session. */
export const PROCESS_NAME_LENGTH_MAX = 200;
/** Output lines that wait for a client's window, in bytes. Above, lines are dropped and counted. */
export const CLIENT_OUTPUT_BACKLOG_BYTES = 4 * 1024 * 1024;
/** Names whose incarnations are counted on after their node is gone. The one that joined longest ago begins again at 1. */
export const INCARNATIONS_MAX = 10_000;
/** Jobs that the description of a node tells of, those that are there for longest. The others are left out. */
export const NODE_JOBS_SHOWN_MAX = 1_000;
/** Names that are cordoned, those of nodes that are gone included. Of these the one that was cordoned longest ago is forgotten. */
export const CORDONS_MAX = 10_000;
/** Characters of why a node is cordoned. More is refused with LimitError. */
export const CORDON_REASON_LENGTH_MAX = 200;
/** Characters of why a job is cancelled by somebody else than its client. More is refused with LimitError. */
export const CANCEL_REASON_LENGTH_MAX = 200;
/** Longest time that a drain may leave to what runs. More is refused with LimitError. */
export const DRAIN_DEADLINE_MS_MAX = 7 * 24 * 60 * 60 * 1_000;
/** Labels and resources, each, that a node's resources or a job's or pool's requirements may name. More ends the peer's session. */
export const AMOUNTS_MAX = 32;
/** Longest name of one of them. */
export const AMOUNT_NAME_LENGTH_MAX = 63;
/** Longest run of an item that a job may allow: what a timer can wait. */
export const ITEM_TIMEOUT_MS_MAX = 2 ** 31 - 1;
/** Most items of a chunk that a job may have under way at a time. */
export const CONCURRENCY_MAX = 1_024;
/** What a pool's initializer threw, in bytes. More ends the node's session. */
export const INIT_ERROR_BYTES_MAX = 64 * 1024;
/** One line about it; cut there. */
export const INIT_SUMMARY_LENGTH_MAX = 1_024;
/** What is needed and what nodes have, in the message of an UnschedulableError, in characters; cut there. */
export const LACK_LENGTH_MAX = 2_000;
/** Why a node is excluded, in characters; cut there. */
export const REASON_LENGTH_MAX = 500;
/** Small chunks that travel as one. More ends the client's session: what a worker gives back becomes a span for each. */
export const CHUNK_GRAINS_MAX = 1_024;
/** Streams to the manager that go through the coordinator at a time. One more is ended at once: its dialer tries again. */
export const MANAGER_STREAMS_MAX = 4_096;
/** The same of one identity. Above: an operate stream is refused with goodbye "limit", a stream of beats ended. The user of the coordinator is not bounded by it. */
export const CALLER_MANAGER_STREAMS_MAX = MANAGER_STREAMS_MAX / 2;
/** How long the manager may take to answer a question that goes through the coordinator. Then TimeoutError. */
export const MANAGER_CALL_TIMEOUT_MS = 10_000;
/** Bytes of what items of one job have come to, as far as it is kept for their next attempts. Above, the oldest goes: its item would begin anew. */
export const JOB_CHECKPOINTS_BYTES_MAX = 64 * 1024 * 1024;
/** The same of all jobs. */
export const CHECKPOINTS_BYTES_MAX = 512 * 1024 * 1024;
/** Bytes of specs, inputs, answers and code of kept jobs. Above: ended jobs go, the oldest first; then one that is opened is refused, and one whose results do not fit fails, with LimitError. */
export const KEPT_BYTES_MAX = 8 * 1024 * 1024 * 1024;
/** Kept jobs that have not ended. One more is refused with LimitError. */
export const KEPT_JOBS_MAX = 1_000;
/** The same of one identity. One more is refused with LimitError, which says whose they are. The user of the coordinator is not bounded by it. */
export const CALLER_KEPT_JOBS_MAX = KEPT_JOBS_MAX / 2;
/**
 * What one identity may have of KEPT_BYTES_MAX, and as large a part where a coordinator is given another bound. Above: its own ended jobs go, then as for all.
 * The user of the coordinator is not bounded by it.
 */
export const CALLER_KEPT_BYTES_MAX = KEPT_BYTES_MAX / 2;
/** Chunks of one kept job, which are known by their bounds in memory. One more fails it with LimitError. */
export const KEPT_JOB_CHUNKS_MAX = 16_384;
/** Characters of a kept job's shape. More ends the client's session. */
export const KEEP_SHAPE_LENGTH_MAX = 32;
/** How long, beside a lease, a kept job waits for a client that has yet to come back: one that was submitting it, or after a restart one that listened. */
export const KEPT_COMEBACK_MS = 60_000;
/** Input bytes of a running kept job that are in memory, as of any client, one chunk always allowed. The rest waits on disk. */
export const KEPT_RUN_BYTES_MAX = CLIENT_INPUT_BYTES_MAX;
/** The same of all kept jobs. */
export const KEPT_RUNS_BYTES_MAX = 256 * 1024 * 1024;
/** Chunks of a running kept job that are in memory. The rest waits on disk. */
export const KEPT_RUN_CHUNKS_MAX = 1_024;
/** Bytes that one write of a job brings together; one change always goes. */
export const KEPT_BATCH_BYTES_TARGET = 8 * 1024 * 1024;
/** Changes that one write of a job brings together. */
export const KEPT_BATCH_CHANGES_MAX = 1_024;
/** Bytes of all writes that are given to the store and not on disk; one always goes. The rest waits for its turn. */
export const KEPT_WRITING_BYTES_MAX = 64 * 1024 * 1024;
/** Pause before a write is tried again for which the disk had no space. */
export const KEPT_FULL_PAUSE_MS = 1_000;
/** Jobs that are over and still to be closed at the manager, or being closed. One more stays open there until the next coordinator finds it on disk, or for good. */
export const KEPT_CLOSINGS_MAX = 4_096;
/** Items of one running job that are to be answered by an error and wait for the manager to write them off. Above, no more chunks of the job are offered until there are fewer. */
export const KEPT_WRITE_OFFS_MAX = 1_024;
/** Questions to the manager that go in one session. The rest goes with the next. */
export const ERRANDS_AT_ONCE_MAX = 4_096;
/** Pause between two writes of what is said of jobs that ended: it leaves together. */
export const HISTORY_PAUSE_MS = 250;
/** How long a coordinator that is stopped waits for the disk. What is not there then is run again by the next. */
export const KEPT_FLUSH_MS_MAX = 5_000;
