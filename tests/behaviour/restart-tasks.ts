import { writeFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

/** Functions that run while their coordinator is killed. */

let joined: string | undefined;

/** An initializer. */
export function join(word: string): void {
  joined = word;
}

/** What the initializer was given, after so long that many of them are under way at a time. */
export async function joinedAs(n: number): Promise<string> {
  await sleep(20);
  return `${joined} ${n}`;
}

export async function slowly(n: number): Promise<number> {
  await sleep(20);
  return n * n;
}

/** 100,000 bytes: they travel in frames of their own. */
export async function large(n: number): Promise<Uint8Array> {
  await sleep(10);
  return new Uint8Array(100_000).fill(n);
}

/** A fraction, so that the order of additions is seen in the sum. Computes for 0.1 ms. */
export function fraction(n: number): number {
  const untilMs = performance.now() + 0.1;
  while (performance.now() < untilMs);
  return (n % 7) * 0.1;
}

export function add(a: number, b: number): number {
  return a + b;
}

export async function failAtSevens(n: number): Promise<number> {
  await sleep(20);
  if (n % 7 === 0) throw new RangeError(`no ${n}`);
  return n;
}

/** Fails the first time that it sees an item. */
export async function failOnce({ directory, n }: { directory: string; n: number }): Promise<number> {
  await sleep(10);
  try {
    writeFileSync(`${directory}/seen-${n}`, "", { flag: "wx" });
  } catch {
    return n;
  }
  throw new Error("not yet");
}

/** For a second. */
export async function nap(word: string): Promise<string> {
  await sleep(1_000);
  return word;
}
