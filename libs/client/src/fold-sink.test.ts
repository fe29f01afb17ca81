import { FOLD_BLOCK_ITEMS as BLOCK, foldedCount } from "@heddle/kernel";
import { encodePayload } from "@heddle/wire";
import fc from "fast-check";
import { expect, test } from "vitest";
import { checkFolded, FoldSink } from "./fold-sink.ts";

type Combine = (a: never, b: never) => unknown;

function sinkOf(combine: Combine, initial?: { readonly value: unknown }): FoldSink {
  return new FoldSink(combine as (a: unknown, b: unknown) => unknown, initial);
}

function leftFold(values: readonly unknown[], combine: Combine): unknown {
  return values.reduce((a, b) => combine(a as never, b as never));
}

/** What a worker makes of the values of items from `first` on: one for each whole block, those of others as they are. */
function folded(values: readonly unknown[], first: number, combine: Combine): unknown[] {
  const result: unknown[] = [];
  for (let at = 0; at < values.length; ) {
    const isWhole = (first + at) % BLOCK === 0 && at + BLOCK <= values.length;
    result.push(isWhole ? leftFold(values.slice(at, at + BLOCK), combine) : values[at]);
    at += isWhole ? BLOCK : 1;
  }
  return result;
}

function foldOf(values: readonly unknown[], cuts: readonly number[], order: readonly number[], combine: Combine) {
  const sink = sinkOf(combine);
  const edges = [...new Set([0, ...cuts, values.length])].sort((a, b) => a - b);
  const spans = edges.slice(1).map((end, at) => [edges[at] ?? 0, end] as const);
  const shuffled = spans.map((span, at) => ({ span, key: order[at % order.length] ?? 0 }));
  shuffled.sort((a, b) => a.key - b.key);
  for (const { span } of shuffled) {
    const [first, end] = span;
    const parts = folded(values.slice(first, end), first, combine);
    expect(parts).toHaveLength(foldedCount(first, end - first));
    sink.values(first, end - first, encodePayload(parts, "result"));
  }
  return sink.result();
}

test("the bits of a sum of fractions are the same however the work was cut and in whatever order it came", () => {
  const size = 3 * BLOCK + 100;
  const values = Array.from({ length: size }, (_, at) => Math.sin(at) * 10 ** ((at % 7) - 3));
  const add = (a: number, b: number): number => a + b;
  const whole = foldOf(values, [], [0], add);
  const near = fc
    .integer({ min: -2, max: 2 })
    .chain((off) => fc.constantFrom(BLOCK + off, 2 * BLOCK + off, 3 * BLOCK + off));
  const cuts = fc.array(fc.oneof(near, fc.integer({ min: 1, max: size - 1 })), { maxLength: 8 });
  const order = fc.array(fc.nat(), { minLength: 1, maxLength: 9 });
  fc.assert(
    fc.property(cuts, order, (cut, turn) => {
      expect(foldOf(values, cut, turn, add)).toEqual(whole);
    }),
    { numRuns: 60 },
  );
});

test("results are combined in order of the inputs, whatever comes first", () => {
  const sink = sinkOf((a: string, b: string) => `${a}${b}`);
  sink.values(2, 2, encodePayload(["c", "d"], "result"));
  sink.values(4, 1, encodePayload(["e"], "result"));
  sink.values(0, 2, encodePayload(["a", "b"], "result"));
  expect(sink.result()).toEqual({ value: "abcde" });
});

test("an initial value comes before the first result, and is the result of nothing", () => {
  const join = (a: string, b: string): string => `${a}${b}`;
  const sink = sinkOf(join, { value: ">" });
  sink.values(0, 1, encodePayload(["a"], "result"));
  expect(sink.result()).toEqual({ value: ">a" });
  expect(sinkOf(join, { value: ">" }).result()).toEqual({ value: ">" });
  expect(sinkOf(join).result()).toBeUndefined();
});

test("one result alone is combined with nothing, even when it is undefined", () => {
  const sink = sinkOf(() => "combined");
  sink.values(0, 1, encodePayload([undefined], "result"));
  expect(sink.result()).toEqual({ value: undefined });
});

test("what combine throws goes to whoever gave the values, and a promise of it is refused", () => {
  const own = new RangeError("mine");
  const sink = sinkOf(() => {
    throw own;
  });
  expect(() => sink.values(0, 2, encodePayload([1, 2], "result"))).toThrow(own);
  const promising = sinkOf(async () => 1);
  expect(() => promising.values(0, 2, encodePayload([1, 2], "result"))).toThrow(
    new TypeError("combine must return a value, it returned a promise"),
  );
});

test("values that are not as many as a span comes down to are the coordinator's fault", () => {
  expect(() => checkFolded(0, BLOCK, 1)).not.toThrow();
  expect(() => checkFolded(0, BLOCK, BLOCK)).toThrow(`${BLOCK} folded values came for ${BLOCK} items, not 1`);
});
