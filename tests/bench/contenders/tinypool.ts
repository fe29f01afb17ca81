import { join } from "node:path";
import { Tinypool } from "tinypool";
import type { Contender } from "../contender.ts";
import { WORKERS } from "../rows.ts";
import { contenderByCalls } from "./by-calls.ts";

/** Child processes. */
export function openTinypool(): Promise<Contender> {
  const filename = join(import.meta.dirname, "../chunk-tasks.ts");
  const pool = new Tinypool({ filename, runtime: "child_process", minThreads: WORKERS, maxThreads: WORKERS });
  return Promise.resolve(
    contenderByCalls({
      how: "pool.run(argument, { name: task })",
      call: (name, argument) => pool.run(argument, { name }),
      sendsTypedArrays: false,
      close: () => pool.destroy(),
    }),
  );
}
