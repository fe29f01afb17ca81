import { StateError } from "@heddle/kernel";
import type { TaskContext, WorkerRuntime } from "@heddle/shell-worker";

/** Well known in a worker process, so that every copy of this module there finds the one worker. */
const RUNTIME = Symbol.for("heddle.worker");

/** Lets user code in this process find its worker. */
export function publishRuntime(runtime: WorkerRuntime): void {
  Object.defineProperty(globalThis, RUNTIME, { value: runtime });
}

/** The worker that this code runs in; undefined outside of workers. */
export function workerRuntime(): WorkerRuntime | undefined {
  return Reflect.get(globalThis, RUNTIME) as WorkerRuntime | undefined;
}

/**
 * What the task that runs may know of itself. To be called inside a function that a pool runs; elsewhere it throws StateError. Code that
 * outlives its item, as a timer that nobody awaits, is told of the item that runs then: it should keep what it was given while it ran.
 */
export function task(): TaskContext {
  const context = workerRuntime()?.task();
  if (context === undefined)
    throw new StateError("task() was called where no task runs: call it inside the function that a pool runs");
  return context;
}
