export type { SpanView, Wait } from "./explain.ts";
export { lackText } from "./lack.ts";
export { SCHEDULER_LIMITS, type SchedulerLimits } from "./limits.ts";
export { Scheduler, type SchedulerOptions } from "./scheduler.ts";
export type {
  AssignmentId,
  ClientKey,
  Effect,
  Fault,
  Input,
  ItemSpan,
  JobKey,
  JobView,
  NodeKey,
  NodeView,
  Outcome,
  PoolKey,
  Requirements,
  Resumed,
} from "./types.ts";
