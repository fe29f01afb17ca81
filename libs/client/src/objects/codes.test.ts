import { LimitError } from "@heddle/kernel";
import { describe, expect, test } from "vitest";
import { type Code, cellsOf, checkAddend, checkCell, checkCode, checkLength, wrapped } from "./codes.ts";

const whole: readonly [Code, bits: number, signed: boolean][] = [
  ["i8", 8, true],
  ["u8", 8, false],
  ["i16", 16, true],
  ["u16", 16, false],
  ["i32", 32, true],
  ["u32", 32, false],
];

describe("codes", () => {
  test("of whole numbers hold exactly their range", () => {
    for (const [code, bits, signed] of whole) {
      const least = signed ? -(2 ** (bits - 1)) : 0;
      const most = signed ? 2 ** (bits - 1) - 1 : 2 ** bits - 1;
      for (const held of [least, most, 0]) {
        checkCell("it", code, held);
        expect(cellsOf(code, [held])[0]).toBe(held);
      }
      for (const refused of [least - 1, most + 1, 0.5, Number.NaN, Number.POSITIVE_INFINITY])
        expect(() => checkCell("it", code, refused)).toThrow(RangeError);
      expect(() => checkCell("it", code, 1n)).toThrow(TypeError);
      expect([wrapped(code, most + 1), wrapped(code, least - 1)]).toEqual([least, most]);
    }
  });

  test("of 64 bits hold bigints", () => {
    for (const held of [-(2n ** 63n), 2n ** 63n - 1n]) expect(cellsOf("i64", [held])[0]).toBe(held);
    expect(cellsOf("u64", [2n ** 64n - 1n])[0]).toBe(2n ** 64n - 1n);
    for (const [code, refused] of [
      ["i64", 2n ** 63n],
      ["u64", -1n],
      ["u64", 2n ** 64n],
    ] as const)
      expect(() => checkCell("it", code, refused)).toThrow(RangeError);
    expect(() => checkCell("it", "i64", 1)).toThrow(TypeError);
    expect(wrapped("u64", 2n ** 64n)).toBe(0n);
  });

  test("with fractions hold every number, and f32 rounds", () => {
    for (const code of ["f32", "f64"] as const)
      for (const held of [0.5, Number.NaN, Number.NEGATIVE_INFINITY, -0]) checkCell("it", code, held);
    expect(wrapped("f32", 0.1)).toBe(Math.fround(0.1));
  });

  test("are added any number of their kind", () => {
    checkAddend("u8", -300);
    checkAddend("f64", 0.5);
    expect(() => checkAddend("u8", 0.5)).toThrow(RangeError);
    expect(() => checkAddend("u8", 1n)).toThrow(TypeError);
    expect(() => checkAddend("i64", 1)).toThrow(TypeError);
  });

  test("are named, and nothing else is a code", () => {
    for (const code of ["i", "toString", "", 5, undefined, null]) expect(() => checkCode(code)).toThrow(TypeError);
    expect(() => checkCode("int")).toThrow('code must be one of i8 u8 i16 u16 i32 u32 i64 u64 f32 f64, got "int"');
    expect(Array.from("bBhHiIlLqQfd", pythonsMeaning).join(" ")).toBe("i8 u8 i16 u16 i32 u32 i64 u64 i64 u64 f32 f64");
    expect(() => checkCode("i")).toThrow(/f64, got "i": Python's "i" is "i32"$/);
  });

  test("elements name the one that does not fit; lengths are bounded", () => {
    expect(() => cellsOf("u8", [1, 2, 256])).toThrow("element 2 of u8 must be a whole number from 0 to 255, got 256");
    expect(() => cellsOf("u8", Float64Array.of(1, 0.5))).toThrow(RangeError);
    expect(cellsOf("u8", new Set([1, 2]))).toEqual(Uint8Array.of(1, 2));
    expect(() => cellsOf("u8", 5)).toThrow(TypeError);
    checkLength("f64", 2 ** 23);
    expect(() => checkLength("f64", 2 ** 23 + 1)).toThrow(LimitError);
    for (const length of [-1, 0.5]) expect(() => checkLength("u8", length)).toThrow(RangeError);
  });
});

/** What the message for one of Python's codes says to write. */
function pythonsMeaning(code: string): string | undefined {
  try {
    checkCode(code);
    return undefined;
  } catch (error) {
    return / is "(\w+)"$/.exec(String(error))?.[1];
  }
}
