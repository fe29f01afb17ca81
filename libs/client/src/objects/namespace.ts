import type { SharedDescription } from "@heddle/wire";
import { described } from "../describe.ts";
import type { OperationReply } from "./channel.ts";
import { contentOf } from "./content.ts";
import type { ObjectsHome } from "./home.ts";
import { encodeKey } from "./keys.ts";
import { flag, nothing, SharedObject } from "./shared-object.ts";

/** Named values that programs, tasks and processes share. Methods reject as those of a Dict. */
export class Namespace<T extends object = Record<string, unknown>> extends SharedObject {
  static revive(home: ObjectsHome, { object }: SharedDescription): Namespace {
    return new Namespace(home, { kind: "namespace", object });
  }

  /** Made by `manager.namespace()`. */
  static create<T extends object>(
    home: ObjectsHome,
    init: Partial<T> | undefined,
    name: string | undefined,
  ): Namespace<T> {
    if (init !== undefined && (typeof init !== "object" || init === null || Symbol.iterator in init))
      throw new TypeError(`init must be an object, as { name: value }, got ${described(init)}`);
    const values = Object.entries(init ?? {}).flatMap(([field, value]) => [encodeKey(field, home), home.encode(value)]);
    const isNamed = name !== undefined;
    return new Namespace<T>(home, {
      kind: "namespace",
      name,
      content: contentOf(values, { verb: "dict-set", unit: 2, isNamed }),
    });
  }

  /** The value of a name; undefined when it has none. */
  get<N extends keyof T & string>(name: N): Promise<T[N] | undefined> {
    const read = ({ values: [bytes] }: OperationReply): T[N] | undefined =>
      bytes === undefined ? undefined : (this.home.decode(bytes) as T[N]);
    return this.attempt("get", () => this.call("dict-get", read, [encodeName(name, this.home)]));
  }

  set<N extends keyof T & string>(name: N, value: T[N]): Promise<void> {
    return this.attempt("set", () =>
      this.call("dict-set", nothing, [encodeName(name, this.home), this.home.encode(value)]),
    );
  }

  /** Resolves to whether the name had a value. */
  delete(name: keyof T & string): Promise<boolean> {
    return this.attempt("delete", () => this.call("dict-delete", flag, [encodeName(name, this.home)]));
  }

  /** All names and their values, as they were together at one moment. */
  toObject(): Promise<Partial<T>> {
    return this.call("dict-entries", ({ values }) => objectOf(this.home, values) as Partial<T>);
  }
}

/** Throws TypeError for a name that is no text, else as `encodeKey`. */
export function encodeName(name: unknown, home: ObjectsHome): Uint8Array {
  if (typeof name !== "string") throw new TypeError(`a name must be a string, got ${described(name)}`);
  return encodeKey(name, home);
}

/** An object of keys and values in turn: a field named `__proto__` is one like others. */
export function objectOf(home: ObjectsHome, pairs: readonly Uint8Array[]): Record<string, unknown> {
  const entries: [string, unknown][] = [];
  for (let at = 0; at + 1 < pairs.length; at += 2)
    entries.push([String(home.decode(pairs[at] ?? NO_BYTES)), home.decode(pairs[at + 1] ?? NO_BYTES)]);
  return Object.fromEntries(entries); // which defines fields, and so sets no prototype
}

const NO_BYTES = new Uint8Array();
