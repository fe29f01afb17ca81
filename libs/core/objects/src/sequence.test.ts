import fc from "fast-check";
import { expect, test } from "vitest";
import { Sequence } from "./sequence.ts";

const steps = fc.array(
  fc.tuple(fc.constantFrom("push", "front", "insert", "first", "last", "remove", "set", "cut"), fc.nat(20)),
  { maxLength: 200 },
);

test("a sequence is an array, whatever is done at either end", () => {
  fc.assert(
    fc.property(steps, (asked) => {
      const sequence = new Sequence<number>();
      const array: number[] = [];
      for (const [step, place] of asked) {
        play(sequence, array, step, place);
        expect([...sequence]).toEqual(array);
        expect(sequence.slice(1, 4)).toEqual(array.slice(1, 4));
        expect([sequence.length, sequence.at(0), sequence.at(-1), sequence.at(array.length)]).toEqual([
          array.length,
          array[0],
          undefined,
          undefined,
        ]);
      }
    }),
  );
});

test("a million items go in and out at the front in no more than a moment each", () => {
  const sequence = new Sequence<number>();
  for (let item = 0; item < 1_000_000; item++) sequence.insert(0, item);
  let sum = 0;
  while (sequence.length > 0) sum += sequence.remove(0) ?? 0;
  expect(sum).toBe(499_999_500_000);
});

function play(sequence: Sequence<number>, array: number[], step: string, place: number): void {
  const at = array.length === 0 ? 0 : place % array.length;
  if (step === "push") {
    sequence.push(place);
    array.push(place);
  } else if (step === "front" || step === "insert") {
    const before = step === "front" ? 0 : at;
    sequence.insert(before, place);
    array.splice(before, 0, place);
  } else if (step === "cut") {
    sequence.cut(at);
    array.length = at;
  } else if (array.length > 0 && step === "set") {
    sequence.set(at, place);
    array[at] = place;
  } else if (array.length > 0) {
    const gone = step === "first" ? 0 : step === "last" ? array.length - 1 : at;
    expect(sequence.remove(gone)).toBe(array.splice(gone, 1)[0]);
  }
}
