/** What workers and processes of a run's clients do. */
import { randomUUID } from "node:crypto";
import { type Connection, type Dict, type List, task } from "heddle";
import { noteRun } from "./runs.ts";

export const square = (n: number): number => n * n;
export const plus = (a: number, b: number): number => a + b;

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Squares, and takes as long as it is told. */
export async function slowSquare(n: number, ms: number): Promise<number> {
  noteRun();
  await pause(ms);
  return n * n;
}

/** Of what `large` gives. */
export const LARGE_BYTES = 1024 * 1024;

/** As many bytes, each of them n. */
export function large(n: number): Uint8Array {
  return new Uint8Array(LARGE_BYTES).fill(n);
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
  noteRun();
  await runs.increment(key);
  return n * n;
}

/** Of each item that has its result: which run of it that was. */
export type Marked = readonly [square: number, mark: string];

/** Squares after a while, with a mark that no other run of the item leaves. */
export async function markedSquare(n: number, ms: number): Promise<Marked> {
  return [await slowSquare(n, ms), randomUUID()];
}

/** Index of an item that straggles. */
const STRAGGLER = 7;

/** The first attempt of one item takes as long as it is told, all others hardly anything. */
export async function straggle(
  n: number,
  ms: number,
): Promise<{ readonly square: number; readonly isSecond: boolean }> {
  const isSecond = n === STRAGGLER && task().attempt > 1;
  return { square: await slowSquare(n, n === STRAGGLER && !isSecond ? ms : 10 + (n % 5)), isSecond };
}

/** Where items write that count once: in two dicts under a key, and in a list. */
export interface OnceObjects {
  readonly sums: Dict<string, number>;
  readonly key: string;
  readonly lines: List<number>;
  /** It reads what it adds to, so that what others do in the middle is a conflict. */
  readonly isModifying: boolean;
}

/** Key of the sum of all items of all jobs whose writes count once. */
export const TOGETHER = "together";

/** Adds one to two sums and a line to a list; then every seventh item fails for good, and every fifth at its first attempt. */
export async function writeOnce(n: number, { sums, key, lines, isModifying }: OnceObjects): Promise<Marked> {
  const isFirst = task().attempt === 1;
  const fails = n % 7 === 6 || (n % 5 === 4 && isFirst);
  if (!fails) noteRun();
  await sums.increment(TOGETHER);
  await lines.append(n);
  if (isModifying) await sums.modify(key, (sum = 0) => sum + 1);
  else await sums.increment(key);
  await pause(n % 4);
  if (fails) throw new RangeError(`${n} fails at attempt ${task().attempt}`);
  return [n * n, randomUUID()];
}

export function exitWith(code: number): void {
  process.exitCode = code;
}

/** Sends back twice of so many numbers. */
export async function doubleAll(end: Connection<number>, count: number): Promise<void> {
  for (let done = 0; done < count; done++) await end.send(2 * (await end.recv()));
}
