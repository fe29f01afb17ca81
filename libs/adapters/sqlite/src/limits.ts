/** Bounds of journals and job stores in SQLite. */

/** Records of one commit of a journal lie in rows of about this size, in bytes; a larger record has a row of its own. */
export const ROW_BYTES_TARGET = 256 * 1024;
/** What the thread reads ahead of whoever recovers, in bytes; one row at least. */
export const READ_BYTES_TARGET = 1024 * 1024;
/** Rows that one step of a journal's truncation deletes; appends go on between the steps. */
export const TRUNCATE_ROWS_MAX = 64;
/** Pages in the write-ahead log above which they move into the database as soon as nothing comes for CHECKPOINT_IDLE_MS. */
export const CHECKPOINT_IDLE_PAGES = 256;
export const CHECKPOINT_IDLE_MS = 50;
/**
 * Pages in the write-ahead log above which they move at once, and appends wait for it: 4 MiB. The log is written from its start again
 * then, and a flush of a file that does not grow takes half as long.
 */
export const CHECKPOINT_PAGES_MAX = 1_024;
/** What the file of a job store's write-ahead log is cut to, in bytes, as it is written from its start again: one large write grew it. */
export const LOG_BYTES_KEPT = 16 * 1024 * 1024;
/**
 * Size of a job store's database above which it is not read as a whole when it is opened: a coordinator would not be there for as long as that takes.
 * Above: only its rows are checked then, and bytes as they are read.
 */
export const JOBS_CHECK_BYTES_MAX = 1024 * 1024 * 1024;
/** Free pages that a job store keeps for what comes next: 16 MiB. More go back to the disk as soon as nothing else comes. */
export const FREE_PAGES_KEPT = 4_096;
/** Free pages that go back to the disk in one step: 4 MiB. Requests go on between the steps. */
export const VACUUM_PAGES_MAX = 1_024;
/** What one step of deleting what was dropped takes, in bytes and in pieces, one at least; requests go on between the steps. */
export const SWEEP_BYTES_TARGET = 8 * 1024 * 1024;
export const SWEEP_PIECES_MAX = 256;
/** Bytes that were dropped and are not deleted yet above which a step is made behind each request, and not only when none comes. */
export const SWEEP_BACKLOG_BYTES = 64 * 1024 * 1024;
/** Room in which bytes of one commit travel to the thread together, in bytes, first and at most; more than a quarter of that has a room of its own. */
export const ROOM_BYTES_FIRST = 4 * 1024;
export const ROOM_BYTES_MAX = 256 * 1024;
/** How long a second owner waits for the first to end, which may be about to. Then it is refused. */
export const LOCK_WAIT_MS = 250;
/** The same of a batch job's run, whose database a file server may hold locked for a machine that has died: for one and a half minutes, NFSv4 unless told otherwise. Then it is refused. */
export const TAKEOVER_LOCK_WAIT_MS = 120_000;
/** How long the owner of a batch job's storage must have been silent until a later run of the job, on another machine, takes its place; it beats five times as often. */
export const OWNER_LEASE_MS = 15_000;
/** How often one that waits for that looks. */
export const BEAT_LOOK_MS = 500;
/**
 * Space that a snapshot leaves to the records, in bytes, or this part of the disk where that is less. A snapshot that would leave less is
 * refused with JournalFullError before any of it is written.
 */
export const SNAPSHOT_RESERVE_BYTES = 16 * 1024 * 1024;
export const SNAPSHOT_RESERVE_PART = 1 / 16;
/** What is written of a snapshot, or read, in one go: a piece of more is taken whole. */
export const SNAPSHOT_CHUNK_BYTES = 1024 * 1024;
/** A snapshot is flushed to disk after so many bytes, so that no append waits long behind its last flush. */
export const SNAPSHOT_FLUSH_BYTES = 8 * 1024 * 1024;
