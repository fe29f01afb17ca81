import type { SharedDescription } from "@heddle/wire";
import { checkOptionNames } from "../options.ts";
import { CellLock, type CellLockOption } from "./cell-lock.ts";
import type { OperationReply } from "./channel.ts";
import { type Cell, type Code, cellsOf, checkAddend, checkCell, checkCode } from "./codes.ts";
import { homeOf } from "./default-home.ts";
import type { ObjectsHome } from "./home.ts";
import type { Lock } from "./lock.ts";
import type { Place, SharedOptions } from "./place.ts";
import type { RLock } from "./rlock.ts";
import { nothing, SharedObject } from "./shared-object.ts";

/** What a value or an array is told at its construction. */
export interface CellOptions extends SharedOptions {
  /** The lock of `getLock`: another one's; false for none; an RLock of its own unless given. */
  readonly lock?: CellLockOption;
}

/**
 * One number that programs, tasks and processes share, as multiprocessing.Value: of a fixed type, which wraps and rounds as the elements of typed arrays do when something is added. Each
 * method is one operation. What the type cannot hold is refused with RangeError or TypeError, by promises.
 */
export class Value<C extends Code = Code> extends SharedObject {
  readonly code: C;
  readonly #lock: CellLock;

  static revive(home: ObjectsHome, { object, code, lock }: SharedDescription): Value {
    checkCode(code);
    return new Value(code, undefined, {}, { home, object, lock: CellLock.revived(home, lock) });
  }

  /** `init`: 0 unless given. Throws TypeError for what is no code, no element of it or no option, RangeError for an element that it cannot hold. */
  constructor(code: C, init?: Cell<C>, options: CellOptions = {}, place?: CellPlace) {
    checkCode(code);
    checkOptionNames("a value", options, CELL_OPTIONS);
    const home = place?.home ?? homeOf(options);
    const { name, lock } = options;
    const content = init === undefined ? undefined : { first: [home.encode(cellsOf(code, [init]))], rest: [] };
    super(home, { kind: "value", object: place?.object, name, options: { code, length: 1 }, content });
    this.code = code;
    this.#lock = place?.lock ?? CellLock.of(home, lock, name);
  }

  get(): Promise<Cell<C>> {
    return this.call("cells-get", this.#read, NO_VALUES, FIRST);
  }

  set(value: Cell<C>): Promise<void> {
    return this.attempt("set", () => this.call("cells-set", nothing, [this.#encode("a value", value)], FIRST));
  }

  /** Resolves to the sum. It wraps as the type does. */
  add(addend: Cell<C>): Promise<Cell<C>> {
    return this.attempt("add", () => {
      checkAddend(this.code, addend);
      return this.call("cells-add", this.#read, [this.home.encode(addend)], FIRST);
    });
  }

  /** Sets it when it is `expected`. Resolves to what it was, as Atomics.compareExchange: that it was `expected` means that it was set. */
  compareExchange(expected: Cell<C>, value: Cell<C>): Promise<Cell<C>> {
    return this.attempt("compareExchange", () => {
      const values = [this.#encode("expected", expected), this.#encode("a value", value)];
      return this.call("cells-compare-exchange", this.#read, values, FIRST);
    });
  }

  /** Its lock. Nothing takes it by itself: it is for those who need several operations to be one. Throws StateError when it has none. */
  getLock(): Lock | RLock {
    return this.#lock.get("the value");
  }

  override get created(): Promise<void> {
    const both = Promise.all([super.created, this.#lock.created]).then(nothing);
    both.catch(nothing); // as with one alone: each operation on it says so, and whoever only asks whether it is pending need not
    return both;
  }

  override get pending(): Promise<void> | undefined {
    return super.pending === undefined ? this.#lock.pending : this.created;
  }

  protected override traits(): Readonly<Record<string, unknown>> {
    return { code: this.code, lock: this.#lock.describe() };
  }

  readonly #read = ({ values: [bytes] }: OperationReply): Cell<C> => this.home.decode(bytes ?? NO_BYTES) as Cell<C>;

  #encode(what: string, value: unknown): Uint8Array {
    checkCell(what, this.code, value);
    return this.home.encode(value);
  }
}

/** Where a value or an array belongs that others make. */
export interface CellPlace extends Place {
  readonly lock?: CellLock;
}

/** Names of what a value or an array is told. */
export const CELL_OPTIONS = ["lock", "name", "fabric"] as const;

const FIRST: readonly number[] = [0];
const NO_VALUES: readonly Uint8Array[] = [];
const NO_BYTES = new Uint8Array();
