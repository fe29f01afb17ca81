import { join } from "node:path";
import workerpool from "workerpool";
import type { Contender } from "../contender.ts";
import { WORKERS } from "../rows.ts";
import { contenderByCalls } from "./by-calls.ts";

/** Child processes. */
export function openWorkerpool(): Promise<Contender> {
  const script = join(import.meta.dirname, "../peers/workerpool-worker.ts");
  const pool = workerpool.pool(script, { workerType: "process", minWorkers: WORKERS, maxWorkers: WORKERS });
  return Promise.resolve(
    contenderByCalls({
      how: "pool.exec(task, [argument])",
      call: (name, argument) => pool.exec(name, [argument]) as unknown as Promise<unknown>,
      sendsTypedArrays: false,
      close: () => pool.terminate() as unknown as Promise<unknown>,
    }),
  );
}
