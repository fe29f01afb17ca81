import { spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/**
 * Copies a journal's directory as a kill of its owner at this moment would leave it. By another process: were this one to open and close
 * the database, SQLite's lock on it would be gone. Ask for it only while nothing is being written.
 */
export function copyAsKilled(directory: string, to: string): void {
  const { status, stderr } = spawnSync("cp", ["-a", directory, to], { encoding: "utf8" });
  if (status !== 0) throw new Error(`cp: ${stderr}`);
  const owner = join(to, "owner.json");
  const record = JSON.parse(readFileSync(owner, "utf8")) as object;
  writeFileSync(owner, JSON.stringify({ ...record, startTicks: "1" })); // some other process had this one's id
}
