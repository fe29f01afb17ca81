import { appendFileSync, existsSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { task } from "heddle";

/** An item that waits at a gate, another one on each node. */
export interface PlacedItem {
  readonly notes: string;
  readonly n: number;
  /** Gates' paths, by node; where there is none it does not wait. */
  readonly gates: Readonly<Record<string, string>>;
  /** Path of the gate of later attempts, wherever they run; that of their node unless given. */
  readonly again?: string;
}

/** A task: notes that it runs, waits at the gate of its node, and gives that node's name. */
export async function placed({ notes, n, gates, again }: PlacedItem): Promise<string> {
  const { node, attempt } = task();
  const atMs = Number(process.hrtime.bigint() / 1_000n) / 1_000;
  appendFileSync(notes, `${JSON.stringify({ n, node, pid: process.pid, atMs })}\n`);
  const gate = (attempt > 1 ? again : undefined) ?? gates[node];
  while (gate !== undefined && !existsSync(gate)) await sleep(10);
  return node;
}
