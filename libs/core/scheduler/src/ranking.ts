import { assert } from "@heddle/kernel";

/** Something that can stand in one Ranking. `rankAt` is written by the ranking only; -1 when it is in none. */
export interface Ranked {
  rankAt: number;
}

/** Binary min-heap whose members know their place, so that any of them can be moved or removed in O(log n). */
export class Ranking<T extends Ranked> implements Iterable<T> {
  readonly #items: T[] = [];
  readonly #before: (a: T, b: T) => boolean;

  /** `before` must be a strict total order, and what it looks at may change only right before `update`. */
  constructor(before: (a: T, b: T) => boolean) {
    this.#before = before;
  }

  get size(): number {
    return this.#items.length;
  }

  /** The first item, or undefined when empty. */
  peek(): T | undefined {
    return this.#items[0];
  }

  /** Adds an item, or puts it where it belongs now. */
  update(item: T): void {
    if (item.rankAt < 0) item.rankAt = this.#items.push(item) - 1;
    this.#rise(item);
    this.#sink(item);
  }

  /** Takes an item out; one that is not in stays out. */
  remove(item: T): void {
    if (item.rankAt < 0) return;
    const at = item.rankAt;
    item.rankAt = -1;
    const last = this.#items.pop();
    if (last === undefined || last === item) return;
    this.#put(last, at);
    this.update(last);
  }

  /** In no order. */
  [Symbol.iterator](): Iterator<T> {
    return this.#items.values();
  }

  /** Throws InvariantViolation unless every member is where it should be. */
  validate(): void {
    for (const [at, item] of this.#items.entries()) {
      assert(item.rankAt === at, "a ranked item knows its place");
      const above = this.#items[(at - 1) >> 1];
      assert(at === 0 || (above && !this.#before(item, above)), "no ranked item stands above one that goes before it");
    }
  }

  #put(item: T, at: number): void {
    this.#items[at] = item;
    item.rankAt = at;
  }

  #rise(item: T): void {
    while (item.rankAt > 0) {
      const at = item.rankAt;
      const above = this.#items[(at - 1) >> 1] as T;
      if (!this.#before(item, above)) return;
      this.#put(item, above.rankAt);
      this.#put(above, at);
    }
  }

  #sink(item: T): void {
    const items = this.#items;
    for (;;) {
      const at = item.rankAt;
      let child = 2 * at + 1;
      if (child >= items.length) return;
      if (child + 1 < items.length && this.#before(items[child + 1] as T, items[child] as T)) child++;
      const below = items[child] as T;
      if (!this.#before(below, item)) return;
      this.#put(item, child);
      this.#put(below, at);
    }
  }
}
