/** What `heddle` is everywhere: in programs and inside workers. */
export {
  AsyncResult,
  type Callbacks,
  type CallOptions,
  type ChunkSize,
  Fabric,
  type Inputs,
  MapIterator,
  type MapOptions,
  type Progress,
  Range,
  type ReduceOptions,
  type RemotePlace,
  Repeat,
  range,
  repeat,
  type StreamOptions,
  type TypedArrayConstructor,
} from "@heddle/client";
export {
  AuthenticationError,
  CaptureError,
  ClosedError,
  ConflictError,
  type ErrorCode,
  HeddleError,
  InvalidArgumentError,
  ItemTimeoutError,
  LimitError,
  NotFoundError,
  PermissionError,
  PoolClosedError,
  PoolInitError,
  PoolTerminatedError,
  ProtocolError,
  SerializationError,
  type SerializationSide,
  StateError,
  TimeoutError,
  UnavailableError,
  UnschedulableError,
  type WorkerLoss,
  WorkerLostError,
} from "@heddle/kernel";
export type { TaskContext } from "@heddle/shell-worker";
export type { PoolOptions } from "./pool-options.ts";
export type { ConnectOptions } from "./remote.ts";
export { task } from "./runtime.ts";
