import { readdirSync, readFileSync } from "node:fs";
import { COOKIE_VARIABLE } from "./launch.ts";
import { SWEEP_PASSES_MAX, SWEEP_SLICE } from "./limits.ts";

/** Sends a signal; a process or group (negative) that is gone, or is not ours to signal, is no error. */
export function signalQuietly(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // Gone: what was asked for is so.
  }
}

/** Whether a process of that id is there. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

/** When a process started, in the kernel's ticks since boot: with its id it names one process for ever. Undefined without /proc. */
export function startTicks(pid: number): string | undefined {
  const stat = readProc(`/proc/${pid}/stat`)?.toString("latin1");
  return stat?.slice(stat.lastIndexOf(")") + 2).split(" ")[19];
}

/** Resident set size in bytes; undefined when the process is gone or there is no /proc. */
export function residentBytes(pid: number): number | undefined {
  const [, kilobytes] = /^VmRSS:\s+(\d+) kB$/m.exec(readProc(`/proc/${pid}/status`)?.toString("latin1") ?? "") ?? [];
  return kilobytes === undefined ? undefined : Number(kilobytes) * 1024;
}

/** Kills every process that carries this agent's cookie, and returns when none is found any more. Blocks: for start-up only. */
export function sweepSync(agentCookie: string): void {
  const pause = new Int32Array(new SharedArrayBuffer(4));
  for (let pass = 0; pass < SWEEP_PASSES_MAX; pass++) {
    let found = 0;
    for (const pid of processIds()) found += killIfOwned(pid, agentCookie, () => true);
    if (found === 0) return;
    Atomics.wait(pause, 0, 0, 5);
  }
}

/**
 * Finds and kills what workers left behind: processes with a worker's cookie, in whatever session they hid. One pass over the
 * process table serves everybody who asked before it began.
 */
export class Sweeper {
  readonly #agentCookie: string;
  /** Numbers of workers to sweep for in the next run; "all" is every worker of this agent. */
  #wanted = new Set<number | "all">();
  #next: Promise<void> | undefined;
  #current: Promise<void> = Promise.resolve();

  constructor(agentCookie: string) {
    this.#agentCookie = agentCookie;
  }

  /** Resolves when nothing with the cookie of this worker (or of any worker) is left. */
  sweep(worker: number | "all"): Promise<void> {
    this.#wanted.add(worker);
    this.#next ??= this.#current.then(() => {
      const wanted = this.#wanted;
      this.#wanted = new Set();
      this.#next = undefined;
      this.#current = this.#run(wanted);
      return this.#current;
    });
    return this.#next;
  }

  async #run(wanted: ReadonlySet<number | "all">): Promise<void> {
    const isWanted = (worker: number): boolean => wanted.has("all") || wanted.has(worker);
    for (let pass = 0; pass < SWEEP_PASSES_MAX; pass++) {
      let found = 0;
      let seen = 0;
      for (const pid of processIds()) {
        found += killIfOwned(pid, this.#agentCookie, isWanted);
        if (++seen % SWEEP_SLICE === 0) await turn();
      }
      if (found === 0) return;
      await new Promise((resolve) => setTimeout(resolve, 5)); // they need a moment to die
    }
  }
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

function processIds(): number[] {
  try {
    return readdirSync("/proc").map(Number).filter(Number.isInteger);
  } catch {
    return []; // no /proc on this platform: groups are killed all the same
  }
}

/** Kills the process if one of the wanted workers started it; says 1 then. */
function killIfOwned(pid: number, agentCookie: string, isWanted: (worker: number) => boolean): 0 | 1 {
  const worker = cookieNumber(readProc(`/proc/${pid}/environ`), agentCookie);
  if (worker === undefined || !isWanted(worker) || pid === process.pid) return 0;
  signalQuietly(pid, "SIGKILL");
  return 1;
}

/** Which worker of the agent the environment names. */
export function cookieNumber(environ: Buffer | undefined, agentCookie: string): number | undefined {
  if (environ === undefined) return undefined;
  const needle = `${COOKIE_VARIABLE}=${agentCookie}.`;
  const at = environ.indexOf(needle);
  if (at === -1 || (at > 0 && environ[at - 1] !== 0)) return undefined;
  return Number.parseInt(environ.toString("latin1", at + needle.length, at + needle.length + 16), 10);
}

function readProc(path: string): Buffer | undefined {
  try {
    return readFileSync(path);
  } catch {
    return undefined; // gone, another user's, or no /proc at all
  }
}
