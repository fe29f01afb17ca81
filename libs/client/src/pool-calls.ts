import {
  ClosedError,
  type Environment,
  JobId,
  mintId,
  PoolClosedError,
  PoolId,
  PoolTerminatedError,
  StateError,
  seededRandom,
  TimeoutError,
} from "@heddle/kernel";
import type { AnyFunction, ShippedFunction, Shipper } from "@heddle/port-shipper";
import type { Keep, ValueReaderHooks } from "@heddle/wire";
import { ArgumentFunctions, artifactsOf } from "./argument-functions.ts";
import type { ItemCounts } from "./async-result.ts";
import type { MapOptions } from "./call-options.ts";
import type { Connection } from "./connection.ts";
import { openInputs } from "./inputs.ts";
import { JobRun, type OnItemError } from "./job-run.ts";
import type { JobKeeper } from "./kept-call.ts";
import { KeptCalls } from "./kept-calls.ts";
import type { JobRequest } from "./line.ts";
import { functionRef, type PoolSettings, type PoolSetup, poolSetup, requirementsOf } from "./pool-setup.ts";
import type { ResultSink } from "./result-sinks.ts";
import { type ChunkSize, chunkSizer } from "./sizing.ts";
import { StreamWindow } from "./window.ts";

/** Where a pool's work goes: what a Fabric gives its pools. */
export interface PoolHost {
  readonly env: Environment;
  readonly shipper: Shipper;
  /** The connection, made ready for a pool with these settings. */
  readonly connection: (settings: PoolSettings) => Connection;
  /** Keeps the caller's process alive until disposed. */
  readonly hold: () => Disposable;
  /** The caller's process outlives what is kept: until disposed. Nothing is awaited by that. */
  readonly keep: () => Disposable;
  /** How kept jobs are asked about; undefined inside a task, which keeps none. */
  readonly keeper: JobKeeper | undefined;
  /** The last line of the caller's terminal, for progress; undefined where there is none. */
  readonly statusLine: StatusLine | undefined;
  /** Makes handles of shared objects among results; without it references come instead. */
  readonly results?: ValueReaderHooks;
  /** For calls with effects: "once". */
  readonly effects?: CallJobs;
}

/** Jobs whose items' writes count once, as the manager knows them. */
interface CallJobs {
  /** Throws StateError where no call may be made: in a task whose own writes count once. */
  checkCall(): void;
  /** The manager takes the job. Rejects with StateError where there is none. It is forgotten with this program's session with the manager, which `lost` is told once; without that it outlives it. */
  open(job: JobId, lost?: (error: Error) => void): Promise<void>;
  /** An item is answered by an error: no run of it comes to count any more. Resolves to its result, encoded, where one does already. */
  writeOff(job: JobId, index: number): Promise<Uint8Array | undefined>;
  /** The job is over: what still runs of it counts no more. */
  close(job: JobId): Promise<void>;
}

/** A line that is written over and over. */
export interface StatusLine {
  /** Shows a line in the place of the last one. */
  show(line: string): void;
  /** Shows a line for good: what comes next is written below it. */
  end(line: string): void;
}

/** What all calls come down to. Its options were checked. */
export interface CallPlan {
  /** Undefined: nothing is run but the pool's initializer. */
  readonly fn: AnyFunction | undefined;
  /** Folds the results in the workers. */
  readonly combine?: AnyFunction;
  readonly options: MapOptions;
  /** The items are argument tuples. */
  readonly spread: boolean;
  readonly inputs: unknown;
  /** Number of inputs, when it is known. */
  readonly total: number | undefined;
  readonly sink: ResultSink;
  readonly onItemError: OnItemError;
  /**
   * What its results are to whoever attaches to it when it is kept: "item", "list", "settled", or the name of a typed array. Undefined: it cannot be kept.
   */
  readonly shape?: string;
  /** Its results are consumed one by one. */
  readonly stream?: StreamPlan;
  /** Some of the counts changed. */
  readonly changed?: () => void;
}

/** How far a stream of results runs ahead of its consumer. */
export interface StreamPlan {
  readonly isOrdered: boolean;
  /** Items; undefined for as many as pay. */
  readonly bufferSize: number | undefined;
  /** Items of one chunk as the caller gave them; what an iterator of the inputs gave of the chunk that it throws in is lost. */
  readonly chunkSize: ChunkSize | undefined;
  readonly unreadBytesMax: number;
  /** Bytes of results that came and were not consumed. Those that were are not told of any more: a new session begins. */
  readonly unreadBytes: () => number;
  readonly inputsBroke: (error: unknown) => void;
  /** The call fails with this: told at once. */
  readonly failed: (error: unknown) => void;
  /** Told of the window, which is told what arrives. */
  readonly opened: (window: StreamWindow) => void;
  /** Nothing shall wait for the consumer any more. */
  readonly lift: () => void;
}

