import { type Environment, type Millis, type Random, STDERR_TAIL_BYTES } from "@heddle/kernel";
import type { Mark, SeenMark, WorkerEvents, WorkerExit, WorkerProcess, WorkerSpawner } from "@heddle/port-processes";
import type { AnyFunction, FunctionLoader } from "@heddle/port-shipper";
import {
  type AgentLink,
  type InsideObjects,
  runWorker,
  type TaskScope,
  type WorkerRuntime,
} from "@heddle/shell-worker";
import { WorkerRequest, type WorkerRequestEntry, WorkerResponse, type WorkerResponseEntry } from "@heddle/wire";
import { drawMs } from "./fault-plan.ts";
import type { HostContext } from "./host.ts";
import type { Life } from "./life.ts";
import { PipeLane, TurnBatch } from "./pipe.ts";
import { ProcessIsGone, type ProcessTable, type SimProcess, type TaskContext } from "./process-table.ts";

/** How long a process takes from its start to the first line of its program. */
const START_MS: readonly [min: Millis, mean: Millis] = [20, 60];
/** What a process weighs at least. */
const RSS_BYTES = 50_000_000;
/** Delay of what passes between processes of one machine, and of signals. */
const PIPE_MS: readonly [min: Millis, mean: Millis] = [0, 0.5];

/** What a spawner of simulated processes needs. */
export interface SimWorkersOptions {
  /** Of the agent whose workers they are: they end with it and stand still with its machine. */
  readonly context: HostContext;
  readonly processes: ProcessTable;
  /** Gives the functions that the client's shipper took. */
  readonly loader: FunctionLoader;
  /** Asked at each start; a text means that the process cannot be started, and why. */
  readonly fault?: () => string | undefined;
  /** What `heddle` is inside one of them, made when it is first needed; without it there are no shared objects in this world. */
  readonly inside?: (own: InsideWorker) => InsideObjects;
  /** A place for values that follow what they were set for; one that follows a call up to its first `await` unless given. */
  readonly openScope?: <T>() => TaskScope<T>;
}

/** A simulated worker as the code inside it sees it. */
export interface InsideWorker {
  readonly runtime: WorkerRuntime;
  readonly env: Environment;
  readonly pid: number;
}

type Events = WorkerEvents<WorkerResponseEntry>;

/** Starts simulated processes that run the worker shell. Everything takes time drawn from the seed. */
export class SimWorkers implements WorkerSpawner<WorkerRequestEntry, WorkerResponseEntry> {
  readonly #options: SimWorkersOptions;
  readonly #random: Random;
  readonly #live = new Set<Process>();

  constructor(options: SimWorkersOptions) {
    this.#options = options;
    this.#random = options.context.random("workers");
  }

