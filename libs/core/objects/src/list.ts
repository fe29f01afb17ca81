import { described } from "@heddle/kernel";
import { compareValues } from "@heddle/values";
import { changed, charge, decode, keep, needRoom, sameValue, valueAt, weight } from "./content.ts";
import { remember } from "./history.ts";
import { ITEM_OVERHEAD_BYTES } from "./limits.ts";
import { called, done, overLimit, readNumbers, readValues, refused, values } from "./replies.ts";
import { Sequence } from "./sequence.ts";
import type { List, State } from "./state.ts";
import type { Operation, Reply } from "./types.ts";

export function listAppend(state: State, list: List, operation: Operation): Reply {
  const item = valueAt(operation, 0, "the item");
  needPlaces(state, list, 1, weight(item));
  push(state, list, item);
  return done(state, operation);
}

export function listExtend(state: State, list: List, operation: Operation): Reply {
  extend(state, list, operation.values);
  return done(state, operation);
}

/** Puts items at the end; refuses when there is no room for all. */
export function extend(state: State, list: List, items: readonly Uint8Array[]): void {
  needPlaces(state, list, items.length, sumOf(items));
  for (const item of items) push(state, list, item);
}

export function listSet(state: State, list: List, operation: Operation): Reply {
  const index = indexOf(list, operation);
  const item = valueAt(operation, 0, "the item");
  const before = itemAt(list, index);
  needRoom(state, item.length - before.length);
  charge(state, list, item.length - before.length);
  list.items.set(index, keep(item));
  state.undo?.push(() => list.items.set(index, before));
  changed(state, list);
  if (list.history !== undefined) remember(state, list, "set", { index, value: itemAt(list, index) });
  return done(state, operation);
}

export function listInsert(state: State, list: List, operation: Operation): Reply {
  const item = valueAt(operation, 0, "the item");
  const index = clamped(list, operation.numbers[0] ?? 0);
  needPlaces(state, list, 1, weight(item));
  if (index === list.items.length) push(state, list, item);
  else insert(state, list, index, item);
  return done(state, operation);
}

export function listPop(state: State, list: List, operation: Operation): Reply {
  return values(state, operation, [remove(state, list, indexOf(list, operation, -1))]);
}

export function listDelete(state: State, list: List, operation: Operation): Reply {
  remove(state, list, indexOf(list, operation));
  return done(state, operation);
}

export function listRemove(state: State, list: List, operation: Operation): Reply {
  const index = find(state, list, operation);
  if (index < 0) throw refused("not-found", `${called(list)} has no such item`);
  remove(state, list, index);
  return done(state, operation);
}

export function listSort(state: State, list: List, operation: Operation): Reply {
  const before = list.items;
  const keyed = before.slice().map((item) => ({ item, value: decode(state, item) }));
  const type = typeof keyed[0]?.value;
  if (keyed.length > 0 && type !== "number" && type !== "string")
    throw refused("type", `only numbers or strings are sorted, ${called(list)} has ${described(keyed[0]?.value)}`);
  if (!keyed.every(({ value }) => typeof value === type))
    throw refused("type", `numbers alone or strings alone are sorted, ${called(list)} has others too`);
  const sign = operation.numbers[0] === 1 ? -1 : 1;
  keyed.sort((a, b) => sign * compareValues(a.value, b.value));
  reorder(
    state,
    list,
    keyed.map(({ item }) => item),
  );
  if (list.history !== undefined) remember(state, list, "sort", {});
  return done(state, operation);
}

export function listReverse(state: State, list: List, operation: Operation): Reply {
  reorder(state, list, list.items.slice().reverse());
  if (list.history !== undefined) remember(state, list, "reverse", {});
  return done(state, operation);
}

export function listClear(state: State, list: List, operation: Operation): Reply {
  if (list.items.length === 0) return done(state, operation);
  charge(state, list, ITEM_OVERHEAD_BYTES - list.bytes);
  reorder(state, list, []);
  if (list.history !== undefined) remember(state, list, "clear", {});
  return done(state, operation);
}

