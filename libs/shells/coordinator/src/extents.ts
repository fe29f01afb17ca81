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

  /** Where `size` >= 1 bytes may be put: they are in use then. O(free extents). */
  take(size: number): number {
    this.#used += size;
    const at = this.#free.findIndex(({ start, end }) => end - start >= size);
    const found = this.#free[at];
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

  /** Bytes that were taken are free again. O(free extents). */
  give(start: number, size: number): void {
    const end = start + size;
    this.#used -= size;
    const found = this.#free.findIndex((it) => it.start >= end);
    const at = found < 0 ? this.#free.length : found;
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
}
