/** Free places that an insertion at the front makes before the first item, at least. */
const FRONT_ROOM_MIN = 16;

/** An array whose both ends grow and shrink in O(1) amortised; in between it costs a move of what stands behind. */
export class Sequence<T> implements Iterable<T> {
  #items: (T | undefined)[] = [];
  /** Places before it are free. */
  #head = 0;

  constructor(items: readonly T[] = []) {
    this.#items = [...items];
  }

  get length(): number {
    return this.#items.length - this.#head;
  }

  /** Undefined outside of [0, length). */
  at(index: number): T | undefined {
    return index < 0 ? undefined : this.#items[this.#head + index];
  }

  set(index: number, item: T): void {
    this.#items[this.#head + index] = item;
  }

  push(item: T): void {
    this.#items.push(item);
  }

  /** Before the item at `index`, 0 to length. */
  insert(index: number, item: T): void {
    if (index > 0) this.#items.splice(this.#head + index, 0, item);
    else {
      if (this.#head === 0) this.#makeRoom();
      this.#items[--this.#head] = item;
    }
  }

  /** The item at `index`, which must be there, goes. */
  remove(index: number): T | undefined {
    const at = this.#head + index;
    const item = this.#items[at];
    if (at === this.#items.length - 1) this.#items.pop();
    else if (index === 0) this.#shift();
    else this.#items.splice(at, 1);
    return item;
  }

  /** What stands at `from` and behind goes. */
  cut(from: number): void {
    this.#items.length = this.#head + from;
  }

  slice(from = 0, to = this.length): T[] {
    return this.#items.slice(this.#head + from, this.#head + Math.max(from, to)) as T[];
  }

  *[Symbol.iterator](): Iterator<T> {
    for (let at = this.#head; at < this.#items.length; at++) yield this.#items[at] as T;
  }

  #shift(): void {
    this.#items[this.#head++] = undefined;
    if (this.#head > 1_024 && this.#head * 2 > this.#items.length) {
      this.#items = this.#items.slice(this.#head);
      this.#head = 0;
    }
  }

  #makeRoom(): void {
    const room = Math.max(FRONT_ROOM_MIN, this.#items.length >> 1);
    this.#items = new Array<T | undefined>(room).fill(undefined).concat(this.#items);
    this.#head = room;
  }
}
