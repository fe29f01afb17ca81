import { LimitError, SerializationError } from "@heddle/kernel";
import { describe, expect, test } from "vitest";
import { decodePayload, decodeValue, encodePayload, encodeRepeat, encodeValue, payloadItems } from "../payload.ts";
import { VALUE_DEPTH_MAX } from "./format.ts";
import type { ValueReaderHooks, ValueWriterHooks } from "./hooks.ts";

type Named = () => string;

/** Functions travel by their names. */
const writer: ValueWriterHooks = { reduceFunction: (fn) => ({ name: fn.name }) };
const reader: ValueReaderHooks = {
  reviveFunction: (description) => () => (description as { readonly name: string }).name,
};

function nested(value: unknown, depth: number): unknown {
  let result = value;
  for (let level = 0; level < depth; level++) result = [result];
  return result;
}

function innermost(value: unknown): unknown {
  let result = value;
  while (Array.isArray(result)) [result] = result;
  return result;
}

function weft(): void {}
function warp(): void {}

describe("functions among values", () => {
  test("come back as what the reader makes of them, each once, beside what else is shared", () => {
    const shared = { n: 1 };
    const bytes = encodeValue({ list: [weft, shared, warp, weft], again: weft, shared }, "argument", writer);
    const back = decodeValue(bytes, "argument", reader) as {
      list: [Named, object, Named, Named];
      again: Named;
      shared: object;
    };
    expect([back.list[0](), back.list[2]()]).toEqual(["weft", "warp"]);
    expect([back.list[3] === back.list[0], back.again === back.list[0], back.shared === back.list[1]]).toEqual([
      true,
      true,
      true,
    ]);
  });

  test("are described once for each value that they are in", () => {
    let asked = 0;
    const counting: ValueWriterHooks = { reduceFunction: () => ++asked };
    encodeValue([weft, [weft], { weft }, warp], "argument", counting);
    expect(asked).toBe(2);
  });

  test("may be where any scalar may be but one level less deep, on both sides", () => {
    const back = decodeValue(encodeValue(nested(weft, VALUE_DEPTH_MAX - 2), "argument", writer), "argument", reader);
    expect((innermost(back) as Named)()).toBe("weft");
    for (const depth of [VALUE_DEPTH_MAX - 1, VALUE_DEPTH_MAX]) {
      expect(() => encodeValue(nested(weft, depth), "argument", writer)).toThrow(LimitError);
    }
    const scalar: ValueWriterHooks = { reduceFunction: () => 1 };
    const bytes = encodeValue(nested(weft, VALUE_DEPTH_MAX - 1), "argument", scalar);
    expect(typeof innermost(decodeValue(bytes, "argument", reader))).toBe("function");
    expect(() => encodeValue(nested(weft, VALUE_DEPTH_MAX), "argument", scalar)).toThrow(LimitError);
  });

  test("are refused by their path without hooks, and when the hook knows no description", () => {
    for (const hooks of [undefined, { reduceFunction: () => undefined }]) {
      const refused = (): unknown => encodeValue({ rows: [1, weft] }, "argument", hooks);
      expect(refused).toThrow(SerializationError);
      expect(refused).toThrow("$.rows[1] cannot travel: it is a function (weft)");
    }
    const bytes = encodeValue([weft], "argument", writer);
    expect(() => decodeValue(bytes)).toThrow(SerializationError);
    expect(() => decodeValue(bytes)).toThrow(/a function, which cannot be made here/);
  });

  test("that cannot be described are named where the description is wrong, by the path of the function", () => {
    const wrong: ValueWriterHooks = { reduceFunction: () => ({ inside: Symbol("s") }) };
    expect(() => encodeValue([weft], "argument", wrong)).toThrow("$[0].inside cannot travel: it is a symbol");
  });
});

describe("what a hook throws", () => {
  const own = new TypeError("mine");
  const fail = (): never => {
    throw own;
  };

  test("comes out of the writer untouched, and nothing of the value stays", () => {
    let thrown: unknown;
    try {
      encodePayload(["before", [weft]], "argument", { reduceFunction: fail });
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toBe(own);
  });

  test("is told in the place of a field of an error, which always travels", () => {
    const error = Object.assign(new RangeError("out"), { weft, row: 3 });
    const back = decodeValue(encodeValue(error, "argument", { reduceFunction: fail }));
    expect({ ...(back as Error) }).toEqual({ weft: "[weft cannot travel: mine]", row: 3 });
  });

  test.each([
    ["MSGPACK", encodePayload(["first", { deep: [new Map([["fn", weft]])] }, "last"], "argument", writer)],
    ["REPEAT", encodeRepeat({ deep: [new Map([["fn", weft]])] }, 3, "argument", writer)],
  ])("comes out of the reader untouched, and the same item may be read again: %s", (_, payload) => {
    let failures = 3;
    const items = payloadItems(payload, undefined, {
      reviveFunction: (description) => (failures-- > 0 ? fail() : reader.reviveFunction?.(description)),
    });
    const values: unknown[] = [];
    let thrown = 0;
    while (values.length < items.length) {
      try {
        values.push(items.next());
      } catch (error) {
        expect(error).toBe(own);
        thrown++;
      }
    }
    expect(thrown).toBe(3);
    const { deep } = values[1] as { deep: [Map<string, Named>] };
    expect(deep[0].get("fn")?.()).toBe("weft");
    expect(() => items.next()).toThrow(RangeError);
  });

  test("does not keep a payload from being read past its item", () => {
    const payload = encodePayload(["first", [weft], "last"], "argument", writer);
    expect(decodePayload(payload, { offset: 2, count: 1 })).toEqual(["last"]);
  });
});
