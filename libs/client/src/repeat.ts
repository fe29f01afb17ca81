/** One value, `length` times, stored once. */
export class Repeat<T> implements Iterable<T> {
  readonly value: T;
  readonly length: number;

  /** Use `repeat()`. */
  constructor(value: T, length: number) {
    this.value = value;
    this.length = length;
  }

  *[Symbol.iterator](): Iterator<T> {
    for (let index = 0; index < this.length; index++) yield this.value;
  }
}

/**
 * The same input `n` times. It travels once for each chunk, whatever its length, and each task gets a copy of its own. Throws RangeError unless `n`
 * is a whole number from 0.
 */
export function repeat<T>(value: T, n: number): Repeat<T> {
  if (!Number.isSafeInteger(n) || n < 0)
    throw new RangeError(`repeat: n must be a whole number from 0, got ${String(n)}`);
  return new Repeat(value, n);
}
