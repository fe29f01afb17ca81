import type { WorkerKey } from "@heddle/core-pool";
import type { Clock, ErrorCode } from "@heddle/kernel";
import type { WorkerExit } from "@heddle/port-processes";
import {
  type ParentEnded,
  type ProcessEnded,
  ProcessSignal,
  type SignalProcess,
  type StartProcess,
} from "@heddle/wire";
import type { Artifacts } from "./artifacts.ts";
import { PROCESS_READY_MS, PROCESS_STOP_GRACE_MS } from "./limits.ts";
import { artifactsOf, runProcessOf } from "./prepare.ts";
import type { WorkerLead } from "./records.ts";
import { startFault, type Workers } from "./workers.ts";

/** What the processes of one agent need. */
export interface ProcessesOptions {
  readonly clock: Clock;
  /** The node's name. */
  readonly node: string;
  readonly artifacts: Artifacts;
  readonly workers: Workers;
  /** To the coordinator: it runs. */
  readonly started: (process: number, pid: number) => void;
  /** To the coordinator, after all that it printed: it is over. */
  readonly ended: (ended: ProcessEnded) => void;
}

/** A process of a user, from the coordinator's word to its end. */
interface Run {
  readonly start: StartProcess;
  readonly lead: WorkerLead;
  /** Its worker, once its code is here. */
  worker: WorkerKey | undefined;
  /** The coordinator was told that it runs. */
  isStarted: boolean;
  /** A signal was sent: an early end is no failure to start. */
  isSignalled: boolean;
  /** It has a second to end: the timer is that one's. */
  isStopping: boolean;
  isOrphan: boolean;
  /** Kills it when it is not ready, or does not stop, in time. */
  timer: Disposable | undefined;
  /** Why it was killed from here. */
  fault: string | undefined;
}

/** Runs users' processes: each in a worker of its own that runs nothing else and that the pool's core does not know. */
export class Processes {
  readonly #options: ProcessesOptions;
  /** By the coordinator's number. */
  readonly #runs = new Map<number, Run>();
  /** The pool's core counts its workers upwards from 0. */
  #lastWorker = 0;
  #onEmpty: (() => void) | undefined;

  constructor(options: ProcessesOptions) {
    this.#options = options;
  }

  /** How many are here and not over. */
  get size(): number {
    return this.#runs.size;
  }

  /** It is here, and not over. */
  has(lead: WorkerLead): boolean {
    return this.#runs.get(lead.number)?.lead === lead;
  }

  /** The coordinator wants one. */
  start(start: StartProcess): void {
    const run: Run = {
      start,
      lead: {
        number: start.process,
        isProcess: true,
        depth: start.depth,
        ready: () => this.#ready(run),
        exited: (exit) => this.#exited(run, exit),
      },
      worker: undefined,
      isStarted: false,
      isSignalled: false,
      isStopping: false,
      isOrphan: false,
      timer: undefined,
      fault: undefined,
    };
    this.#runs.set(start.process, run);
    void this.#find(run);
  }

  /** One whose code is still awaited ends by any signal. */
  signal({ process, signal }: SignalProcess): void {
    const run = this.#runs.get(process);
    if (run === undefined) return;
    run.isSignalled = true;
    if (run.worker === undefined) {
      const value = signal === ProcessSignal.KILL ? "SIGKILL" : "SIGTERM";
      return this.#end(run, { process, end: { $case: "signal", value }, why: "" });
    }
    this.#send(run, run.worker, signal);
  }

  parentEnded({ process }: ParentEnded): void {
    const run = this.#runs.get(process);
    if (run === undefined) return;
    run.isOrphan = true;
    if (run.worker !== undefined) this.#tellOrphan(run.worker, process);
  }

