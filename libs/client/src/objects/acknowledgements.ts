import { Fifo } from "@heddle/kernel";
import type { PendingOperation } from "./operation.ts";

/** The batch of operations that were sent again: their reply may be one to what was sent before, and says nothing of what arrived now. */
export const SENT_AGAIN = -1;

/** Acknowledgements that left with a batch, and are not known to have arrived. */
interface Told {
  readonly batch: number;
  readonly pairs: number[];
}

/**
 * Which replies the manager need not keep any more. It keeps those of writes, so acknowledgements ride with writes only, and the reply to such a write says that
 * they have arrived: those that have not are told again on a new stream. Pairs of a first number and how many. Pure.
 */
export class Acknowledgements {
  /** Not told yet. */
  #pairs: number[] = [];
  readonly #told = new Fifo<Told>();
  #lastBatch = 0;

  /** The operation's reply has come. */
  add({ seq, isWrite, batch }: PendingOperation): void {
    const pairs = this.#pairs;
    const at = pairs.length;
    const [first = 0, count = 0] = at === 0 ? [] : [pairs[at - 2], pairs[at - 1]];
    if (at > 0 && first + count === seq) pairs[at - 1] = count + 1;
    else if (isWrite) pairs.push(seq, 1);
    if (isWrite && batch > 0)
      for (let told = this.#told.peek(); told !== undefined && told.batch <= batch; told = this.#told.peek())
        this.#told.shift();
  }

  /** What is to be told with a batch, which has a write. */
  take(operations: readonly PendingOperation[]): number[] {
    const batch = ++this.#lastBatch;
    for (const operation of operations) if (operation.batch === 0) operation.batch = batch;
    const pairs = this.#pairs;
    if (pairs.length === 0) return [];
    this.#pairs = [];
    this.#told.push({ batch, pairs });
    return pairs;
  }

  /** The stream is a new one. */
  again(): void {
    const pairs = [...this.#told].flatMap((told) => told.pairs);
    pairs.push(...this.#pairs);
    this.#pairs = pairs;
    this.#told.clear();
  }

  /** Another session begins. */
  clear(): void {
    this.#pairs = [];
    this.#told.clear();
  }
}
