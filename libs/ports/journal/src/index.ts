export { JournalDamagedError, JournalFailedError, JournalFullError, JournalLockedError } from "./errors.ts";
export { forgetfulJournal } from "./forgetful.ts";
export { RECORD_BYTES_MAX, SNAPSHOTS_KEPT, UNCOMMITTED_BYTES_MAX } from "./limits.ts";
export { MemoryJournalStore, memoryJournal } from "./memory.ts";

/**
 * A durable log of records, opened by one owner. Records have positions 1, 2, 3, ... without gaps. Disposing waits for what was appended
 * before it, stores it and gives the journal free for the next owner; everything after it rejects with ClosedError.
 */
export interface Journal extends AsyncDisposable {
  /**
   * Reads what is kept, to its end: the newest whole snapshot if there is one, then every record after it, in order. Before the first
   * append, and again whenever the owner wants back to what is kept: nothing is stored until it came to its end. The bytes are the
   * reader's own. Throws JournalDamagedError when what is kept cannot be trusted, JournalFailedError after an unknown outcome, StateError
   * while an append is under way or what is kept is being read.
   */
  recover(): AsyncIterable<Recovered>;
  /**
   * Appends records behind those before, all or none; none at all resolve behind those before. Resolves when they are on disk. The bytes
   * are copied before it returns. Appends that come while a commit is under way leave together in the next one, and resolve in order.
   * Rejects with JournalFullError (nothing was stored, the journal goes on), JournalFailedError (the outcome is unknown, the journal takes
   * nothing more), LimitError (see limits.ts; nothing was stored) or StateError before `recover` came to its end.
   */
  append(records: readonly Uint8Array[]): Promise<void>;
  /**
   * Keeps the state as of `position`, of a record that is on disk, as pieces; resolves when they are on disk and were read back. The
   * pieces must not change until then. Appends go on meanwhile. Two snapshots are kept, and the records since the older one. One at the
   * position of the newest is there already, and none is written; one before it, or at no record, is an InvalidArgumentError.
   * Rejects with JournalFullError, JournalFailedError, LimitError or StateError as `append` does.
   */
  saveSnapshot(position: number, pieces: readonly Uint8Array[]): Promise<void>;
  /** Position of the last record that is on disk; 0 before the first. */
  readonly position: number;
  /** Bytes of records behind the newest snapshot: to decide when the next one pays. Exact once `recover` came to its end. */
  readonly bytesSinceSnapshot: number;
}

/** What a journal gives back. */
export type Recovered =
  | { readonly type: "snapshot"; readonly position: number; readonly pieces: readonly Uint8Array[] }
  | { readonly type: "record"; readonly position: number; readonly bytes: Uint8Array };
