import { spawnSync } from "node:child_process";

/** What runs a program so that its flushes fail, from the given one on; undefined where there is no strace. */
export function failingFlushes(call: number): readonly string[] | undefined {
  if (spawnSync("strace", ["-V"]).status !== 0) return undefined;
  return ["strace", "-f", "-qq", "-o", "/dev/null", "-e", `inject=fsync,fdatasync:error=EIO:when=${call}+`];
}
