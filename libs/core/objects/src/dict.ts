import { cannotAdd, shownKey } from "@heddle/kernel";
import { changed, charge, decode, encode, keep, needRoom, sameValue, valueAt, weight } from "./content.ts";
import { remember } from "./history.ts";
import { bytesOf, KeyProblem, type KeyText, readKey } from "./keys.ts";
import { called, done, NO_VALUES, numbers, overLimit, readNumbers, readValues, refused, values } from "./replies.ts";
import type { Dict, Entry, State } from "./state.ts";
import type { Operation, Reply, Revision } from "./types.ts";

const EMPTY = new Uint8Array();

export function dictSet(state: State, dict: Dict, operation: Operation): Reply {
  const pairs = operation.values;
  if (pairs.length === 2) setOne(state, dict, operation);
  else setAll(state, dict, pairs);
  return done(state, operation);
}

export function dictDelete(state: State, dict: Dict, operation: Operation): Reply {
  const entry = dict.entries.get(keyOf(state, operation));
  if (entry !== undefined) take(state, dict, entry);
  return numbers(state, operation, [entry === undefined ? 0 : 1]);
}

export function dictPop(state: State, dict: Dict, operation: Operation): Reply {
  const entry = dict.entries.get(keyOf(state, operation));
  if (entry === undefined) return done(state, operation);
  take(state, dict, entry);
  return values(state, operation, [entry.value]);
}

export function dictPopItem(state: State, dict: Dict, operation: Operation): Reply {
  const entry = dict.last;
  if (entry === undefined) return done(state, operation);
  take(state, dict, entry);
  return values(state, operation, [entry.key, entry.value]);
}

export function dictClear(state: State, dict: Dict, operation: Operation): Reply {
  if (dict.entries.size === 0) return done(state, operation);
  const { first, last } = dict;
  const before = [...entriesOf(dict)];
  dict.entries.clear();
  dict.first = undefined;
  dict.last = undefined;
  state.undo?.push(() => {
    for (const entry of before) dict.entries.set(entry.text, entry);
    dict.first = first;
    dict.last = last;
  });
  charge(state, dict, -before.reduce((sum, entry) => sum + entryBytes(entry), 0));
  changed(state, dict);
  remember(state, dict, "clear", {});
  return done(state, operation);
}

export function dictSetDefault(state: State, dict: Dict, operation: Operation): Reply {
  const text = keyOf(state, operation);
  const there = dict.entries.get(text);
  if (there !== undefined) return values(state, operation, [there.value]);
  const value = valueAt(operation, 1, "the value");
  put(state, dict, text, operation, value);
  return values(state, operation, [keep(value)]);
}

export function dictIncrement(state: State, dict: Dict, operation: Operation): Reply {
  const text = keyOf(state, operation);
  const there = dict.entries.get(text);
  const by = decode(state, valueAt(operation, 1, "what to add"));
  const nothing = typeof by === "bigint" ? 0n : 0;
  const from = there === undefined ? nothing : decode(state, there.value);
  const sum = add(from, by);
  if (sum === undefined)
    throw refused("type", cannotAdd(by, from, `at key ${shownKey(decode(state, bytesOf(text)))} of ${called(dict)}`));
  const value = encode(state, sum);
  put(state, dict, text, operation, value);
  return values(state, operation, [value]);
}

export function dictCompareAndSet(state: State, dict: Dict, operation: Operation): Reply {
  const text = keyOf(state, operation);
  const expected = valueAt(operation, 1, "what is expected");
  const value = valueAt(operation, 2, "the value");
  const there = dict.entries.get(text)?.value;
  const equal = there === undefined ? decode(state, expected) === undefined : sameValue(state, there, expected);
  if (equal) put(state, dict, text, operation, value);
  return numbers(state, operation, [equal ? 1 : 0]);
}

export function dictReplace(state: State, dict: Dict, operation: Operation): Reply {
  const text = keyOf(state, operation);
  const value = valueAt(operation, 1, "the value");
  const unchanged = (dict.entries.get(text)?.revision ?? 0) === (operation.numbers[0] ?? 0);
  if (unchanged) put(state, dict, text, operation, value);
  return numbers(state, operation, [unchanged ? 1 : 0]);
}

export function dictGet(state: State, dict: Dict, operation: Operation): Reply {
  const entry = dict.entries.get(keyOf(state, operation));
  return entry === undefined
    ? readValues(operation, 0, NO_VALUES)
    : readValues(operation, entry.revision, [entry.value]);
}

export function dictHas(state: State, dict: Dict, operation: Operation): Reply {
  const entry = dict.entries.get(keyOf(state, operation));
  return readNumbers(operation, entry?.revision ?? 0, [entry === undefined ? 0 : 1]);
}

export function dictSize(_state: State, dict: Dict, operation: Operation): Reply {
  return readNumbers(operation, dict.changed, [dict.entries.size]);
}

export function dictKeys(_state: State, dict: Dict, operation: Operation): Reply {
  return readValues(
    operation,
    dict.changed,
    Array.from(entriesOf(dict), ({ key }) => key),
  );
}

export function dictValues(_state: State, dict: Dict, operation: Operation): Reply {
  return readValues(
    operation,
    dict.changed,
    Array.from(entriesOf(dict), ({ value }) => value),
  );
}

export function dictEntries(_state: State, dict: Dict, operation: Operation): Reply {
  const told: Uint8Array[] = [];
  for (const { key, value } of entriesOf(dict)) told.push(key, value);
  return readValues(operation, dict.changed, told);
}

