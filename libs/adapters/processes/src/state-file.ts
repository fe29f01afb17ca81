import { readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import type { Logger } from "@heddle/kernel";
import { isAlive, startTicks, sweepSync } from "./process-table.ts";

/** Who an agent is, for its successor. */
interface AgentRecord {
  readonly cookie: string;
  readonly pid: number;
  /** See startTicks; empty where it is unknown. */
  readonly startTime: string;
}

/**
 * Kills what a predecessor left behind if it is dead, then writes this process down as the one to look after.
 * A predecessor that is alive is left alone, and forgotten.
 */
export function succeed(stateFile: string, cookie: string, log: Logger): void {
  const before = readRecord(stateFile, log);
  if (before !== undefined && isDead(before)) {
    log.info("clearing up after an agent that died", { pid: before.pid });
    sweepSync(before.cookie);
  }
  const record: AgentRecord = { cookie, pid: process.pid, startTime: startTicks(process.pid) ?? "" };
  const temporary = `${stateFile}.${process.pid}`;
  writeFileSync(temporary, JSON.stringify(record), { mode: 0o600 });
  renameSync(temporary, stateFile);
}

/** Nothing is left to clear up. */
export function resign(stateFile: string, cookie: string, log: Logger): void {
  if (readRecord(stateFile, log)?.cookie === cookie) rmSync(stateFile, { force: true });
}

function isDead({ pid, startTime }: AgentRecord): boolean {
  if (!isAlive(pid)) return true;
  const now = startTicks(pid);
  return startTime !== "" && now !== undefined && now !== startTime; // another process has its number
}

function readRecord(stateFile: string, log: Logger): AgentRecord | undefined {
  let text: string;
  try {
    text = readFileSync(stateFile, "utf8");
  } catch {
    return undefined; // the first of its kind
  }
  try {
    const { cookie, pid, startTime } = JSON.parse(text) as Partial<AgentRecord>;
    if (/^[0-9a-f]{32}$/.test(cookie ?? "") && Number.isInteger(pid) && typeof startTime === "string")
      return { cookie: cookie as string, pid: pid as number, startTime };
  } catch {
    // as below
  }
  log.warn("the record of an earlier agent cannot be read", { stateFile });
  return undefined;
}
