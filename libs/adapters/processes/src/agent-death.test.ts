import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readdirSync, readFileSync, readlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as delay } from "node:timers/promises";
import { afterAll, describe, expect, onTestFinished, test } from "vitest";
import { cookieNumber, signalQuietly, startTicks } from "./process-table.ts";
import { isRunning } from "./testing/is-running.ts";
import { scratchDirectory } from "./testing/scratch.ts";

const scratch = scratchDirectory();
afterAll(() => scratch[Symbol.dispose]());

/** "No process outlives its owner": how long a dead agent's processes may take to follow. */
const FOLLOW_MS_MAX = 5_000;

interface Agent {
  readonly process: ChildProcess & { readonly pid: number };
  readonly exited: Promise<unknown[]>;
  readonly workers: readonly number[];
  readonly runaways: readonly number[];
  readonly lines: AsyncIterator<string>;
}

async function startAgent(stateFile: string, ending: string, path = process.env.PATH): Promise<Agent> {
  const entry = new URL("./testing/agent.ts", import.meta.url).pathname;
  const child = spawn(process.execPath, ["--conditions=@heddle/source", entry, stateFile, ending], {
    env: { ...process.env, PATH: path },
    stdio: ["ignore", "pipe", "ignore"],
  });
  const { pid } = child;
  if (pid === undefined) throw new Error("the agent does not start");
  const exited = once(child, "exit");
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const first = await lines.next();
  const { workers, runaways } = JSON.parse(String(first.value)) as { workers: number[]; runaways: number[] };
  onTestFinished(() => {
    for (const left of [pid, ...workers, ...runaways]) signalQuietly(left, "SIGKILL");
  });
  return { process: Object.assign(child, { pid }), exited, workers, runaways, lines };
}

/** Process ids of the shells that watch over an agent of this cookie or parent. */
function reapersOf(agent: number): number[] {
  return readdirSync("/proc")
    .map(Number)
    .filter((pid) => {
      if (!Number.isInteger(pid)) return false;
      try {
        const isReaper = readFileSync(`/proc/${pid}/cmdline`, "latin1").endsWith("\0heddle-reaper\0");
        return isReaper && new RegExp(`^PPid:\\s+${agent}$`, "m").test(readFileSync(`/proc/${pid}/status`, "utf8"));
      } catch {
        return false;
      }
    });
}

/** What the descriptors of a process lead to. */
function openBy(pid: number): string[] {
  return readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
    try {
      return [readlinkSync(`/proc/${pid}/fd/${fd}`)];
    } catch {
      return []; // the one that read the directory
    }
  });
}

async function allFollow(pids: readonly number[]): Promise<void> {
  const deadline = performance.now() + FOLLOW_MS_MAX;
  while (pids.some(isRunning) && performance.now() < deadline) await delay(10);
  expect(pids.filter(isRunning)).toEqual([]);
}

describe("nothing outlives an agent", () => {
  test("killed with -9: endless loops, and what hid in sessions of their own", async () => {
    const agent = await startAgent("-", "stay");
    expect(agent.workers.every(isRunning)).toBe(true);
    expect(agent.runaways).toHaveLength(2);
    const reapers = reapersOf(agent.process.pid);
    expect(reapers).toHaveLength(1);
    agent.process.kill("SIGKILL");
    await agent.exited;
    await allFollow([...agent.workers, ...agent.runaways, ...reapers]);
  });

  test("killed with -9 where no worker notices by itself: the reaper's work alone", async () => {
    const agent = await startAgent("-", "stay");
    const [reaper = 0] = reapersOf(agent.process.pid);
    signalQuietly(reaper, "SIGSTOP"); // first without it: what the kernel does for us
    agent.process.kill("SIGKILL");
    await agent.exited;
    expect(agent.runaways.every(isRunning)).toBe(true);
    signalQuietly(reaper, "SIGCONT");
    await allFollow([...agent.workers, ...agent.runaways, reaper]);
  });

  test.each([
    ["ends by process.exit", "exit", [3, null]],
    ["ends by an uncaught error", "throw", [1, null]],
    ["has nothing left to do", "end", [0, null]],
    ["disposes its spawner", "dispose", [0, null]],
  ])("that %s", async (_how, ending, exit) => {
    const agent = await startAgent("-", ending);
    expect(await agent.exited).toEqual(exit);
    await allFollow([...agent.workers, ...agent.runaways]);
    expect(reapersOf(agent.process.pid)).toEqual([]);
  });

  test("that gets Ctrl-C's signal, while the signal does not reach the reaper", async () => {
    const agent = await startAgent("-", "stay");
    const [reaper = 0] = reapersOf(agent.process.pid);
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) signalQuietly(reaper, signal);
    agent.process.kill("SIGINT");
    expect(await agent.exited).toEqual([null, "SIGINT"]);
    await allFollow([...agent.workers, ...agent.runaways, reaper]);
  });
});

