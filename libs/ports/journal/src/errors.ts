import { HeddleError } from "@heddle/kernel";

/** There is no space for what should be kept. Nothing of it was stored and the journal goes on: try again when there is space. */
export class JournalFullError extends HeddleError {
  override readonly name = "JournalFullError";
  constructor(message: string, options?: ErrorOptions) {
    super("limit", message, options);
  }
}

/**
 * A write failed in a way that leaves its outcome unknown: it may be there after a restart, or not. The journal takes nothing more. Its
 * owner must answer nobody and end; what it finds when it recovers is what happened.
 */
export class JournalFailedError extends HeddleError {
  override readonly name = "JournalFailedError";
  constructor(message: string, options?: ErrorOptions) {
    super("internal", message, options);
  }
}

/** What is kept cannot be trusted: part of it was changed or lost. Nothing is served from it; a copy has to be restored. */
export class JournalDamagedError extends HeddleError {
  override readonly name = "JournalDamagedError";
  constructor(message: string, options?: ErrorOptions) {
    super("internal", message, options);
  }
}

/** Somebody else owns the journal, and lives. */
export class JournalLockedError extends HeddleError {
  override readonly name = "JournalLockedError";
  constructor(message: string, options?: ErrorOptions) {
    super("conflict", message, options);
  }
}
