/**
 * A program that uses a fabric as any does, at ease: it asks, maps, writes and connects anew, again and again. At each line that it reads it writes how
 * that went since the last: a line of JSON, of what type HonestReport says.
 */
import { createInterface } from "node:readline";
import { connect } from "heddle";

/** What came of one of the things that it does. */
export interface Times {
  readonly count: number;
  readonly medianMs: number;
  readonly p99Ms: number;
  readonly worstMs: number;
}

export interface HonestReport {
  readonly asks: Times;
  readonly maps: Times;
  readonly writes: Times;
  readonly connects: Times;
  readonly failures: readonly string[];
}

const [address = ""] = process.argv.slice(2);
const fabric = await connect(address);
const pool = fabric.pool({ processes: 1 });
const dict = fabric.manager().dict<string, number>();
const items = Array.from({ length: 8 }, (_, at) => at);
const took = { asks: [] as number[], maps: [] as number[], writes: [] as number[], connects: [] as number[] };
let failures: string[] = [];
let isOver = false;

async function again(kind: keyof typeof took, pauseMs: number, act: () => Promise<unknown>): Promise<void> {
  while (!isOver) {
    const begunMs = performance.now();
    try {
      await act();
      took[kind].push(performance.now() - begunMs);
    } catch (error) {
      failures.push(`${kind}: ${String(error)} after ${Math.round(performance.now() - begunMs)} ms`);
    }
    await new Promise((resolve) => setTimeout(resolve, pauseMs));
  }
}

function times(all: number[]): Times {
  const sorted = all.splice(0).sort((a, b) => a - b);
  const at = (part: number): number =>
    Math.round(sorted[Math.min(sorted.length - 1, Math.floor(part * sorted.length))] ?? 0);
  return { count: sorted.length, medianMs: at(0.5), p99Ms: at(0.99), worstMs: at(1) };
}

async function maps(): Promise<void> {
  const doubled = await pool.map((x: number) => x * 2, items);
  if (doubled.join() !== items.map((x) => x * 2).join()) throw new Error(`it mapped to ${doubled.join()}`);
}

async function connects(): Promise<void> {
  await using other = await connect(address);
  await other.status();
}

await maps();
await dict.size();
const loops = [
  again("asks", 50, () => fabric.status()),
  again("maps", 50, maps),
  again("writes", 50, () => dict.increment("n")),
  again("connects", 500, connects),
];
process.stdout.write("{}\n");
for await (const _line of createInterface({ input: process.stdin })) {
  const report: HonestReport = {
    asks: times(took.asks),
    maps: times(took.maps),
    writes: times(took.writes),
    connects: times(took.connects),
    failures,
  };
  failures = [];
  process.stdout.write(`${JSON.stringify(report)}\n`);
}
isOver = true;
await Promise.all(loops);
await fabric.close();
