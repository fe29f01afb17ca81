import type { HeddleError } from "@heddle/kernel";
import type { LeaseTerms } from "@heddle/port-rpc";

/** Operations of one owner that leave together. */
export interface OutgoingOperations {
  /** 0: the session itself. Agents number their workers. */
  readonly owner: number;
  /** Replies that have come: first number and how many, pair by pair. */
  readonly acknowledged: number[];
  /** An OperationBatch. */
  readonly batch: Uint8Array;
  /** How many operations it has. */
  readonly count: number;
}

/** Why a session is over. */
export interface ObjectsEnd {
  /** A word: "expired", "closed", "unknown". */
  readonly code: string;
  /** For people. */
  readonly message: string;
}

/** A hold that was taken away by an operator. */
export interface RevokedHold {
  /** 0: the session itself. */
  readonly owner: number;
  /** 32 hex digits, or "@" and its name. */
  readonly object: string;
  readonly token: number;
  /** For people; may be empty. */
  readonly reason: string;
}

/** What is heard of the manager. All are called synchronously, in order. */
export interface TransportListener {
  /**
   * The session can be used: a new one, or the one that was, on a new stream: then what was sent before and has no reply is to be sent again, in order. Before this nothing is
   * to be sent.
   */
  readonly opened: (terms: LeaseTerms) => void;
  /** The stream is gone; what was sent may be lost with it. `opened` follows when there is another. */
  readonly interrupted: (why: string) => void;
  /**
   * The manager can, or cannot, be reached, on the stream that there is or towards another one; `why` it cannot, for people. `refusal`: where it, or the way to it,
   * does not let this side in.
   */
  readonly linked: (up: boolean, why: string, refusal?: HeddleError) => void;
  /** Replies to operations of an owner: a ReplyBatch. */
  readonly replies: (owner: number, batch: Uint8Array) => void;
  /** An owner's hold of an object by that token was taken away. A hint, that may be missed. */
  readonly revoked: (revoked: RevokedHold) => void;
  /** What is held under the session counts as lost until `opened`: said by an agent, which keeps the lease. */
  readonly lost: (why: string) => void;
  /** The session is over; `open` makes another. */
  readonly ended: (end: ObjectsEnd) => void;
  /** There is no session, and asking again would not help: no manager, or nobody who lets this side in; `open` tries nevertheless. */
  readonly failed: (error: Error) => void;
}

/** The way to the manager: over a stream of one's own, or through an agent. One session at a time. */
export interface ObjectsTransport {
  /** The manager's place, for people. */
  readonly address: string;
  /** It leads to the manager of this side's own fabric, never to a wrong address. False unless given. */
  readonly isCertain?: boolean;
  /** Begins a session; it is reached in the background. While there is one, or one is being reached, nothing happens. */
  open(listener: TransportListener): void;
  /** Between `opened` and what ends that; ignored else. */
  send(operations: OutgoingOperations): void;
  /** Ends the session and its stream, or the search for one; bounded in time. Nothing is heard of it any more. */
  close(): Promise<void>;
}
