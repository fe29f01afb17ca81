import { FOLD_BLOCK_ITEMS, foldedCount, ProtocolError } from "@heddle/kernel";
import { type EncodedPayload, payloadItems, type ValueReaderHooks } from "@heddle/wire";
import type { ResultSink } from "./result-sinks.ts";

type Combine = (a: unknown, b: unknown) => unknown;

/** Values that came before those of lower indices. */
interface Early {
  readonly count: number;
  readonly payload: EncodedPayload;
}

/**
 * The end of a mapReduce: workers send one value for each aligned block that was whole in a span, and the plain values of other items. Everything is
 * combined in order of the indices, each block by itself first, so that the result has the same bits however the work was cut and wherever it ran.
 */
export class FoldSink implements ResultSink {
  readonly #combine: Combine;
  readonly #hooks: ValueReaderHooks | undefined;
  /** By the index of their first item. */
  readonly #early = new Map<number, Early>();
  #next = 0;
  /** What the blocks so far come down to. */
  #whole: { readonly value: unknown } | undefined;
  /** What the items of the block under way come down to. */
  #block: { readonly value: unknown } | undefined;

  /** `initial`: undefined for none. */
  constructor(combine: Combine, initial: { readonly value: unknown } | undefined, hooks?: ValueReaderHooks) {
    this.#combine = combine;
    this.#hooks = hooks;
    this.#whole = initial;
  }

  values(index: number, count: number, payload: EncodedPayload): void {
    this.#early.set(index, { count, payload });
    for (let next = this.#early.get(this.#next); next !== undefined; next = this.#early.get(this.#next)) {
      this.#early.delete(this.#next);
      this.#take(next);
    }
  }

  failed(): void {}

  /** What all items come down to; undefined when there were none and nothing to begin with. */
  result(): { readonly value: unknown } | undefined {
    this.#endBlock();
    return this.#whole;
  }

  #take({ count, payload }: Early): void {
    const items = payloadItems(payload, undefined, this.#hooks);
    const end = this.#next + count;
    while (this.#next < end) {
      const isWhole = this.#next % FOLD_BLOCK_ITEMS === 0 && this.#next + FOLD_BLOCK_ITEMS <= end;
      this.#block = {
        value: this.#block === undefined ? items.next() : this.#combined(this.#block.value, items.next()),
      };
      this.#next += isWhole ? FOLD_BLOCK_ITEMS : 1;
      if (this.#next % FOLD_BLOCK_ITEMS === 0) this.#endBlock();
    }
  }

  #endBlock(): void {
    if (this.#block === undefined) return;
    const { value } = this.#block;
    this.#whole = { value: this.#whole === undefined ? value : this.#combined(this.#whole.value, value) };
    this.#block = undefined;
  }

  #combined(a: unknown, b: unknown): unknown {
    const combined = this.#combine(a, b);
    if (combined instanceof Promise) throw new TypeError("combine must return a value, it returned a promise");
    return combined;
  }
}

/** Throws ProtocolError unless so many values are what `count` items from `first` on come down to. */
export function checkFolded(first: number, count: number, values: number): void {
  const expected = foldedCount(first, count);
  if (values !== expected) throw new ProtocolError(`${values} folded values came for ${count} items, not ${expected}`);
}
