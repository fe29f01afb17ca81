export { AsyncResult, type ItemCounts } from "./async-result.ts";
export type { Callbacks, CallOptions, MapOptions, ReduceOptions, StreamOptions } from "./call-options.ts";
export { described } from "./describe.ts";
export { noCoordinatorError, type SessionDial } from "./dial.ts";
export { Fabric, type FabricOptions } from "./fabric.ts";
export type { RemotePlace } from "./failure.ts";
export type { Inputs } from "./inputs.ts";
export { QUESTION_TIMEOUT_MS, UNAVAILABLE_TIMEOUT_MS } from "./limits.ts";
export { MapIterator } from "./map-iterator.ts";
export type {
  HeldLock,
  LeaseLoss,
  ObjectsChannel,
  OperationReply,
  OperationRequest,
} from "./objects/channel.ts";
export type { ObjectsFacilities } from "./objects/fabric-sessions.ts";
export { type LocateManager, managerOf } from "./objects/manager-address.ts";
export { ManagerStream, type ManagerStreamOptions } from "./objects/manager-stream.ts";
export { ObjectsSession, type ObjectsSessionOptions } from "./objects/session.ts";
export { streamLeases } from "./objects/stream-leases.ts";
export type { ObjectsEnd, ObjectsTransport, OutgoingOperations, TransportListener } from "./objects/transport.ts";
export { checkOptionNames, checkTimeout, POOL_SETTINGS, PROCESS_SETTINGS } from "./options.ts";
export { type ParentFacts, ParentProcess } from "./parent-process.ts";
export { FabricPool, type MapResult, type StreamResult } from "./pool.ts";
export type { PoolHost, StatusLine } from "./pool-calls.ts";
export type { PoolSettings } from "./pool-setup.ts";
export { FabricProcess, type ProcessSettings } from "./process.ts";
export { type CurrentProcess, type OwnFacts, ProcessFamily } from "./process-family.ts";
export type { Progress } from "./progress.ts";
export { Range, range } from "./range.ts";
export { Repeat, repeat } from "./repeat.ts";
export type { TypedArrayConstructor } from "./result-sinks.ts";
export type { ChunkSize } from "./sizing.ts";
export { isReady, type Waitable, type WaitOptions, waitable, waitFor } from "./wait.ts";
