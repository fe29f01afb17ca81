import { join } from "node:path";
import { FixedClusterPool } from "poolifier";
import type { Contender } from "../contender.ts";
import { WORKERS } from "../rows.ts";
import { contenderByCalls } from "./by-calls.ts";

/** Processes of node:cluster. */
export function openPoolifier(): Promise<Contender> {
  const pool = new FixedClusterPool<unknown, unknown>(
    WORKERS,
    join(import.meta.dirname, "../peers/poolifier-worker.ts"),
    { errorHandler: (error) => console.error(error) },
  );
  return Promise.resolve(
    contenderByCalls({
      how: "pool.execute(argument, task)",
      call: (name, argument) => pool.execute(argument, name),
      sendsTypedArrays: false,
      close: () => pool.destroy(),
    }),
  );
}
