import { assert } from "@heddle/kernel";

/** Which bytes of a file are in use. What is free is used again from the front, so that a file that is read as it is written does not grow. */
export class Extents {
  /** Free ones before the end, ascending and apart. */
  readonly #free: { start: number; end: number }[] = [];
  #end = 0;
  #used = 0;

  /** How long the file has to be. */
  get end(): number {
    return this.#end;
  }

  /** Bytes in use. */
  get used(): number {
    return this.#used;
  }

  /** Where `size` >= 1 bytes may be put: they are in use then. Looks at the first LOOKED_AT_MAX free extents. */
  take(size: number): number {
    this.#used += size;
    const near = Math.min(this.#free.length, LOOKED_AT_MAX);
    let at = 0;
    while (at < near && lengthOf(this.#free[at]) < size) at++;
    const found = at < near ? this.#free[at] : undefined;
    if (found === undefined) {
      const start = this.#end;
      this.#end += size;
      return start;
    }
    const { start } = found;
    found.start += size;
    if (found.start === found.end) this.#free.splice(at, 1);
    return start;
  }

  /** Bytes that were taken are free again. */
  give(start: number, size: number): void {
    const end = start + size;
    this.#used -= size;
    const at = this.#firstFrom(end);
    const [before, after] = [this.#free[at - 1], this.#free[at]];
    assert(this.#used >= 0 && end <= this.#end && (before?.end ?? 0) <= start, "what is given back was taken");
    const merged = { start: before?.end === start ? before.start : start, end: after?.start === end ? after.end : end };
    const [from, to] = [before?.end === start ? at - 1 : at, after?.start === end ? at + 1 : at];
    if (merged.end < this.#end) this.#free.splice(from, to - from, merged);
    else {
      this.#free.splice(from, to - from);
      this.#end = merged.start;
    }
  }

  /** Number of the first free extent that starts at `position` or behind it. */
  #firstFrom(position: number): number {
    let [from, to] = [0, this.#free.length];
    while (from < to) {
      const middle = (from + to) >> 1;
      if ((this.#free[middle]?.start ?? 0) < position) from = middle + 1;
      else to = middle;
    }
    return from;
  }
}

function lengthOf(extent: { readonly start: number; readonly end: number } | undefined): number {
  return extent === undefined ? 0 : extent.end - extent.start;
}

/** Holes further behind are found when those before them are filled, or joined: to look for the best of thousands costs more than the bytes. */
const LOOKED_AT_MAX = 64;
