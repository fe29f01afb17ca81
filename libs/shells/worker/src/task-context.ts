import { StateError } from "@heddle/kernel";

/** What a task may know of itself. */
export interface TaskContext {
  /** Index of its item in the call's inputs. */
  readonly index: number;
  /** Which placement of the item it is, from 1: more than 1 when a worker or node died with it, or it failed and is retried. */
  readonly attempt: number;
  /** Name of the node. */
  readonly node: string;
  /** Id of the job: of the call of map, apply, ... */
  readonly jobId: string;
  /** Aborts shortly before the task's process is ended: the call was cancelled, or the pool terminated. */
  readonly signal: AbortSignal;
}

/**
 * Which item runs now. Items of one worker run one after the other, so there is one at a time; code that outlives its item (a timer
 * that nobody awaits) sees the item that runs then.
 */
export class CurrentTask {
  /** Set right before each item. */
  index = 0;
  attempt = 0;
  #node = "";
  #jobId = "";
  #isRunning = false;
  readonly #stopSignal: () => AbortSignal;

  constructor(stopSignal: () => AbortSignal) {
    this.#stopSignal = stopSignal;
  }

  /** A chunk begins. */
  begin(node: string, jobId: string, attempt: number): void {
    this.#node = node;
    this.#jobId = jobId;
    this.attempt = attempt;
    this.#isRunning = true;
  }

  /** It is over. */
  end(): void {
    this.#isRunning = false;
  }

  /** Throws StateError when nothing runs. */
  get(): TaskContext {
    if (!this.#isRunning)
      throw new StateError("task() was called where no task runs: call it inside the function that a pool runs");
    return {
      index: this.index,
      attempt: this.attempt,
      node: this.#node,
      jobId: this.#jobId,
      signal: this.#stopSignal(),
    };
  }
}
