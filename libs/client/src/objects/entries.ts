import { described } from "../describe.ts";

/** What a dict may be made of, or updated by. */
export type Entries<K, V> = Iterable<readonly [K, V]> | Readonly<Record<string, V>>;

/** Entries of a dict as pairs. Throws TypeError for what is none: an iterable of pairs, or an object whose fields they are. */
export function* entriesOf(what: string, entries: unknown): Generator<readonly [key: unknown, value: unknown]> {
  if (typeof entries !== "object" || entries === null)
    throw new TypeError(`${what} must be an object or an iterable of [key, value], got ${described(entries)}`);
  if (!isIterable(entries)) {
    yield* Object.entries(entries);
    return;
  }
  let at = 0;
  for (const pair of entries) {
    if (!Array.isArray(pair) || pair.length !== 2)
      throw new TypeError(`${what}: element ${at} must be [key, value], got ${described(pair)}`);
    yield [pair[0], pair[1]];
    at++;
  }
}

/** Items of an iterable. Throws TypeError for what is none. */
export function itemsOf(what: string, items: unknown): Iterable<unknown> {
  if (items === null || typeof items !== "object" || !isIterable(items))
    // a string is one: more often by mistake than not
    throw new TypeError(`${what} must be iterable, as an array, got ${described(items)}`);
  return items;
}

function isIterable(value: object): value is Iterable<unknown> {
  return Symbol.iterator in value;
}
