import { SerializationError } from "@heddle/kernel";
import { equalValues } from "@heddle/values";
import { describe, expect, test } from "vitest";
import { decodeValue, encodeValue } from "../payload.ts";
import type { ValueReaderHooks } from "./hooks.ts";
import { type Shared, type SharedDescription, SharedReference, shared } from "./shared.ts";

class Handle implements Shared {
  readonly object: string;
  uses = 0;

  constructor(object: string) {
    this.object = object;
  }

  size(): number {
    return 0;
  }

  [shared](): SharedDescription {
    this.uses++;
    return { kind: "dict", object: this.object, code: "f64" };
  }
}

const reader: ValueReaderHooks = {
  reviveFunction: () => undefined,
  reviveShared: ({ object }) => new Handle(object),
};

describe("handles of shared objects among values", () => {
  test("come back as what the reader makes of their description, each once", () => {
    const handle = new Handle("@scores");
    const other = { n: 1 };
    const bytes = encodeValue({ list: [handle, other, handle], map: new Map([["k", handle]]), other }, "argument");
    expect(handle.uses).toBe(1);
    const back = decodeValue(bytes, "argument", reader) as {
      list: [Handle, object, Handle];
      map: Map<string, Handle>;
      other: object;
    };
    expect(back.list[0]).toBeInstanceOf(Handle);
    expect(back.list[0].object).toBe("@scores");
    expect([back.list[2], back.map.get("k")]).toEqual([back.list[0], back.list[0]]);
    expect(back.list[1]).toBe(back.other);
  });

  test("travel on unchanged through whoever makes no handles of them", () => {
    const bytes = encodeValue([new Handle("0".repeat(32))], "value");
    const [reference] = decodeValue(bytes) as [SharedReference];
    expect(reference).toBeInstanceOf(SharedReference);
    expect(encodeValue([reference], "value")).toEqual(bytes);
    expect(equalValues(decodeValue(bytes), decodeValue(bytes))).toBe(true);
  });

  test("are told to whoever has to see to them first, once in each value", () => {
    const met: Shared[] = [];
    const [one, two] = [new Handle("@1"), new Handle("@2")];
    const hooks = { reduceFunction: () => undefined, metShared: (handle: Shared) => void met.push(handle) };
    encodeValue([one, two, { one }], "value", hooks);
    expect(met).toEqual([one, two]);
  });

  test("that cannot say what they are, or are described wrongly, are refused in words", () => {
    const closed = {
      ...new Handle("@x"),
      [shared]: () => {
        throw new TypeError("closed");
      },
    };
    Object.setPrototypeOf(closed, Handle.prototype);
    expect(() => encodeValue([closed], "value")).toThrow(new TypeError("closed"));
    const bytes = encodeValue({ [Symbol.iterator]: 1, kind: "dict" }, "value");
    const wrong = Uint8Array.of(0xc9, 0, 0, 0, bytes.length, 14, ...bytes);
    expect(() => decodeValue(wrong)).toThrow(SerializationError);
  });
});
