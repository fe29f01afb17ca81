import { HeddleError } from "@heddle/kernel";

/** There is no space for what should be kept. Nothing was changed and the store goes on: try again when there is space. */
export class JobStoreFullError extends HeddleError {
  override readonly name = "JobStoreFullError";
  constructor(message: string, options?: ErrorOptions) {
    super("limit", message, options);
  }
}

/**
 * A write failed in a way that leaves its outcome unknown: it may be there after a restart, or not. The store takes nothing more and gives
 * nothing more. Its owner must answer nobody and end; what it finds when it recovers is what happened.
 */
export class JobStoreFailedError extends HeddleError {
  override readonly name = "JobStoreFailedError";
  constructor(message: string, options?: ErrorOptions) {
    super("internal", message, options);
  }
}

/** What is kept cannot be trusted: part of it was changed or lost. Nothing is served from it; a copy has to be restored. */
export class JobStoreDamagedError extends HeddleError {
  override readonly name = "JobStoreDamagedError";
  constructor(message: string, options?: ErrorOptions) {
    super("internal", message, options);
  }
}

/** Somebody else owns the store, and lives. */
export class JobStoreLockedError extends HeddleError {
  override readonly name = "JobStoreLockedError";
  constructor(message: string, options?: ErrorOptions) {
    super("conflict", message, options);
  }
}
