import { Heap } from "@heddle/kernel";

/** Keys above the floor that are remembered one by one. Beyond it the lowest is forgotten and all below it count as used. */
const KEYS_REMEMBERED_MAX = 4_096;

/**
 * Which keys were ever used, so that a late repetition of "opened" is told from something new. Keys are minted about ascending:
 * the memory is bounded, and a key that is more than KEYS_REMEMBERED_MAX uses late counts as used.
 */
export class UsedKeys {
  readonly #above = new Set<number>();
  readonly #lowest = new Heap<number>((a, b) => a < b);
  #floor = Number.NEGATIVE_INFINITY;

  /** Marks a key as used. False when it was before. */
  claim(key: number): boolean {
    if (key <= this.#floor || this.#above.has(key)) return false;
    this.#above.add(key);
    this.#lowest.push(key);
    if (this.#above.size > KEYS_REMEMBERED_MAX) this.#forgetLowest();
    return true;
  }

  #forgetLowest(): void {
    const lowest = this.#lowest.pop();
    if (lowest === undefined) return;
    this.#above.delete(lowest);
    this.#floor = lowest;
  }
}
