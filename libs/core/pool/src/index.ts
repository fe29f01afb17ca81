export {
  CREDIT_PER_SLOT_MAX,
  KILL_GRACE_MS,
  LONG_HEAD_MS,
  PREFETCH_MS,
  SPAWN_BACKOFF_MAX_MS,
  SPAWN_FAILURES_MAX,
  SPAWN_READY_MS,
  WORKER_DEPTH_MAX,
  WORKERS_PER_SLOT_MAX,
} from "./limits.ts";
export type { WorkerState } from "./records.ts";
export type {
  Assignment,
  Effect,
  Input,
  ItemMark,
  JobNumber,
  JobTerms,
  PoolNumber,
  PoolOptions,
  WorkerKey,
} from "./types.ts";
export { type PoolView, WorkerPool } from "./worker-pool.ts";
