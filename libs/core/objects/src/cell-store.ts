import type { CellCode } from "./spec.ts";

type Numbers =
  | Int8Array
  | Uint8Array
  | Int16Array
  | Uint16Array
  | Int32Array
  | Uint32Array
  | Float32Array
  | Float64Array;
type BigNumbers = BigInt64Array | BigUint64Array;

/** Cells of one typed array: numbers, or bigints. */
export type CellStore =
  | { readonly type: "numbers"; readonly cells: Numbers }
  | { readonly type: "bigints"; readonly cells: BigNumbers };

/** Bytes of one cell. */
export const cellBytes: Readonly<Record<CellCode, number>> = {
  i8: 1,
  u8: 1,
  i16: 2,
  u16: 2,
  i32: 4,
  u32: 4,
  i64: 8,
  u64: 8,
  f32: 4,
  f64: 8,
};

/** All zero. */
export function makeCells(code: CellCode, length: number): CellStore {
  switch (code) {
    case "i8":
      return { type: "numbers", cells: new Int8Array(length) };
    case "u8":
      return { type: "numbers", cells: new Uint8Array(length) };
    case "i16":
      return { type: "numbers", cells: new Int16Array(length) };
    case "u16":
      return { type: "numbers", cells: new Uint16Array(length) };
    case "i32":
      return { type: "numbers", cells: new Int32Array(length) };
    case "u32":
      return { type: "numbers", cells: new Uint32Array(length) };
    case "f32":
      return { type: "numbers", cells: new Float32Array(length) };
    case "f64":
      return { type: "numbers", cells: new Float64Array(length) };
    case "i64":
      return { type: "bigints", cells: new BigInt64Array(length) };
    case "u64":
      return { type: "bigints", cells: new BigUint64Array(length) };
  }
}

/** Whether it can stand in such a cell; a number that does not fit wraps or rounds as the typed array does. */
export function fits(store: CellStore, element: unknown): boolean {
  return typeof element === (store.type === "numbers" ? "number" : "bigint");
}

/** Writes one that fits. */
export function putCell(store: CellStore, index: number, element: unknown): void {
  if (store.type === "numbers") store.cells[index] = Number(element);
  else if (typeof element === "bigint") store.cells[index] = element;
}

/** Adds one that fits, as the cell's type wraps. */
export function addToCell(store: CellStore, index: number, addend: unknown): void {
  if (store.type === "numbers") store.cells[index] = (store.cells[index] ?? 0) + Number(addend);
  else if (typeof addend === "bigint") store.cells[index] = (store.cells[index] ?? 0n) + addend;
}

/** Whether the cell holds what would stand there were `element`, which fits, put there. 0 and -0 are the same, NaN is itself. */
export function cellHolds(store: CellStore, code: CellCode, index: number, element: unknown): boolean {
  const probe = makeCells(code, 1);
  putCell(probe, 0, element);
  const [there, wanted] = [store.cells[index], probe.cells[0]];
  return there === wanted || (Number.isNaN(there) && Number.isNaN(wanted));
}

/** Elements of a value that may stand for many cells: a typed array or an array. */
export function elementsOf(value: unknown): ArrayLike<unknown> | undefined {
  return Array.isArray(value) || isTypedArray(value) ? value : undefined;
}

function isTypedArray(value: unknown): value is ArrayLike<unknown> {
  return ArrayBuffer.isView(value) && !(value instanceof DataView);
}

/** The cells' bytes, not copied. */
export function bytesOfCells({ cells }: CellStore): Uint8Array {
  return new Uint8Array(cells.buffer, cells.byteOffset, cells.byteLength);
}
