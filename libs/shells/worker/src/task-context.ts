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
  /**
   * Aborts shortly before the task's process is ended: the call was cancelled, or the pool terminated. A worker whose code has asked for
   * it ends half a second after it is told to; one that never did ends at once.
   */
  readonly signal: AbortSignal;
}

/**
 * Which item runs now. Items of one worker run one after the other, so there is one at a time, and telling them apart costs an assignment
 * each. Code that outlives its item (a timer that nobody awaits) sees the item that runs then: to know its own it keeps what task() gave
 * it, which never changes.
 */
export class CurrentTask {
  /** Set right before each item. */
  index = 0;
  #attempt = 0;
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
    this.#attempt = attempt;
    this.#isRunning = true;
  }

  /** It is over. */
  end(): void {
    this.#isRunning = false;
  }

  /** Undefined when nothing runs. */
  get(): TaskContext | undefined {
    if (!this.#isRunning) return undefined;
    const stopSignal = this.#stopSignal;
    return {
      index: this.index,
      attempt: this.#attempt,
      node: this.#node,
      jobId: this.#jobId,
      get signal(): AbortSignal {
        return stopSignal();
      },
    };
  }
}
