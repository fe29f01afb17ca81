import { join } from "node:path";
import { Piscina } from "piscina";
import type { Contender } from "../contender.ts";
import { WORKERS } from "../rows.ts";
import { contenderByCalls } from "./by-calls.ts";

/** Worker threads. Its default is one call at a time in each worker. */
export function openPiscina(concurrentTasksPerWorker = 1): Promise<Contender> {
  const filename = join(import.meta.dirname, "../peers/piscina-worker.ts");
  const pool = new Piscina({ filename, minThreads: WORKERS, maxThreads: WORKERS, concurrentTasksPerWorker });
  return Promise.resolve(
    contenderByCalls({
      how: "pool.run(argument, { name: task })",
      call: (name, argument) => pool.run(argument, { name }),
      sendsTypedArrays: true,
      close: () => pool.destroy(),
    }),
  );
}
