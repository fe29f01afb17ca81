import { HeddleError } from "./errors.ts";

/** There is no space for what should be kept. Nothing of it was stored and the storage goes on: try again when there is space. */
export class StorageFullError extends HeddleError {
  override readonly name: string = "StorageFullError";
  constructor(message: string, options?: ErrorOptions) {
    super("limit", message, options);
  }
}

/**
 * A write failed in a way that leaves its outcome unknown: it may be there after a restart, or not. The storage takes nothing more. Its
 * owner must answer nobody and end; what it finds when it recovers is what happened.
 */
export class StorageFailedError extends HeddleError {
  override readonly name: string = "StorageFailedError";
  constructor(message: string, options?: ErrorOptions) {
    super("internal", message, options);
  }
}

/** What is kept cannot be trusted: part of it was changed or lost. Nothing is served from it; a copy has to be restored. */
export class StorageDamagedError extends HeddleError {
  override readonly name: string = "StorageDamagedError";
  constructor(message: string, options?: ErrorOptions) {
    super("internal", message, options);
  }
}

/** Somebody else owns the storage, and lives. */
export class StorageLockedError extends HeddleError {
  override readonly name: string = "StorageLockedError";
  constructor(message: string, options?: ErrorOptions) {
    super("conflict", message, options);
  }
}
