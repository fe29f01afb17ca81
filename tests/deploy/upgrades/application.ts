import { existsSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { connect, type Dict, range } from "heddle";

/**
 * A program whose fabric is upgraded while it runs: `application.ts FILE`. It calls functions, in rounds, until the file is there. On its output it says when the first round is over,
 * and at its end what came of all: which rounds had wrong results, whether each write counted once, and whether it has held its lock throughout.
 */

/** Of each of a round's three calls. */
const ITEMS = 100;

export async function square(n: number): Promise<number> {
  await sleep(50);
  return n * n;
}

/** Adds to a sum, once however often it runs. */
export async function addOnce(sums: Dict<string, number>, n: number): Promise<number> {
  await sleep(50);
  await sums.modify("sum", (sum = 0) => sum + n);
  return n;
}

async function main(stop: string): Promise<void> {
  await using fabric = await connect();
  const manager = fabric.manager();
  const sums = manager.dict<string, number>(undefined, { name: "sums" });
  const guard = await manager.lock({ name: "held throughout" }).acquire();
  const pool = fabric.pool();

  const round = async (number: number): Promise<boolean> => {
    const awaited = pool.mapAsync(square, range(ITEMS), { chunkSize: 2 });
    const inputs = Array.from({ length: ITEMS }, (_, n): Parameters<typeof addOnce> => [sums, n]);
    const once = pool.starmapAsync(addOnce, inputs, { effects: "once", chunkSize: 2 });
    const kept = pool.mapAsync(square, range(ITEMS), { chunkSize: 2, jobId: `round-${number}`, detach: true });
    await sums.set("rounds", number);
    return areSquares(await awaited.get()) && areSquares(await kept.get()) && (await once.get()).length === ITEMS;
  };

  let rounds = 0;
  const wrong: number[] = [];
  while (!existsSync(stop)) {
    if (!(await round(++rounds))) wrong.push(rounds);
    if (rounds === 1) console.log(JSON.stringify({ running: true }));
  }
  const [sum, noted] = [await sums.get("sum"), await sums.get("rounds")];
  const addedRight = sum === (rounds * ITEMS * (ITEMS - 1)) / 2;
  console.log(JSON.stringify({ wrong, addedRight, notedRight: noted === rounds, lockHeld: !guard.signal.aborted }));
  await guard.release();
}

function areSquares(values: readonly number[]): boolean {
  return values.length === ITEMS && values.every((value, n) => value === n * n);
}

if (import.meta.main) await main(process.argv[2] ?? "");
