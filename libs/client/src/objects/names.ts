import { LimitError, objectText } from "@heddle/kernel";
import { described } from "../describe.ts";
import { OBJECT_NAME_BYTES_MAX } from "../limits.ts";

/** The key of what Node's console asks an object that it prints for. */
export const inspected: unique symbol = Symbol.for("nodejs.util.inspect.custom");

/** The id of the object of a name. Throws TypeError for what is no name and LimitError for a longer one. */
export function namedObject(name: unknown): string {
  checkObjectName(name);
  return `@${name}`;
}

/** Throws as `namedObject`. */
export function checkObjectName(name: unknown): asserts name is string {
  if (typeof name !== "string") throw new TypeError(`name must be a string, got ${described(name)}`);
  if (name === "") throw new TypeError("name must have at least one character");
  const bytes = name.length > OBJECT_NAME_BYTES_MAX ? name.length : new TextEncoder().encode(name).length;
  if (bytes > OBJECT_NAME_BYTES_MAX) {
    const message = `the name of an object has ${OBJECT_NAME_BYTES_MAX} bytes at most, this one has ${bytes}`;
    throw new LimitError("OBJECT_NAME_BYTES_MAX", OBJECT_NAME_BYTES_MAX, bytes, message);
  }
  if (name.includes("\0") || !name.isWellFormed())
    throw new TypeError(`name must be well-formed text without NUL, got ${JSON.stringify(name.slice(0, 100))}`);
}

/** An object for people: its kind, and its name or the beginning of its id. */
export function whatIs(kind: string, id: string): string {
  return `${kind} ${objectText(id)}`;
}
