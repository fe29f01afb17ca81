import type { AsyncResult, Dict, Fabric, List } from "@heddle/client";
import { NotFoundError } from "@heddle/kernel";
import { range } from "heddle";
import { isOfSystem, type Lane, type LaneStage, PromiseBroken, passed, promised } from "./lane.ts";
import { pick } from "./plan.ts";

/** What outlives programs, and what counts once. */
export const keptLanes = { detached, once } as const;

/** A job that its program leaves behind, or waits for: whoever comes later has all of its results, whatever crashed meanwhile. */
function detached({ cluster, fabric, pool, random, plan, name }: LaneStage): Lane {
  const count = 3 + random.int(30);
  const chunkSize = 1 + random.int(5);
  const leavesMs = random.int(3) === 0 ? random.int(2_000) : undefined;
  const task = cluster.tasks.slowSquare(pick(random, [1, 50, 500]));
  const jobId = name.replaceAll(/[ .]/g, "-");
  let isAccepted = false;
  const check = async (result: AsyncResult<unknown>): Promise<void> => {
    const results = JSON.stringify(await result.get());
    const squares = JSON.stringify(Array.from({ length: count }, (_, n) => n * n));
    promised(results === squares, () => `the kept job ${jobId} gave ${results}`);
  };
  const run = async (): Promise<void> => {
    const call = pool.mapAsync(task, range(count), { chunkSize, jobId, detach: true });
    await call.accepted();
    isAccepted = true;
    if (leavesMs !== undefined) return await passed(cluster, leavesMs);
    await check(call);
    await check(fabric.attach(jobId));
  };
  const judge = async (of: Fabric): Promise<void> => {
    try {
      await check(of.attach(jobId));
    } catch (error) {
      // ended jobs make room where there is none
      if (plan.disk.full > 0 && error instanceof NotFoundError) return;
      // items may be given up for workers that died by chance; one that was never accepted need not be there, nor be whole
      const isExcused = isAccepted ? plan.weather === "storm" && isOfSystem(error) : !(error instanceof PromiseBroken);
      if (!isExcused) throw error;
    }
  };
  return { run, judge };
}

/** What items write counts if and only if they have their results, however often they ran. */
function once({ cluster, fabric, pool, random, name }: LaneStage): Lane {
  const count = 3 + random.int(20);
  let isDone = false;
  const task = async (log: List<number>, sums: Dict<string, number>, n: number): Promise<number> => {
    const { sleep } = cluster.world.processes.here();
    void log.append(n);
    await sleep(n % 7);
    await sums.increment("items");
    return n;
  };
  const objects = (of: Fabric) => {
    const manager = of.manager();
    const sums = manager.dict<string, number>(undefined, { name: `sums ${name}` });
    return { log: manager.list<number>([], { name: `log ${name}` }), sums };
  };
  const run = async (): Promise<void> => {
    const { log, sums } = objects(fabric);
    const items = Array.from({ length: count }, (_, n) => [log, sums, n] as const);
    await pool.starmap(task, items, { chunkSize: 1 + random.int(4), retries: random.int(3), effects: "once" });
    isDone = true;
  };
  const read = async (of: Fabric) => {
    const { log, sums } = objects(of);
    return { items: await log.toArray(), sum: await sums.get("items", 0) };
  };
  const judge = async (of: Fabric): Promise<void> => {
    const { items, sum } = await read(of);
    promised(new Set(items).size === items.length, () => `items have written twice: ${items}`);
    promised(sum === items.length, () => `${items.length} items have written to the list, and ${sum} to the sum`);
    if (isDone)
      promised(items.length === count, () => `all ${count} items have results, and ${items.length} have written`);
  };
  return { run, judge, read };
}
