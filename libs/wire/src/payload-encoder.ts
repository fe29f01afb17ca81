import type { SerializationSide } from "@heddle/kernel";
import { f64Column, i32Column, isI32, trimmed } from "./columns.ts";
import { Encoding } from "./gen/heddle/v1/common.ts";
import type { ValueWriterHooks } from "./msgpack/hooks.ts";
import { ValueWriter } from "./msgpack/writer.ts";
import type { EncodedPayload } from "./payload.ts";

type ColumnMode =
  | { readonly type: "i32"; column: Int32Array }
  | { readonly type: "f64"; column: Float64Array }
  | { readonly type: "bool"; column: Uint8Array };
type Mode = ColumnMode | { readonly type: "empty" } | { readonly type: "msgpack"; readonly writer: ValueWriter };

const FIRST_CAPACITY = 64;

/**
 * Makes a payload item by item, and knows its size so far, so that a chunk can be cut where it is large enough.
 * Nothing is encoded twice, except numbers or booleans when a later item turns out to be something else.
 */
export class PayloadEncoder {
  readonly #side: SerializationSide;
  readonly #hooks: ValueWriterHooks | undefined;
  #mode: Mode = { type: "empty" };
  #count = 0;

  /** Without hooks functions are refused. */
  constructor(side: SerializationSide, hooks?: ValueWriterHooks) {
    this.#side = side;
    this.#hooks = hooks;
  }

  /** Values so far. */
  get count(): number {
    return this.#count;
  }

  /** Bytes that `finish` would give now. */
  get size(): number {
    const mode = this.#mode;
    if (mode.type === "empty") return 0;
    return mode.type === "msgpack" ? mode.writer.size : this.#count * mode.column.BYTES_PER_ELEMENT;
  }

