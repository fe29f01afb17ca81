import { readFileSync } from "node:fs";
import { ITEM_BYTES_MAX, LimitError, SerializationError } from "@heddle/kernel";
import { equalValues } from "@heddle/values";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Encoding } from "../gen/heddle/v1/common.ts";
import { decodePayload, decodeValue, encodeValue } from "../payload.ts";
import { VALUE_DEPTH_MAX } from "./format.ts";

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");
const bytes = (digits: string): Uint8Array => new Uint8Array(Buffer.from(digits.replaceAll(" ", ""), "hex"));
const travelled = (value: unknown): unknown => decodeValue(encodeValue(value, "value"));
const thrownBy = (run: () => unknown): unknown => {
  try {
    run();
  } catch (error) {
    return error;
  }
  return "nothing was thrown";
};
const holey = (length: number): unknown[] => new Array<unknown>(length);

/** The lines "| `expression` | `bytes` |" of proto/VALUES.md. */
const vectors = [
  ...readFileSync(new URL("../../../../proto/VALUES.md", import.meta.url), "utf8").matchAll(
    /^\| `(.+)` \| `([0-9a-f ]+)` \|$/gm,
  ),
].map(([, expression = "", digits = ""]) => ({ expression, digits: digits.replaceAll(" ", "") }));

describe("proto/VALUES.md tells the truth of", () => {
  test("as many vectors as it has", () => expect(vectors.length).toBeGreaterThan(60));

  test.each(vectors)("$expression", ({ expression, digits }) => {
    const value: unknown = new Function(`return (${expression});`)();
    expect(hex(encodeValue(value, "value"))).toBe(digits);
    const back = decodeValue(bytes(digits));
    expect(hex(encodeValue(back, "value"))).toBe(digits);
    if (!(value instanceof Error)) expect(equalValues(back, value)).toBe(true);
  });
});

test("every vector can be passed over without being built", () => {
  const all = Buffer.concat(vectors.map(({ digits }) => bytes(digits)));
  const payload = { encoding: Encoding.MSGPACK, count: vectors.length + 1, bytes: Buffer.concat([all, bytes("2a")]) };
  expect(decodePayload(payload, { offset: vectors.length, count: 1 })).toEqual([42]);
});

