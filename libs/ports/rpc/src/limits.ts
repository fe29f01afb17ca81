/** Named bounds of sessions and of the memory network. Bounds that peers must agree on are in the kernel's limits. */
import { type BackoffPolicy, FRAME_BYTES_MAX, FRAME_ENTRIES_MAX, SESSION_WINDOW_BYTES } from "@heddle/kernel";

/** What an entry is taken to cost beside its payload, at both ends. */
export const ENTRY_OVERHEAD_BYTES = 32;
/** Received frames after which an acknowledgement leaves at once. */
const ACKNOWLEDGE_FRAMES = 64;
/** Sent and not yet acknowledged frames that a session keeps. Above: everything waits for the peer's acknowledgement. */
const RETAINED_FRAMES_MAX = 4_096;
/** Control entries that wait to be sent. Above: the session ends with goodbye "limit", because nothing else can bound them. */
const CONTROL_ENTRIES_MAX = 131_072;
/** Sessions of one acceptor. Above: goodbye "limit" to the newcomer. */
export const SESSIONS_MAX = 4_096;
/** Sessions of one acceptor that one identity has. Above: goodbye "limit", which says whose they are. The user of the server is not bounded by it. */
export const CALLER_SESSIONS_MAX = SESSIONS_MAX / 2;
/**
 * A dialed link on which something waits for the peer, and on which nothing at all came for this time (or for a heartbeat, if that is longer), is
 * dropped: its peer would have acknowledged by now.
 */
export const STALL_MS = 1_500;
/** How long an entry that is in no hurry waits for others to ride with. */
export const UNHURRIED_MS = 20;
/** Longest time that `close()` waits for what was sent before. Above: it is dropped. */
export const CLOSE_TIMEOUT_MS = 2_000;
/** Longest time between the opening of a stream and its hello. Above: the link is dropped. */
export const HELLO_TIMEOUT_MS = 5_000;
/** Pause between two attempts to reach the peer. */
export const REDIAL_BACKOFF: BackoffPolicy = { firstMs: 50, maxMs: 2_000 };
/** Refusals in the log of one audit within AUDIT_SPAN_MS. More are only counted, and the count is logged at the end of the span. */
export const AUDIT_LINES_MAX = 50;
export const AUDIT_SPAN_MS = 10_000;
/** A path or reason of a refusal in the log. Longer ones are cut. */
export const AUDIT_TEXT_CHARS = 500;
/** Unread messages in one direction of a memory link from which `send()` returns false. */
export const MEMORY_LINK_MESSAGES = 64;

/** Sizes of a session. Tests make them small; peers need not agree on them, except that frames must not exceed the receiver's. */
export interface SessionSizes {
  /** Bulk bytes sent and not yet acknowledged. */
  readonly windowBytes: number;
  readonly frameBytesMax: number;
  readonly frameEntriesMax: number;
  readonly retainedFramesMax: number;
  readonly controlEntriesMax: number;
  readonly acknowledgeFrames: number;
}

/** The sizes that every build uses. */
export const SESSION_SIZES: SessionSizes = {
  windowBytes: SESSION_WINDOW_BYTES,
  frameBytesMax: FRAME_BYTES_MAX,
  frameEntriesMax: FRAME_ENTRIES_MAX,
  retainedFramesMax: RETAINED_FRAMES_MAX,
  controlEntriesMax: CONTROL_ENTRIES_MAX,
  acknowledgeFrames: ACKNOWLEDGE_FRAMES,
};
