/** Prints what a task sees of its process and of the agent's: their environment, their arguments and the files that they have open. */
import { Pool } from "heddle";

await using pool = new Pool({ processes: 1 });
const seen = await pool.apply(
  async (held: number) => {
    const { readdirSync, readFileSync, readlinkSync } = await import("node:fs");
    const of = (pid: string) => ({
      command: readFileSync(`/proc/${pid}/cmdline`, "utf8"),
      environ: readFileSync(`/proc/${pid}/environ`, "utf8"),
      files: readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
        try {
          return [readlinkSync(`/proc/${pid}/fd/${fd}`)];
        } catch {
          return []; // the one that listed them
        }
      }),
    });
    return { held, environment: process.env, worker: of("self"), agent: of(String(process.ppid)) };
  },
  [1],
);
console.log(JSON.stringify(seen));
