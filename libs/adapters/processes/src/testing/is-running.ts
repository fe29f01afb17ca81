import { readFileSync } from "node:fs";

/** Whether a process runs. A dead one stays in the table until its parent looks at it, which may be never: that does not count. */
export function isRunning(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch {
    return false;
  }
}
