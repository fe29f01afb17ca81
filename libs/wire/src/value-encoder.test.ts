import { SerializationError } from "@heddle/kernel";
import { expect, test } from "vitest";
import { shared } from "./msgpack/shared.ts";
import { encodeValue } from "./payload.ts";
import { ValueEncoder } from "./value-encoder.ts";

const values = [1, "text", [1, [2]], { a: { b: 1n } }, new Map([["k", new Set([1])]]), "x".repeat(100_000), undefined];

test("an encoder makes of each value what encodeValue makes, whatever came before", () => {
  const encoder = new ValueEncoder("value");
  const encoded = values.map((value) => encoder.encode(value));
  expect(encoded.map((bytes) => Buffer.from(bytes))).toEqual(
    values.map((value) => Buffer.from(encodeValue(value, "value"))),
  );
});

test("a value that cannot travel leaves nothing behind", () => {
  const encoder = new ValueEncoder("value");
  expect(() => encoder.encode([1, 2, () => 3])).toThrow(SerializationError);
  expect([...encoder.encode(5)]).toEqual([5]);
});

test("a handle or a getter may encode values of its own while it is written", () => {
  const encoder = new ValueEncoder("value", { reduceFunction: () => undefined });
  const inner: Uint8Array[] = [];
  const outer = {
    before: 1,
    handle: {
      [shared]: () => {
        inner.push(encoder.encode({ create: "list" }));
        return { kind: "list", object: "@a" };
      },
    },
    get late(): number {
      inner.push(encoder.encode("got"));
      return 2;
    },
  };
  Object.setPrototypeOf(outer.handle, { method: () => 1 });
  const bytes = encoder.encode(outer);
  expect(inner.map((each) => Buffer.from(each))).toEqual([
    Buffer.from(encodeValue({ create: "list" }, "value")),
    Buffer.from(encodeValue("got", "value")),
  ]);
  expect(Buffer.from(bytes)).toEqual(Buffer.from(encodeValue(outer, "value")));
});

test("many small values are kept in little more memory than they need", () => {
  const encoder = new ValueEncoder("value");
  const kept = Array.from({ length: 10_000 }, (_, n) => encoder.encode(n));
  const buffers = new Set(kept.map((bytes) => bytes.buffer));
  const held = [...buffers].reduce((sum, buffer) => sum + buffer.byteLength, 0);
  expect(held).toBeLessThan(10_000 * 16);
});
