export { isWrite } from "./handlers.ts";
export { OBJECT_LIMITS, type ObjectLimits } from "./limits.ts";
export { Objects, type ObjectsOptions } from "./objects.ts";
export type { SnapshotPiece } from "./snapshot.ts";
export type { CellCode, ObjectKind, Spec } from "./spec.ts";
export * from "./types.ts";
export type { HolderView, LockView, ObjectsTotals, ObjectView, SessionView, WaiterView, WaitView } from "./views.ts";
