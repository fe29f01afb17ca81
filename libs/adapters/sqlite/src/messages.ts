/** What storage and its thread say to each other: requests are answered one by one, in order. */

/** How the thread is started. */
export interface ThreadOptions {
  readonly directory: string;
  /** Largest size of the database. */
  readonly bytesMax: number | undefined;
  /** How long another owner may take to let go of it. */
  readonly lockWaitMs: number;
  /** Its only element changes with every request. */
  readonly signal: Int32Array<SharedArrayBuffer>;
  /** Of an owner whose place a later run of its batch job may take. */
  readonly heartbeat: { readonly nonce: string; readonly leaseMs: number } | undefined;
}

/** What every thread is asked. */
export type AnyRequest = { readonly type: "close" };

/** What every thread answers; and first of all, unasked, that it has opened the database. */
export type AnyAnswer =
  | { readonly type: "done" }
  /** Unasked, of an owner that beats: it holds the lock on the database, and waits until the signal changes. */
  | { readonly type: "held" }
  | ErrorAnswer;

export interface ErrorAnswer {
  readonly type: "error";
  readonly kind: ErrorKind;
  readonly message: string;
}

/** Something for the log. */
export interface Note {
  readonly message: string;
  readonly bytes?: number;
}

/** full: nothing was stored, go on. failed: the outcome is unknown. damaged: what is kept is wrong. locked: another owner lives. */
export type ErrorKind = "full" | "failed" | "damaged" | "locked";

/** Rows that are read some at a time. */
export interface Some<Row> {
  readonly rows: readonly Row[];
  readonly isLast: boolean;
}

/** Records of a journal that lie in one row, as frames; see frames.ts. The thread seals those that it is given. */
export interface Row {
  readonly first: number;
  readonly last: number;
  readonly frames: Uint8Array<ArrayBuffer>;
}

export type JournalRequest =
  | AnyRequest
  /** Stores all rows or none. */
  | { readonly type: "append"; readonly rows: readonly Row[] }
  /** Gives the rows from the one that holds this position. Nothing else comes until the last of them was given. */
  | { readonly type: "read"; readonly from: number }
  /** Gives further rows. */
  | { readonly type: "read-on" }
  /** Deletes some of the rows that hold nothing behind this position. */
  | { readonly type: "truncate"; readonly upTo: number }
  /** Counts the bytes of the records behind this position. */
  | { readonly type: "count"; readonly after: number };

export type JournalAnswer =
  | AnyAnswer
  /** Where the last record is. */
  | { readonly type: "opened"; readonly position: number; readonly notes: readonly Note[] }
  | ({ readonly type: "rows" } & Some<Row>)
  | { readonly type: "truncated"; readonly isAll: boolean }
  | { readonly type: "counted"; readonly bytes: number };
