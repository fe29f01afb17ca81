import { cannotAdd, NotFoundError, shownKey } from "@heddle/kernel";
import { equalValues } from "@heddle/values";
import { checkOperationBytes } from "./content.ts";
import { type Dict, encodePairs, type KeyOf } from "./dict.ts";
import type { Entries } from "./entries.ts";
import type { ObjectsHome } from "./home.ts";
import { encodeKey, type Key } from "./keys.ts";
import { whatIs } from "./names.ts";
import { snapshotIterator } from "./snapshot.ts";
import { TransactionEntries } from "./transaction-entries.ts";
import type { TransactionLog } from "./transaction-log.ts";
import { type TransactionRun, TransactionView } from "./transaction-view.ts";

/** A dict in a transaction: its methods are a Dict's, what they write is written when the transaction is done. It sees its own writes. */
export class TransactionDict<K extends Key = Key, V = unknown> extends TransactionView {
  readonly #home: ObjectsHome;
  readonly #log: TransactionLog;
  /** For people. */
  readonly #what: string;
  readonly #entries: TransactionEntries;

  constructor(run: TransactionRun, log: TransactionLog, dict: Dict<K, V>) {
    super(run);
    this.#home = log.home;
    this.#what = whatIs("dict", dict.id);
    this.#log = log;
    this.#entries = new TransactionEntries(log, dict);
  }

  get(key: K): Promise<V | undefined>;
  get<F>(key: K, fallback: F): Promise<V | F>;
  get(key: K, fallback?: unknown): Promise<unknown> {
    return this.turn(async () => this.#value(await this.#entries.get(encodeKey(key, this.#home)), fallback));
  }

  set(key: K, value: V): Promise<void> {
    return this.turn(() => this.#entries.set([encodeKey(key, this.#home), this.#home.encode(value)]));
  }

  delete(key: K): Promise<boolean> {
    return this.turn(async () => (await this.#take(encodeKey(key, this.#home))) !== undefined);
  }

  has(key: K): Promise<boolean> {
    return this.turn(async () => (await this.#entries.get(encodeKey(key, this.#home))) !== undefined);
  }

  size(): Promise<number> {
    return this.turn(async () => (await this.#entries.all()).length);
  }

  keys(): Promise<K[]> {
    return this.turn(async () => (await this.#entries.all()).map(({ key }) => this.#home.decode(key) as K));
  }

  values(): Promise<V[]> {
    return this.turn(async () => (await this.#entries.all()).map(({ value }) => this.#home.decode(value) as V));
  }

  entries(): Promise<[K, V][]> {
    return this.turn(() => this.#pairs());
  }

  toMap(): Promise<Map<K, V>> {
    return this.turn(async () => new Map(await this.#pairs()));
  }

  clear(): Promise<void> {
    return this.turn(() => this.#entries.clear());
  }

  pop(key: K): Promise<V>;
  pop<F>(key: K, fallback: F): Promise<V | F>;
  pop(key: K, ...fallback: [unknown?]): Promise<unknown> {
    return this.turn(async () => {
      const value = await this.#take(encodeKey(key, this.#home));
      if (value === undefined && fallback.length === 0)
        throw new NotFoundError(`${this.#what} has no key ${shownKey(key)}`);
      return this.#value(value, fallback[0]);
    });
  }

  popItem(): Promise<[K, V]> {
    return this.turn(async () => {
      const last = (await this.#entries.all()).at(-1);
      if (last === undefined) throw new NotFoundError(`${this.#what} is empty`);
      this.#entries.delete(last.key);
      return [this.#home.decode(last.key) as K, this.#home.decode(last.value) as V];
    });
  }

  setDefault(key: K, value: V): Promise<V> {
    return this.turn(async () => {
      const bytes = encodeKey(key, this.#home);
      const encoded = this.#home.encode(value);
      const there = await this.#entries.get(bytes);
      if (there === undefined) this.#entries.set([bytes, encoded]);
      return this.#home.decode(there ?? encoded) as V;
    });
  }

  update(entries: Entries<K, V>): Promise<void> {
    return this.turn(() => {
      const pairs = encodePairs(this.#home, "entries", entries);
      checkOperationBytes(pairs);
      this.#entries.set(pairs);
    });
  }

  increment(key: KeyOf<K, V, number>, by?: number): Promise<number>;
  increment(key: KeyOf<K, V, bigint>, by: bigint): Promise<bigint>;
  increment(key: K, by: number | bigint = 1): Promise<number | bigint> {
    return this.turn(async () => {
      const bytes = encodeKey(key, this.#home);
      const sum = this.#added(key, this.#value(await this.#entries.get(bytes), typeof by === "bigint" ? 0n : 0), by);
      this.#entries.set([bytes, this.#home.encode(sum)]);
      return sum;
    });
  }

  compareAndSet(key: K, expected: V | undefined, value: V): Promise<boolean> {
    return this.turn(async () => {
      const bytes = encodeKey(key, this.#home);
      const encoded = this.#home.encode(value);
      const wanted = this.#log.plain(this.#home.encode(expected));
      const there = await this.#entries.get(bytes);
      const isEqual = equalValues(there === undefined ? undefined : this.#log.plain(there), wanted);
      if (isEqual) this.#entries.set([bytes, encoded]);
      return isEqual;
    });
  }

  [Symbol.asyncIterator](): AsyncIterableIterator<[K, V]> {
    return snapshotIterator(this.entries());
  }

  async #take(key: Uint8Array): Promise<Uint8Array | undefined> {
    const value = await this.#entries.get(key);
    if (value !== undefined) this.#entries.delete(key);
    return value;
  }

  async #pairs(): Promise<[K, V][]> {
    const all = await this.#entries.all();
    return all.map(({ key, value }) => [this.#home.decode(key) as K, this.#home.decode(value) as V]);
  }

  /** As the manager adds. */
  #added(key: K, from: unknown, by: unknown): number | bigint {
    if (typeof from === "number" && typeof by === "number") return from + by;
    if (typeof from === "bigint" && typeof by === "bigint") return from + by;
    throw new TypeError(cannotAdd(by, from, `at key ${shownKey(key)} of ${this.#what}`));
  }

  #value(bytes: Uint8Array | undefined, fallback: unknown): unknown {
    return bytes === undefined ? fallback : this.#home.decode(bytes);
  }
}
