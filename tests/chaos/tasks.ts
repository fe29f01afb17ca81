/** What workers and processes of a run's clients do. */
import { type Connection, type Dict, task } from "heddle";

export const square = (n: number): number => n * n;
export const plus = (a: number, b: number): number => a + b;

/** Squares, and takes as long as it is told. */
export async function slowSquare(n: number, ms: number): Promise<number> {
  await new Promise((resolve) => setTimeout(resolve, ms));
  return n * n;
}

/** Squares of 2 to 12 ms each. */
export function lazySquare(n: number): Promise<number> {
  return slowSquare(n, 2 + (n % 11));
}

/** Fails at its first attempts: the more, the larger the rest of n by 3. */
export function flakySquare(n: number): number {
  if (task().attempt <= n % 3) throw new RangeError(`attempt ${task().attempt} of ${n}`);
  return n * n;
}

/** Fails for every third item. */
export function failThirds(n: number): number {
  if (n % 3 === 0) throw new RangeError(`${n} is a third`);
  return n * n;
}

/** Length and sum of bytes, and the bytes themselves turned round. */
export function turned(bytes: Uint8Array): { readonly sum: number; readonly bytes: Uint8Array } {
  return { sum: bytes.reduce((sum, byte) => sum + byte, 0), bytes: bytes.toReversed() };
}

/** Counts a run under a key, at least once for each item. */
export async function countRun(n: number, runs: Dict<string, number>, key: string): Promise<number> {
  await runs.increment(key);
  return n * n;
}

export function exitWith(code: number): void {
  process.exitCode = code;
}

/** Sends back twice of so many numbers. */
export async function doubleAll(end: Connection<number>, count: number): Promise<void> {
  for (let done = 0; done < count; done++) await end.send(2 * (await end.recv()));
}
