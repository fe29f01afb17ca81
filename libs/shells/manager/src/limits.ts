/** Bounds of a manager, beside those of its core. */
import { OBJECT_LIMITS } from "@heddle/core-objects";

/** Lease of a session that asks for none. */
export const SESSION_TTL_MS = 15_000;
/** Shortest lease of a session; one that asks for less gets it. */
export const SESSION_TTL_MS_MIN = 2_000;
/** Longest lease of a session; one that asks for more gets it. */
export const SESSION_TTL_MS_MAX = 300_000;
/**
 * Between the moment at which a lease has run out and the end of its session: what came from the network meanwhile, while this process was busy
 * or did not run, is heard first.
 */
export const LAST_HEARING_MS = 50;
/**
 * Sessions that one identity has, half of the core's SESSIONS_MAX. Above: goodbye "limit", which says whose they are. Those that come through a coordinator are that one's
 * here. The user of the manager is not bounded by it.
 */
export const CALLER_LEASED_SESSIONS_MAX = OBJECT_LIMITS.SESSIONS_MAX / 2;
/** Streams of beats at a time. One more is ended at once: its dialer tries again. */
export const BEAT_STREAMS_MAX = 8_192;
/** Streams of beats of one identity. Above: as with BEAT_STREAMS_MAX. The user of the manager is not bounded by it. */
export const CALLER_BEAT_STREAMS_MAX = BEAT_STREAMS_MAX / 2;
/** Text about a session for people, in UTF-16 units; cut there. */
export const DESCRIPTION_LENGTH_MAX = 200;
/** Owners of one stream that are known by more than their number. Above: the others are told by their number. */
export const DESCRIBED_OWNERS_MAX = 10_000;
/** Bytes of commands that gather while a commit is under way. Above: nothing more is read from any stream until the disk has them. */
export const GATHERED_BYTES_MAX = 16 * 1024 * 1024;
/** Commands of one commit lie in records of about this size; one command is never cut. */
export const RECORD_BYTES_TARGET = 16 * 1024 * 1024;
/** Replies that wait for one stream's reader, in bytes. Above: what it asks for is parked until no more than a window of them waits. */
export const REPLY_BACKLOG_BYTES = 32 * 1024 * 1024;
/** What one stream has parked, in bytes. Above: it is ended with goodbye "protocol", for no client asks for so much at a time. */
export const PARKED_BYTES_MAX = 256 * 1024 * 1024;
/** Payloads of one stream that are announced and not complete, in bytes. Above: as with PARKED_BYTES_MAX. */
export const ASSEMBLING_BYTES_MAX = 256 * 1024 * 1024;
/** Records behind the newest snapshot, in bytes, above which the next one is taken, unless that snapshot itself is larger. */
export const SNAPSHOT_BYTES_MIN = 16 * 1024 * 1024;
/** Pieces of a snapshot have about this size: what is encoded in one go. */
export const SNAPSHOT_PIECE_BYTES = 256 * 1024;
/** How long a snapshot is encoded before everything else has a turn. */
export const SNAPSHOT_SLICE_MS = 2;
/** Pause before a disk that was full is tried again. */
export const PROBE_PAUSE_MS = 1_000;
/** What is written to see whether there is room again, in bytes: enough that the next writes find room, too. */
export const PROBE_BYTES = 64 * 1024;
/** Objects, locks or sessions in one answer to an operator. The others are on the next page. */
export const PAGE_ITEMS_MAX = 1_000;
/** The same in bytes, about; one is always given. An answer of any kind fits into a message. */
export const PAGE_BYTES_MAX = 256 * 1024;
/** Holders of one semaphore, and waits, in one answer to an operator. The others are counted. */
export const HOLDERS_TOLD_MAX = 100;
/** Moments that are remembered to tell how long a lock has been held; of the older half every second one is forgotten. */
export const MOMENTS_MAX = 4_096;
