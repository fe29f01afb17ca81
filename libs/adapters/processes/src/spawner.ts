import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { writeFileSync } from "node:fs";
import type { Logger } from "@heddle/kernel";
import type { WorkerEvents, WorkerProcess, WorkerSpawner } from "@heddle/port-processes";
import type { WorkerRequestEntry, WorkerResponseEntry } from "@heddle/wire";
import { probePdeathsig, workerCommand, workerEnvironment } from "./launch.ts";
import { DISPOSE_WAIT_MS, RSS_SAMPLE_MS, WORKER_OOM_SCORE, WORKER_UNSENT_BYTES_MAX } from "./limits.ts";
import { MarkFile } from "./mark-file.ts";
import { Sweeper } from "./process-table.ts";
import { Reaper } from "./reaper.ts";
import { resign, succeed } from "./state-file.ts";
import { WorkerChild } from "./worker-child.ts";

export interface ProcessSpawnerOptions {
  /** The worker's module, such as the file of `heddle/worker`. */
  readonly workerEntry: URL;
  readonly log: Logger;
  /** Further options for the workers' Node. */
  readonly execArgv?: readonly string[];
  /** Set on top of this process's environment; undefined unsets. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Heap limit of each worker, in MiB; Node's own by default. */
  readonly maxOldSpaceMb?: number;
  /** Bytes sent to a worker and not taken by its pipe above which it is killed; WORKER_UNSENT_BYTES_MAX by default. */
  readonly unsentBytesMax?: number;
  /** A private directory where workers keep compiled code, so that later ones start faster. None by default. */
  readonly compileCacheDir?: string | undefined;
  /** Where this agent is written down, so that the next one can clear up after it. Nowhere by default. */
  readonly stateFile?: string;
}

/**
 * Starts workers as processes of this machine: each in a session of its own, with a socket pair for frames, killed with everything
 * it started. None outlives this process, however it ends. Nothing here keeps this process alive, except a dispose under way.
 * Several in one process do not know of each other.
 */
export function createProcessSpawner(
  options: ProcessSpawnerOptions,
): WorkerSpawner<WorkerRequestEntry, WorkerResponseEntry> {
  return new ProcessSpawner(options);
}

class ProcessSpawner implements WorkerSpawner<WorkerRequestEntry, WorkerResponseEntry> {
  readonly #options: ProcessSpawnerOptions;
  /** 128 random bits; with a worker's number behind it, the mark of that worker and its offspring. */
  readonly #cookie = randomBytes(16).toString("hex");
  readonly #hasPdeathsig: boolean;
  readonly #reaper: Reaper;
  readonly #sweeper: Sweeper;
  readonly #children = new Set<WorkerChild>();
  readonly #sampler: NodeJS.Timeout;
  #lastWorker = 0;
  #disposed: Promise<void> | undefined;

