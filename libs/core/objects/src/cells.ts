import { described } from "@heddle/kernel";
import { addToCell, bytesOfCells, cellHolds, elementsOf, fits, putCell } from "./cell-store.ts";
import { changed, decode, encode, valueAt } from "./content.ts";
import { remember } from "./history.ts";
import { called, done, readValues, refused, values } from "./replies.ts";
import type { Cells, State } from "./state.ts";
import type { Operation, Reply } from "./types.ts";

export function cellsSet(state: State, cells: Cells, operation: Operation): Reply {
  const index = indexOf(cells, operation);
  const element = elementAt(state, cells, operation, 0);
  saved(state, cells, index, 1);
  putCell(cells.store, index, element);
  wrote(state, cells, index);
  return done(state, operation);
}

export function cellsSetSlice(state: State, cells: Cells, operation: Operation): Reply {
  const from = indexOf(cells, operation, true);
  fill(state, cells, from, valueAt(operation, 0, "the elements"));
  return done(state, operation);
}

/** Writes the elements of a typed array, an array or, one alone, a number; refuses what does not fit. */
export function fill(state: State, cells: Cells, from: number, value: Uint8Array): void {
  const read = decode(state, value);
  const elements = elementsOf(read) ?? [read];
  const { length } = cells.store.cells;
  if (from + elements.length > length)
    throw refused(
      "range",
      `${called(cells)} ends at ${length}, ${elements.length} elements from ${from} on do not fit`,
    );
  for (let at = 0; at < elements.length; at++) needFit(cells, elements[at]);
  if (elements.length === 0) return;
  saved(state, cells, from, elements.length);
  for (let at = 0; at < elements.length; at++) putCell(cells.store, from + at, elements[at]);
  changed(state, cells);
  if (cells.history === undefined) return;
  const now = cells.store.cells.slice(from, from + elements.length);
  remember(state, cells, "set", { index: from, value: encode(state, now) });
}

export function cellsAdd(state: State, cells: Cells, operation: Operation): Reply {
  const index = indexOf(cells, operation);
  const addend = elementAt(state, cells, operation, 0);
  saved(state, cells, index, 1);
  addToCell(cells.store, index, addend);
  wrote(state, cells, index);
  return values(state, operation, [encoded(state, cells, index)]);
}

export function cellsCompareExchange(state: State, cells: Cells, operation: Operation): Reply {
  const index = indexOf(cells, operation);
  const expected = elementAt(state, cells, operation, 0);
  const element = elementAt(state, cells, operation, 1);
  const there = encoded(state, cells, index);
  const equal = cellHolds(cells.store, cells.spec.code, index, expected);
  if (equal) {
    saved(state, cells, index, 1);
    putCell(cells.store, index, element);
    wrote(state, cells, index);
  }
  return {
    seq: operation.seq,
    values: [there],
    numbers: [equal ? 1 : 0],
    revision: state.revision,
    refusal: undefined,
  };
}

export function cellsGet(state: State, cells: Cells, operation: Operation): Reply {
  return readValues(operation, cells.changed, [encoded(state, cells, indexOf(cells, operation))]);
}

export function cellsSlice(state: State, cells: Cells, operation: Operation): Reply {
  const { length } = cells.store.cells;
  const [from = 0, to = length] = operation.numbers;
  const slice = cells.store.cells.slice(from, to);
  return readValues(operation, cells.changed, [encode(state, slice)]);
}

function encoded(state: State, { store }: Cells, index: number): Uint8Array {
  return encode(state, store.cells[index]);
}

/** In a transaction: what the cells hold now comes back when it is taken back. */
function saved(state: State, { store }: Cells, index: number, count: number): void {
  if (state.undo === undefined) return;
  const { BYTES_PER_ELEMENT: size } = store.cells;
  const before = bytesOfCells(store).slice(index * size, (index + count) * size);
  state.undo.push(() => bytesOfCells(store).set(before, index * size));
}

function wrote(state: State, cells: Cells, index: number): void {
  changed(state, cells);
  if (cells.history !== undefined) remember(state, cells, "set", { index, value: encoded(state, cells, index) });
}

/** The operation's index from the front; refuses one where nothing is, but right behind the last one if `end`. */
function indexOf(cells: Cells, { numbers: [index = 0] }: Operation, end = false): number {
  const { length } = cells.store.cells;
  const at = index < 0 ? index + length : index;
  if (at < 0 || at > length || (at === length && !end))
    throw refused("range", `${called(cells)} has no element ${index}`);
  return at;
}

function elementAt(state: State, cells: Cells, operation: Operation, at: number): unknown {
  const element = decode(state, valueAt(operation, at, "the element"));
  needFit(cells, element);
  return element;
}

function needFit(cells: Cells, element: unknown): void {
  if (!fits(cells.store, element))
    throw refused("type", `${called(cells)} holds ${cells.store.type}, not ${described(element)}`);
}
