import type { Caller } from "./caller.ts";

/**
 * Why a link is over. `local`: this side closed it; `remote`: the peer ended it; `broken`: anything else, `cause` says what.
 * Where one side finds a message wrong, its link is broken, and the other's is over as `broken` or `remote`.
 */
export interface LinkEnd {
  readonly reason: "local" | "remote" | "broken";
  readonly cause?: unknown;
}

/**
 * One ordered conversation over one stream. Messages arrive in order or, once the link is over, not at all;
 * nothing is known about the unread tail. Sessions (session.ts) make a lasting conversation of several links.
 */
export interface Link<Out, In> extends AsyncDisposable {
  /** Who is at the other end, for people: an address or a name. */
  readonly peer: string;
  /** Who has dialled, as the connection proved; there on the accepting side alone, and `thisUser` unless a certificate says more. */
  readonly caller?: Caller;
  /** Hands over one message. False: accepted, but wait for `drained()` before the next. After the end: ignored, false. */
  send(message: Out): boolean;
  /** Resolves when there is room again, and also when the link is over. Rejects with the signal's reason when aborted. */
  drained(signal?: AbortSignal): Promise<void>;
  /** Messages in order, once; ends when the link is over. An unread message holds back the sender. */
  readonly incoming: AsyncIterable<In>;
  /** Encoded bytes of the messages handed out by `incoming` so far; undefined where messages are not encoded. Only grows. */
  readonly receivedBytes: number | undefined;
  /**
   * Bytes of any kind that have come from the peer so far, parts of messages and what else shares the connection included.
   * Undefined or not there where nobody can tell. Only grows.
   */
  readonly arrivedBytes?: number | undefined;
  /** Resolves, never rejects, when the link is over. */
  readonly closed: Promise<LinkEnd>;
  /** Ends the link in order, flushing what was sent; idempotent, bounded in time. */
  [Symbol.asyncDispose](): Promise<void>;
  /** Ends the link at once, and the connection below it, which moves nothing any more. Not there where links share no connection. */
  abandon?(): void;
}
