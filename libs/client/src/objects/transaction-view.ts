import { StateError } from "@heddle/kernel";

/** Whether a run of a transaction still goes on. */
export interface TransactionRun {
  isOver: boolean;
  /** What was asked of views and is not done: the run does not end before. */
  readonly pending: Set<Promise<unknown>>;
}

/** An object as a run of a transaction sees it. What is asked of it is done one after the other, so that each sees what those before have written. */
export abstract class TransactionView {
  readonly #run: TransactionRun;
  #last: Promise<unknown> = Promise.resolve();

  constructor(run: TransactionRun) {
    this.#run = run;
  }

  /** Rejects with StateError once the run is over, and with what `ask` throws. */
  protected async turn<T>(ask: () => T | PromiseLike<T>): Promise<T> {
    if (this.#run.isOver) throw new StateError("the transaction is over: what it used cannot be used after it");
    const before = this.#last;
    const asked = (async () => {
      await before;
      return await ask();
    })();
    const settled = asked.then(ignore, ignore);
    this.#last = settled;
    this.#run.pending.add(settled);
    try {
      return await asked;
    } finally {
      this.#run.pending.delete(settled);
    }
  }
}

function ignore(): void {}
