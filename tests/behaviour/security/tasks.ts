/** What tests of secure fabrics run in workers. */
import { env } from "node:process";
import { type Dict, type Lock, Pool, type Queue } from "heddle";
import { passGate } from "../../harness/gate.ts";

/** Runs on a pool of its own, which reaches the fabric through the worker's agent. */
export async function squares(xs: readonly number[]): Promise<number[]> {
  await using pool = new Pool({ processes: 1 });
  return await pool.map((x) => x * x, xs);
}

/** Counts under a lock, and says what the worker has of anybody's credentials. */
export async function counts(lock: Lock, dict: Dict<string, number>): Promise<string[]> {
  await lock.run(async () => void (await dict.set("count", ((await dict.get("count")) ?? 0) + 1)));
  return Object.keys(env).filter((name) => name.startsWith("HEDDLE_"));
}

export async function puts(queue: Queue<string>, item: string): Promise<void> {
  await queue.put(item);
}

/** Waits at a gate, then uses an object, then gives its item back. */
export async function passes(gate: string, dict: Dict<string, number>, x: number): Promise<number> {
  await passGate(gate);
  await dict.increment("passed");
  return x;
}
