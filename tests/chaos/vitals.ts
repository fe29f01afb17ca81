/** Loaded before a server's own code: at each SIGUSR2 it collects garbage and writes what is left to CHAOS_VITALS/PID.json. */
import { renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** What a process holds, apart from what the system knows. */
export interface Vitals {
  /** After a collection. */
  readonly heapBytes: number;
  /** Timers that are set, sockets and pipes that are open, ... by their kind. */
  readonly resources: Readonly<Record<string, number>>;
}

export function vitals(): Vitals {
  globalThis.gc?.();
  const resources: Record<string, number> = {};
  for (const kind of process.getActiveResourcesInfo()) resources[kind] = (resources[kind] ?? 0) + 1;
  return { heapBytes: process.memoryUsage().heapUsed, resources };
}

const directory = process.env.CHAOS_VITALS;
if (directory !== undefined)
  process.on("SIGUSR2", () => {
    const file = join(directory, `${process.pid}.json`);
    writeFileSync(`${file}.new`, JSON.stringify(vitals()));
    renameSync(`${file}.new`, file);
  });
