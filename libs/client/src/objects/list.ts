import { NotFoundError } from "@heddle/kernel";
import type { SharedDescription } from "@heddle/wire";
import { described } from "../describe.ts";
import { checkOptionNames } from "../options.ts";
import type { OperationReply } from "./channel.ts";
import { checkOperationBytes, contentOf } from "./content.ts";
import { itemsOf } from "./entries.ts";
import type { ObjectsHome } from "./home.ts";
import { checkIndex, sliceEnds } from "./indices.ts";
import { nothing, number } from "./shared-object.ts";
import { snapshotIterator } from "./snapshot.ts";
import type { Watch } from "./watch.ts";
import { type ResetChange, WatchedObject } from "./watched.ts";

/** What happened to a list. What is appended is inserted at its end; what is popped or removed is deleted. */
export type ListChange<T> =
  | { readonly type: "set" | "insert"; readonly revision: bigint; readonly index: number; readonly value: T }
  | { readonly type: "delete"; readonly revision: bigint; readonly index: number }
  | { readonly type: "clear" | "sort" | "reverse"; readonly revision: bigint }
  | ResetChange;

/** How to sort. */
export interface SortOptions {
  /** The largest first. */
  readonly descending?: boolean;
}

/**
 * A list that programs, tasks and processes share. Each method is one operation, done as a whole and in the order in which it was asked; methods reject with RangeError for an index
 * outside of the list, LimitError for an item that is too large, SerializationError for one that cannot travel, and NotFoundError once the list is destroyed. Negative
 * indices count from the end. Items are compared by structure. What is read is a copy.
 */
export class List<T = unknown> extends WatchedObject {
  static revive(home: ObjectsHome, { object }: SharedDescription): List {
    return new List(home, { kind: "list", object });
  }

  /** Made by `manager.list()`. */
  static create<T>(home: ObjectsHome, init: Iterable<T> | undefined, name: string | undefined): List<T> {
    const isNamed = name !== undefined;
    const items = init === undefined ? [] : encodeItems(home, "init", init);
    return new List<T>(home, {
      kind: "list",
      name,
      content: contentOf(items, { verb: "list-extend", unit: 1, isNamed }),
    });
  }

  at(index: number): Promise<T> {
    return this.attempt("at", () => this.call("list-at", this.#read, NO_VALUES, [checkIndex("index", index)]));
  }

  set(index: number, item: T): Promise<void> {
    return this.attempt("set", () => {
      const at = checkIndex("index", index);
      return this.call("list-set", nothing, [this.home.encode(item)], [at]);
    });
  }

  append(item: T): Promise<void> {
    return this.attempt("append", () => this.call("list-append", nothing, [this.home.encode(item)]));
  }

  /** Appends many at once. */
  extend(items: Iterable<T>): Promise<void> {
    return this.attempt("extend", () => {
      const values = checkOperationBytes(encodeItems(this.home, "items", items));
      return this.call("list-extend", nothing, values);
    });
  }

  /** Puts an item before the one at `index`: at the end when there are fewer, at the front when there are fewer from the end. */
  insert(index: number, item: T): Promise<void> {
    return this.attempt("insert", () => {
      const at = checkIndex("index", index);
      return this.call("list-insert", nothing, [this.home.encode(item)], [at]);
    });
  }

  /** Takes an item out, the last unless told otherwise, and resolves to it. */
  pop(index = -1): Promise<T> {
    return this.attempt("pop", () => this.call("list-pop", this.#read, NO_VALUES, [checkIndex("index", index)]));
  }

  /** Takes out the first item that is equal. NotFoundError when there is none. */
  remove(item: T): Promise<void> {
    return this.attempt("remove", () => this.call("list-remove", nothing, [this.home.encode(item)]));
  }

  /** Takes out the item at an index. */
  delete(index: number): Promise<void> {
    return this.attempt("delete", () => this.call("list-delete", nothing, NO_VALUES, [checkIndex("index", index)]));
  }

  /** Index of the first item that is equal. NotFoundError when there is none. */
  index(item: T): Promise<number> {
    return this.attempt("index", () => this.call("list-index", this.#readIndex, [this.home.encode(item)]));
  }

  /** How many items are equal. */
  count(item: T): Promise<number> {
    return this.attempt("count", () => this.call("list-count", number, [this.home.encode(item)]));
  }

  /** Whether an item is equal. */
  includes(item: T): Promise<boolean> {
    return this.attempt("includes", () => this.call("list-index", isFound, [this.home.encode(item)]));
  }

  /** Sorts in place: numbers by size or strings by their UTF-16 units, equal ones as they stood. TypeError for other items, and for both in one list. */
  sort(options: SortOptions = {}): Promise<void> {
    return this.attempt("sort", () => this.call("list-sort", nothing, NO_VALUES, [isDescending(options) ? 1 : 0]));
  }

  /** The last first, in place. */
  reverse(): Promise<void> {
    return this.call("list-reverse", nothing);
  }

  /** A copy of the items from `from` until before `to`; ends beyond the list are moved to its ends. */
  slice(from?: number, to?: number): Promise<T[]> {
    return this.attempt("slice", () => this.call("list-slice", this.#readAll, NO_VALUES, sliceEnds(from, to)));
  }

  /** Number of items. */
  length(): Promise<number> {
    return this.call("list-length", number);
  }

  clear(): Promise<void> {
    return this.call("list-clear", nothing);
  }

  /** All items, as they were together at one moment. */
  toArray(): Promise<T[]> {
    return this.call("list-slice", this.#readAll, NO_VALUES, [0]);
  }

  /**
   * Changes from now on, in order. Leaving the loop ends it. A "reset" stands where changes were lost: the manager remembers a bounded number, and none over its own restart.
   */
  watch(): Watch<ListChange<T>> {
    return this.openWatch<ListChange<T>>(NO_VALUES);
  }

  /** Items of the list as it is now, whatever happens to it while they are looked at. */
  [Symbol.asyncIterator](): AsyncIterableIterator<T> {
    return snapshotIterator(this.toArray());
  }
  readonly #readIndex = (reply: OperationReply): number => {
    const index = number(reply);
    if (index < 0) throw new NotFoundError(`${this.what} has no such item`);
    return index;
  };
  readonly #read = ({ values: [item] }: OperationReply): T => this.home.decode(item ?? NO_BYTES) as T;
  readonly #readAll = ({ values }: OperationReply): T[] => values.map((item) => this.home.decode(item) as T);
}

const NO_BYTES = new Uint8Array();
const NO_VALUES: readonly Uint8Array[] = [];

/** Throws TypeError for what is no option of `sort`. */
export function isDescending(options: SortOptions): boolean {
  checkOptionNames("sort", options, ["descending"]);
  const { descending = false } = options;
  if (typeof descending !== "boolean")
    throw new TypeError(`descending must be true or false, got ${described(descending)}`);
  return descending;
}

/** Throws TypeError for what is not iterable, and as the home's `encode`. */
export function encodeItems(home: ObjectsHome, what: string, items: unknown): Uint8Array[] {
  return Array.from(itemsOf(what, items), (item) => home.encode(item));
}

const isFound = (reply: OperationReply): boolean => number(reply) >= 0;
