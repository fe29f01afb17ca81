export { SimFailure } from "./event-loop.ts";
export { calmPlan, drawMs, type FaultPlan, stormPlan, swarmPlan } from "./fault-plan.ts";
export type { Boot, HostContext, HostOptions, SimHost } from "./host.ts";
export type { Life } from "./life.ts";
export {
  type Answer,
  answered,
  assertLinearizable,
  type CellCode,
  type CellsInput,
  type CheckOptions,
  cellsModel,
  checkLinearizable,
  type DictInput,
  dictModel,
  done,
  HistoryError,
  type HistoryVerdict,
  type ListInput,
  type LockInput,
  listModel,
  lockModel,
  type Operation,
  partition,
  type QueueInput,
  queueModel,
  Recorder,
  refused,
  type SemaphoreInput,
  type SequentialModel,
  type Stuck,
  semaphoreModel,
  type ValueInput,
  valueModel,
} from "./linearizability/index.ts";
export type { Envelope, Rule, Verdict } from "./network.ts";
export { ProcessTable, type SimProcess, type TaskContext } from "./process-table.ts";
export { type InsideWorker, SimWorkers, type SimWorkersOptions } from "./workers.ts";
export { createWorld, type RunReport, type World } from "./world.ts";
