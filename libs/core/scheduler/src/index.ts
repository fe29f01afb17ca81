export { SCHEDULER_LIMITS, type SchedulerLimits } from "./limits.ts";
export { Scheduler, type SchedulerOptions } from "./scheduler.ts";
export type {
  AssignmentId,
  ClientKey,
  Effect,
  Input,
  JobKey,
  JobView,
  NodeKey,
  NodeView,
  Outcome,
  PoolKey,
  Requirements,
} from "./types.ts";
