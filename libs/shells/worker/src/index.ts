export { QUICK_CHUNK_MS, QUICK_CHUNKS_MIN, SUMMARY_BYTES_MAX, TURN_MS } from "./limits.ts";
export type { ParentFacts, ProcessEnding, ProcessFacts } from "./own-process.ts";
export type { InsideEffects, InsideObjects, ObjectsListener, WorkerOperations } from "./shared-objects.ts";
export type { TaskContext, TaskScope } from "./task-context.ts";
export { type AgentLink, runWorker, type WorkerObjects, type WorkerOptions, type WorkerRuntime } from "./worker.ts";
