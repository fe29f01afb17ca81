import { StorageDamagedError, StorageFailedError, StorageFullError, StorageLockedError } from "@heddle/kernel";

/** There is no space for what should be kept. Nothing of it was stored and the journal goes on: try again when there is space. */
export class JournalFullError extends StorageFullError {
  override readonly name = "JournalFullError";
}

/** The outcome of a write is unknown, and the journal takes nothing more. */
export class JournalFailedError extends StorageFailedError {
  override readonly name = "JournalFailedError";
}

/** What the journal keeps cannot be trusted. */
export class JournalDamagedError extends StorageDamagedError {
  override readonly name = "JournalDamagedError";
}

/** Somebody else owns the journal, and lives. */
export class JournalLockedError extends StorageLockedError {
  override readonly name = "JournalLockedError";
}
