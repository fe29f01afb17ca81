import type { Span } from "@heddle/wire";

/** Items of one chunk that have their answer: spans in ascending order that neither overlap nor touch. */
export class SettledSpans {
  readonly #spans: Span[] = [];

  /** Those of `count` items from `offset` on that have no answer yet, in order. They have it from now on. */
  add(offset: number, count: number): Span[] {
    const end = offset + count;
    const from = this.#firstBehind(offset);
    const gaps: Span[] = [];
    let [at, until, to] = [offset, end, from];
    for (let span = this.#spans[to]; span !== undefined && span.offset <= end; span = this.#spans[++to]) {
      if (span.offset > at) gaps.push({ offset: at, count: span.offset - at });
      at = Math.max(at, span.offset + span.count);
      until = Math.max(until, at);
    }
    if (at < end) gaps.push({ offset: at, count: end - at });
    const first = Math.min(offset, this.#spans[from]?.offset ?? offset);
    this.#spans.splice(from, to - from, { offset: first, count: until - first });
    return gaps;
  }

  /** The first item that has no answer. */
  get firstGap(): number {
    const [first] = this.#spans;
    return first === undefined || first.offset > 0 ? 0 : first.count;
  }

  /** All of them, or of more than `max` the largest. */
  largest(max: number): readonly Span[] {
    if (this.#spans.length <= max) return [...this.#spans];
    const largest = this.#spans.toSorted((a, b) => b.count - a.count).slice(0, max);
    return largest.sort((a, b) => a.offset - b.offset);
  }

  /** Place of the first span that ends at `offset` or behind it. */
  #firstBehind(offset: number): number {
    let [from, to] = [0, this.#spans.length];
    while (from < to) {
      const middle = (from + to) >> 1;
      const span = this.#spans[middle];
      if (span !== undefined && span.offset + span.count < offset) from = middle + 1;
      else to = middle;
    }
    return from;
  }
}