describe("a value travels whole:", () => {
  const shared = { x: 1 };
  const values: readonly (readonly [what: string, value: unknown])[] = [
    ["a long ASCII string", "x".repeat(100_000)],
    ["a long string of all planes", "aé€😀".repeat(20_000)],
    ["a byte order mark", "\ufeffbom"],
    [
      "strings of every length around the format limits",
      [0, 7, 8, 9, 31, 32, 40, 41, 255, 256, 65_535, 65_536].map((n) => "s".repeat(n)),
    ],
    ["the same in two bytes a character", [15, 16, 17, 127, 128, 32_767, 32_768].map((n) => "é".repeat(n))],
    ["lone surrogates", ["\ud800", "a\udc00b", "\udc00\ud800"]],
    [
      "a large map and a large array",
      [Object.fromEntries(Array.from({ length: 70_000 }, (_, i) => [`k${i}`, i])), new Array(70_000).fill(null)],
    ],
    ["integer-like field names", { 2: "b", 1: "a", x: 0 }],
    ["an array of holes", holey(100)],
    ["holes at both ends", Object.assign(holey(5), { 2: "x" })],
    [
      "bigints of many sizes",
      Array.from({ length: 40 }, (_, i) => [2n ** BigInt(i * 7), -(2n ** BigInt(i * 7)), 2n ** BigInt(i * 8 + 7) - 1n]),
    ],
    ["maps with objects as keys", new Map([[shared, new Set([shared])]])],
    ["the bytes that a view shows and no others", new Uint8Array([1, 2, 3, 4]).subarray(1, 3)],
    ["an unaligned view", new DataView(new ArrayBuffer(9), 3, 5)],
    ["a number array of a million", new Float64Array(1_000_000).fill(0.1)],
    ["boxes that are shared", ((box) => [box, box])(Object("s"))],
  ];
  test.each(values)("%s", (_, value) => expect(equalValues(travelled(value), value)).toBe(true));

  test("shared objects stay shared, and cycles close", () => {
    const cycle: Record<string, unknown> = { list: [], date: new Date(1) };
    (cycle.list as unknown[]).push(cycle, cycle.list, cycle.date, new Map([[cycle, cycle]]));
    const back = travelled(cycle) as typeof cycle;
    const [itself, list, date, map] = back.list as [unknown, unknown, unknown, Map<unknown, unknown>];
    expect([itself, list, date]).toEqual([back, back.list, back.date]);
    expect([itself === back, list === back.list, date === back.date, map.get(back) === back]).toEqual(
      Array(4).fill(true),
    );
  });

  test("sharing is kept among many objects, and after an error with fields", () => {
    const objects: object[] = Array.from({ length: 1_000 }, (_, id) => ({ id }));
    const failure = Object.assign(new RangeError("x", { cause: objects[3] }), { related: objects[4] });
    const back = travelled([failure, objects, [...objects].reverse()]) as [
      Error & { related: object },
      object[],
      object[],
    ];
    expect(back[2].toReversed().every((object, index) => object === back[1][index])).toBe(true);
    expect([back[0].cause === back[1][3], back[0].related === back[1][4]]).toEqual([true, true]);
  });

  test("objects come back with Object.prototype, classes without methods as plain objects", () => {
    class Point {
      x = 1;
    }
    const back = travelled([Object.assign(Object.create(null), { a: 1 }), new Point()]) as object[];
    expect(back.map((object) => Object.getPrototypeOf(object))).toEqual([Object.prototype, Object.prototype]);
    expect(back).toEqual([{ a: 1 }, { x: 1 }]);
  });

  test("an own __proto__ field stays data", () => {
    const back = travelled(JSON.parse('{"__proto__": {"polluted": true}, "a": 1}')) as object;
    expect(Object.keys(back)).toEqual(["__proto__", "a"]);
    expect(Object.getPrototypeOf(back)).toBe(Object.prototype);
    expect(Reflect.get(back, "polluted")).toBeUndefined();
  });

  test("whatever fast-check makes up", () => {
    const anything = fc.anything({
      withBigInt: true,
      withDate: true,
      withMap: true,
      withSet: true,
      withTypedArray: true,
      withSparseArray: true,
      withBoxedValues: true,
      withObjectString: true,
      withNullPrototype: true,
      stringUnit: "binary",
      maxDepth: 4,
    });
    fc.assert(
      fc.property(anything, (value) => equalValues(travelled(value), value)),
      { numRuns: 1_000, seed: 7 },
    );
  });

  test("as deep as the limit, and not deeper", () => {
    let nested: unknown = 0;
    for (let depth = 0; depth < VALUE_DEPTH_MAX; depth++) nested = depth % 2 === 0 ? [nested] : { nested };
    expect(hex(encodeValue(travelled(nested), "value"))).toBe(hex(encodeValue(nested, "value")));
    expect(thrownBy(() => encodeValue([nested], "value"))).toMatchObject({
      limitName: "VALUE_DEPTH_MAX",
      actual: VALUE_DEPTH_MAX + 1,
    });
  });

  test("errors nested as deep as the limit", () => {
    let error = new Error("0");
    for (let depth = 1; depth < VALUE_DEPTH_MAX; depth++) error = new Error(String(depth), { cause: error });
    let back = travelled(error) as Error;
    let links = 1;
    for (; back.cause instanceof Error; links++) back = back.cause;
    expect(links).toBe(VALUE_DEPTH_MAX);
  });
});

describe("what is no value is refused by its path:", () => {
  class Account {
    balance = 1;
    pay(): void {}
  }
  class Square {
    side = 2;
    get area(): number {
      return this.side ** 2;
    }
  }
  const refusals: readonly (readonly [what: string, value: unknown, path: string, words: RegExp])[] = [
    ["a function", { rows: [1, { fn: () => 1 }] }, "$.rows[1].fn", /it is a function \(fn\)/],
    ["a symbol", [Symbol("s")], "$[0]", /a symbol \(Symbol\(s\)\)/],
    ["a promise", Promise.resolve(), "$", /a Promise: await it first/],
    [
      "an instance of a class with methods",
      { a: new Account() },
      "$.a",
      /an instance of class Account, which has methods \(pay\)/,
    ],
    ["an instance of a class with accessors", { a: new Square() }, "$.a", /class Square, which has methods \(area\)/],
    [
      "a subclass of Map with methods",
      new (class Scores extends Map {
        total() {
          return 0;
        }
      })(),
      "$",
      /class Scores/,
    ],
    ["a generator", (function* () {})(), "$", /type Generator/],
    ["a weak map", new Map([["k", new WeakMap()]]), '$.get("k")', /a WeakMap/],
    ["a key of a map", new Map([[() => 1, 1]]), "$.keys()[a function]", /a function/],
    ["an element of a set", new Set([1, () => 1]), "$.values()[1]", /a function/],
    ["an odd field name", { "a b": () => 1 }, '$["a b"]', /a function/],
    ["shared memory", new SharedArrayBuffer(1), "$", /a SharedArrayBuffer/],
    ["a URL", new URL("http://localhost"), "$", /class URL/],
  ];
  test.each(refusals)("%s", (_, value, path, words) => {
    const error = thrownBy(() => encodeValue(value, "result"));
    expect(error).toBeInstanceOf(SerializationError);
    expect(error).toMatchObject({ path, side: "result", message: expect.stringMatching(words) });
  });

  test("a getter that throws, with its own error as cause", () => {
    const cause = new Error("mine");
    const value = {
      deep: {
        get x() {
          throw cause;
        },
      },
    };
    expect(thrownBy(() => encodeValue(value, "argument"))).toMatchObject({ path: "$.deep.x", side: "argument", cause });
  });

  test("a proxy whose traps throw, with their error as cause", () => {
    const cause = new Error("trapped");
    const value = [
      new Proxy(
        {},
        {
          ownKeys: () => {
            throw cause;
          },
        },
      ),
    ];
    expect(thrownBy(() => encodeValue(value, "value"))).toMatchObject({ code: "serialization", cause });
  });

  test("more than ITEM_BYTES_MAX, however it is made up", () => {
    for (const value of ["x".repeat(ITEM_BYTES_MAX), new Uint8Array(ITEM_BYTES_MAX), holey(2 ** 32 - 1)]) {
      const error = thrownBy(() => encodeValue(value, "value"));
      expect(error).toBeInstanceOf(LimitError);
      expect(error).toMatchObject({ limitName: "ITEM_BYTES_MAX", limit: ITEM_BYTES_MAX });
    }
  });
});

