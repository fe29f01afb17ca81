import { ACKNOWLEDGED_PAIRS_MAX } from "./limits.ts";

/**
 * Acknowledgements that wait for their owner's next write: with it they are journalled for nothing, while those of an owner that
 * only reads would cost a commit each. Pairs of first number and how many, by owner; what follows on grows the pair before.
 */
export class Acknowledgements {
  readonly #waiting = new Map<number, number[]>();

  add(owner: number, acknowledged: readonly number[]): void {
    if (acknowledged.length === 0) return;
    const pairs = this.#waiting.get(owner);
    if (pairs === undefined) {
      this.#waiting.set(owner, [...acknowledged]);
      return;
    }
    for (let at = 0; at + 1 < acknowledged.length; at += 2) {
      const first = acknowledged[at] ?? 0;
      const count = acknowledged[at + 1] ?? 0;
      const lastFirst = pairs.at(-2) ?? 0;
      const lastCount = pairs.at(-1) ?? 0;
      if (lastFirst + lastCount === first) pairs[pairs.length - 1] = lastCount + count;
      else pairs.push(first, count);
    }
  }

  /** What waits of an owner; it does not any more. */
  take(owner: number): readonly number[] {
    const pairs = this.#waiting.get(owner);
    if (pairs === undefined) return NONE;
    this.#waiting.delete(owner);
    return pairs;
  }

  /** Whether more waits than should. */
  isMany(owner: number): boolean {
    return (this.#waiting.get(owner)?.length ?? 0) > 2 * ACKNOWLEDGED_PAIRS_MAX;
  }

  /** Of an owner that is gone, or of all. */
  clear(owner?: number): void {
    if (owner === undefined) this.#waiting.clear();
    else this.#waiting.delete(owner);
  }
}

const NONE: readonly number[] = [];