/** The operation's key; refuses what is none. */
export function keyOf(state: State, operation: Operation, at = 0): KeyText {
  return keyText(state, valueAt(operation, at, "the key"));
}

/** Reads a key; refuses what is none. */
export function keyText(state: State, bytes: Uint8Array): KeyText {
  const text = readKey(bytes, state.values, state.limits);
  if (!(text instanceof KeyProblem)) return text;
  if (text.over !== undefined) throw overLimit(state, text.over.name, text.over.actual, text.message);
  throw refused("type", text.message);
}

/** In the order in which their keys were set first. */
export function* entriesOf(dict: Dict): Generator<Entry> {
  for (let entry = dict.first; entry !== undefined; entry = entry.next) yield entry;
}

/** What an entry counts for. */
export function entryBytes({ key, value }: Entry): number {
  return key.length + weight(value);
}

/** Sets a key's value, and all else that belongs to it; refuses when there is no room. `pairs` holds key and value in turn. */
export function setAll(state: State, dict: Dict, pairs: readonly Uint8Array[]): void {
  if (pairs.length % 2 !== 0) throw refused("invalid-argument", "keys and values come in turn");
  const fresh = new Set<KeyText>();
  const texts: KeyText[] = [];
  let added = 0;
  for (let at = 0; at < pairs.length; at += 2) {
    const text = keyText(state, pairs[at] ?? EMPTY);
    const entry = dict.entries.get(text);
    texts.push(text);
    if (entry === undefined) fresh.add(text);
    added += growth(entry, text, pairs[at + 1] ?? EMPTY);
  }
  needPlaces(state, dict, fresh.size, added);
  for (let at = 0; at < texts.length; at++)
    write(state, dict, texts[at] ?? "", pairs[2 * at] ?? EMPTY, pairs[2 * at + 1] ?? EMPTY);
}

/** Puts an entry behind all others; its key must not be there. */
export function link(dict: Dict, entry: Entry): void {
  entry.previous = dict.last;
  entry.next = undefined;
  relink(dict, entry);
}

function setOne(state: State, dict: Dict, operation: Operation): void {
  put(state, dict, keyOf(state, operation), operation, operation.values[1] ?? EMPTY);
}

/** Sets the operation's key. */
function put(state: State, dict: Dict, text: KeyText, operation: Operation, value: Uint8Array): void {
  const there = dict.entries.get(text);
  needPlaces(state, dict, there === undefined ? 1 : 0, growth(there, text, value));
  write(state, dict, text, operation.values[0] ?? EMPTY, value);
}

function needPlaces(state: State, dict: Dict, fresh: number, bytes: number): void {
  const items = dict.entries.size + fresh;
  if (fresh > 0 && items > state.limits.OBJECT_ITEMS_MAX)
    throw overLimit(state, "OBJECT_ITEMS_MAX", items, `${called(dict)} is full`);
  needRoom(state, bytes);
}

function growth(entry: Entry | undefined, text: KeyText, value: Uint8Array): number {
  return entry === undefined ? text.length + weight(value) : value.length - entry.value.length;
}

function write(state: State, dict: Dict, text: KeyText, key: Uint8Array, value: Uint8Array): void {
  const there = dict.entries.get(text);
  charge(state, dict, growth(there, text, value));
  const entry = there ?? addEntry(state, dict, text, key);
  replaceValue(state, entry, keep(value), state.revision);
  changed(state, dict);
  if (dict.history !== undefined) remember(state, dict, "set", entry);
}

function addEntry(state: State, dict: Dict, text: KeyText, key: Uint8Array): Entry {
  const bytes = key.length === text.length && isText(key, text) ? keep(key) : bytesOf(text);
  const entry: Entry = { text, key: bytes, value: EMPTY, revision: 0, previous: undefined, next: undefined };
  link(dict, entry);
  state.undo?.push(() => unlink(dict, entry));
  return entry;
}

function isText(key: Uint8Array, text: KeyText): boolean {
  for (let at = 0; at < key.length; at++) if (key[at] !== text.charCodeAt(at)) return false;
  return true;
}

function replaceValue(state: State, entry: Entry, value: Uint8Array, revision: Revision): void {
  const { value: valueBefore, revision: revisionBefore } = entry;
  entry.value = value;
  entry.revision = revision;
  state.undo?.push(() => {
    entry.value = valueBefore;
    entry.revision = revisionBefore;
  });
}

function take(state: State, dict: Dict, entry: Entry): void {
  unlink(dict, entry);
  state.undo?.push(() => relink(dict, entry));
  charge(state, dict, -entryBytes(entry));
  changed(state, dict);
  if (dict.history !== undefined) remember(state, dict, "delete", { text: entry.text, key: entry.key });
}

/** It keeps its neighbours, so that `relink` may put it back once all that came after is taken back. */
function unlink(dict: Dict, entry: Entry): void {
  dict.entries.delete(entry.text);
  if (entry.previous === undefined) dict.first = entry.next;
  else entry.previous.next = entry.next;
  if (entry.next === undefined) dict.last = entry.previous;
  else entry.next.previous = entry.previous;
}

function relink(dict: Dict, entry: Entry): void {
  dict.entries.set(entry.text, entry);
  if (entry.previous === undefined) dict.first = entry;
  else entry.previous.next = entry;
  if (entry.next === undefined) dict.last = entry;
  else entry.next.previous = entry;
}

function add(from: unknown, by: unknown): number | bigint | undefined {
  if (typeof from === "number" && typeof by === "number") return from + by;
  return typeof from === "bigint" && typeof by === "bigint" ? from + by : undefined;
}
