import { type ChildProcess, spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { type ProcessEntry, processesWith } from "../harness/process-table.ts";
import { eventually } from "../harness/waiting.ts";
import type { Report } from "./contender.ts";

/** What every process of one child inherits, so that those it left behind are found. */
const COOKIE = "BENCH_CHILD";
/** After the child has ended, for what it started. */
const LEFT_BEHIND_LIMIT_MS = 5_000;

/** One more than it takes: somebody who was about to be ended may have started somebody. */
const SWEEPS = 3;

export interface ChildLimits {
  /** Of the child. */
  readonly limitMs: number;
  /** Of what it started, once it has ended; 5,000 unless given. */
  readonly leftBehindMs?: number;
}

/**
 * Runs one contender's process to its end and resolves to its report. Rejects when it fails, says nothing, takes longer than its limit, is
 * aborted, or leaves processes behind; no process of it and no temporary file is left in any of these cases. Where there is no /proc, what a child left behind at its
 * end is neither found nor ended.
 */
export async function runChild(command: readonly string[], limits: ChildLimits, signal?: AbortSignal): Promise<Report> {
  signal?.throwIfAborted();
  const [program = "", ...args] = command;
  const cookie = randomUUID();
  const directory = mkdtempSync(join(tmpdir(), "heddle-bench-"));
  const child = spawn(program, args, {
    detached: true, // a process group of its own, to be ended as one
    stdio: ["ignore", "pipe", "inherit"],
    env: { ...process.env, [COOKIE]: cookie, TMPDIR: directory },
  });
  const { limitMs, leftBehindMs = LEFT_BEHIND_LIMIT_MS } = limits;
  const late = new AbortController();
  const timer = setTimeout(() => late.abort(new Error(`not done within its limit of ${limitMs / 1_000} s`)), limitMs);
  const stop = signal === undefined ? late.signal : AbortSignal.any([late.signal, signal]);
  try {
    const output = text(child.stdout);
    output.catch(() => undefined); // looked at below, unless something else went wrong first
    await succeeded(child, stop);
    await nothingLeft(cookie, leftBehindMs);
    return parseReport(await output); // nobody holds the other end any more
  } catch (error) {
    if (stop.aborted) throw stop.reason;
    throw error;
  } finally {
    clearTimeout(timer);
    endAll(child, cookie);
    rmSync(directory, { recursive: true, force: true, maxRetries: 5 }); // somebody who is being ended may still write
  }
}

async function succeeded(child: ChildProcess, signal: AbortSignal): Promise<void> {
  const [code, by] = (await once(child, "exit", { signal })) as [number | null, string | null];
  if (code !== 0) throw new Error(by === null ? `ended with code ${code}` : `ended by ${by}`);
}

async function nothingLeft(cookie: string, withinMs: number): Promise<void> {
  const left = (): ProcessEntry[] => childProcesses(cookie);
  await eventually("its processes' end", () => left().length === 0 || undefined, withinMs).catch((cause) => {
    throw new Error(`left running: ${left().map(({ command }) => command)}`, { cause });
  });
}

function endAll(child: ChildProcess, cookie: string): void {
  if (child.exitCode === null && child.signalCode === null && child.pid !== undefined) end(-child.pid);
  for (let sweep = 0; sweep < SWEEPS; sweep++) for (const { pid } of childProcesses(cookie)) end(pid);
}

function end(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error; // it ended meanwhile
  }
}

function childProcesses(cookie: string): ProcessEntry[] {
  return existsSync("/proc/self/environ") ? processesWith(`${COOKIE}=${cookie}`) : [];
}

function parseReport(output: string): Report {
  const line = output.trimEnd().split("\n").at(-1) ?? "";
  if (!line.startsWith("{")) throw new Error(`it said no figures but ${JSON.stringify(line)}`);
  return JSON.parse(line) as Report;
}
