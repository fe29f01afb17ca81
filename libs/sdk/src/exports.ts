/** What `heddle` is everywhere: in programs and inside workers. */
export {
  AsyncResult,
  type CallOptions,
  Fabric,
  type Inputs,
  type MapOptions,
  type Progress,
  Range,
  type RemotePlace,
  range,
} from "@heddle/client";
export {
  AuthenticationError,
  CaptureError,
  ClosedError,
  ConflictError,
  type ErrorCode,
  HeddleError,
  InvalidArgumentError,
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
