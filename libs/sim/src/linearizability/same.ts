import { equalValues } from "@heddle/values";

/** As `equalValues`, and fast for what is no object: a search compares lists over and over. */
export function same(a: unknown, b: unknown): boolean {
  return typeof a === "object" && typeof b === "object" ? equalValues(a, b) : Object.is(a, b);
}