  spawn(events: Events): WorkerProcess<WorkerRequestEntry> {
    const fault = this.#options.fault?.();
    if (fault !== undefined) return this.#stillborn(fault, events);
    const process = new Process(this.#options, this.#random, events);
    this.#live.add(process);
    void process.gone.then(() => this.#live.delete(process));
    return process;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const process of this.#live) process.kill("SIGKILL");
    await Promise.all([...this.#live].map((process) => process.gone));
  }

  #stillborn(fault: string, events: Events): WorkerProcess<WorkerRequestEntry> {
    const exit: WorkerExit = { exitCode: null, signal: null, mark: null, rssBytes: 0, stderrTail: "", fault };
    this.#options.context.life.post(drawMs(this.#random, START_MS), "spawn failed", () => events.exited(exit));
    return { pid: 0, rssBytes: 0, send: () => undefined, readMark: () => null, kill: () => undefined };
  }
}

/** One simulated worker process. */
class Process implements WorkerProcess<WorkerRequestEntry>, SimProcess {
  readonly pid: number;
  readonly rssBytes = RSS_BYTES;
  readonly machine: string;
  readonly task: TaskContext;
  /** Resolves when its exit was told. */
  readonly gone: Promise<void>;
  readonly #options: SimWorkersOptions;
  readonly #random: Random;
  readonly #events: Events;
  readonly #agent: Life;
  readonly #life: Life;
  readonly #down: TurnBatch<WorkerRequestEntry>;
  readonly #up: PipeLane<WorkerResponse>;
  /** Sent by the worker, still in its memory: lost with it. */
  readonly #unsent: WorkerResponseEntry[] = [];
  /** Arrived before the worker began to read. */
  readonly #unread: WorkerRequestEntry[] = [];
  #listen: (entries: readonly WorkerRequestEntry[]) => void = (entries) => void this.#unread.push(...entries);
  #settleGone: () => void = () => undefined;
  /** Marks that were not taken back, by slot. */
  readonly #marks = new Map<number, Mark & { readonly atMs: Millis }>();
  #wroteOutput = false;
  #stderrTail = "";
  #runningCount = 0;
  #ignoresSigterm = false;

  constructor(options: SimWorkersOptions, random: Random, events: Events) {
    const { life } = options.context;
    this.#options = options;
    this.#random = random;
    this.#events = events;
    this.#agent = life;
    this.pid = options.processes.nextPid();
    this.machine = life.machine.name;
    this.#life = life.fork(`${life.name} pid ${this.pid}`);
    this.gone = new Promise((resolve) => {
      this.#settleGone = resolve;
    });
    const delayMs = (): Millis => drawMs(random, PIPE_MS);
    const down = new PipeLane(WorkerRequest, this.#life, delayMs);
    this.#up = new PipeLane(WorkerResponse, this.#agent, delayMs);
    this.#down = new TurnBatch((entries) => down.write({ entries }, (message) => this.#receive(message.entries)));
    this.task = this.#context();
    options.processes.live.add(this);
    this.#life.onEnd(() => options.processes.live.delete(this));
    this.#life.post(drawMs(random, START_MS), "process starts", () => this.#start());
  }

  get isBusy(): boolean {
    return this.#runningCount > 0;
  }

  send(entry: WorkerRequestEntry): void {
    this.#down.add(entry);
  }

  readMark(): SeenMark | null {
    const [oldest] = [...this.#marks.values()].sort((one, other) => one.atMs - other.atMs);
    if (oldest === undefined || !this.#life.alive) return null;
    return { assignment: oldest.assignment, offset: oldest.offset, forMs: this.#nowMs() - oldest.atMs };
  }

  kill(signal: "SIGTERM" | "SIGKILL"): void {
    this.#agent.post(drawMs(this.#random, PIPE_MS), `${signal} to pid ${this.pid}`, () => {
      if (signal === "SIGKILL" || !this.#ignoresSigterm) this.#die({ signal, exitCode: null });
    });
  }

  hang(): void {
    this.#life.freeze();
  }

  #start(): void {
    const { context, loader, inside, openScope = <T>() => new CallScope<T>() } = this.#options;
    const env = this.#life.environment(context.random(`pid ${this.pid}`), context.env.log);
    const stop = new AbortController();
    const runtime = runWorker({
      link: this.#link(),
      mark: (assignment, offset, slot) => {
        if (this.#life.alive) this.#marks.set(slot, { assignment, offset, atMs: this.#nowMs() });
      },
      unmark: (slot) => {
        if (this.#life.alive) this.#marks.delete(slot);
      },
      rssBytes: () => RSS_BYTES,
      openScope,
      loadInside: async () => {
        if (inside === undefined) throw new Error("no shared objects in this world");
        runtime.objects.provide(inside({ runtime, env, pid: this.pid }));
      },
      loader: {
        load: async (...from) => this.#asTask(await loader.load(...from)),
        read: (...from) => loader.read(...from),
      },
      stopSignal: () => stop.signal,
      noticeStop: (reason) => stop.abort(new DOMException(reason, "AbortError")),
      env,
      pid: this.pid,
      agentPid: 1,
      ending: { complain: () => undefined, exit: (exitCode = 0) => this.#die({ signal: null, exitCode }) },
      nodeVersion: "v24.0.0",
      wroteOutput: () => {
        const wrote = this.#wroteOutput;
        this.#wroteOutput = false;
        return wrote;
      },
      turn: () => new Promise((resolve) => this.#life.post(0, "turn", resolve)),
    });
  }

  #nowMs(): Millis {
    return this.#options.context.env.clock.nowMs();
  }

  #onlyMark(): Mark | null {
    const [only, ...others] = this.#marks.values();
    return only === undefined || others.length > 0 ? null : { assignment: only.assignment, offset: only.offset };
  }

  #link(): AgentLink {
    return {
      send: (entry) => {
        if (this.#unsent.push(entry) === 1) this.#life.post(0, "turn", () => this.#flush());
      },
      flush: () => this.#flush(),
      // A pipe is faster than its readers here. What the code of a dead process waits for never comes.
      drained: () => (this.#life.alive ? undefined : new Promise(() => undefined)),
      onEntries: (listen) => {
        this.#listen = listen;
        const early = this.#unread.splice(0);
        if (early.length > 0) this.#receive(early);
      },
    };
  }

  /** What the worker's own code throws here, such as at a breach of the protocol, ends its process. */
  #receive(entries: readonly WorkerRequestEntry[]): void {
    try {
      this.#listen(entries);
    } catch (error) {
      this.#print("stderr", error instanceof Error ? `${error.name}: ${error.message}` : String(error));
      this.#die({ signal: null, exitCode: 1 });
    }
  }

  #flush(): void {
    const entries = this.#unsent.splice(0);
    if (entries.length === 0 || !this.#life.alive) return;
    this.#up.write({ entries }, (message) => this.#events.entries(message.entries));
  }

  /** The user's function, run as part of this process. */
  #asTask(fn: AnyFunction): AnyFunction {
    return (...args: readonly unknown[]) => {
      if (!this.#life.alive) throw new ProcessIsGone(`pid ${this.pid} is gone`);
      this.#runningCount++;
      let result: unknown;
      try {
        result = this.#options.processes.enter(this, () => fn(...args));
      } finally {
        if (!(result instanceof Promise)) this.#runningCount--;
      }
      return result instanceof Promise ? result.finally(() => this.#runningCount--) : result;
    };
  }

  #context(): TaskContext {
    return {
      pid: this.pid,
      machine: this.machine,
      sleep: (ms) => new Promise((resolve) => this.#life.post(ms, "sleep", resolve)),
      crash: (how) => {
        this.#die(typeof how === "number" ? { signal: null, exitCode: how } : { signal: how, exitCode: null });
        throw new ProcessIsGone(`pid ${this.pid} is gone`);
      },
      print: (line, stream = "stdout") => this.#print(stream, line),
      ignoreSigterm: () => {
        this.#ignoresSigterm = true;
      },
    };
  }

  #print(stream: "stdout" | "stderr", line: string): void {
    if (!this.#life.alive) return;
    this.#wroteOutput = true;
    if (stream === "stderr") this.#stderrTail = `${this.#stderrTail}${line}\n`.slice(-STDERR_TAIL_BYTES);
    this.#up.after(`${stream} of pid ${this.pid}`, () => this.#events.output(stream, line));
  }

  #die(how: { readonly signal: string | null; readonly exitCode: number | null }): void {
    if (!this.#life.alive) return;
    this.#life.end();
    const exit: WorkerExit = {
      ...how,
      mark: this.#onlyMark(),
      rssBytes: RSS_BYTES + this.#random.int(10_000_000),
      stderrTail: this.#stderrTail,
    };
    this.#up.after(`exit of pid ${this.pid}`, () => {
      this.#settleGone();
      this.#events.exited(exit);
    });
  }
}

/** Follows a call up to its first `await`: enough for functions that ask for their task at once. */
class CallScope<T> implements TaskScope<T> {
  #value: T | undefined;

  readonly run = <R>(value: T, run: () => R): R => {
    const outer = this.#value;
    this.#value = value;
    try {
      return run();
    } finally {
      this.#value = outer;
    }
  };

  readonly get = (): T | undefined => this.#value;
}
