import { described } from "../describe.ts";
import { checkOptionNames } from "../options.ts";
import { homeOf } from "./default-home.ts";
import type { ObjectsHome } from "./home.ts";
import type { SharedSpec } from "./shared-object.ts";

/** Where a handle belongs, for those who make handles for others: managers, and what revives descriptions. */
export interface Place {
  readonly home: ObjectsHome;
  /** The object's id, when it exists. */
  readonly object?: string;
  /** Of a Manager: opens another session, with a lease of its own. */
  readonly openSession?: (ttlMs: number) => ObjectsHome;
}

/** Options that all have that users construct themselves. */
export interface SharedOptions {
  /**
   * Get or create the object of this name: it outlives its creator. Anonymous unless given: it ends with its creator's
   * session.
   */
  readonly name?: string;
  /**
   * Whose object it is. That of the address in HEDDLE_ADDRESS, else the embedded one, unless given; inside workers
   * their own.
   */
  readonly fabric?: object;
}

/** What the constructor of a handle was told. */
export interface Made {
  /** For messages: "a lock". */
  readonly what: string;
  readonly kind: string;
  readonly options: SharedOptions;
  /** Names of its options beside `name` and `fabric`. */
  readonly known?: readonly string[];
  /** For the manager, and whoever receives the handle. */
  readonly traits?: Readonly<Record<string, unknown>>;
}

/** What SharedObject is constructed with. Throws TypeError for options that cannot be. */
export function made({ what, kind, options, known = [], traits = {} }: Made, place?: Place): [ObjectsHome, SharedSpec] {
  checkOptionNames(what, options, ["name", "fabric", ...known], "name");
  if (place?.openSession !== undefined && options.fabric !== undefined)
    throw new TypeError(`${what} of a manager belongs to that manager's fabric: leave fabric out`);
  const { home, object } = place ?? { home: homeOf(options) };
  return [home, { kind, object, name: options.name, options: traits }];
}

/** Throws TypeError for what is no number, RangeError unless it is whole and within bounds. */
export function checkWhole(name: string, value: unknown, from: number, to = Number.MAX_SAFE_INTEGER): void {
  if (typeof value !== "number") throw new TypeError(`${name} must be a number, got ${described(value)}`);
  if (!Number.isInteger(value) || value < from || value > to)
    throw new RangeError(`${name} must be a whole number from ${from} to ${to}, got ${value}`);
}
