import type { HeddleError, Millis } from "@heddle/kernel";
import type { Goodbye } from "./frame.ts";

/**
 * A session is a lasting, ordered, lossless conversation over links that come and go.
 *
 * - Entries sent in one turn leave in one frame (flushed by microtask), within the entry and byte limits of a frame.
 * - Two lanes. Control entries leave at the next flush. Bulk entries (sent with a byte size) leave in order while the window has
 *   room; control overtakes bulk that still waits. An entry larger than the window leaves alone, once everything is acknowledged.
 * - Sent frames are kept until acknowledged and sent again, with the same sequence, when a link is resumed; a frame seen before is
 *   dropped. An acknowledgement rides on any frame; it leaves at once when a quarter of the window or 64 frames wait for it, else
 *   within a quarter of the heartbeat.
 * - Each side sends a frame at least every heartbeat. A dialer that hears nothing for a third of the lease drops the link and dials
 *   again, and does so after 1.5 s (or a heartbeat, if longer) when something waits for the peer: HTTP/2 can stall for good under bulk both ways.
 *   Whoever hears nothing for a lease ends the session. Lag of the own event loop is added before anyone is given up.
 * - What no honest peer sends (a gap, an oversize frame, an entry before the handshake, no common version) is answered by goodbye
 *   "protocol" in words and ends the session: only the offender is dropped.
 */
export interface Session<Out> {
  readonly id: string;
  /** Who is at the other end, for people. */
  readonly peer: string;
  /** Bulk bytes that wait for the window. */
  readonly queuedBytes: number;
  /** When the peer's last frame came, by this side's clock; undefined where nobody knows. */
  readonly heardMs?: Millis;
  /**
   * Sends an entry. With `bulkBytes` (its payload's size, may be 0) it goes in the bulk lane, without in the control lane, which is
   * for entries of less than 1 KiB. Before the link is up entries wait. Ignored after `close()` and after the end.
   * Unhurried: it keeps its place in its lane, but costs no frame of its own as long as another leaves within 20 ms, with which it rides.
   */
  send(entry: Out, bulkBytes?: number, pace?: Pace): void;
  /** Resolves when `queuedBytes` is below SESSION_WINDOW_BYTES, and when the session is over. */
  drained(signal?: AbortSignal): Promise<void>;
  /** Sends what waits (bounded: 2 s), says goodbye and ends. Idempotent. */
  close(goodbye?: Goodbye): Promise<void>;
}

/** Whether an entry makes a frame leave, or waits a little for one. */
export type Pace = "now" | "unhurried";

/** Why a session is over. */
export type SessionEnd =
  /** This side closed it. */
  | { readonly reason: "closed" }
  /** The peer said goodbye. */
  | { readonly reason: "goodbye"; readonly goodbye: Goodbye }
  /** Nothing was heard for a lease. */
  | { readonly reason: "expired" }
  /**
   * The peer does not know the session any more (it was restarted, or gave it up), which `isForgotten` says, broke the protocol, or gives no link; `message`
   * says which. `error` is there when a dial ended it: AuthenticationError or PermissionError of a peer that does not let this side in.
   */
  | { readonly reason: "lost"; readonly message: string; readonly error?: HeddleError; readonly isForgotten?: true };

/** What the owner of a session wants to hear. Both are called synchronously from the session's read loop. */
export interface SessionHandler<In> {
  /** Entries in order, each once. What it throws ends the session with goodbye "protocol", a LimitError or PermissionError with its own code. */
  readonly entries: (entries: readonly In[]) => void;
  /** Called once; nothing follows. */
  readonly ended: (end: SessionEnd) => void;
}
