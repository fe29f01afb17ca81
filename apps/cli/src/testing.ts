import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";

/** The command as users have it. */
export const bin: string = fileURLToPath(new URL("../../../libs/sdk/bin/heddle.mjs", import.meta.url));

/** How a command ended and what it wrote. */
export interface Ran {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Starts `heddle ARGS...`, as another user if told to; variables of the surroundings that mean something to it are left out. */
export function startHeddle(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
  uid?: number,
): ChildProcess {
  const clean = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("HEDDLE_")));
  const user = uid === undefined ? {} : { uid, gid: uid };
  const stdio = ["ignore", "pipe", "pipe"] as ["ignore", "pipe", "pipe"];
  return spawn(process.execPath, [bin, ...args], { env: { ...clean, ...env }, stdio, ...user });
}

/** Waits for its end. */
export async function outcome(child: ChildProcess): Promise<Ran> {
  const read = (stream: ChildProcess["stdout"]): Promise<string> =>
    stream === null ? Promise.resolve("") : text(stream);
  const [stdout, stderr, [code]] = await Promise.all([read(child.stdout), read(child.stderr), once(child, "exit")]);
  return { code: code as number | null, stdout, stderr };
}

/** Runs `heddle ARGS...`. */
export function heddle(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
  uid?: number,
): Promise<Ran> {
  return outcome(startHeddle(args, env, uid));
}

/** What a process writes, line by line. */
export function linesOf(stream: Readable | null): AsyncIterableIterator<string> {
  if (stream === null) throw new Error("the process was started without this pipe");
  return createInterface({ input: stream })[Symbol.asyncIterator]();
}

/** The next line that contains this. */
export async function lineWith(lines: AsyncIterator<string>, words: string): Promise<string> {
  for (;;) {
    const { done, value } = await lines.next();
    if (done === true) throw new Error(`no line says ${words}`);
    if (value.includes(words)) return value;
  }
}

/** Asks again until there is an answer, for at most `timeoutMs`: for what nobody tells of. */
export async function eventually<T>(what: string, timeoutMs: number, ask: () => T | undefined): Promise<T> {
  const deadlineMs = performance.now() + timeoutMs;
  for (;;) {
    const answer = ask();
    if (answer !== undefined) return answer;
    if (performance.now() > deadlineMs) throw new Error(`${what}: not within ${timeoutMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** The content of an address file, once it is there. */
export function addressFile(path: string): Promise<Readonly<Record<string, string | number>>> {
  return eventually(`${path} appears`, 30_000, () => {
    try {
      return JSON.parse(readFileSync(path, "utf8")) as Record<string, string | number>;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
      throw error;
    }
  });
}

/** Process ids of everything that `pid` started, and that started, and so on. */
export function descendants(pid: number): number[] {
  const rows = execFileSync("ps", ["-A", "-o", "pid=,ppid="], { encoding: "utf8" }).trim().split("\n");
  const parents = rows.map((row) => row.trim().split(/\s+/).map(Number));
  const found = [pid];
  for (const parent of found) for (const [child = 0, of] of parents) if (of === parent) found.push(child);
  return found.slice(1);
}

/** Resolves when none of these processes is left. */
export async function allGone(pids: readonly number[], timeoutMs: number): Promise<void> {
  await eventually(`processes ${pids.join(", ")} end`, timeoutMs, () => (pids.some(isAlive) ? undefined : true));
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
