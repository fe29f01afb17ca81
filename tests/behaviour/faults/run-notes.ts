import { appendFileSync, existsSync, readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { task } from "heddle";

/** An item of which it is noted where and when it begins to run. */
export interface NotedItem {
  /** The file that has the notes, a line for each run. */
  readonly notes: string;
  readonly n: number;
  /** How long it runs, in milliseconds. */
  readonly runMs: number;
}

/** A run of an item. */
export interface Note {
  readonly n: number;
  readonly node: string;
  readonly pid: number;
  /** When it began, by the clock that processes of a machine share. */
  readonly atMs: number;
}

/** The clock of the notes. */
export function machineMs(): number {
  return Number(process.hrtime.bigint() / 1_000n) / 1_000;
}

/** A task: notes that it runs, takes its time, and gives the square. */
export async function noted({ notes, n, runMs }: NotedItem): Promise<number> {
  const atMs = Number(process.hrtime.bigint() / 1_000n) / 1_000;
  appendFileSync(notes, `${JSON.stringify({ n, node: task().node, pid: process.pid, atMs })}\n`);
  await sleep(runMs);
  return n * n;
}

/** The runs so far, in order. */
export function notesIn(file: string): Note[] {
  if (!existsSync(file)) return [];
  const lines = readFileSync(file, "utf8").split("\n").slice(0, -1);
  return lines.map((line) => JSON.parse(line) as Note);
}

/** How often each item has run, by its number. */
export function runCounts(notes: readonly Note[]): Map<number, number> {
  const counts = new Map<number, number>();
  for (const { n } of notes) counts.set(n, (counts.get(n) ?? 0) + 1);
  return counts;
}

/** `count` items. */
export function notedItems(notes: string, count: number, runMs: number): NotedItem[] {
  return Array.from({ length: count }, (_, n) => ({ notes, n, runMs }));
}

export function squares(count: number): number[] {
  return Array.from({ length: count }, (_, n) => n * n);
}
