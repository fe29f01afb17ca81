import { describe, expect, test } from "vitest";
import { equalValues } from "./equal.ts";

function cycle(): object {
  const node: { next?: object; value: number } = { value: 1 };
  node.next = { next: node, value: 1 };
  return node;
}

/** Nothing but holes. */
const holey = (length: number): unknown[] => new Array<unknown>(length);

describe("equal are", () => {
  const same: readonly (readonly [what: string, a: unknown, b: unknown])[] = [
    ["NaN and NaN", Number.NaN, Number.NaN],
    ["objects, whatever the order of their fields", { a: 1, b: [2] }, { b: [2], a: 1 }],
    ["arrays with the same holes", holey(3), holey(3)],
    ["maps in order", new Map([[{ a: 1 }, 1]]), new Map([[{ a: 1 }, 1]])],
    ["sets in order", new Set([1, "1"]), new Set([1, "1"])],
    ["dates, invalid ones too", [new Date(5), new Date(Number.NaN)], [new Date(5), new Date(Number.NaN)]],
    ["regular expressions", /a/g, /a/g],
    ["views of the same bytes", new Uint8Array([0, 1, 2]).subarray(1), new Uint8Array([1, 2])],
    ["errors with the same fields and cause", new TypeError("x", { cause: [1] }), new TypeError("x", { cause: [1] })],
    ["boxes", Object(5n), Object(5n)],
    ["cycles of the same shape", cycle(), cycle()],
  ];
  test.each(same)("%s", (_, a, b) => expect(equalValues(a, b)).toBe(true));
});

describe("not equal are", () => {
  const different: readonly (readonly [what: string, a: unknown, b: unknown])[] = [
    ["0 and -0", 0, -0],
    ["1 and 1n", 1, 1n],
    ["null and undefined", null, undefined],
    ["a hole and undefined", holey(1), [undefined]],
    ["a field that is undefined and none", { a: undefined }, {}],
    ["an array and an object with its fields", [1], { 0: 1, length: 1 }],
    [
      "maps in another order",
      new Map([
        [1, 1],
        [2, 2],
      ]),
      new Map([
        [2, 2],
        [1, 1],
      ]),
    ],
    ["views of another type", new Uint8Array(8), new Float64Array(1)],
    ["an error with a cause that is undefined and one without", new Error("x", { cause: undefined }), new Error("x")],
    ["a box and its content", Object(1), 1],
    ["two functions", () => 1, () => 1],
    ["cycles with another value", cycle(), { ...cycle(), value: 2 }],
  ];
  test.each(different)("%s", (_, a, b) => {
    expect(equalValues(a, b)).toBe(false);
    expect(equalValues(b, a)).toBe(false);
  });
});
