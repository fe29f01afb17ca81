import { readFileSync } from "node:fs";
import { LimitError, SerializationError } from "@heddle/kernel";
import { equalValues } from "@heddle/values";
import fc from "fast-check";
import { expect, test } from "vitest";
import { decodeError, decodePayload, decodeValue, encodeValue } from "../payload.ts";

/** HEDDLE_FUZZ_SEED repeats a run, HEDDLE_FUZZ_RUNS makes it longer. */
const seed = Number(process.env.HEDDLE_FUZZ_SEED ?? "") || Math.floor(Math.random() * 2 ** 31);
const runs = Number(process.env.HEDDLE_FUZZ_RUNS ?? "") || 20_000;

/** Memory that reading may take for each byte read: an array of nils is eight bytes for one. */
const GROWTH_MAX = 64;

const corpus = readFileSync(new URL("../../testdata/corpus.txt", import.meta.url), "utf8")
  .split("\n")
  .filter((line) => line !== "" && !line.startsWith("#"))
  .map((line) => {
    const [digits = "", ...why] = line.split(" ");
    return { bytes: new Uint8Array(Buffer.from(digits, "hex")), digits, why: why.join(" ") };
  });

const anything = fc.anything({
  withBigInt: true,
  withBoxedValues: true,
  withDate: true,
  withMap: true,
  withSet: true,
  withTypedArray: true,
  withSparseArray: true,
  withNullPrototype: false,
});

/** Reads whatever these bytes are, by every way there is; anything but a value or a refusal is a bug. */
function readOrRefused(bytes: Uint8Array): void {
  const readers = [
    () => decodeValue(bytes),
    () => decodeValue(bytes, "argument", { reviveFunction: () => () => 1 }),
    () => decodeError(bytes),
    () => decodePayload({ encoding: 6, count: 2, bytes }, { offset: 1, count: 1 }),
    () => decodePayload({ encoding: 2, count: 3, bytes }),
  ];
  for (const read of readers) {
    try {
      weigh(read(), bytes.length);
    } catch (error) {
      if (!(error instanceof SerializationError || error instanceof LimitError)) throw error;
    }
  }
}

/** A value read from so many bytes has no array longer than they can say. */
function weigh(value: unknown, size: number): void {
  if (Array.isArray(value)) expect(value.length).toBeLessThanOrEqual(Math.max(3, size));
  if (ArrayBuffer.isView(value)) expect(value.byteLength).toBeLessThanOrEqual(size);
}

/** What tells that a prototype was reached. */
function pollution(): unknown {
  return [Object, Array, Map, Set, Error, Function].map(({ prototype }) => Reflect.ownKeys(prototype).length);
}

test.each(corpus)("the reader stands $why ($digits)", ({ bytes }) => {
  const before = pollution();
  readOrRefused(bytes);
  for (let at = 0; at < bytes.length; at++) {
    readOrRefused(bytes.subarray(0, at));
    for (let byte = 0; byte < 256; byte++) {
      const mutated = bytes.slice();
      mutated[at] = byte;
      readOrRefused(mutated);
    }
  }
  expect(pollution()).toEqual(before);
  expect(({} as { x?: unknown }).x).toBeUndefined();
});

test(`the reader stands whatever comes (HEDDLE_FUZZ_SEED=${seed})`, () => {
  const before = pollution();
  const heap = process.memoryUsage().heapUsed;
  const encoded = anything.map((value) => encodeValue(value, "value"));
  const start = fc.oneof(
    encoded,
    fc.constantFrom(...corpus.map(({ bytes }) => bytes)),
    fc.uint8Array({ maxLength: 64 }),
  );
  const hits = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 5 });
  fc.assert(
    fc.property(start, hits, fc.nat(), (bytes, changes, cut) => {
      const mutated = bytes.slice(0, Math.max(1, bytes.length - (cut % 4)));
      for (const [at, byte] of changes) mutated[at % mutated.length] = byte;
      try {
        readOrRefused(mutated);
      } catch (cause) {
        throw new Error(`add to testdata/corpus.txt: ${Buffer.from(mutated).toString("hex")} what it is`, { cause });
      }
    }),
    { numRuns: runs, seed },
  );
  expect(pollution()).toEqual(before);
  expect(process.memoryUsage().heapUsed - heap).toBeLessThan(GROWTH_MAX * 1024 * 1024 * Math.max(8, runs / 5_000));
});

test(`a round trip is what structuredClone gives, and its bytes are always the same (HEDDLE_FUZZ_SEED=${seed})`, () => {
  fc.assert(
    fc.property(anything, (value) => {
      const bytes = encodeValue(value, "value");
      const back = decodeValue(bytes);
      expect(equalValues(back, structuredClone(value))).toBe(true);
      expect(encodeValue(back, "value")).toEqual(bytes);
    }),
    { numRuns: Math.ceil(runs / 10), seed },
  );
});