  /** The coordinator is lost, and with it whoever these belong to. */
  lost(): void {
    const runs = [...this.#runs.values()];
    this.#runs.clear();
    for (const { worker, timer } of runs) {
      timer?.[Symbol.dispose]();
      if (worker !== undefined) this.#options.workers.kill(worker, "SIGKILL");
    }
  }

  /** This machine is about to end: all of them have a second to. */
  stop(): void {
    for (const process of [...this.#runs.keys()]) this.signal({ process, signal: ProcessSignal.STOP });
  }

  /** Calls back when there are none: now, or once the last one is over. */
  whenEmpty(then: () => void): void {
    if (this.#runs.size === 0) then();
    else this.#onEmpty = then;
  }

  async #find(run: Run): Promise<void> {
    const { artifacts } = this.#options;
    const { target, process } = run.start;
    const hashes = [...artifactsOf({ function: undefined, combine: undefined, initializer: target })];
    try {
      const found = await Promise.all(hashes.map(async (hash) => [hash, await artifacts.locate(hash)] as const));
      if (this.has(run.lead)) this.#launch(run, new Map(found));
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      if (this.has(run.lead)) this.#end(run, refused(process, why));
    }
  }

  #launch(run: Run, places: ReadonlyMap<string, string>): void {
    const { workers, node } = this.#options;
    const worker = --this.#lastWorker as WorkerKey;
    run.worker = worker;
    workers.spawn(worker, run.lead);
    workers.tell(worker, { kind: { $case: "runProcess", value: runProcessOf(run.start, node, places) } });
    if (run.isOrphan) this.#tellOrphan(worker, run.start.process);
    this.#killAfter(run, PROCESS_READY_MS, `a worker process was not ready within ${PROCESS_READY_MS} ms`);
  }

  #tellOrphan(worker: WorkerKey, process: number): void {
    this.#options.workers.tell(worker, { kind: { $case: "parentEnded", value: { process } } });
  }

  #send(run: Run, worker: WorkerKey, signal: ProcessSignal): void {
    if (signal === ProcessSignal.STOP) {
      run.isStopping = true;
      this.#killAfter(run, PROCESS_STOP_GRACE_MS, undefined);
    }
    this.#options.workers.kill(worker, signal === ProcessSignal.KILL ? "SIGKILL" : "SIGTERM");
  }

  #killAfter(run: Run, afterMs: number, fault: string | undefined): void {
    const { clock, workers } = this.#options;
    run.timer?.[Symbol.dispose]();
    run.timer = clock.setTimer(clock.nowMs() + afterMs, () => {
      run.fault = fault;
      if (run.worker !== undefined) workers.kill(run.worker, "SIGKILL");
    });
  }

  #ready(run: Run): void {
    const pid = run.worker === undefined ? undefined : this.#options.workers.get(run.worker)?.process.pid;
    if (!this.has(run.lead) || pid === undefined) return;
    if (!run.isStopping) run.timer?.[Symbol.dispose]();
    run.isStarted = true;
    this.#options.started(run.start.process, pid);
  }

  #exited(run: Run, exit: WorkerExit): void {
    const { process } = run.start;
    if (!this.has(run.lead)) return;
    if (!run.isStarted && !run.isSignalled) return this.#end(run, refused(process, run.fault ?? startFault(exit)));
    const { signal, exitCode, fault } = exit;
    const end: ProcessEnded["end"] =
      exitCode === null ? { $case: "signal", value: signal ?? "SIGKILL" } : { $case: "exitCode", value: exitCode };
    this.#end(run, { process, end, why: run.fault ?? fault ?? "" });
  }

  #end(run: Run, ended: ProcessEnded): void {
    run.timer?.[Symbol.dispose]();
    this.#runs.delete(run.start.process);
    this.#options.ended(ended);
    if (this.#runs.size === 0) this.#onEmpty?.();
  }
}

/** It could not be started. */
function refused(process: number, message: string): ProcessEnded {
  const code = "unavailable" satisfies ErrorCode;
  const words = { code, message, path: "", side: "", limitName: "" };
  const value = { ...words, limit: 0, actual: 0, cause: new Uint8Array(0) };
  return { process, end: { $case: "refused", value }, why: "" };
}
