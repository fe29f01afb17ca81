import { SerializationError } from "@heddle/kernel";
import { equalValues } from "@heddle/values";
import { describe, expect, test } from "vitest";
import { Encoding, encodingToJSON } from "./gen/heddle/v1/common.ts";
import {
  decodeInto,
  decodePayload,
  type EncodedPayload,
  encodePayload,
  encodeRange,
  encodeRepeat,
  payloadItems,
  slicePayload,
} from "./payload.ts";
import { PayloadEncoder } from "./payload-encoder.ts";

const nameOf = (encoding: Encoding): string => encodingToJSON(encoding).slice("ENCODING_".length);
const numbers = (length: number): number[] => Array.from({ length }, (_, index) => index);

/** The payload with its bytes at an odd place of a larger buffer, as frames bring them. */
function framed(payload: EncodedPayload): EncodedPayload {
  const frame = new Uint8Array(payload.bytes.length + 8);
  frame.set(payload.bytes, 3);
  return { ...payload, bytes: frame.subarray(3, 3 + payload.bytes.length) };
}

const choices: readonly { what: string; values: ArrayLike<unknown>; encoding: string; size?: number }[] = [
  { what: "integers of 32 bits", values: [0, -1, 2 ** 31 - 1, -(2 ** 31)], encoding: "I32", size: 16 },
  { what: "an integer of 33 bits among them", values: [0, 2 ** 31], encoding: "F64", size: 16 },
  { what: "a -0 among them", values: [1, -0], encoding: "F64", size: 16 },
  {
    what: "fractions, NaN and infinities",
    values: [0.5, Number.NaN, Number.NEGATIVE_INFINITY],
    encoding: "F64",
    size: 24,
  },
  { what: "many integers and then a fraction", values: [...numbers(1_000), 0.5], encoding: "F64", size: 8_008 },
  { what: "booleans", values: [true, false, true], encoding: "BOOL", size: 3 },
  { what: "numbers and booleans", values: [1, true], encoding: "MSGPACK", size: 2 },
  { what: "booleans and a number", values: [true, 0], encoding: "MSGPACK", size: 2 },
  { what: "many numbers and then a string", values: [...numbers(1_000), 0.5, "x"], encoding: "MSGPACK" },
  { what: "strings", values: ["a", "b"], encoding: "MSGPACK", size: 4 },
  { what: "objects and holes", values: Object.assign(new Array(3), { 0: { a: 1 } }), encoding: "MSGPACK" },
  { what: "nothing", values: [], encoding: "MSGPACK", size: 0 },
  { what: "a Float64Array", values: Float64Array.of(1, 2.5, -0), encoding: "F64", size: 24 },
  { what: "a Uint8Array", values: Uint8Array.of(1, 255), encoding: "I32", size: 8 },
  { what: "a BigInt64Array", values: BigInt64Array.of(1n, -1n), encoding: "MSGPACK", size: 18 },
];

describe("the encoding fits the values:", () => {
  test.each(choices)("$what travel as $encoding", ({ values, encoding, size }) => {
    const payload = encodePayload(values, "argument");
    const expected = Array.from(values);
    expect([nameOf(payload.encoding), payload.count]).toEqual([encoding, values.length]);
    if (size !== undefined) expect(payload.bytes.length).toBe(size);
    for (const arrived of [payload, framed(payload)]) {
      expect(equalValues(decodePayload(arrived), expected)).toBe(true);
      const target = new Array<unknown>(expected.length + 2).fill("untouched");
      decodeInto(arrived, target, 1);
      expect(equalValues(target, ["untouched", ...expected, "untouched"])).toBe(true);
    }
  });

  test.each(choices)("any span of $what can be read alone", ({ values }) => {
    const payload = framed(encodePayload(values, "argument"));
    const expected = Array.from(values);
    for (let offset = 0; offset <= Math.min(values.length, 4); offset++) {
      const count = Math.min(2, values.length - offset);
      expect(equalValues(decodePayload(payload, { offset, count }), expected.slice(offset, offset + count))).toBe(true);
      const items = payloadItems(payload, { offset, count });
      expect(
        equalValues(
          Array.from({ length: items.length }, () => items.next()),
          expected.slice(offset, offset + count),
        ),
      ).toBe(true);
      expect(() => items.next()).toThrow(RangeError);
    }
  });

  test("a range is its start and step, whatever its length", () => {
    const payload = framed(encodeRange(10, -0.5, 1_000_000));
    expect([nameOf(payload.encoding), payload.bytes.length]).toEqual(["RANGE", 24]);
    expect(decodePayload(encodeRange(0, 0.1, 2, 3))).toEqual([3 * 0.1, 4 * 0.1]);
    expect(decodePayload(payload, { offset: 999_998, count: 2 })).toEqual([10 - 0.5 * 999_998, 10 - 0.5 * 999_999]);
  });

  test("a repeated value is its bytes once, and each copy its own object", () => {
    const payload = encodeRepeat({ a: [1] }, 3, "argument");
    const copies = decodePayload(payload) as object[];
    expect(copies).toEqual([{ a: [1] }, { a: [1] }, { a: [1] }]);
    expect(new Set(copies).size).toBe(3);
  });

  test("some of its values are a payload of their own, in every encoding", () => {
    const payloads = [
      ...choices.filter(({ values }) => values.length < 50).map(({ values }) => encodePayload(values, "value")),
      encodeRange(0.5, 0.25, 9, 3),
      encodeRepeat({ a: [1, 2] }, 7, "value"),
    ];
    for (const payload of payloads.map(framed)) {
      const all = decodePayload(payload);
      for (let offset = 0; offset <= all.length; offset++)
        for (let count = 0; offset + count <= all.length; count++) {
          const slice = slicePayload(payload, { offset, count });
          expect(slice.count).toBe(count);
          expect(equalValues(decodePayload(slice), all.slice(offset, offset + count))).toBe(true);
        }
    }
  });

  test("numbers land in typed arrays as well", () => {
    const target = new Float64Array(4);
    decodeInto(framed(encodePayload([1, 2.5], "result")), target, 1);
    decodeInto(framed(encodeRange(7, 1, 1)), target, 3);
    expect(target).toEqual(Float64Array.of(0, 1, 2.5, 7));
    expect(() => decodeInto(encodeRange(0, 1, 2), target, 3)).toThrow(RangeError);
  });
});