  /** Adds one value. One that cannot travel (SerializationError) or is too large (LimitError) is left out; the rest stays good. */
  add(value: unknown): void {
    if (this.#mode.type !== "msgpack") this.#prepareFor(value);
    const mode = this.#mode;
    switch (mode.type) {
      case "i32":
      case "f64":
        mode.column[this.#count] = value as number;
        break;
      case "bool":
        mode.column[this.#count] = value === true ? 1 : 0;
        break;
      case "msgpack":
        mode.writer.write(value);
        break;
      case "empty":
        return;
    }
    this.#count++;
  }

  /**
   * Adds values[from] up to values[to - 1], stopping early once `size` has reached `sizeTarget` (and at least one was added).
   * Returns the index of the first value that was not added.
   */
  addAll(values: ArrayLike<unknown>, from: number, to: number, sizeTarget = Number.POSITIVE_INFINITY): number {
    let at = from;
    while (at < to && (at === from || this.size < sizeTarget)) {
      this.add(values[at++]);
      if (at < to) at = this.#addRun(values, at, to, sizeTarget);
    }
    return at;
  }

  /** The payload of everything added. The encoder is empty again then. */
  finish(): EncodedPayload {
    const mode = this.#mode;
    const count = this.#count;
    this.#mode = { type: "empty" };
    this.#count = 0;
    switch (mode.type) {
      case "i32":
        return { encoding: Encoding.I32, count, bytes: i32Column.bytesOf(trimmed(mode.column, count)) };
      case "f64":
        return { encoding: Encoding.F64, count, bytes: f64Column.bytesOf(trimmed(mode.column, count)) };
      case "bool":
        return { encoding: Encoding.BOOL, count, bytes: trimmed(mode.column, count) };
      case "msgpack":
        return { encoding: Encoding.MSGPACK, count, bytes: mode.writer.take() };
      case "empty":
        return { encoding: Encoding.MSGPACK, count, bytes: new Uint8Array(0) };
    }
  }

  /** The tight loops of `addAll`: as many values as fit the column as it is. */
  #addRun(values: ArrayLike<unknown>, from: number, to: number, sizeTarget: number): number {
    const mode = this.#mode;
    switch (mode.type) {
      case "empty":
        return from;
      case "msgpack": {
        let at = from;
        for (; at < to && mode.writer.size < sizeTarget; at++, this.#count++) mode.writer.write(values[at]);
        return at;
      }
      default:
        return this.#addColumnRun(mode, values, from, to, sizeTarget);
    }
  }

  #addColumnRun(mode: ColumnMode, values: ArrayLike<unknown>, from: number, to: number, sizeTarget: number): number {
    const slot = this.#count;
    const wanted = Math.min(to - from, Math.ceil(sizeTarget / mode.column.BYTES_PER_ELEMENT) - slot);
    if (wanted <= 0) return from;
    mode.column = grown(mode.column, slot + 1, wanted);
    const until = from + Math.min(wanted, mode.column.length - slot);
    const at = fillers[mode.type](mode.column, slot, values, from, until);
    this.#count += at - from;
    return at;
  }

  /** Changes the mode to one that can hold `value` beside what there is, with room for it. */
  #prepareFor(value: unknown): void {
    const mode = this.#mode;
    const wanted = modeFor(value);
    if (mode.type === "empty") {
      this.#mode = this.#fresh(wanted);
    } else if (mode.type === "i32" && wanted === "f64") {
      const column = new Float64Array(mode.column.length);
      column.set(mode.column.subarray(0, this.#count));
      this.#mode = { type: "f64", column };
    } else if (mode.type !== wanted && !(mode.type === "f64" && wanted === "i32")) {
      this.#mode = { type: "msgpack", writer: this.#rewritten(mode) };
    }
    const now = this.#mode;
    if (now.type === "i32") now.column = grown(now.column, this.#count + 1, 1);
    else if (now.type === "f64") now.column = grown(now.column, this.#count + 1, 1);
    else if (now.type === "bool") now.column = grown(now.column, this.#count + 1, 1);
  }

  #fresh(type: "i32" | "f64" | "bool" | "msgpack"): Mode {
    switch (type) {
      case "i32":
        return { type, column: new Int32Array(FIRST_CAPACITY) };
      case "f64":
        return { type, column: new Float64Array(FIRST_CAPACITY) };
      case "bool":
        return { type, column: new Uint8Array(FIRST_CAPACITY) };
      case "msgpack":
        return { type, writer: new ValueWriter(this.#side, this.#hooks) };
    }
  }

  #rewritten(mode: Mode): ValueWriter {
    const writer = new ValueWriter(this.#side, this.#hooks);
    if (mode.type === "bool") {
      for (let at = 0; at < this.#count; at++) writer.write(mode.column[at] === 1);
    } else if (mode.type === "i32" || mode.type === "f64") {
      for (let at = 0; at < this.#count; at++) writer.write(mode.column[at]);
    }
    return writer;
  }
}

function modeFor(value: unknown): "i32" | "f64" | "bool" | "msgpack" {
  if (typeof value === "number") return isI32(value) ? "i32" : "f64";
  return typeof value === "boolean" ? "bool" : "msgpack";
}

/** `column` itself, or a larger copy that has room for `length` values; `more` hints at how many are still to come. */
function grown<T extends Int32Array | Float64Array | Uint8Array>(column: T, length: number, more: number): T {
  if (length <= column.length) return column;
  const capacity = Math.max(column.length * 2, Math.min(length + more, GROWTH_ITEMS_MAX));
  const larger = new (column.constructor as new (length: number) => T)(capacity);
  larger.set(column);
  return larger;
}

/** A column grows to at most this many values at once before they are seen. */
const GROWTH_ITEMS_MAX = 1 << 20;

type Filler = (
  column: Int32Array | Float64Array | Uint8Array,
  slot: number,
  values: ArrayLike<unknown>,
  from: number,
  until: number,
) => number;

/** Copy values[from] and on into column[slot] and on, up to `until` or to the first value that does not fit; return its index. */
const fillers: Readonly<Record<ColumnMode["type"], Filler>> = {
  i32(column, slot, values, from, until) {
    let at = from;
    for (; at < until; at++) {
      const value = values[at];
      if (!isI32(value)) break;
      column[slot + at - from] = value;
    }
    return at;
  },
  f64(column, slot, values, from, until) {
    if (values instanceof Float64Array) {
      column.set(values.subarray(from, until), slot);
      return until;
    }
    let at = from;
    for (; at < until; at++) {
      const value = values[at];
      if (typeof value !== "number") break;
      column[slot + at - from] = value;
    }
    return at;
  },
  bool(column, slot, values, from, until) {
    let at = from;
    for (; at < until; at++) {
      const value = values[at];
      if (typeof value !== "boolean") break;
      column[slot + at - from] = value ? 1 : 0;
    }
    return at;
  },
};
