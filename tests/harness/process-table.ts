import { readdirSync, readFileSync } from "node:fs";

/** A live process as /proc tells it. */
export interface ProcessEntry {
  readonly pid: number;
  readonly parent: number;
  /** R running, S sleeping, T stopped, Z zombie, ... */
  readonly state: string;
  readonly command: string;
}

/** Every process of this machine that can be read. */
export function processTable(): ProcessEntry[] {
  const entries: ProcessEntry[] = [];
  for (const name of readdirSync("/proc")) {
    const pid = Number(name);
    if (!Number.isInteger(pid)) continue;
    const stat = readText(`/proc/${pid}/stat`);
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    const [state, parent] = fields;
    if (state === undefined || parent === undefined) continue;
    const command = readText(`/proc/${pid}/cmdline`).replaceAll("\0", " ").trim();
    entries.push({ pid, parent: Number(parent), state, command });
  }
  return entries;
}

/** Processes that carry this text in their environment. */
export function processesWith(environmentText: string): ProcessEntry[] {
  return processTable().filter(
    ({ pid, state }) => state !== "Z" && readText(`/proc/${pid}/environ`).split("\0").includes(environmentText),
  );
}

function readText(path: string): string {
  try {
    return readFileSync(path, "latin1");
  } catch {
    return ""; // it ended meanwhile, or is not ours
  }
}
