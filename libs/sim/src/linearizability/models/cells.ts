import { fingerprint } from "../fingerprint.ts";
import { type Answer, answered, done, refused, type SequentialModel } from "../history.ts";

/** An element of cells: bigint of the codes i64 and u64, number of the others. */
export type Element = number | bigint;

/** Calls of shared cells (`Value` is one of them, at index 0). Answers as those of a shared value; slices are arrays. */
export type CellsInput =
  | { readonly type: "get"; readonly index: number }
  | { readonly type: "set"; readonly index: number; readonly value: Element }
  | { readonly type: "add"; readonly index: number; readonly by: Element }
  | { readonly type: "compareExchange"; readonly index: number; readonly expected: Element; readonly value: Element }
  | { readonly type: "slice"; readonly from?: number; readonly to?: number }
  | { readonly type: "setSlice"; readonly from: number; readonly values: readonly Element[] };

/** Element types of typed arrays. */
export type CellCode = "i8" | "u8" | "i16" | "u16" | "i32" | "u32" | "i64" | "u64" | "f32" | "f64";

type Keep = (element: Element) => Element;

/** What an element keeps of a number: it wraps or rounds as that of a typed array. */
const kept: Readonly<Record<CellCode, Keep>> = {
  i8: (element) => Int8Array.of(Number(element))[0] ?? 0,
  u8: (element) => Uint8Array.of(Number(element))[0] ?? 0,
  i16: (element) => Int16Array.of(Number(element))[0] ?? 0,
  u16: (element) => Uint16Array.of(Number(element))[0] ?? 0,
  i32: (element) => Int32Array.of(Number(element))[0] ?? 0,
  u32: (element) => Uint32Array.of(Number(element))[0] ?? 0,
  i64: (element) => BigInt.asIntN(64, BigInt(element)),
  u64: (element) => BigInt.asUintN(64, BigInt(element)),
  f32: (element) => Math.fround(Number(element)),
  f64: (element) => Number(element),
};

/** Cells of one code, such as "i32". Indices are not negative; outside of the cells is a RangeError. */
export function cellsModel(
  code: CellCode,
  initial: readonly Element[],
): SequentialModel<readonly Element[], CellsInput> {
  return {
    initial: initial.map(kept[code]),
    step: (state, input) => step(state, input, kept[code]),
    key: fingerprint,
    isRead,
  };
}

function step(state: readonly Element[], input: CellsInput, keep: Keep): readonly [readonly Element[], Answer] {
  if (input.type === "slice") return [state, answered(state.slice(input.from, input.to))];
  if (input.type === "setSlice") return setSlice(state, input.from, input.values.map(keep));
  const there = state[input.index];
  if (there === undefined) return [state, refused("RangeError")];
  switch (input.type) {
    case "get":
      return [state, answered(there)];
    case "set":
      return [state.with(input.index, keep(input.value)), done];
    case "add": {
      const sum = keep(sumOf(there, input.by));
      return [state.with(input.index, sum), answered(sum)];
    }
    case "compareExchange":
      return [Object.is(there, input.expected) ? state.with(input.index, keep(input.value)) : state, answered(there)];
  }
}

function setSlice(
  state: readonly Element[],
  from: number,
  values: readonly Element[],
): readonly [readonly Element[], Answer] {
  if (from < 0 || from + values.length > state.length) return [state, refused("RangeError")];
  return [state.toSpliced(from, values.length, ...values), done];
}

function sumOf(a: Element, b: Element): Element {
  return typeof a === "bigint" ? a + BigInt(b) : a + Number(b);
}

function isRead(input: CellsInput, output: Answer | undefined): boolean {
  if (input.type === "get" || input.type === "slice") return true;
  if (output === undefined) return false;
  if ("error" in output) return true;
  return input.type === "compareExchange" && !Object.is(output.value, input.expected);
}