/** A call under way. */
export interface StartedCall {
  readonly jobId: JobId;
  /** Resolves when every item has its result, or the call was of nothing. */
  readonly outcome: Promise<void>;
  readonly counts: () => ItemCounts;
  /** To be called when whoever asked for the result has it: only then is the call over for `close` and `join`. */
  readonly release: () => void;
  /** Stops it; it rejects with `reason` unless it is over. A promise: until its coordinator has been told. */
  readonly cancel: (reason: unknown) => void | Promise<void>;
  /** Resolves when the fabric has it. Rejects as the call does. */
  readonly accepted: () => Promise<void>;
  /** Somebody waits for its result, until disposed; undefined for one that comes by itself. */
  readonly want?: () => Disposable;
}

/** One that is run for this client. */
export interface StartedRun extends StartedCall {
  readonly run: JobRun;
}

/** The calls of one pool, from their start to their end. */
export class PoolCalls {
  readonly #host: PoolHost;
  readonly #settings: PoolSettings;
  readonly #id: PoolId;
  readonly #seed: number;
  readonly #connection: Connection;
  readonly #live = new Set<JobRun>();
  /** Those of them whose results are consumed one by one. */
  readonly #streams = new Map<JobRun, StreamPlan>();
  /** Undefined inside a task. */
  readonly #kept: KeptCalls | undefined;
  #setup: Promise<PoolSetup> | undefined;
  #state: "open" | "closed" | "terminated" = "open";
  /** Calls so far: the number of a call is part of the seed of its tasks. */
  #started = 0;
  #onEmpty: (() => void)[] = [];

