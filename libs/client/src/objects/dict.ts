import { backoffMs, ConflictError, NotFoundError, shownKey } from "@heddle/kernel";
import type { SharedDescription } from "@heddle/wire";
import { described } from "../describe.ts";
import { MODIFY_ATTEMPTS_MAX } from "../limits.ts";
import type { OperationReply } from "./channel.ts";
import { checkOperationBytes, contentOf } from "./content.ts";
import { type Entries, entriesOf } from "./entries.ts";
import type { ObjectsHome } from "./home.ts";
import { encodeKey, type Key } from "./keys.ts";
import { pause, RETRY_BACKOFF } from "./retry.ts";
import { flag, nothing, number } from "./shared-object.ts";
import { snapshotIterator } from "./snapshot.ts";
import type { Watch } from "./watch.ts";
import { type ResetChange, WatchedObject } from "./watched.ts";

/** What happened to a dict. */
export type DictChange<K, V> =
  | { readonly type: "set"; readonly revision: bigint; readonly key: K; readonly value: V }
  | { readonly type: "delete"; readonly revision: bigint; readonly key: K }
  | { readonly type: "clear"; readonly revision: bigint }
  | ResetChange;

/** Keys whose values may be an N: none where no value of the dict is one. */
export type KeyOf<K, V, N> = unknown extends V ? K : [Extract<V, N>] extends [never] ? never : K;

/**
 * A dict that programs, tasks and processes share. Each method is one operation, done as a whole and in the order in which it was asked; methods reject with TypeError for what
 * is no key, LimitError for a key or value that is too large, SerializationError for a value that cannot travel, and NotFoundError once the dict is destroyed.
 * What is read is a copy.
 */
export class Dict<K extends Key = Key, V = unknown> extends WatchedObject {
  static revive(home: ObjectsHome, { object }: SharedDescription): Dict {
    return new Dict(home, { kind: "dict", object });
  }

  /** Made by `manager.dict()`. */
  static create<K extends Key, V>(
    home: ObjectsHome,
    init: Entries<K, V> | undefined,
    name: string | undefined,
  ): Dict<K, V> {
    const isNamed = name !== undefined;
    const pairs = init === undefined ? [] : encodePairs(home, "init", init);
    const content = contentOf(pairs, { verb: "dict-set", unit: 2, isNamed });
    return new Dict<K, V>(home, { kind: "dict", name, content });
  }

