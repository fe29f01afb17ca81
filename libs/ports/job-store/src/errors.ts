import { StorageDamagedError, StorageFailedError, StorageFullError, StorageLockedError } from "@heddle/kernel";

/** There is no space for what should be kept. Nothing was changed and the store goes on: try again when there is space. */
export class JobStoreFullError extends StorageFullError {
  override readonly name = "JobStoreFullError";
}

/** The outcome of a write is unknown. The store takes nothing more and gives nothing more. */
export class JobStoreFailedError extends StorageFailedError {
  override readonly name = "JobStoreFailedError";
}

/** What the store keeps cannot be trusted: all of it as it is opened, or the one thing that was asked for. */
export class JobStoreDamagedError extends StorageDamagedError {
  override readonly name = "JobStoreDamagedError";
}

/** Somebody else owns the store, and lives. */
export class JobStoreLockedError extends StorageLockedError {
  override readonly name = "JobStoreLockedError";
}
