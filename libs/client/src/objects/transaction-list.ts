import { described, NotFoundError } from "@heddle/kernel";
import { compareValues, equalValues } from "@heddle/values";
import { checkOperationBytes } from "./content.ts";
import type { ObjectsHome } from "./home.ts";
import { checkIndex, sliceEnds } from "./indices.ts";
import { encodeItems, isDescending, type List, type SortOptions } from "./list.ts";
import { snapshotIterator } from "./snapshot.ts";
import type { TransactionLog, WriteOptions } from "./transaction-log.ts";
import { type TransactionRun, TransactionView } from "./transaction-view.ts";

/** Changes items in place, as the manager will. */
type Change = (items: Uint8Array[]) => void;

/**
 * A list in a transaction: its methods are a List's, what they write is written when the transaction is done. It sees its own writes. The first method that needs to know items reads
 * them all; `append`, `extend`, `clear`, and `at` and `length` before anything is written, do not.
 */
export class TransactionList<T = unknown> extends TransactionView {
  readonly #home: ObjectsHome;
  readonly #log: TransactionLog;
  readonly #list: List<T>;
  /** As they would be now, once they were read; encoded. */
  #items: Uint8Array[] | undefined;
  /** Made before they were read. */
  readonly #changes: Change[] = [];

  constructor(run: TransactionRun, log: TransactionLog, list: List<T>) {
    super(run);
    this.#home = log.home;
    this.#log = log;
    this.#list = list;
  }

  at(index: number): Promise<T> {
    return this.turn(async () => {
      const numbers = [checkIndex("index", index)];
      if (this.#isUntouched) return this.#decode((await this.#log.read(this.#list, "list-at", { numbers })).values[0]);
      const items = await this.#all();
      return this.#decode(items[placeIn(items, index)]);
    });
  }

  set(index: number, item: T): Promise<void> {
    return this.turn(async () => {
      const at = placeIn(await this.#all(), checkIndex("index", index));
      const value = this.#home.encode(item);
      this.#change("list-set", { values: [value], numbers: [at] }, (items) => items.splice(at, 1, value));
    });
  }

  append(item: T): Promise<void> {
    return this.turn(() => this.#extend([this.#home.encode(item)]));
  }

  extend(items: Iterable<T>): Promise<void> {
    return this.turn(() => {
      const values = encodeItems(this.#home, "items", items);
      checkOperationBytes(values);
      this.#extend(values);
    });
  }

  insert(index: number, item: T): Promise<void> {
    return this.turn(async () => {
      checkIndex("index", index);
      const value = this.#home.encode(item);
      const { length } = await this.#all();
      const at = Math.min(Math.max(index < 0 ? index + length : index, 0), length);
      this.#change("list-insert", { values: [value], numbers: [at] }, (items) => items.splice(at, 0, value));
    });
  }

  pop(index = -1): Promise<T> {
    return this.turn(async () => {
      const items = await this.#all();
      const at = placeIn(items, checkIndex("index", index));
      const item = this.#decode(items[at]);
      this.#remove(at);
      return item;
    });
  }

  remove(item: T): Promise<void> {
    return this.turn(async () => this.#remove(await this.#found(item)));
  }

  delete(index: number): Promise<void> {
    return this.turn(async () => this.#remove(placeIn(await this.#all(), checkIndex("index", index))));
  }

  index(item: T): Promise<number> {
    return this.turn(() => this.#found(item));
  }

  count(item: T): Promise<number> {
    return this.turn(async () => (await this.#places(item)).length);
  }

  includes(item: T): Promise<boolean> {
    return this.turn(async () => (await this.#places(item)).length > 0);
  }

  sort(options: SortOptions = {}): Promise<void> {
    return this.turn(async () => {
      const sign = isDescending(options) ? -1 : 1;
      const keyed = (await this.#all()).map((item) => ({ item, value: this.#log.plain(item) }));
      const type = typeof keyed[0]?.value;
      if (keyed.length > 0 && type !== "number" && type !== "string")
        throw new TypeError(`only numbers or strings are sorted, ${this.#list.what} has ${described(keyed[0]?.value)}`);
      if (!keyed.every(({ value }) => typeof value === type))
        throw new TypeError(`numbers alone or strings alone are sorted, ${this.#list.what} has others too`);
      keyed.sort((a, b) => sign * compareValues(a.value, b.value));
      const sorted = keyed.map(({ item }) => item);
      this.#change("list-sort", { numbers: [sign < 0 ? 1 : 0] }, (items) => items.splice(0, items.length, ...sorted));
    });
  }

  reverse(): Promise<void> {
    return this.turn(() => this.#change("list-reverse", {}, (items) => items.reverse()));
  }

  slice(from?: number, to?: number): Promise<T[]> {
    return this.turn(async () => {
      const ends = sliceEnds(from, to);
      return (await this.#all()).slice(...ends).map((item) => this.#decode(item));
    });
  }

  length(): Promise<number> {
    return this.turn(async () =>
      this.#isUntouched
        ? ((await this.#log.read(this.#list, "list-length")).numbers[0] ?? 0)
        : (await this.#all()).length,
    );
  }

  clear(): Promise<void> {
    return this.turn(() => {
      this.#change("list-clear", {}, () => undefined);
      this.#items = [];
    });
  }

  toArray(): Promise<T[]> {
    return this.slice();
  }

  [Symbol.asyncIterator](): AsyncIterableIterator<T> {
    return snapshotIterator(this.toArray());
  }

  /** As the manager has it. */
  get #isUntouched(): boolean {
    return this.#items === undefined && this.#changes.length === 0;
  }

  async #all(): Promise<Uint8Array[]> {
    if (this.#items === undefined) {
      this.#items = [...(await this.#log.read(this.#list, "list-slice", { numbers: [0] })).values];
      for (const change of this.#changes) change(this.#items);
    }
    return this.#items;
  }

  #change(
    verb: "list-set" | "list-insert" | "list-sort" | "list-reverse" | "list-clear",
    write: WriteOptions,
    change: Change,
  ): void {
    this.#log.write(this.#list, verb, write);
    this.#note(change);
  }

  #note(change: Change): void {
    if (this.#items === undefined) this.#changes.push(change);
    else change(this.#items);
  }

  #extend(values: readonly Uint8Array[]): void {
    this.#log.write(this.#list, "list-extend", { values, merged: "append" });
    this.#note((items) => {
      for (const value of values) items.push(value);
    });
  }

  #remove(at: number): void {
    this.#log.write(this.#list, "list-delete", { numbers: [at] });
    this.#note((items) => items.splice(at, 1));
  }

  async #found(item: T): Promise<number> {
    const [at] = await this.#places(item);
    if (at === undefined) throw new NotFoundError(`${this.#list.what} has no such item`);
    return at;
  }

  /** Indices of equal items. */
  async #places(item: T): Promise<number[]> {
    const wanted = this.#log.plain(this.#home.encode(item));
    return (await this.#all()).flatMap((bytes, at) => (equalValues(this.#log.plain(bytes), wanted) ? [at] : []));
  }

  #decode(bytes: Uint8Array | undefined): T {
    return this.#home.decode(bytes ?? NO_BYTES) as T;
  }
}

const NO_BYTES = new Uint8Array();

/** Throws RangeError for an index where nothing is. */
function placeIn(items: readonly unknown[], index: number): number {
  const at = index < 0 ? index + items.length : index;
  if (at < 0 || at >= items.length) throw new RangeError(`index ${index} is outside of a list of ${items.length}`);
  return at;
}