  /** The value of a key; `fallback` for one that is not there. */
  get(key: K): Promise<V | undefined>;
  get<F>(key: K, fallback: F): Promise<V | F>;
  get(key: K, fallback?: unknown): Promise<unknown> {
    return this.attempt("get", () =>
      this.call("dict-get", (reply) => this.#value(reply, fallback), [encodeKey(key, this.home)]),
    );
  }

  set(key: K, value: V): Promise<void> {
    return this.attempt("set", () =>
      this.call("dict-set", nothing, [encodeKey(key, this.home), this.home.encode(value)]),
    );
  }

  /** Resolves to whether it was there. */
  delete(key: K): Promise<boolean> {
    return this.attempt("delete", () => this.call("dict-delete", flag, [encodeKey(key, this.home)]));
  }

  has(key: K): Promise<boolean> {
    return this.attempt("has", () => this.call("dict-has", flag, [encodeKey(key, this.home)]));
  }

  /** Number of entries. */
  size(): Promise<number> {
    return this.call("dict-size", number);
  }

  /** All keys, in the order in which they were set first. */
  keys(): Promise<K[]> {
    return this.call("dict-keys", ({ values }) => values.map((key) => this.#decode<K>(key)));
  }

  /** All values, in the order of their keys. */
  values(): Promise<V[]> {
    return this.call("dict-values", ({ values }) => values.map((value) => this.#decode<V>(value)));
  }

  /** All entries, in the order in which their keys were set first: as they were together at one moment. */
  entries(): Promise<[K, V][]> {
    return this.call("dict-entries", ({ values }) => this.#pairs(values));
  }

  /** As `entries`, in a Map of the caller's own. Keys that are arrays are found in it by identity. */
  async toMap(): Promise<Map<K, V>> {
    return new Map(await this.entries());
  }

  clear(): Promise<void> {
    return this.call("dict-clear", nothing);
  }

  /** Takes a key out and resolves to its value. One that is not there: `fallback`, without one NotFoundError. */
  pop(key: K): Promise<V>;
  pop<F>(key: K, fallback: F): Promise<V | F>;
  pop(key: K, ...fallback: [unknown?]): Promise<unknown> {
    const read = (reply: OperationReply): unknown => {
      if (reply.values.length === 0 && fallback.length === 0)
        throw new NotFoundError(`${this.what} has no key ${shownKey(key)}`);
      return this.#value(reply, fallback[0]);
    };
    return this.attempt("pop", () => this.call("dict-pop", read, [encodeKey(key, this.home)]));
  }

  /** Takes out the entry whose key was set last. Of an empty dict: NotFoundError. */
  popItem(): Promise<[K, V]> {
    return this.call("dict-pop-item", ({ values }) => {
      const [pair] = this.#pairs(values);
      if (pair === undefined) throw new NotFoundError(`${this.what} is empty`);
      return pair;
    });
  }

  /** Sets a key that is not there. Resolves to its value then. */
  setDefault(key: K, value: V): Promise<V> {
    const read = (reply: OperationReply): V => this.#value(reply, undefined) as V;
    return this.attempt("setDefault", () =>
      this.call("dict-set-default", read, [encodeKey(key, this.home), this.home.encode(value)]),
    );
  }

  /** Sets many keys at once: all of them, or none. */
  update(entries: Entries<K, V>): Promise<void> {
    return this.attempt("update", () => {
      const pairs = encodePairs(this.home, "entries", entries);
      return this.call("dict-set", nothing, checkOperationBytes(pairs));
    });
  }

  /** Adds to the number or bigint of a key, which is 0 when it is not there. Resolves to the sum. TypeError when they do not add. */
  increment(key: KeyOf<K, V, number>, by?: number): Promise<number>;
  increment(key: KeyOf<K, V, bigint>, by: bigint): Promise<bigint>;
  increment(key: K, by: number | bigint = 1): Promise<number | bigint> {
    const read = (reply: OperationReply): number | bigint => this.#value(reply, undefined) as number | bigint;
    return this.attempt("increment", () => {
      if (typeof by !== "number" && typeof by !== "bigint")
        throw new TypeError(`by must be a number or bigint, got ${described(by)}`);
      return this.call("dict-increment", read, [encodeKey(key, this.home), this.home.encode(by)]);
    });
  }

  /** Sets a key when its value equals `expected` in structure; one that is not there equals undefined. Resolves to whether it was set. */
  compareAndSet(key: K, expected: V | undefined, value: V): Promise<boolean> {
    return this.attempt("compareAndSet", () => {
      const values = [encodeKey(key, this.home), this.home.encode(expected), this.home.encode(value)];
      return this.call("dict-compare-and-set", flag, values);
    });
  }

  /**
   * Sets a key to what `fn` makes of its value (undefined when it is not there), and resolves to that. When others change the key meanwhile `fn` is called again with what they
   * have set. Rejects with what `fn` throws, and with ConflictError after MODIFY_ATTEMPTS_MAX tries.
   */
  async modify(key: K, fn: (value: V | undefined) => V | PromiseLike<V>): Promise<V> {
    if (typeof fn !== "function") throw new TypeError(`fn must be a function, got ${described(fn)}`);
    const bytes = encodeKey(key, this.home);
    for (let tries = 1; tries <= MODIFY_ATTEMPTS_MAX; tries++) {
      const was = await this.call("dict-get", (reply) => reply, [bytes]);
      const value = await fn(this.#value(was, undefined) as V | undefined);
      const isSet = await this.call("dict-replace", flag, [bytes, this.home.encode(value)], [was.revision]);
      if (isSet) return value;
      await pause(this.home, backoffMs(RETRY_BACKOFF, tries, this.home.env.random));
    }
    throw new ConflictError(
      `others changed key ${shownKey(key)} of ${this.what} each of the ${MODIFY_ATTEMPTS_MAX} times that modify read it`,
    );
  }

  /**
   * Changes from now on, of all keys or of one, in order. Leaving the loop ends it. A "reset" stands where changes were lost: the manager remembers a bounded number, and none over
   * its own restart.
   */
  watch(key?: K): Watch<DictChange<K, V>> {
    return this.openWatch<DictChange<K, V>>(key === undefined ? [] : [encodeKey(key, this.home)]);
  }

  /** Entries of the dict as it is now, whatever happens to it while they are looked at. */
  [Symbol.asyncIterator](): AsyncIterableIterator<[K, V]> {
    return snapshotIterator(this.entries());
  }

  #value({ values: [bytes] }: OperationReply, fallback: unknown): unknown {
    return bytes === undefined ? fallback : this.home.decode(bytes);
  }

  #pairs(values: readonly Uint8Array[]): [K, V][] {
    const pairs: [K, V][] = [];
    for (let at = 0; at + 1 < values.length; at += 2)
      pairs.push([this.#decode<K>(values[at]), this.#decode<V>(values[at + 1])]);
    return pairs;
  }

  #decode<T>(bytes: Uint8Array | undefined): T {
    return this.home.decode(bytes ?? NO_BYTES) as T;
  }
}

const NO_BYTES = new Uint8Array();

/** Keys and values in turn. Throws as `entriesOf`, `encodeKey` and the home's `encode`. */
export function encodePairs(home: ObjectsHome, what: string, entries: unknown): Uint8Array[] {
  const pairs: Uint8Array[] = [];
  for (const [key, value] of entriesOf(what, entries)) pairs.push(encodeKey(key, home), home.encode(value));
  return pairs;
}
