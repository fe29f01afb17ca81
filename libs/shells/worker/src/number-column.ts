import { type EncodedPayload, Encoding } from "@heddle/wire";

const isLittleEndian = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1;

/** Room that is made at once, in numbers, for those that are expected. */
const CAPACITY_AHEAD_MAX = 1 << 22;

/**
 * Numbers that come in blocks, on their way to a payload: whole ones of 32 bits as such for as long as there are no others. What the
 * general encoder does too; this does it at the speed of the loops that the numbers come from.
 */
export class NumberColumn {
  /** Numbers so far. */
  count = 0;
  #column: Int32Array | Float64Array = new Int32Array(0);
  readonly #expected: number;

  /** `expected`: numbers that will come, if all goes well. */
  constructor(expected: number) {
    this.#expected = expected;
  }

  /** Whether columns can be made on this machine as they travel. */
  static readonly isAtHome = isLittleEndian;

  /** Bytes so far. */
  get size(): number {
    return this.count * this.#column.BYTES_PER_ELEMENT;
  }

  /** Adds values[0] up to values[count - 1]. */
  add(values: Int32Array | Float64Array, count: number): void {
    const column = this.#roomFor(count);
    if (values instanceof Float64Array && column instanceof Int32Array) {
      if (!fillWhole(column, this.count, values, count)) {
        this.#column = this.#grown(new Float64Array(column.length));
        this.#column.set(values.subarray(0, count), this.count);
      }
    } else column.set(values.subarray(0, count), this.count);
    this.count += count;
  }

  /** The numbers so far. */
  numbers(): ArrayLike<number> {
    return this.#column.subarray(0, this.count);
  }

  finish(): EncodedPayload {
    const column = this.#column;
    const kept = this.count < column.length * 0.8 ? column.slice(0, this.count) : column.subarray(0, this.count);
    const bytes = new Uint8Array(kept.buffer, kept.byteOffset, kept.byteLength);
    return { encoding: kept instanceof Int32Array ? Encoding.I32 : Encoding.F64, count: this.count, bytes };
  }

  #roomFor(count: number): Int32Array | Float64Array {
    const needed = this.count + count;
    if (needed <= this.#column.length) return this.#column;
    const ahead = Math.min(this.#expected, this.count + CAPACITY_AHEAD_MAX);
    const capacity = Math.max(needed, ahead);
    const larger = this.#column instanceof Int32Array ? new Int32Array(capacity) : new Float64Array(capacity);
    this.#column = this.#grown(larger);
    return this.#column;
  }

  #grown<Column extends Int32Array | Float64Array>(larger: Column): Column {
    larger.set(this.#column.subarray(0, this.count));
    return larger;
  }
}

/** A few numbers, as a payload. */
export function columnOf(numbers: readonly number[]): EncodedPayload {
  const { length: count } = numbers;
  const whole = new Int32Array(count);
  for (let at = 0; at < count; at++) {
    const value = numbers[at] as number;
    if ((value | 0) !== value || (value === 0 && 1 / value < 0)) {
      const { buffer } = Float64Array.from(numbers);
      return { encoding: Encoding.F64, count, bytes: new Uint8Array(buffer) };
    }
    whole[at] = value;
  }
  return { encoding: Encoding.I32, count, bytes: new Uint8Array(whole.buffer) };
}

/** False at a number that is no whole one of 32 bits; -0 is none. */
function fillWhole(column: Int32Array, at: number, values: Float64Array, count: number): boolean {
  for (let index = 0; index < count; index++) {
    const value = values[index] as number;
    if ((value | 0) !== value || (value === 0 && 1 / value < 0)) return false;
    column[at + index] = value;
  }
  return true;
}