describe("an encoder that is fed item by item", () => {
  test.each(choices)("makes the same payload of $what", ({ values }) => {
    const encoder = new PayloadEncoder("argument");
    for (let at = 0; at < values.length; at++) encoder.add(values[at]);
    expect(encoder.size).toBe(encodePayload(values, "argument").bytes.length);
    expect(encoder.finish()).toEqual(encodePayload(values, "argument"));
    expect([encoder.count, encoder.size]).toEqual([0, 0]);
  });

  test("goes on after a value that cannot travel as if it had not come", () => {
    const encoder = new PayloadEncoder("argument");
    encoder.add("before");
    const { size } = encoder;
    expect(() => encoder.add({ deep: [{ fn: () => 1 }] })).toThrow(SerializationError);
    expect([encoder.count, encoder.size]).toEqual([1, size]);
    encoder.add({ after: true });
    expect(decodePayload(encoder.finish())).toEqual(["before", { after: true }]);
  });

  test("keeps its numbers when what follows them cannot travel", () => {
    const encoder = new PayloadEncoder("argument");
    encoder.add(1);
    expect(() => encoder.add(() => 1)).toThrow(SerializationError);
    expect(decodePayload(encoder.finish())).toEqual([1]);
  });

  test("cuts an array where its bytes reach the target, and takes one item at least", () => {
    const cut = (values: ArrayLike<unknown>, target: number): number[] => {
      const encoder = new PayloadEncoder("argument");
      const counts: number[] = [];
      for (let at = 0; at < values.length; ) {
        at = encoder.addAll(values, at, values.length, target);
        counts.push(encoder.finish().count);
      }
      return counts;
    };
    expect(cut(numbers(1_000), 1_600)).toEqual([400, 400, 200]);
    expect(
      cut(
        Float64Array.from(numbers(1_000), (n) => n + 0.5),
        4_000,
      ),
    ).toEqual([500, 500]);
    expect(cut(new Array(10).fill(true), 4)).toEqual([4, 4, 2]);
    expect(cut(new Array(5).fill("0123456789"), 22)).toEqual([2, 2, 1]);
    expect(cut(new Array(3).fill("0123456789"), 1)).toEqual([1, 1, 1]);
    expect(cut([1, 2], 0)).toEqual([1, 1]);
  });

  test("tells by its count which value of an array could not travel", () => {
    const encoder = new PayloadEncoder("argument");
    expect(() => encoder.addAll([1, 2, "x", () => 1, 5], 0, 5)).toThrow(/\$ cannot travel/);
    expect(encoder.count).toBe(3);
  });
});

describe("a payload that is not what it claims is refused:", () => {
  const bytes = (...content: number[]): Uint8Array => Uint8Array.from(content);
  const claims: readonly (readonly [what: string, payload: EncodedPayload])[] = [
    ["a column that is too short", { encoding: Encoding.F64, count: 2, bytes: new Uint8Array(8) }],
    ["a column that is too long", { encoding: Encoding.I32, count: 1, bytes: new Uint8Array(8) }],
    ["booleans without bytes", { encoding: Encoding.BOOL, count: 1, bytes: bytes() }],
    ["a range of eight bytes", { encoding: Encoding.RANGE, count: 1, bytes: new Uint8Array(8) }],
    ["more values than bytes", { encoding: Encoding.MSGPACK, count: 4_000_000_000, bytes: bytes(1, 2) }],
    ["values and bytes left over", { encoding: Encoding.MSGPACK, count: 1, bytes: bytes(1, 2) }],
    ["a value that ends too early", { encoding: Encoding.MSGPACK, count: 2, bytes: bytes(1, 0xcd) }],
    ["a repeated value of no bytes", { encoding: Encoding.REPEAT, count: 1, bytes: bytes() }],
    ["a fraction of a value", { encoding: Encoding.MSGPACK, count: 0.5, bytes: bytes(1) }],
    ["no encoding", { encoding: Encoding.UNSPECIFIED, count: 0, bytes: bytes() }],
  ];
  test.each(claims)("%s", (_, payload) => {
    expect(() => decodePayload(payload)).toThrow(SerializationError);
    expect(() => decodeInto(payload, new Array(10), 0)).toThrow(SerializationError);
  });

  test("a span that the payload does not have", () => {
    for (const span of [
      { offset: 1, count: 2 },
      { offset: -1, count: 1 },
      { offset: 3, count: 0 },
    ]) {
      expect(() => payloadItems(encodePayload([1, 2], "value"), span)).toThrow(SerializationError);
    }
  });

  test("values that end too early, when they are passed over", () => {
    for (const tail of [[0xdd, 0xff, 0xff, 0xff, 0xff], [0xc9, 0, 0, 1, 0, 7], [0xa5, 97], [0xcb], [0xc1], [0xd8, 1]]) {
      const payload = { encoding: Encoding.MSGPACK, count: 2, bytes: bytes(...tail, 1) };
      expect(() => decodePayload(payload, { offset: 1, count: 1 })).toThrow(SerializationError);
    }
  });
});
