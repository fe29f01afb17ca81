export { AsyncResult, type ItemCounts } from "./async-result.ts";
export type { Callbacks, CallOptions, MapOptions, ReduceOptions, StreamOptions } from "./call-options.ts";
export { described } from "./describe.ts";
export { noCoordinatorError, type SessionDial } from "./dial.ts";
export { Fabric, type FabricOptions } from "./fabric.ts";
export type { RemotePlace } from "./failure.ts";
export type { Inputs } from "./inputs.ts";
export { type JobsAdmin, jobsAdmin } from "./jobs-admin.ts";
export { OBJECTS_TTL_MS, QUESTION_TIMEOUT_MS, UNAVAILABLE_TIMEOUT_MS } from "./limits.ts";
export { MapIterator } from "./map-iterator.ts";
export { type DrainOptions, type NodesAdmin, nodesAdmin } from "./nodes-admin.ts";
export { Barrier, type BarrierOptions, type BarrierWait } from "./objects/barrier.ts";
export type {
  HeldLock,
  LeaseLoss,
  ObjectsChannel,
  OperationReply,
  OperationRequest,
} from "./objects/channel.ts";
export type { Cell, CellArray, Code } from "./objects/codes.ts";
export { Condition, type ConditionOptions, type ConditionWait } from "./objects/condition.ts";
export { Connection } from "./objects/connection.ts";
export { type FindFabric, type ObjectsFabric, provideFabrics } from "./objects/default-home.ts";
export { Dict, type DictChange } from "./objects/dict.ts";
export type { Entries } from "./objects/entries.ts";
export { Event, type EventOptions } from "./objects/event.ts";
export type { ObjectsFacilities } from "./objects/fabric-sessions.ts";
export { type Flow, Flows, type FlowsOptions } from "./objects/flows.ts";
export type { Guard } from "./objects/guard.ts";
export { ObjectsHome, type ObjectsHomeOptions } from "./objects/home.ts";
export type { Key } from "./objects/keys.ts";
export { KINDS } from "./objects/kinds.ts";
export { LeaseWatch } from "./objects/lease-watch.ts";
export { List, type ListChange, type SortOptions } from "./objects/list.ts";
export { type AcquireOptions, Lock, type LockOptions } from "./objects/lock.ts";
export { Manager, type ManagerOptions, type NamedOptions } from "./objects/manager.ts";
export { type LocateManager, managerOf } from "./objects/manager-address.ts";
export { ManagerStream, type ManagerStreamOptions } from "./objects/manager-stream.ts";
export { Namespace } from "./objects/namespace.ts";
export { EffectsJobs, OnceEffects, type OnceEffectsOptions } from "./objects/once.ts";
export { Pipe, type PipeOptions } from "./objects/pipe.ts";
export { type ObjectsPipe, PipeTransport } from "./objects/pipe-transport.ts";
export type { SharedOptions } from "./objects/place.ts";
export { JoinableQueue, Queue, type QueueOptions, type QueueWait, SimpleQueue } from "./objects/queue.ts";
export { RLock, type RLockOptions } from "./objects/rlock.ts";
export { BoundedSemaphore, Semaphore, type SemaphoreOptions } from "./objects/semaphore.ts";
export { ObjectsSession, type ObjectsSessionOptions } from "./objects/session.ts";
export { SharedArray } from "./objects/shared-array.ts";
export { SharedObject } from "./objects/shared-object.ts";
export { streamLeases } from "./objects/stream-leases.ts";
export type { Transaction } from "./objects/transaction.ts";
export type { TransactionNamespace, TransactionValue } from "./objects/transaction-cells.ts";
export type { TransactionDict } from "./objects/transaction-dict.ts";
export type { TransactionList } from "./objects/transaction-list.ts";
export type {
  ObjectsEnd,
  ObjectsTransport,
  OutgoingOperations,
  RevokedHold,
  TransportListener,
} from "./objects/transport.ts";
export { type CellOptions, Value } from "./objects/value.ts";
export type { Watch } from "./objects/watch.ts";
export type { ResetChange } from "./objects/watched.ts";
export { type ObjectsAdmin, objectsAdmin } from "./objects-admin.ts";
export { checkOptionNames, checkTimeout, POOL_SETTINGS, PROCESS_SETTINGS } from "./options.ts";
export { type ParentFacts, ParentProcess } from "./parent-process.ts";
export { FabricPool, type MapResult, type StreamResult } from "./pool.ts";
export type { PoolHost, StatusLine } from "./pool-calls.ts";
export type { PoolSettings } from "./pool-setup.ts";
export { FabricProcess, type ProcessCall, type ProcessSettings } from "./process.ts";
export { type CurrentProcess, type OwnFacts, ProcessFamily } from "./process-family.ts";
export type { Progress } from "./progress.ts";
export { Range, range } from "./range.ts";
export { Repeat, repeat } from "./repeat.ts";
export type { TypedArrayConstructor } from "./result-sinks.ts";
export { SettledSpans } from "./settled-spans.ts";
export type { ChunkSize } from "./sizing.ts";
export { isReady, type Waitable, type WaitOptions, waitable, waitFor } from "./wait.ts";
