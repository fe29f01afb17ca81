import { SerializationError } from "@heddle/kernel";
import type { SharedDescription } from "@heddle/wire";
import { checkOptionNames } from "../options.ts";
import { CellLock } from "./cell-lock.ts";
import type { OperationReply } from "./channel.ts";
import {
  type Cell,
  type CellArray,
  type Code,
  cellsOf,
  checkAddend,
  checkCell,
  checkCode,
  checkLength,
} from "./codes.ts";
import { homeOf } from "./default-home.ts";
import type { ObjectsHome } from "./home.ts";
import { checkIndex, sliceEnds } from "./indices.ts";
import type { Lock } from "./lock.ts";
import type { RLock } from "./rlock.ts";
import { nothing, SharedObject } from "./shared-object.ts";
import { CELL_OPTIONS, type CellOptions, type CellPlace } from "./value.ts";

/**
 * Numbers that programs, tasks and processes share, as multiprocessing.Array: of a fixed type and length. Each method is one operation. Negative indices count from the end; one outside of the
 * array, and what the type cannot hold, is refused with RangeError or TypeError, by promises.
 */
export class SharedArray<C extends Code = Code> extends SharedObject {
  readonly code: C;
  /** Number of elements. */
  readonly length: number;
  readonly #lock: CellLock;

  static revive(home: ObjectsHome, { object, code, length, lock }: SharedDescription): SharedArray {
    checkCode(code);
    if (typeof length !== "number")
      throw new SerializationError("a shared array says no length", { path: "$", side: "value" });
    return new SharedArray(code, length, {}, { home, object, lock: CellLock.revived(home, lock) });
  }

  /**
   * Of so many zeros, or of these elements. Throws TypeError for what is no code, no element of it or no option, RangeError for an element that it cannot hold, LimitError for
   * an array above ITEM_BYTES_MAX.
   */
  constructor(code: C, sizeOrValues: number | Iterable<Cell<C>>, options: CellOptions = {}, place?: CellPlace) {
    checkCode(code);
    checkOptionNames("an array", options, CELL_OPTIONS);
    const home = place?.home ?? homeOf(options);
    const { name, lock } = options;
    const elements = typeof sizeOrValues === "number" ? undefined : cellsOf(code, sizeOrValues);
    const length = elements === undefined ? sizeOrValues : elements.length;
    checkLength(code, length);
    const content = elements === undefined ? undefined : { first: [home.encode(elements)], rest: [] };
    super(home, { kind: "array", object: place?.object, name, options: { code, length }, content });
    this.code = code;
    this.length = length;
    this.#lock = place?.lock ?? CellLock.of(home, lock, name);
  }

  get(index: number): Promise<Cell<C>> {
    return this.attempt("get", () => this.call("cells-get", this.#readCell, NO_VALUES, [this.#place(index)]));
  }

  set(index: number, value: Cell<C>): Promise<void> {
    return this.attempt("set", () => {
      const at = this.#place(index);
      checkCell("an element", this.code, value);
      return this.call("cells-set", nothing, [this.home.encode(value)], [at]);
    });
  }

  /** A copy of the elements from `from` until before `to`, as they were together at one moment; ends beyond the array are moved to its ends. */
  slice(from?: number, to?: number): Promise<CellArray<C>> {
    const read = ({ values: [bytes] }: OperationReply): CellArray<C> =>
      this.home.decode(bytes ?? NO_BYTES) as CellArray<C>;
    return this.attempt("slice", () => this.call("cells-slice", read, NO_VALUES, sliceEnds(from, to)));
  }

  /** Sets consecutive elements at once, the first at `start`. RangeError when they do not fit. */
  setSlice(start: number, values: Iterable<Cell<C>>): Promise<void> {
    return this.attempt("setSlice", () => {
      const elements = cellsOf(this.code, values);
      const at = checkIndex("start", start) < 0 ? start + this.length : start;
      if (at < 0 || at + elements.length > this.length)
        throw new RangeError(`${elements.length} elements do not fit at ${start} of an array of ${this.length}`);
      return this.call("cells-set-slice", nothing, [this.home.encode(elements)], [at]);
    });
  }

  /** Adds to one element and resolves to the sum. It wraps as the type does. */
  add(index: number, addend: Cell<C>): Promise<Cell<C>> {
    return this.attempt("add", () => {
      const at = this.#place(index);
      checkAddend(this.code, addend);
      return this.call("cells-add", this.#readCell, [this.home.encode(addend)], [at]);
    });
  }

  /** Its lock. Nothing takes it by itself: it is for those who need several operations to be one. Throws StateError when it has none. */
  getLock(): Lock | RLock {
    return this.#lock.get("the array");
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
    return { code: this.code, length: this.length, lock: this.#lock.describe() };
  }

  #place(index: number): number {
    const at = checkIndex("index", index) < 0 ? index + this.length : index;
    if (at < 0 || at >= this.length) throw new RangeError(`index ${index} is outside of an array of ${this.length}`);
    return at;
  }

  readonly #readCell = ({ values: [bytes] }: OperationReply): Cell<C> => this.home.decode(bytes ?? NO_BYTES) as Cell<C>;
}

const NO_VALUES: readonly Uint8Array[] = [];
const NO_BYTES = new Uint8Array();
