/** An arithmetic sequence of numbers that is never stored: `length` numbers from `start`, `step` apart. */
export class Range implements Iterable<number> {
  readonly start: number;
  readonly step: number;
  readonly length: number;

  /** Use `range()`. */
  constructor(start: number, step: number, length: number) {
    this.start = start;
    this.step = step;
    this.length = length;
  }

  /** Number `index` of the sequence; undefined outside of it. Negative indices count from the end. */
  at(index: number): number | undefined {
    const whole = Math.trunc(index) || 0;
    const at = whole < 0 ? whole + this.length : whole;
    return at >= 0 && at < this.length ? this.start + at * this.step : undefined;
  }

  *[Symbol.iterator](): Iterator<number> {
    for (let index = 0; index < this.length; index++) yield this.start + index * this.step;
  }
}

/**
 * Python's range: `range(stop)` is 0, 1, ... below stop; `range(start, stop, step)` goes from start towards stop, which is left out.
 * Travels as a descriptor, whatever its length. Throws TypeError for what is not a finite number and RangeError for step 0
 * and for more numbers than can be counted.
 */
export function range(stop: number): Range;
export function range(start: number, stop: number, step?: number): Range;
export function range(startOrStop: number, stop?: number, step = 1): Range {
  const [from, to] = stop === undefined ? [0, startOrStop] : [startOrStop, stop];
  for (const [name, value] of [
    ["start", from],
    ["stop", to],
    ["step", step],
  ] as const)
    if (typeof value !== "number" || !Number.isFinite(value))
      throw new TypeError(`range: ${name} must be a finite number, got ${String(value)}`);
  if (step === 0) throw new RangeError("range: step must not be 0");
  const length = Math.max(0, Math.ceil((to - from) / step));
  if (!Number.isSafeInteger(length)) throw new RangeError(`range: ${length} numbers are more than can be counted`);
  return new Range(from, step, length);
}
