import { FOLD_BLOCK_ITEMS, LimitError, PAYLOAD_BYTES_MAX } from "@heddle/kernel";
import type { AnyFunction } from "@heddle/port-shipper";
import { type EncodedPayload, PayloadEncoder } from "@heddle/wire";
import { columnOf, NumberColumn } from "./number-column.ts";
import type { Fold, FoldEnd, LoopResults } from "./tight-loop.ts";

/** Where the values of a chunk's items go, in order. */
export interface Results {
  /** Items whose values are kept. What `add` throws for is not, and sometimes a few before it are not any more. */
  readonly completed: number;
  /** Bytes so far, about. */
  readonly size: number;
  /** Most results that `addAll` takes at once now. */
  readonly room: number;
  /** Takes the next item's value. Throws SerializationError or LimitError when it cannot travel; whatever the user's getters or folding throw. */
  add(value: unknown): void;
  /** Takes the values of the next `count` items, all numbers or all booleans. Throws as `add`. */
  addAll(values: LoopResults, count: number): void;
  /** What was kept. Throws as `add`, and then gives what it can when it is called again. */
  finish(): EncodedPayload;
}

/** Numbers are encoded so many at a time, which costs a fraction of encoding each; unlike other values they cannot fail to travel. */
const NUMBERS_BATCH = 512;

/** A value for each item. */
export class PlainResults implements Results {
  readonly room = Number.POSITIVE_INFINITY;
  readonly #encoder = new PayloadEncoder("result");
  readonly #batch: number;
  /** Values behind those in the encoder. Length < batch between items. */
  readonly #numbers: number[] = [];
  /** Values before those in the encoder, while there are none there nor in `numbers`. */
  #column: NumberColumn | undefined = undefined;
  readonly #expected: number;
  /** Set when what was added last made the payload too large: what there was before. */
  #cut: { readonly size: number; readonly count: number } | undefined;

  /** `expected`: items of the span. `batch`: numbers that may have to be dropped together where they grow too large. */
  constructor(expected: number, batch = NUMBERS_BATCH) {
    this.#expected = expected;
    this.#batch = batch;
  }

  get completed(): number {
    return this.#cut?.count ?? (this.#column?.count ?? 0) + this.#encoder.count + this.#numbers.length;
  }