  constructor(options: ProcessSpawnerOptions) {
    this.#options = options;
    if (options.stateFile !== undefined) succeed(options.stateFile, this.#cookie, options.log);
    this.#reaper = new Reaper(this.#cookie, options.log);
    this.#sweeper = new Sweeper(this.#cookie);
    this.#hasPdeathsig = probePdeathsig();
    this.#sampler = setInterval(() => {
      for (const child of this.#children) child.sampleRss();
    }, RSS_SAMPLE_MS).unref();
    process.on("exit", this.#killAllNow);
  }

  spawn(events: WorkerEvents<WorkerResponseEntry>): WorkerProcess<WorkerRequestEntry> {
    if (this.#disposed !== undefined) return stillborn(events, "the spawner of workers was disposed");
    const number = ++this.#lastWorker;
    let marks: MarkFile | undefined;
    try {
      marks = new MarkFile();
      const process = this.#start(number, marks);
      if (hasPid(process)) return this.#adopt(process, number, marks, events);
      const opened = marks;
      return stillborn(events, startError(process), () => opened.close());
    } catch (error) {
      marks?.close();
      return stillborn(events, error instanceof Error ? error.message : String(error));
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#disposed ??= this.#dispose();
    return this.#disposed;
  }

  #start(number: number, marks: MarkFile): ChildProcess {
    const { workerEntry, execArgv = [], maxOldSpaceMb, env, compileCacheDir } = this.#options;
    const extra = { NODE_COMPILE_CACHE: process.env.NODE_COMPILE_CACHE ?? compileCacheDir, ...env };
    const { command, args } = workerCommand({
      execPath: process.execPath,
      workerEntry,
      execArgv,
      maxOldSpaceMb,
      hasPdeathsig: this.#hasPdeathsig,
    });
    return spawn(command, args, {
      detached: true,
      env: workerEnvironment(process.env, extra, `${this.#cookie}.${number}`),
      stdio: ["ignore", "pipe", "pipe", "pipe", marks.fd],
    });
  }

  #adopt(
    process: ChildProcess & { readonly pid: number },
    number: number,
    marks: MarkFile,
    events: WorkerEvents<WorkerResponseEntry>,
  ): WorkerChild {
    this.#reaper.add(process.pid);
    preferAsVictim(process.pid);
    const child = new WorkerChild(process, marks, events, {
      unsentBytesMax: this.#options.unsentBytesMax ?? WORKER_UNSENT_BYTES_MAX,
      sweep: () => this.#sweeper.sweep(number),
      groupGone: (pid) => this.#reaper.remove(pid),
    });
    this.#children.add(child);
    void child.gone.then(() => this.#children.delete(child));
    return child;
  }

  async #dispose(): Promise<void> {
    const keepAlive = setInterval(() => undefined, DISPOSE_WAIT_MS); // nothing else of ours keeps this process from ending
    const children = [...this.#children];
    for (const child of children) child.kill("SIGKILL");
    const allGone = Promise.all(children.map((child) => child.gone)).then(() => "gone" as const);
    const { promise: timeout, resolve } = Promise.withResolvers<"late">();
    const timer = setTimeout(() => resolve("late"), DISPOSE_WAIT_MS);
    if ((await Promise.race([allGone, timeout])) === "late")
      this.#options.log.error("workers do not die", { count: this.#children.size });
    await this.#sweeper.sweep("all");
    if (this.#children.size === 0) await this.#reaper.quit();
    if (this.#options.stateFile !== undefined) resign(this.#options.stateFile, this.#cookie, this.#options.log);
    process.off("exit", this.#killAllNow);
    clearInterval(this.#sampler);
    clearTimeout(timer);
    clearInterval(keepAlive);
  }

  /** The embedder's process ends, and workers must not be left for the reaper where that can be helped. */
  readonly #killAllNow = (): void => {
    for (const child of this.#children) child.killNow();
  };
}

/** Where memory runs out the system ends workers, of which each may die, before the agent, with which all of them would; what they start inherits it. */
function preferAsVictim(pid: number): void {
  if (process.platform !== "linux") return;
  try {
    writeFileSync(`/proc/${pid}/oom_score_adj`, String(WORKER_OOM_SCORE));
  } catch {
    // it is gone already, or this system does not let us: then the system chooses by size alone
  }
}

function hasPid(process: ChildProcess): process is ChildProcess & { readonly pid: number } {
  return process.pid !== undefined;
}

/** Why a process has no id: told by its error, in a turn to come. */
function startError(process: ChildProcess): Promise<string> {
  return new Promise((resolve) => process.once("error", (error) => resolve(error.message)));
}

/** A worker that never lived. */
function stillborn(
  events: WorkerEvents<WorkerResponseEntry>,
  why: string | Promise<string>,
  release: () => void = () => undefined,
): WorkerProcess<WorkerRequestEntry> {
  void Promise.resolve(why).then((reason) => {
    release();
    const fault = `a worker process could not be started: ${reason}`;
    events.exited({ exitCode: null, signal: null, mark: null, rssBytes: 0, stderrTail: "", fault });
  });
  return { pid: 0, rssBytes: 0, send: () => undefined, readMark: () => null, kill: () => undefined };
}
