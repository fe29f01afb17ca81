import type { Contender, Operation } from "../contender.ts";
import { add, cube, isPrime, noop, type Sale, sales, sample, taxed } from "../tasks.ts";

/** What the primes cost without any pool: what parallel runs are compared with, each in its own process. */
export const serialPrimes: Operation = {
  how: "for (let i = 0; i < n; i++) results.push(isPrime(i))",
  run: (count) => {
    const results: boolean[] = [];
    for (let item = 0; item < count; item++) results.push(isPrime(item));
    return results;
  },
};

/** One thread of Node without any pool: the limit. */
export function openPlain(): Promise<Contender> {
  let numbers: number[] = [];
  let inputs: Sale[] = [];
  return Promise.resolve({
    operations: {
      noops: { how: "for (let i = 0; i < n; i++) { noop(i); seen++; }", run: noops },
      cubes: {
        how: "numbers.map(cube), the array of numbers made before",
        prepare: (count) => {
          numbers = Array.from({ length: count }, (_, at) => at);
        },
        run: () => numbers.map((item) => cube(item)),
      },
      typedCubes: { how: "for (let i = 0; i < n; i++) float64Array[i] = cube(i)", run: typedCubes },
      samples: { how: "for (let i = 0; i < n; i++) sum = add(sum, sample())", run: samples },
      serialPrimes,
      objects: {
        how: "objects.map(taxed)",
        prepare: (count) => {
          inputs = sales(count);
        },
        run: () => inputs.map((item) => taxed(item)),
      },
    },
    [Symbol.asyncDispose]: () => Promise.resolve(),
  });
}

function noops(count: number): number {
  let seen = 0;
  for (let item = 0; item < count; item++) if (noop(item) === item) seen++;
  return seen;
}

function typedCubes(count: number): Float64Array {
  const results = new Float64Array(count);
  for (let item = 0; item < count; item++) results[item] = cube(item);
  return results;
}

function samples(count: number): number {
  let sum = 0;
  for (let item = 0; item < count; item++) sum = add(sum, sample());
  return sum;
}