  get size(): number {
    return (this.#column?.size ?? 0) + this.#encoder.size + this.#numbers.length * 8;
  }

  add(value: unknown): void {
    if (typeof value === "number") {
      if (this.#numbers.push(value) >= this.#batch) this.#encodeNumbers();
      return;
    }
    this.#encodeNumbers();
    const { size, count } = this.#encoder;
    this.#encoder.add(value);
    this.#checkSize(size, count);
  }

  addAll(values: LoopResults, count: number): void {
    if (NumberColumn.isAtHome && !Array.isArray(values) && this.#numbers.length + this.#encoder.count === 0) {
      this.#column ??= new NumberColumn(this.#expected);
      if (this.#column.size + count * 8 <= PAYLOAD_BYTES_MAX) return this.#column.add(values, count);
    }
    this.#encodeNumbers();
    const { size, count: before } = this.#encoder;
    this.#encoder.addAll(values, 0, count);
    this.#checkSize(size, before);
  }

  finish(): EncodedPayload {
    if (this.#cut !== undefined) {
      const { size, count } = this.#cut;
      const { encoding, bytes } = this.#encoder.finish();
      return { encoding, count, bytes: bytes.subarray(0, size) };
    }
    if (this.#encoder.count === 0) {
      const column = this.#column;
      if (column !== undefined && column.count > 0 && this.#numbers.length === 0) return column.finish();
      if (column === undefined && this.#numbers.length > 0 && NumberColumn.isAtHome) return columnOf(this.#numbers);
    }
    this.#encodeNumbers();
    return this.#encoder.finish();
  }

  #encodeNumbers(): void {
    const column = this.#column;
    this.#column = undefined;
    if (column !== undefined && column.count > 0) this.#encoder.addAll(column.numbers(), 0, column.count);
    if (this.#numbers.length === 0) return;
    const { size, count } = this.#encoder;
    this.#encoder.addAll(this.#numbers, 0, this.#numbers.length);
    this.#numbers.length = 0;
    this.#checkSize(size, count);
  }

  #checkSize(size: number, count: number): void {
    const grown = this.#encoder.size;
    if (grown <= PAYLOAD_BYTES_MAX) return;
    this.#cut = { size, count };
    throw new LimitError("PAYLOAD_BYTES_MAX", PAYLOAD_BYTES_MAX, grown);
  }
}

/** How a job's results are folded. */
export interface Folding {
  readonly combine: AnyFunction;
  /** A loop of the function's own, once it is worth one. */
  readonly loop: () => Fold | undefined;
}

/** One value for each block that is whole among the items, in its place among the values of the other items. */
export class FoldedResults implements Results {
  completed = 0;
  readonly #plain = new PlainResults(0, 1);
  readonly #folding: Folding;
  /** The items of whole blocks, counted from the first item. */
  readonly #wholeFrom: number;
  readonly #wholeUntil: number;
  /** Values of the whole block under way. */
  #block: unknown[] = [];

  /** `first`: index of the first item; there are `count`. */
  constructor(folding: Folding, first: number, count: number) {
    this.#folding = folding;
    this.#wholeFrom = Math.ceil(first / FOLD_BLOCK_ITEMS) * FOLD_BLOCK_ITEMS - first;
    this.#wholeUntil = Math.floor((first + count) / FOLD_BLOCK_ITEMS) * FOLD_BLOCK_ITEMS - first;
  }

  get size(): number {
    return this.#plain.size;
  }

  /** Up to the next border of a block. */
  get room(): number {
    if (this.completed < this.#wholeFrom) return this.#wholeFrom - this.completed;
    return FOLD_BLOCK_ITEMS - ((this.completed - this.#wholeFrom) % FOLD_BLOCK_ITEMS);
  }

  add(value: unknown): void {
    if (!this.#isWhole(this.completed)) {
      this.#plain.add(value);
      this.completed++;
      return;
    }
    this.#block.push(value);
    this.completed++;
    if (this.#block.length === FOLD_BLOCK_ITEMS) this.#endBlock(this.#block, undefined);
  }

  addAll(values: LoopResults, count: number): void {
    const isBlock = count === FOLD_BLOCK_ITEMS && this.#block.length === 0 && this.#isWhole(this.completed);
    const loop = isBlock && !Array.isArray(values) ? this.#folding.loop() : undefined;
    if (loop === undefined || Array.isArray(values)) {
      for (let at = 0; at < count; at++) this.add(values[at]);
      return;
    }
    this.completed += count;
    this.#endBlock(values, loop);
  }

  finish(): EncodedPayload {
    const block = this.#block;
    const end = this.completed;
    this.#block = [];
    for (const [at, value] of block.entries()) {
      this.completed = end - block.length + at;
      this.#plain.add(value);
    }
    this.completed = end;
    return this.#plain.finish();
  }

  #isWhole(at: number): boolean {
    return at >= this.#wholeFrom && at < this.#wholeUntil;
  }

  /** An error is one of the block's last item: the values before it are kept as they are. */
  #endBlock(values: readonly unknown[] | Int32Array | Float64Array, loop: Fold | undefined): void {
    const before = this.#plain.completed;
    try {
      this.#plain.add(folded(this.#folding.combine, values, loop));
      this.#block = [];
    } catch (error) {
      const isCut = this.#plain.completed === before && isLimit(error);
      this.#block = isCut ? [] : Array.from<unknown>(values).slice(0, -1);
      this.completed -= isCut ? FOLD_BLOCK_ITEMS : 1; // where the payload is full there is no room for them
      throw error;
    }
  }
}

function isLimit(error: unknown): boolean {
  return error instanceof LimitError && error.limitName === "PAYLOAD_BYTES_MAX";
}

/** combine(... combine(combine(v0, v1), v2) ..., vn). Throws what `combine` throws, and TypeError where it gives a promise. */
function folded(
  combine: AnyFunction,
  values: readonly unknown[] | Int32Array | Float64Array,
  loop: Fold | undefined,
): unknown {
  const end: FoldEnd = { folded: values[0], next: 1 };
  if (loop !== undefined && !isList(values)) loop(combine, values, values.length, end);
  for (;;) {
    if (isThenable(end.folded))
      throw new TypeError("combine gave a promise: it must return its result at once, so it cannot be async");
    if (end.next >= values.length) return end.folded;
    end.folded = combine(end.folded, values[end.next++]);
  }
}

function isList(values: readonly unknown[] | Int32Array | Float64Array): values is readonly unknown[] {
  return Array.isArray(values);
}

/** Something that `await` waits for. */
export function isThenable(value: unknown): value is PromiseLike<unknown> {
  return (
    value !== null &&
    (typeof value === "object" || typeof value === "function") &&
    typeof (value as { readonly then?: unknown }).then === "function"
  );
}
