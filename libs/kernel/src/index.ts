export { type Address, isLocal, parseAddress } from "./address.ts";
export { assert, InvariantViolation, unreachable } from "./assert.ts";
export type { AsyncScope } from "./async-scope.ts";
export { type BackoffPolicy, backoffMs } from "./backoff.ts";
export type { Brand } from "./brand.ts";
export type { Clock, Millis } from "./clock.ts";
export { type Core, CoreDriver } from "./core-driver.ts";
export type { Environment } from "./environment.ts";
export {
  AuthenticationError,
  BrokenBarrierError,
  CaptureError,
  ClosedError,
  ConflictError,
  EmptyError,
  EndOfStreamError,
  type ErrorCode,
  FullError,
  HeddleError,
  heddleError,
  InvalidArgumentError,
  ItemTimeoutError,
  LimitError,
  type LockLoss,
  LockLostError,
  NotFoundError,
  NotHeldError,
  OutcomeUnknownError,
  PermissionError,
  PoolClosedError,
  PoolInitError,
  PoolTerminatedError,
  ProtocolError,
  SerializationError,
  type SerializationSide,
  SessionLostError,
  StateError,
  TimeoutError,
  UnavailableError,
  UnschedulableError,
  type WorkerLoss,
  WorkerLostError,
} from "./errors.ts";
export { Fifo } from "./fifo.ts";
export { FOLD_BLOCK_ITEMS, foldedCount } from "./fold.ts";
export { Heap } from "./heap.ts";
export { ArtifactHash, ClientId, JobId, mintId, NodeName, PoolId } from "./ids.ts";
export {
  ARTIFACT_BYTES_MAX,
  CAPTURED_INLINE_BYTES_MAX,
  CHECKPOINT_BYTES_MAX,
  CHUNK_BYTES_TARGET,
  CHUNK_ITEMS_MAX,
  CHUNK_SETTLED_SPANS_MAX,
  CLIENT_ARTIFACTS_MAX,
  CLIENT_CHUNKS_MAX,
  CLIENT_INPUT_BYTES_MAX,
  CLIENT_JOBS_MAX,
  FRAME_BYTES_MAX,
  FRAME_ENTRIES_MAX,
  HEARTBEAT_MS,
  ITEM_BYTES_MAX,
  LEASE_MS,
  MESSAGE_BYTES_MAX,
  NESTING_DEPTH_MAX,
  OPERATIONS_BYTES_MAX,
  OUTPUT_LINE_BYTES_MAX,
  PART_BYTES_MAX,
  PAYLOAD_BYTES_MAX,
  SESSION_WINDOW_BYTES,
  STDERR_TAIL_BYTES,
  WORKER_JOBS_MAX,
} from "./limits.ts";
export { type LogFields, type Logger, silentLogger } from "./log.ts";
export { type MemoryWrite, type Write, type WriteOutcome, writeToMemory } from "./memory-disk.ts";
export { hash32, type Random, seededRandom } from "./random.ts";
export { type Role, roles } from "./roles.ts";
export { StorageDamagedError, StorageFailedError, StorageFullError, StorageLockedError } from "./storage-errors.ts";
export { cannotAdd, classOf, described, objectText, shownKey, withArticle } from "./words.ts";
