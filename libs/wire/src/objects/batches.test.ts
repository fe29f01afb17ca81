import { ProtocolError } from "@heddle/kernel";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Operation, OperationBatch, ReplyBatch, Verb } from "../gen/heddle/v1/objects.ts";
import { decodeOperations, decodeReplies, encodeOperations, encodeReplies } from "./batches.ts";
import { verbName, verbOf } from "./verbs.ts";

const none = <T>(): fc.Arbitrary<T[]> => fc.constant<T[]>([]);
const bytes = fc.uint8Array({ maxLength: 40 });
const text = fc.oneof(fc.constant("0123456789abcdef0123456789abcdef"), fc.string({ maxLength: 80, unit: "grapheme" }));
const number = fc.oneof(fc.integer(), fc.maxSafeInteger());
const seq = fc.oneof(fc.nat(), fc.nat({ max: Number.MAX_SAFE_INTEGER }));
const verb = fc.constantFrom(...Object.values(Verb));
const flat = {
  seq,
  verb,
  object: text,
  values: fc.array(bytes, { maxLength: 4 }),
  numbers: fc.array(number, { maxLength: 4 }),
};
const guards = fc.array(fc.record({ lock: text, token: seq }), { maxLength: 2 });
const expectations = fc.array(fc.record({ object: text, key: bytes, revision: seq }), { maxLength: 2 });
const plain = fc.record({
  ...flat,
  guards: none<Operation["guards"][number]>(),
  operations: none<Operation>(),
  expectations: none<Operation["expectations"][number]>(),
});
const operation: fc.Arbitrary<Operation> = fc.oneof(
  plain,
  fc.record({ ...flat, guards, operations: fc.array(plain, { maxLength: 2 }), expectations }),
);
const error = fc.record({
  code: fc.string(),
  message: fc.string(),
  path: fc.constant(""),
  side: fc.constant(""),
  limitName: fc.string(),
  limit: fc.nat(),
  actual: fc.nat(),
  cause: bytes,
});
const reply = fc.record({
  seq,
  values: flat.values,
  numbers: flat.numbers,
  revision: seq,
  error: fc.option(error, { nil: undefined, freq: 3 }),
});
/** What generated code reads bytes as, without their being views. */
const own = (value: unknown): unknown => structuredClone(value);

describe("batches of operations and replies", () => {
  test("have the bytes of the generated code in both directions", () => {
    fc.assert(
      fc.property(fc.array(operation, { maxLength: 6 }), fc.array(reply, { maxLength: 6 }), (operations, replies) => {
        const written = encodeOperations(operations);
        expect(own(OperationBatch.decode(written).operations)).toEqual(own(operations));
        expect(own(decodeOperations(OperationBatch.encode({ operations }).finish()))).toEqual(own(operations));
        expect(own(ReplyBatch.decode(encodeReplies(replies)).replies)).toEqual(own(replies));
        expect(own(decodeReplies(ReplyBatch.encode({ replies }).finish()))).toEqual(own(replies));
      }),
      { numRuns: 300 },
    );
  });

  test("that are none are refused, whatever the bytes", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (garbage) => {
        for (const decode of [decodeOperations, decodeReplies])
          try {
            decode(garbage);
          } catch (refusal) {
            expect(refusal).toBeInstanceOf(ProtocolError);
          }
      }),
      { numRuns: 2_000 },
    );
    expect(() => decodeOperations(Uint8Array.of(10, 5, 1))).toThrow(ProtocolError);
  });

  test("name every verb in small letters", () => {
    for (const [name, number] of Object.entries(Verb)) {
      if (number === Verb.UNSPECIFIED) continue;
      expect(verbName(number)).toBe(name.toLowerCase().replaceAll("_", "-"));
      expect(verbOf(verbName(number) ?? "create")).toBe(number);
    }
    expect([verbName(0), verbName(9_999)]).toEqual([undefined, undefined]);
  });
});