  /** The settings were checked. */
  constructor(host: PoolHost, settings: PoolSettings) {
    this.#host = host;
    this.#settings = settings;
    this.#id = PoolId(mintId(host.env.random));
    this.#seed = settings.seed ?? host.env.random.int(0x1_0000_0000) * 0x10_0000 + host.env.random.int(0x10_0000);
    this.#connection = host.connection(settings);
    const { keeper } = host;
    if (keeper === undefined) return;
    this.#kept = new KeptCalls({
      ...{ host, keeper, settings },
      prepare: (plan, id) => this.#readyToKeep(plan, id),
      numbered: (plan) => {
        const number = this.#started++;
        return (id, shipped) => this.#openJob(plan, number, { id, shipped, combine: undefined });
      },
      watch: (plan, cancel) => this.#watch(plan, cancel),
      check: () => {
        if (this.#state === "terminated") throw new PoolTerminatedError("the pool was terminated");
      },
      emptied: () => this.#checkIdle(),
    });
  }

  /** The connection. Throws PoolTerminatedError, PoolClosedError or ClosedError when no work is taken any more. */
  connect(): Connection {
    if (this.#state === "terminated") throw new PoolTerminatedError("the pool was terminated");
    if (this.#state === "closed") throw new PoolClosedError("the pool was closed");
    if (this.#connection.closed) throw new ClosedError("the fabric was closed");
    return this.#connection;
  }

  /** Starts a call, also one that the fabric keeps: what its function captures is read now. Throws as `connect`. */
  begin(plan: CallPlan): StartedCall {
    return this.#keeps(plan) && this.#kept !== undefined ? this.#kept.start(plan, this.connect()) : this.start(plan);
  }

  /** Starts a call that is run for this client. */
  start(plan: CallPlan): StartedRun {
    const connection = this.connect();
    const { env, shipper, effects } = this.#host;
    effects?.checkCall();
    const id = JobId(plan.options.jobId ?? mintId(env.random));
    const functions = new ArgumentFunctions(shipper);
    const run = this.#runOf(plan, { id, connection, functions });
    const number = plan.fn === undefined ? this.#started : this.#started++; // an initializer changes nobody's random numbers
    if (plan.stream !== undefined) this.#streams.set(run, plan.stream);
    this.#live.add(run); // before the first wait, so that close(), join() and terminate() know of it
    const outcome = this.#run(plan, { run, connection, functions, number });
    outcome.catch(() => undefined); // whoever wants it asks for it
    return {
      ...{ run, jobId: id, outcome, counts: () => run.counts, release: () => this.#over(run) },
      cancel: (reason) => this.cancel(run, reason),
      accepted: () => Promise.race([run.opened, outcome]),
    };
  }

  /** Stops a call; it rejects with `reason` unless it is over. */
  cancel(run: JobRun, reason: unknown): void {
    this.#connection.cancel(run, "the caller cancelled it");
    run.fail(reason);
  }

  /** The consumer of a stream took results of so many bytes. */
  takeResults(run: JobRun, bytes: number): void {
    this.#connection.takeResults(run, bytes);
  }

  close(): void {
    if (this.#state !== "open") return;
    this.#state = "closed";
    if (this.#isIdle) this.#connection.closePool(this.#id);
  }

  async join(): Promise<void> {
    if (this.#state === "open") throw new StateError("join() was called before close() or terminate()");
    if (this.#isIdle) return;
    using _hold = this.#host.hold();
    for (const stream of this.#streams.values()) stream.lift();
    await new Promise<void>((resolve) => this.#onEmpty.push(resolve));
  }

  terminate(): void {
    this.#state = "terminated";
    const error = new PoolTerminatedError("the pool was terminated");
    for (const run of [...this.#live]) {
      this.#connection.cancel(run, "the pool was terminated");
      run.fail(error);
    }
    this.#kept?.terminate();
    this.#connection.closePool(this.#id);
  }

  #runOf(
    plan: CallPlan,
    at: { readonly id: JobId; readonly connection: Connection; readonly functions: ArgumentFunctions },
  ): JobRun {
    const { options, total, stream, inputs, combine, sink, onItemError, changed } = plan;
    const { env, shipper, effects } = this.#host;
    const { processes, maxTasksPerChild } = this.#settings;
    const slots = (): number => Math.min(at.connection.slots, processes ?? Number.POSITIVE_INFINITY);
    const isFolded = combine !== undefined;
    const { chunkSize, concurrency = 1 } = options;
    const mayPack = maxTasksPerChild === undefined;
    const sizer = chunkSizer({ chunkSize, total, slots, concurrency, isFolded, mayPack });
    const window =
      stream && new StreamWindow(env.clock, { bufferSize: stream.bufferSize, unit: () => sizer.unit, slots });
    if (window !== undefined) stream?.opened(window);
    const wake = (): void => run.onWake();
    const lostWith = typeof stream?.chunkSize === "number" ? stream.chunkSize : 1;
    const reader = openInputs(inputs, { chunkSize: lostWith, functions: at.functions, wake });
    const run: JobRun = new JobRun(at.id, {
      reader,
      sizer,
      sink,
      onItemError,
      isFolded,
      isPrime: plan.fn === undefined,
      localStack: (text) => shipper.localStack(text),
      ...(options.effects === "once" && effects !== undefined
        ? { writeOff: (index) => effects.writeOff(at.id, index) }
        : {}),
      ...(window === undefined ? {} : { windowItems: () => window.items }),
      ...(stream === undefined ? {} : streamParts(stream)),
      ...(changed === undefined ? {} : { changed }),
    });
    return run;
  }

  async #run(
    plan: CallPlan,
    at: {
      readonly run: JobRun;
      readonly connection: Connection;
      readonly functions: ArgumentFunctions;
      readonly number: number;
    },
  ): Promise<void> {
    const { total, options } = plan;
    const { run, connection, functions } = at;
    const isDefault = options.chunkSize === undefined && total !== undefined && total !== 0;
    const ready = this.#ready(plan, isDefault ? connection : undefined); // reads what is captured before the first wait
    const effects = this.#openEffects(plan, run.id, (error) => this.cancel(run, error));
    using scope = new DisposableStack();
    if (plan.stream === undefined) scope.use(this.#host.hold());
    try {
      if (total === 0) return;
      scope.use(this.#watch(plan, (reason) => this.cancel(run, reason)));
      await Promise.race([ready, run.outcome]); // a call that is stopped before it has begun need not wait for its code
      if (run.settled) return await run.outcome;
      const [setup, shipped, combine] = await ready;
      if (effects !== undefined) await Promise.race([effects, run.outcome]);
      if (run.settled) return await run.outcome;
      const artifacts = [...setup.artifacts, ...[shipped, combine].flatMap((one) => (one ? artifactsOf(one) : []))];
      const job = this.#openJob(plan, at.number, { id: run.id, shipped, combine });
      connection.submit({ run, pool: setup.open, artifacts, functions, job });
      await run.outcome;
    } finally {
      run.abandon();
      void effects?.then(() => this.#host.effects?.close(run.id)).catch(ignore); // where it fails the manager forgets the job with the session
    }
  }

  /**
   * Undefined for a call whose writes count as they are made. Else resolves when the manager has taken the job, so that its items' writes can count once. It is forgotten with this
   * program's session with the manager, which `lost` is told; without that it outlives it.
   */
  #openEffects({ options, total }: CallPlan, id: JobId, lost?: (error: Error) => void): Promise<void> | undefined {
    if (options.effects !== "once" || total === 0) return undefined;
    const opened = this.#host.effects?.open(id, lost) ?? Promise.reject(noEffectsError());
    opened.catch(ignore); // the call may be over before
    return opened;
  }

  /** As `ready`, of a call that is kept: the manager has taken it, too, where its writes count once. */
  async #readyToKeep(plan: CallPlan, id: JobId): Promise<readonly [PoolSetup, ShippedFunction | undefined]> {
    const ready = this.#ready(plan);
    await this.#openEffects(plan, id);
    const [setup, shipped] = await ready;
    return [setup, shipped];
  }

  /** What goes before the job, and the code that it needs; `connection`: the default chunk size has to wait for the fabric's slots. */
  #ready(
    { fn, combine }: CallPlan,
    connection?: Connection,
  ): Promise<[PoolSetup, ShippedFunction | undefined, ShippedFunction | undefined, unknown]> {
    const { shipper } = this.#host;
    const ready = Promise.all([
      this.setup(),
      fn && shipper.ship(fn),
      combine && shipper.ship(combine),
      connection?.capacity(),
    ]);
    ready.catch(() => undefined); // the call may be over before
    return ready;
  }

  /** Ships the pool's initializer, once. */
  setup(): Promise<PoolSetup> {
    this.#setup ??= poolSetup(this.#id, this.#settings, this.#host.shipper);
    this.#setup.catch(() => undefined); // each call is told
    return this.#setup;
  }

  #openJob(
    plan: CallPlan,
    number: number,
    made: {
      readonly id: JobId;
      readonly shipped: ShippedFunction | undefined;
      readonly combine: ShippedFunction | undefined;
    },
  ): JobRequest["job"] {
    const { options, spread, stream, fn, onItemError, shape } = plan;
    const random =
      options.seed === undefined ? seededRandom(this.#seed, `job ${number}`) : seededRandom(options.seed, "call");
    return {
      jobId: made.id,
      poolId: this.#id,
      function: made.shipped && functionRef(made.shipped),
      retries: options.retries ?? 0,
      name: options.name ?? (fn === undefined ? "initializer" : ""),
      spread,
      depth: 0,
      collect: onItemError === "keep",
      itemTimeoutMs: Math.ceil(options.itemTimeoutMs ?? 0),
      concurrency: options.concurrency ?? 0,
      seedLow: random.int(0x1_0000_0000),
      seedHigh: random.int(0x1_0000_0000),
      combine: made.combine && functionRef(made.combine),
      unreadBytesMax: stream?.unreadBytesMax ?? 0,
      ordered: stream?.isOrdered ?? false,
      requirements: requirementsOf(options),
      prime: fn === undefined,
      keep: this.#keeps(plan) ? keepOf(options, shape) : undefined,
      speculate: options.speculate ?? false,
      effectsOnce: options.effects === "once",
    };
  }

  /** Whoever waits for the pool's end is told of it once the last call is over. */
  #over(run: JobRun): void {
    this.#live.delete(run);
    this.#streams.delete(run);
    this.#checkIdle();
  }

  #keeps({ shape, options }: CallPlan): boolean {
    const isAsked = options.detach === true || options.jobId !== undefined;
    return isAsked && shape !== undefined && this.#kept !== undefined;
  }

  get #isIdle(): boolean {
    return this.#live.size + (this.#kept?.size ?? 0) === 0;
  }

  #checkIdle(): void {
    if (!this.#isIdle) return;
    if (this.#state === "closed") this.#connection.closePool(this.#id);
    const waiters = this.#onEmpty;
    this.#onEmpty = [];
    for (const resolve of waiters) resolve();
  }

  #watch({ options, fn }: Pick<CallPlan, "fn" | "options">, cancel: (reason: unknown) => void): Disposable {
    const { signal, timeoutMs } = options;
    const scope = new DisposableStack();
    if (signal !== undefined) {
      const abort = (): void => cancel(signal.reason);
      signal.addEventListener("abort", abort, { once: true });
      scope.defer(() => signal.removeEventListener("abort", abort));
      if (signal.aborted) abort(); // since it was looked at: what is captured may have getters
    }
    if (timeoutMs !== undefined) {
      const { clock } = this.#host.env;
      const late = (): void =>
        cancel(new TimeoutError(`the call of ${nameOf(options, fn)} was cancelled after ${timeoutMs} ms`));
      scope.use(clock.setTimer(clock.nowMs() + timeoutMs, late));
    }
    return scope;
  }
}

function noEffectsError(): StateError {
  return new StateError('effects: "once" needs the manager of shared objects, and there is no way to one from here');
}

function ignore(): void {}

function keepOf({ detach: detached = false, timeoutMs = 0, effects }: MapOptions, shape = ""): Keep {
  const boundMs = timeoutMs > Number.MAX_SAFE_INTEGER ? 0 : Math.ceil(timeoutMs); // 0 is none
  return { detached, shape, timeoutMs: boundMs, effectsOnce: effects === "once" };
}

function streamParts({ inputsBroke, failed, unreadBytes }: StreamPlan) {
  return { inputsBroke, failed, unreadBytes };
}

/** What people call it. */
function nameOf({ name }: MapOptions, fn: AnyFunction | undefined): string {
  return name || fn?.name || "an anonymous function";
}
