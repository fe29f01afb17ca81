export {
  assertLinearizable,
  type CheckOptions,
  checkLinearizable,
  HistoryError,
  type HistoryVerdict,
} from "./check.ts";
export type { Stuck } from "./explain.ts";
export {
  type Answer,
  answered,
  done,
  type Operation,
  partition,
  refused,
  type SequentialModel,
} from "./history.ts";
export { type CellCode, type CellsInput, cellsModel } from "./models/cells.ts";
export { type DictInput, dictModel } from "./models/dict.ts";
export { type ListInput, listModel } from "./models/list.ts";
export { type LockInput, lockModel } from "./models/lock.ts";
export { type QueueInput, queueModel } from "./models/queue.ts";
export { type SemaphoreInput, semaphoreModel } from "./models/semaphore.ts";
export { type ValueInput, valueModel } from "./models/value.ts";
export { Recorder } from "./recorder.ts";