export function listAt(_state: State, list: List, operation: Operation): Reply {
  return readValues(operation, list.changed, [itemAt(list, indexOf(list, operation))]);
}

export function listIndex(state: State, list: List, operation: Operation): Reply {
  return readNumbers(operation, list.changed, [find(state, list, operation)]);
}

export function listCount(state: State, list: List, operation: Operation): Reply {
  const wanted = valueAt(operation, 0, "the item");
  let count = 0;
  for (const item of list.items) if (sameValue(state, item, wanted)) count++;
  return readNumbers(operation, list.changed, [count]);
}

export function listSlice(_state: State, list: List, operation: Operation): Reply {
  const [from = 0, to = list.items.length] = operation.numbers;
  return readValues(operation, list.changed, list.items.slice(clamped(list, from), clamped(list, to)));
}

export function listLength(_state: State, list: List, operation: Operation): Reply {
  return readNumbers(operation, list.changed, [list.items.length]);
}

function needPlaces(state: State, list: List, fresh: number, bytes: number): void {
  const items = list.items.length + fresh;
  if (fresh > 0 && items > state.limits.OBJECT_ITEMS_MAX)
    throw overLimit(state, "OBJECT_ITEMS_MAX", items, `${called(list)} is full`);
  needRoom(state, bytes);
}

function push(state: State, list: List, item: Uint8Array): void {
  const kept = keep(item);
  charge(state, list, weight(item));
  list.items.push(kept);
  state.undo?.push(() => list.items.cut(list.items.length - 1));
  changed(state, list);
  if (list.history !== undefined) remember(state, list, "insert", { index: list.items.length - 1, value: kept });
}

function insert(state: State, list: List, index: number, item: Uint8Array): void {
  const kept = keep(item);
  charge(state, list, weight(item));
  list.items.insert(index, kept);
  state.undo?.push(() => list.items.remove(index));
  changed(state, list);
  if (list.history !== undefined) remember(state, list, "insert", { index, value: kept });
}

function remove(state: State, list: List, index: number): Uint8Array {
  const item = itemAt(list, index);
  list.items.remove(index);
  state.undo?.push(() => list.items.insert(index, item));
  charge(state, list, -weight(item));
  changed(state, list);
  if (list.history !== undefined) remember(state, list, "delete", { index });
  return item;
}

function reorder(state: State, list: List, items: readonly Uint8Array[]): void {
  const before = list.items;
  list.items = new Sequence(items);
  state.undo?.push(() => {
    list.items = before;
  });
  changed(state, list);
}

/** The first item equal to the operation's value, -1 for none. */
function find(state: State, list: List, operation: Operation): number {
  const wanted = valueAt(operation, 0, "the item");
  let index = 0;
  for (const item of list.items) {
    if (sameValue(state, item, wanted)) return index;
    index++;
  }
  return -1;
}

/** The operation's index from the front; refuses one where nothing is. */
function indexOf(list: List, { numbers: [asked] }: Operation, otherwise = 0): number {
  const { length } = list.items;
  const index = asked ?? otherwise;
  const at = index < 0 ? index + length : index;
  if (at < 0 || at >= length) throw refused("range", `${called(list)} has ${length} items, none at ${index}`);
  return at;
}

function clamped(list: List, index: number): number {
  const { length } = list.items;
  return index < 0 ? Math.max(0, index + length) : Math.min(index, length);
}

function itemAt(list: List, index: number): Uint8Array {
  const item = list.items.at(index);
  if (item === undefined) throw refused("range", `${called(list)} has no item ${index}`);
  return item;
}

function sumOf(items: readonly Uint8Array[]): number {
  let bytes = 0;
  for (const item of items) bytes += weight(item);
  return bytes;
}
