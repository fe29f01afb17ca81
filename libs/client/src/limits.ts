/** Longest wait for a server that does not answer, unless `unavailableTimeoutMs` says otherwise. Then UnavailableError. */
export const UNAVAILABLE_TIMEOUT_MS = 60_000;
/** Longest wait for the first answer of a server, so that a wrong address is heard of soon. Then UnavailableError. */
export const FIRST_CONNECT_TIMEOUT_MS = 10_000;
/** A session with the coordinator that has lasted for so long, or brought an answer, is a new beginning: what is lost after it has all the patience again. */
export const STEADY_MS = 10_000;
/** Longest wait for the answer to a question about the fabric. Then TimeoutError. */
export const QUESTION_TIMEOUT_MS = 10_000;
/** How long a drained node's work may go on when nobody says how long. Then it is stopped. */
export const DRAIN_DEADLINE_MS = 300_000;
/** Characters in the name of a pool or a call. More is a RangeError. */
export const NAME_LENGTH_MAX = 200;
/** Inputs of one map: its results must fit an array. More is a RangeError. */
export const MAP_ITEMS_MAX = 2 ** 32 - 2;
/** Code and captured values that are kept for the next call though no open job uses them. Above either, those used longest ago are withdrawn. */
export const IDLE_ARTIFACTS_MAX = 1_000;
/** Their bytes. */
export const IDLE_ARTIFACT_BYTES_MAX = 64 * 1024 * 1024;
/** Inputs of an iterator that are read and not sent yet, at most; a larger chunk size is cut to this. */
export const INPUTS_READ_AHEAD_MAX = 1_048_576;
/** What a chunk of automatic size aims at, in run time. */
export const AUTO_CHUNK_MS = 100;
/** A chunk of automatic size is at most so many times as large as the largest before it: the first ones measure. */
export const AUTO_GROWTH = 8;
/** Chunks of a fixed size that run for less than this in all travel as one. */
export const PACKED_MS = 1;
/** Chunks that travel as one, at most. */
export const PACKED_CHUNKS_MAX = 256;
/** Encoded bytes of chunks that travel as one, or of their results, about. */
export const PACKED_BYTES_MAX = 64 * 1024;
/** Chunks for each slot that are offered and not answered, at least: so many run, travel and wait. */
export const OPEN_CHUNKS_PER_SLOT = 4;
/** Work for each slot that is offered and not answered, when chunks are shorter than that. */
export const OPEN_WORK_MS = 50;
/** What an `imap` without `bufferSize` reads ahead: as many items as came in within this time lately. */
export const STREAM_WINDOW_MS = 25;
/** Items that such an `imap` reads ahead, at most. */
export const STREAM_WINDOW_ITEMS_MAX = 65_536;
/** Results of an `imap` that were sent and not consumed, in bytes. Above it no new chunk of it starts. */
export const STREAM_UNREAD_BYTES_MAX = 16 * 1024 * 1024;
/** A progress callback is not called more often than this, but for the last time. */
export const PROGRESS_PAUSE_MS = 50;
/** Items under way at a time in one worker (`concurrency`). More is a RangeError. */
export const CONCURRENCY_MAX = 1_024;
/** Labels or resources that a pool or call asks for. More is a RangeError. */
export const REQUIREMENTS_MAX = 32;
/** Characters in the name of a label or resource. More is a RangeError. */
export const REQUIREMENT_NAME_MAX = 63;
/** Longest time that one item may be given. More is a RangeError. */
export const ITEM_TIMEOUT_MS_MAX = 2 ** 31 - 1;
/** Name of a shared object, in bytes of UTF-8. More is a LimitError. */
export const OBJECT_NAME_BYTES_MAX = 1_024;
/** Key of a dict, encoded. More is a LimitError. */
export const KEY_BYTES_MAX = 1_024;
/** Arrays inside each other in a key of a dict. More is a LimitError. */
export const KEY_DEPTH_MAX = 4;
/** Values of one operation on a shared object, encoded. More is a LimitError: several operations have to carry them. */
export const OPERATION_BYTES_MAX = 64 * 1024 * 1024;
/** What an unnamed object holds from the beginning travels in operations of about so many bytes. */
export const CONTENT_BATCH_BYTES = 1024 * 1024;
/** So often a `modify` reads and tries to write while others change the same key. Then ConflictError. */
export const MODIFY_ATTEMPTS_MAX = 100;
/** So often a transaction runs while others change what it has read. Then ConflictError. */
export const TRANSACTION_ATTEMPTS_MAX = 50;
/** From this conflict on a transaction waits for its turn among those that use the same objects. */
export const TRANSACTION_QUEUED_CONFLICTS = 3;
/** So long it waits for its turn, in milliseconds; then it runs all the same. */
export const TRANSACTION_TURN_MS = 10_000;
/** Locks that transactions take turns by, at most. More sets of objects share them. */
export const TRANSACTION_LOCKS = 1_024;
/** Writes of one transaction. More is a LimitError. */
export const TRANSACTION_OPERATIONS_MAX = 128;
/** Writes that items of a call with effects: "once" collect before they count; further items wait for that. */
export const EFFECTS_AHEAD_OPERATIONS = 256;
/** Their bytes. */
export const EFFECTS_AHEAD_BYTES = 4 * 1024 * 1024;
/** So often what a lost session has interrupted is asked again, where that may be. Then it fails with SessionLostError or OutcomeUnknownError. */
export const ASK_AGAIN_MAX = 5;
/** So long items run again and again whose effects meet conflicts. Then the first of them fails with ConflictError. */
export const EFFECTS_CONFLICT_MS = 60_000;
/** Changes that one reading of a watch brings, at most; the next brings more. */
export const WATCH_CHANGES_MAX = 1_000;
/** Operations on shared objects that one entry carries, at most; more go in the next entry. */
export const OPERATIONS_PER_ENTRY_MAX = 512;
/** Their bytes, about; a larger operation goes alone. */
export const OPERATIONS_ENTRY_BYTES_MAX = 256 * 1024;
/** Operations of one session that were sent and have no reply, but those that wait for others. Further ones wait for their turn. */
export const OPERATIONS_IN_FLIGHT_MAX = 1_024;
/** Bytes of what was sent and has no reply; one operation may always be. Further ones wait for their turn. */
export const OPERATION_BYTES_IN_FLIGHT_MAX = 64 * 1024 * 1024;
/** Operations of one session that wait for their turn. More is a LimitError: await some, or flush. */
export const OPERATIONS_QUEUED_MAX = 2_000_000;
/** Their bytes. More is a LimitError: await some, or flush. */
export const OPERATION_BYTES_QUEUED_MAX = 1024 * 1024 * 1024;
/** Operations of one session that wait for others: for locks, items, events. More is a LimitError. */
export const OPERATIONS_WAITING_MAX = 100_000;
/** Errors of writes that nobody awaits, kept for `flush`. Of more only the first ones are. */
export const UNOBSERVED_ERRORS_MAX = 100;
/** Longest wait of a session's close for the replies to what was asked before. Then that rejects with ClosedError, and so does the close when nobody awaited it. */
export const OBJECTS_CLOSE_MS = 2_000;
/** How long the manager's own address may take to answer before the coordinator is asked to relay. */
export const MANAGER_ANSWER_MS = 2_000;
/** How long a stream to the manager may be without a link before the coordinator is asked again where the manager is. */
export const MANAGER_LINKLESS_MS = 5_000;
/** A task that waits for others at a shared object lends its slot after so long. */
export const LEND_AFTER_MS = 10;
/** Lease of a session with the manager, unless `ttlMs` says otherwise. */
export const OBJECTS_TTL_MS = 15_000;
/** Longest time between two looks at the clock that goes on while the machine is suspended. */
export const SUSPEND_LOOK_MS = 20;
/** A suspended machine's clock of all time gains on the clock of running time by more than this. */
export const SUSPEND_MS = 1_000;
/** Owners that an agent has closed and says to be closed again on the next stream. Of more only the newest are. */
export const CLOSED_OWNERS_MAX = 1_024;
/** Chunks of a kept job that are offered and not on its coordinator's disk, at most. Further ones wait for their turn. */
export const UNKEPT_CHUNKS_MAX = 64;
/** Chunks of a kept job whose number of inputs is known, about, unless `chunkSize` says otherwise. */
export const KEPT_CHUNKS = 256;
/** Items of one chunk of a kept job whose number of inputs is not known, at most. */
export const KEPT_CHUNK_ITEMS = 1_000;
/** Spans of answered items that are told to a kept job's coordinator in a new session. Of more only the largest: what comes again is dropped. */
export const KEPT_SETTLED_SPANS_MAX = 4_096;
/** So often a job is submitted again whose id another client is submitting: that may have gone away. */
export const CONTEND_PAUSE_MS = 5_000;
/** Chunks of inputs that are compared with a kept job in one turn of the event loop. */
export const VERIFIED_CHUNKS_PER_TURN = 8;
/** How long `wait` waits for what is slow to say whether it is ready, where another may be ready now. Above: that one is told without it. */
export const LOOK_MS = 200;
