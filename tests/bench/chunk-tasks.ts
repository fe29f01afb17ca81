/** The tasks of pools that know single calls only: whole chunks, so that such a pool need not make a million calls for a million items. */
import { cube, isPrime, noop, type Sale, sample, type Taxed, taxed } from "./tasks.ts";

/** Items `from` to below `to` of a range. */
export interface Slice {
  readonly from: number;
  readonly to: number;
}

export const one = noop;

export function cubes({ from, to }: Slice): number[] {
  const results: number[] = [];
  for (let item = from; item < to; item++) results.push(cube(item));
  return results;
}

export function typedCubes({ from, to }: Slice): Float64Array<ArrayBuffer> {
  const results = new Float64Array(to - from);
  for (let item = from; item < to; item++) results[item - from] = cube(item);
  return results;
}

export function samples({ from, to }: Slice): number {
  let sum = 0;
  for (let item = from; item < to; item++) sum += sample();
  return sum;
}

export function primes({ from, to }: Slice): boolean[] {
  const results: boolean[] = [];
  for (let item = from; item < to; item++) results.push(isPrime(item));
  return results;
}

export const objects = (items: readonly Sale[]): Taxed[] => items.map(taxed);

/** `count` items cut into so many slices, in order; fewer when there are not as many items. */
export function slices(count: number, pieces: number): Slice[] {
  const size = Math.max(1, Math.ceil(count / pieces));
  return Array.from({ length: Math.ceil(count / size) }, (_, at) => ({
    from: at * size,
    to: Math.min(count, (at + 1) * size),
  }));
}
