import { ClosedError, StateError } from "@heddle/kernel";
import type { AnyFunction } from "@heddle/port-shipper";
import type { Connection } from "./connection.ts";
import { checkProcessSettings, checkWait } from "./options.ts";
import type { PoolHost } from "./pool-calls.ts";
import { requirementsOf, shipCall } from "./pool-setup.ts";
import type { ProcessFamily } from "./process-family.ts";
import { type ProcessEnd, ProcessRun } from "./process-run.ts";
import { isReady, type Waitable, waitable } from "./wait.ts";
import { within } from "./within.ts";

/** What a process is told at its construction. */
export interface ProcessSettings {
  /** What it runs. It ends when what this returns has settled and what it wrote is on its way, whatever timers are left. */
  readonly target: AnyFunction;
  /** Arguments of the target; none unless given. */
  readonly args?: readonly unknown[];
  /** What people call it; "Process-1" and so on unless given, "Process-1:2" for the second that the first has started. */
  readonly name?: string;
  /** It ends with the process that has started it, and keeps no program alive. As the starting process itself unless given. */
  readonly daemon?: boolean;
  /** Name of its node; the one with the fewest processes unless given. */
  readonly node?: string;
  /** Labels that its node must carry, each with this value. */
  readonly labels?: Readonly<Record<string, string>>;
}

/** That the arguments of a process are those of its target, where these are known: left out only when the target needs none. */
export type ProcessCall<A extends readonly unknown[]> = {
  readonly target: (...args: A) => unknown;
} & ProcessArguments<A>;
type ProcessArguments<A extends readonly unknown[]> =
  AnyOf<A> extends true ? unknown : [] extends A ? { readonly args?: Readonly<A> } : { readonly args: Readonly<A> };
/** Arguments of a function of which nothing is known. */
type AnyOf<A extends readonly unknown[]> = number extends A["length"]
  ? [A[number]] extends [never]
    ? true
    : false
  : false;

/** A process of its own beside the pools' slots, as multiprocessing.Process: placed on the node with the fewest of them, never run again. */
export class FabricProcess implements Waitable {
  readonly name: string;
  readonly daemon: boolean;
  readonly #host: PoolHost;
  readonly #family: ProcessFamily;
  readonly #settings: ProcessSettings;
  readonly #path: string;
  #run: ProcessRun | undefined;
  #connection: Connection | undefined;
  #isClosed = false;

  /** Throws TypeError or RangeError for settings that cannot be. */
  constructor(host: PoolHost, settings: ProcessSettings, family: ProcessFamily) {
    checkProcessSettings(settings);
    this.#host = host;
    this.#family = family;
    this.#settings = { ...settings };
    this.#path = family.mintPath();
    this.name = settings.name ?? `Process-${this.#path}`;
    this.daemon = settings.daemon ?? family.own.daemon;
  }

  /** Its process id on its node; undefined before it runs. */
  get pid(): number | undefined {
    return this.#run?.pid;
  }

  /** Name of the node that it runs on; undefined before it runs. */
  get node(): string | undefined {
    return this.#run?.node;
  }

  /** Null until it is over; then 0, N of `process.exit(N)`, 1 for an error that nobody caught, -N for signal N. -9 when it is lost with its node. */
  get exitCode(): number | null {
    return this.#run?.end?.exitCode ?? null;
  }

  /** It was started and is not over. */
  isAlive(): boolean {
    this.#checkOpen();
    return this.#run !== undefined && this.#run.end === undefined;
  }

  /**
   * Starts it; what the target captures and the arguments are read now. Resolves when it runs. While no node carries its labels it waits for
   * one. Rejects with StateError the second time, CaptureError or SerializationError for what cannot travel, UnschedulableError when the
   * node named is not there, or there were nodes for 30 s (as the coordinator was told) and none with its labels, LimitError when there are too many, UnavailableError; then it may be started again.
   */
  async start(): Promise<void> {
    this.#checkOpen();
    if (this.#run !== undefined)
      throw new StateError(`${this.name} was started before: make a new Process for each run`);
    this.#host.effects?.checkCall();
    const connection = this.#host.connection({});
    if (connection.closed) throw new ClosedError("the fabric was closed");
    using _hold = this.#host.hold();
    const kept = this.daemon ? undefined : this.#host.keep();
    const run = new ProcessRun((end) => this.#ended(end, kept));
    this.#run = run;
    this.#connection = connection;
    this.#family.add(this);
    try {
      await this.#submit(run, connection);
      await run.started;
    } catch (error) {
      run.fail(error instanceof Error ? error : new Error(String(error)));
      if (this.#run === run) this.#run = undefined;
      throw error;
    }
  }

  /**
   * Resolves when it is over, or the time is up: ask `exitCode`. 0 and less only look. Rejects with StateError before it was started, and with
   * the reason (UnavailableError, ClosedError) when nobody can tell any more how it ended.
   */
  async join(options: { readonly timeoutMs?: number } = {}): Promise<void> {
    const run = this.#begun("join");
    checkWait("join", options);
    if (run.end === undefined) await within(this.#host, run.ended, options.timeoutMs);
    if (run.failure !== undefined) throw run.failure;
  }

  /** Sends SIGTERM to it and all in its process group: exit code -15 unless it sees to that itself. Nothing for one that is over. */
  async terminate(): Promise<void> {
    this.#signal("terminate", "SIGTERM");
  }

  /** Sends SIGKILL: exit code -9. Nothing for one that is over. */
  async kill(): Promise<void> {
    this.#signal("kill", "SIGKILL");
  }

  /** Lets go of the handle: each later call but this is a ClosedError. Throws StateError while it is alive. */
  close(): void {
    if (this.#isClosed) return;
    if (this.isAlive()) throw new StateError(`${this.name} is alive: join() or terminate() it before close()`);
    this.#isClosed = true;
  }

  /** Resolves when it is over, for `wait`. */
  [waitable](): Promise<void> {
    return this.#begun("wait").ended;
  }

  [isReady](): boolean {
    return this.#begun("wait").end !== undefined;
  }

  async #submit(run: ProcessRun, connection: Connection): Promise<void> {
    const { target, args = [], node = "" } = this.#settings;
    const { call, artifacts } = await shipCall(target, args, this.#host.shipper);
    if (run.end !== undefined) return; // signalled meanwhile
    const { name, pid } = this.#family.own;
    const start = {
      target: call,
      name: this.name,
      path: this.#path,
      daemon: this.daemon,
      requirements: requirementsOf(this.#settings),
      node,
      parent: { name, pid },
      depth: 0,
      parentProcess: 0,
    };
    connection.startProcess({ run, artifacts, start });
  }

  #signal(what: string, signal: "SIGTERM" | "SIGKILL"): void {
    const run = this.#begun(what);
    if (run.end !== undefined) return;
    if (run.number === 0) run.hasEnded({ exitCode: signal === "SIGKILL" ? -9 : -15, why: "" });
    else this.#connection?.signalProcess(run, signal);
  }

  #ended({ exitCode, why }: ProcessEnd, kept: Disposable | undefined): void {
    this.#family.remove(this);
    kept?.[Symbol.dispose]();
    if (why !== "" && this.#run?.failure === undefined)
      this.#host.env.log.warn("a process was lost", { name: this.name, exitCode, why });
  }

  #begun(what: string): ProcessRun {
    this.#checkOpen();
    if (this.#run === undefined) throw new StateError(`${what}() of ${this.name} was called before start()`);
    return this.#run;
  }

  #checkOpen(): void {
    if (this.#isClosed) throw new ClosedError(`the handle of ${this.name} was closed`);
  }
}
