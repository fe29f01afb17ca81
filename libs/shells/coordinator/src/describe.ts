import type { DescribeJob } from "@heddle/wire";
import type { JobRecord } from "./ledger.ts";

/** A job, as a node hears of it. */
export function description({ key, id, pool, opened, function: fn }: JobRecord): DescribeJob {
  const { name, spread, depth, itemTimeoutMs, concurrency, seedLow, seedHigh, combine, prime, effectsOnce } = opened;
  const { initializer, chunksPerWorker, rssBytesPerWorker } = pool.opened;
  return {
    job: key,
    jobId: id,
    pool: pool.key,
    function: fn,
    name,
    spread,
    depth,
    initializer,
    chunksPerWorker,
    rssBytesPerWorker,
    itemTimeoutMs,
    concurrency,
    seedLow,
    seedHigh,
    combine,
    prime,
    effectsOnce,
  };
}