describe("hostile bytes are refused:", () => {
  const hostile: readonly (readonly [what: string, digits: string])[] = [
    ["none at all", ""],
    ["an array of four billion", "dd ff ff ff ff"],
    ["a map of four billion", "df ff ff ff ff 00"],
    ["a string longer than the bytes", "db 7f ff ff ff 61"],
    ["bytes longer than the bytes", "c6 ff ff ff ff"],
    ["an extension longer than the bytes", "c9 00 00 00 ff 07"],
    ["an extension that ends inside a value", "c9 00 00 00 02 07 01 a2 61 61"],
    ["a map without its last value", "c9 00 00 00 01 07 01"],
    ["two values", "01 02"],
    ["float 32", "ca 00 00 00 00"],
    ["the byte c1", "c1"],
    ["invalid UTF-8", "a2 c3 28"],
    ["half a UTF-16 unit", "c7 03 04 00 d8 00"],
    ["a reference to what was not seen", "91 d4 02 05"],
    ["a reference to nothing", "d4 02 00"],
    ["a reference of no size that exists", "d7 02 00 00 00 00 00 00 00 00"],
    ["a hole outside an array", "d4 01 00"],
    ["a field name that is no string", "81 01 01"],
    ["an unknown extension", "d4 63 00"],
    ["an unknown typed array", "d5 0a 7f 00"],
    ["half a double", "c7 05 0a 09 00 00 00 00"],
    ["a date of one byte", "d4 05 00"],
    ["a regular expression that is none", "c9 00 00 00 03 06 a1 28 a0"],
    ["an endless regular expression flag", "c9 00 00 00 05 06 a1 61 a2 67 67"],
    ["an error without fields", "c9 00 00 00 0d 0c a1 45 a1 45 a1 6d a1 73 d4 01 00 d4 01"],
    ["a box with an object", "c9 00 00 00 01 0b 80"],
    ["deeper than any value", "91".repeat(5_000)],
  ];
  test.each(hostile)("%s", (_, digits) =>
    expect(thrownBy(() => decodeValue(bytes(digits)))).toBeInstanceOf(SerializationError),
  );

  test("any bytes give a value or a SerializationError, and change nothing else", () => {
    const seeds = vectors.map(({ digits }) => bytes(digits));
    const mutated = fc
      .tuple(
        fc.nat(seeds.length - 1),
        fc.array(fc.tuple(fc.nat(40), fc.nat(255)), { maxLength: 4 }),
        fc.uint8Array({ maxLength: 12 }),
      )
      .map(([seed, edits, tail]) => {
        const changed = Uint8Array.from([...(seeds[seed] ?? []), ...tail]);
        for (const [at, byte] of edits) if (at < changed.length) changed[at] = byte;
        return changed;
      });
    const isRefusedOrRead = (input: Uint8Array): boolean => {
      const passed = thrownBy(() =>
        decodePayload({ encoding: Encoding.MSGPACK, count: 1, bytes: input }, { offset: 1, count: 0 }),
      );
      if (passed !== "nothing was thrown" && !(passed instanceof SerializationError)) return false;
      const outcome = thrownBy(() => decodeValue(input));
      return outcome === "nothing was thrown" || outcome instanceof SerializationError;
    };
    fc.assert(fc.property(mutated, isRefusedOrRead), { numRuns: 20_000, seed: 11 });
    expect(Object.keys(Object.prototype)).toEqual([]);
    expect({}).toEqual({});
  });
});
