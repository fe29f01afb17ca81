import { objectText, SerializationError, withArticle } from "@heddle/kernel";
import type { AnyFunction } from "@heddle/port-shipper";
import { encodeValue, type Shared } from "@heddle/wire";
import { type Use, valueError } from "./refusals.ts";

/** A variable that travels by value. */
export interface CapturedValue {
  readonly name: string;
  readonly use: Use;
  /** What it is now. */
  readonly read: () => unknown;
}

/** All that one captured function takes along by value, encoded as one array, so that shared objects stay shared. */
export class CapturedValues {
  readonly #values: CapturedValue[] = [];
  /** Functions inside values, by what the values have in their place. */
  readonly #indices = new Map<AnyFunction, number>();
  #unmade = new Set<Shared>();
  #unnamed: string | undefined;

  add(value: CapturedValue): void {
    this.#values.push(value);
  }

  /** None of the values can be changed from inside. */
  get arePrimitive(): boolean {
    return this.#values.every(({ read }) => isPrimitive(read()));
  }

  /** Calls `found` for each function inside values that was not met before: it gets the next index. Throws CaptureError. */
  encode(found: (fn: AnyFunction) => void): Uint8Array {
    return this.#encode((fn) => {
      const known = this.#indices.get(fn);
      if (known !== undefined) return known;
      const index = this.#indices.size;
      this.#indices.set(fn, index);
      found(fn);
      return index;
    });
  }

  /** What the values are now; undefined when there are functions among them that were not there at the last `encode`. Changes nothing. */
  encodeAgain(): Uint8Array | undefined {
    let hasUnknown = false;
    try {
      const bytes = this.#encode((fn) => {
        const known = this.#indices.get(fn);
        if (known === undefined) hasUnknown = true;
        return known ?? 0;
      });
      return hasUnknown ? undefined : bytes;
    } catch (error) {
      if (hasUnknown) return undefined; // what captures anew says it, too
      throw error;
    }
  }

  /** Handles among the values whose objects were not known to be there when they were encoded last. */
  get unmade(): readonly Shared[] {
    return [...this.#unmade];
  }

  /** In words, one of the objects among the values that have no name, as they were encoded last. */
  get unnamed(): string | undefined {
    return this.#unnamed;
  }

  #encode(indexOf: (fn: AnyFunction) => number): Uint8Array {
    const values = this.#values.map(({ read }) => read());
    this.#unmade = new Set();
    this.#unnamed = undefined;
    try {
      return encodeValue(values, "value", {
        reduceFunction: (fn) => indexOf(fn as AnyFunction),
        metShared: (handle, { kind, object }) => {
          if (handle.pending !== undefined) this.#unmade.add(handle);
          if (!object.startsWith("@")) this.#unnamed ??= `${withArticle(kind)} without a name (${objectText(object)})`;
        },
      });
    } catch (error) {
      throw this.#placed(error);
    }
  }

  /** Says of a value that cannot travel which variable it is of. */
  #placed(error: unknown): unknown {
    if (!(error instanceof SerializationError)) return error;
    const [, index = "", rest = ""] = /^\$\[(\d+)\](.*)$/s.exec(error.path) ?? [];
    const value = this.#values[Number(index)];
    return value === undefined ? error : valueError(value.use, value.name, `$${rest}`, error);
  }
}

function isPrimitive(value: unknown): boolean {
  return (typeof value !== "object" || value === null) && typeof value !== "function";
}
