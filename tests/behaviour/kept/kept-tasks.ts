import { appendFileSync, readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { passGate } from "../../harness/gate.ts";

/** What jobs that are kept run here, and what is known of their runs afterwards. */

/** One item of such a job. */
export interface CountedItem {
  readonly n: number;
  /** Where a line is added by each run. */
  readonly runs: string;
  /** How long it runs, in milliseconds. */
  readonly ms: number;
  /** What it waits for; nothing unless given. */
  readonly gate?: string;
}

/** The square, after a while; its run is noted before. */
export async function counted({ n, runs, ms, gate }: CountedItem): Promise<number> {
  appendFileSync(runs, `${n}\n`);
  if (gate !== undefined) await passGate(gate);
  await sleep(ms);
  return n * n;
}

/** As `counted`, but for each third one, which fails. */
export async function countedOrFailed(item: CountedItem): Promise<number> {
  const square = await counted(item);
  if (item.n % 3 === 0) throw new RangeError(`no ${item.n}`);
  return square;
}

/** The process that it runs in. */
export function where(_n: number): number {
  return process.pid;
}

/** The same, after a while; notes when it has begun and when it is over. */
export async function noted({ runs, ms, gate }: Omit<CountedItem, "n">): Promise<number> {
  appendFileSync(runs, "begun\n");
  if (gate !== undefined) await passGate(gate);
  await sleep(ms);
  appendFileSync(runs, "over\n");
  return process.pid;
}

export async function length(bytes: Uint8Array): Promise<number> {
  return bytes.length;
}

export function forever(): Promise<never> {
  return new Promise(() => undefined);
}

export function itemsOf(count: number, more: Omit<CountedItem, "n">): CountedItem[] {
  return Array.from({ length: count }, (_, n) => ({ n, ...more }));
}

/** Items in the order of their runs so far. */
export function runsIn(file: string): number[] {
  return linesIn(file).map(Number);
}

/** What was noted so far. */
export function linesIn(file: string): string[] {
  try {
    return readFileSync(file, "utf8").trimEnd().split("\n");
  } catch {
    return []; // none yet
  }
}
