/**
 * A lasting, ordered, lossless conversation over links that come and go. SPECIFICATION (types are final, implementation follows):
 *
 * - Entries pushed in one turn leave in one frame (flushed by microtask), at most FRAME_ENTRIES_MAX entries and FRAME_BYTES_MAX payload bytes a frame.
 * - Two lanes. Control entries leave at the next flush. Bulk entries (sent with a byte size) leave in order while less than
 *   SESSION_WINDOW_BYTES of bulk is unacknowledged; control overtakes bulk that still waits. One entry larger than the window may leave alone.
 * - Sent frames are kept until acknowledged and sent again, same sequence, when a link is resumed; a frame seen before is dropped.
 *   The receiver acknowledges on any frame it sends, at once when a quarter of the window or 64 frames are unacknowledged, else at its heartbeat.
 * - Each side sends a frame at least every heartbeatMs. A dialer that hears nothing for leaseMs / 3 drops the link and dials again
 *   (full jitter 50 ms..2 s); whoever hears nothing for leaseMs ends the session: { reason: "expired" }. Lag of the own event loop
 *   (the watch timer fired late) is added to the deadline before anyone is given up.
 * - A gap or repetition of sequences that resuming cannot explain, an oversize frame, a first frame without hello/welcome, an entry before
 *   the handshake: goodbye "protocol" with words, the session ends; only the offender is dropped.
 * - Versions without a common minor: goodbye "protocol" naming both sides' versions and what to upgrade.
 */
import type { Goodbye } from "./frame.ts";

/** Why a session is over. */
export type SessionEnd =
  /** This side closed it. */
  | { readonly reason: "closed" }
  /** The peer said goodbye. */
  | { readonly reason: "goodbye"; readonly goodbye: Goodbye }
  /** Nothing was heard for a lease. */
  | { readonly reason: "expired" }
  /** The peer does not know the session any more (it was restarted), or broke the protocol; `message` says which. */
  | { readonly reason: "lost"; readonly message: string };

/** What the owner of a session wants to hear. Both are called synchronously from the session's read loop. */
export interface SessionHandler<In> {
  /** Entries in order, each once. What it throws ends the session with goodbye "protocol". */
  readonly entries: (entries: readonly In[]) => void;
  /** Called once; nothing follows. */
  readonly ended: (end: SessionEnd) => void;
}

/** The sending half that an owner holds. */
export interface Session<Out> {
  readonly id: string;
  readonly peer: string;
  /** Bulk bytes that wait for the window. */
  readonly queuedBytes: number;
  /** Sends an entry. With `bulkBytes` (its payload's size, may be 0) it goes in the bulk lane, without in the control lane. Ignored after the end. */
  send(entry: Out, bulkBytes?: number): void;
  /** Resolves when `queuedBytes` is below SESSION_WINDOW_BYTES, and when the session is over. */
  drained(signal?: AbortSignal): Promise<void>;
  /** Sends what waits (bounded: 2 s), says goodbye and ends. Idempotent. */
  close(goodbye?: Goodbye): Promise<void>;
}
