export { AsyncResult, type Progress } from "./async-result.ts";
export type { Inputs } from "./chunks.ts";
export { noCoordinatorError, type SessionDial } from "./dial.ts";
export { Fabric, type FabricOptions } from "./fabric.ts";
export type { RemotePlace } from "./failure.ts";
export { QUESTION_TIMEOUT_MS, UNAVAILABLE_TIMEOUT_MS } from "./limits.ts";
export { checkOptionNames, checkTimeout, described, POOL_SETTINGS } from "./options.ts";
export { type CallOptions, FabricPool, type MapOptions, type PoolHost, type PoolSettings } from "./pool.ts";
export { Range, range } from "./range.ts";