describe("the reaper", () => {
  test("holds nothing of the agent's but its pipe, and does not carry the cookie that it looks for", async () => {
    const agent = await startAgent("-", "stay");
    const [reaper = 0] = reapersOf(agent.process.pid);
    // What this test itself was started with is everybody's.
    const own = new Set(["/dev/null", ...openBy(process.pid)]);
    expect(openBy(reaper).filter((target) => !own.has(target))).toEqual([expect.stringMatching(/^socket:/)]);
    const environment = readFileSync(`/proc/${agent.workers[0]}/environ`, "latin1");
    const [, cookie = ""] = /HEDDLE_WORKER_COOKIE=([0-9a-f]{32})\.\d+/.exec(environment) ?? [];
    expect(cookieNumber(readFileSync(`/proc/${agent.workers[0]}/environ`), cookie)).toBeGreaterThan(0);
    expect(cookieNumber(readFileSync(`/proc/${reaper}/environ`), cookie)).toBeUndefined();
    agent.process.kill("SIGKILL");
    await allFollow([...agent.workers, ...agent.runaways, reaper]);
  });

  test("finds what it looks for with a grep that cannot, such as BusyBox's", async () => {
    const tools = join(scratch.path, "tools");
    mkdirSync(tools);
    writeFileSync(join(tools, "grep"), "#!/bin/sh\nexit 1\n", { mode: 0o755 });
    const agent = await startAgent("-", "stay", `${tools}:${process.env.PATH}`);
    const reapers = reapersOf(agent.process.pid);
    agent.process.kill("SIGKILL");
    await allFollow([...agent.workers, ...agent.runaways, ...reapers]);
  });

  test("that is killed is replaced, and its successor knows the workers there are", async () => {
    const agent = await startAgent("-", "stay");
    const [reaper = 0] = reapersOf(agent.process.pid);
    signalQuietly(reaper, "SIGKILL");
    await allFollow([reaper]);
    let successors: number[] = [];
    while (successors.length === 0) {
      await delay(10);
      successors = reapersOf(agent.process.pid).filter((pid) => pid !== reaper);
    }
    agent.process.kill("SIGKILL");
    await allFollow([...agent.workers, ...agent.runaways, ...successors]);
  });
});

describe("an agent that starts", () => {
  test("first kills what its dead predecessor left, reaper or no reaper", async () => {
    const stateFile = join(scratch.path, "agent.json");
    const first = await startAgent(stateFile, "stay");
    const [reaper = 0] = reapersOf(first.process.pid);
    first.process.kill("SIGSTOP"); // so that it cannot start another reaper
    signalQuietly(reaper, "SIGKILL");
    first.process.kill("SIGKILL");
    await first.exited;
    expect(first.runaways.every(isRunning)).toBe(true);
    const second = await startAgent(stateFile, "stay");
    await allFollow([...first.workers, ...first.runaways]);
    expect([...second.workers, ...second.runaways].every(isRunning)).toBe(true);
    second.process.kill("SIGKILL");
    await allFollow([...second.workers, ...second.runaways]);
  });

  test("leaves a predecessor alone that lives", async () => {
    const stateFile = join(scratch.path, "shared.json");
    const first = await startAgent(stateFile, "stay");
    const second = await startAgent(stateFile, "dispose");
    expect(await second.exited).toEqual([0, null]);
    expect([...first.workers, ...first.runaways].every(isRunning)).toBe(true);
    first.process.kill("SIGKILL");
    await allFollow([...first.workers, ...first.runaways]);
  });

  test("knows that a number can be another process's by now, and reads no nonsense", async () => {
    const stateFile = join(scratch.path, "reused.json");
    const first = await startAgent("-", "stay");
    const environment = readFileSync(`/proc/${first.workers[0]}/environ`, "latin1");
    const [, cookie = ""] = /HEDDLE_WORKER_COOKIE=([0-9a-f]{32})\.\d+/.exec(environment) ?? [];
    // This test's own process is alive, but it did not start then.
    expect(startTicks(process.pid)).toMatch(/^\d+$/);
    writeFileSync(stateFile, JSON.stringify({ cookie, pid: process.pid, startTime: "1" }));
    const second = await startAgent(stateFile, "dispose");
    await second.exited;
    await allFollow([...first.workers, ...first.runaways]);
    first.process.kill("SIGKILL");
    writeFileSync(stateFile, '{"cookie": "..", "pid": 1');
    const third = await startAgent(stateFile, "dispose");
    expect(await third.exited).toEqual([0, null]);
    expect(readdirSync(scratch.path)).not.toContain("reused.json"); // it resigned
  });
});
