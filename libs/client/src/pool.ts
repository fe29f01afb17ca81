import {
  ClosedError,
  type Environment,
  HeddleError,
  JobId,
  mintId,
  PoolClosedError,
  PoolId,
  PoolTerminatedError,
  StateError,
  TimeoutError,
} from "@heddle/kernel";
import type { AnyFunction, ShippedFunction, Shipper } from "@heddle/port-shipper";
import type { FunctionRef } from "@heddle/wire";
import { ArgumentFunctions, artifactsOf } from "./argument-functions.ts";
import { AsyncResult } from "./async-result.ts";
import { type ChunkSource, checkChunkSize, chunkSource, type Inputs, materialise } from "./chunks.ts";
import type { Connection } from "./connection.ts";
import { JobRun } from "./job-run.ts";
import { MAP_ITEMS_MAX } from "./limits.ts";
import { moduleHandles } from "./module-handles.ts";
import {
  CALL_OPTIONS,
  checkArgs,
  checkCallOptions,
  checkOptionNames,
  checkPoolSettings,
  MAP_OPTIONS,
} from "./options.ts";
import type { Range } from "./range.ts";

/** What a pool is told at its construction. */
export interface PoolSettings {
  /** Worker processes on this machine, an upper bound of its slots on a cluster; none for all there are. */
  readonly processes?: number;
  /** For people: `heddle get jobs` and logs. */
  readonly name?: string;
}

/** Options of `apply` and `applyAsync`. */
export interface CallOptions {
  /** Cancels the call after this time: it rejects with TimeoutError and its slots are freed. */
  readonly timeoutMs?: number;
  /** Cancels the call: it rejects with the signal's reason. */
  readonly signal?: AbortSignal;
  /** How often an item's own error is retried; 0 unless given. Deaths of workers and nodes never count. */
  readonly retries?: number;
  /** What people call the job; the function's name unless given. */
  readonly name?: string;
}

/** Options of `map` and `mapAsync`. */
export interface MapOptions extends CallOptions {
  /** Items of one chunk, a whole number from 1; unless given ceil(n / (4 * slots)), cut short where a chunk is about 1 MiB. */
  readonly chunkSize?: number;
}

/** Where a pool's work goes: what a Fabric gives its pools. */
export interface PoolHost {
  readonly env: Environment;
  readonly shipper: Shipper;
  /** The connection, made ready for a pool with these settings. */
  readonly connection: (settings: PoolSettings) => Connection;
  /** Keeps the caller's process alive until disposed. */
  readonly hold: () => Disposable;
}

/** A call under way: a run without inputs, which can be cancelled and no more, until its job begins. */
interface LiveCall {
  run: JobRun;
}

/** What all calls come down to. */
interface Call<R> {
  readonly fn: AnyFunction;
  readonly options: CallOptions;
  readonly spread: boolean;
  /** Reads the inputs; what their iterator throws comes out untouched. */
  readonly items: () => Range | ArrayLike<unknown>;
  /** Undefined for the default, which depends on how many slots there are. Asked once the options are known to be some. */
  readonly chunkSize: () => number | undefined;
  readonly take: (results: unknown[]) => R;
}

/** Worker processes of its own that run functions over inputs, as multiprocessing.Pool. */
export class FabricPool implements AsyncDisposable {
  /** Asked for: worker processes here, a cap on slots on a cluster; undefined for all there are. */
  readonly processes: number | undefined;
  readonly #host: PoolHost;
  readonly #settings: PoolSettings;
  readonly #id: PoolId;
  readonly #live = new Map<JobRun, Connection | undefined>();
  #connection: Connection | undefined;
  #state: "open" | "closed" | "terminated" = "open";
  #onEmpty: (() => void)[] = [];

  /** Made by `fabric.pool()` or the Pool of the package. Throws RangeError unless `processes` is a whole number from 1. */
  constructor(host: PoolHost, settings: PoolSettings = {}) {
    checkPoolSettings(settings);
    this.processes = settings.processes;
    this.#host = host;
    this.#settings = settings;
    this.#id = PoolId(mintId(host.env.random));
    this.#connection = host.connection(settings);
  }

  /** Slots usable now. A fabric without nodes is waited for. Rejects with UnavailableError. */
  async capacity(): Promise<number> {
    using _hold = this.#host.hold();
    const { slots } = await this.#connect().capacity();
    return Math.min(slots, this.processes ?? slots);
  }

  /** Runs `fn(...args)` once and resolves to what it returns or resolves to. */
  async apply<A extends readonly unknown[], R>(
    fn: (...args: A) => R,
    args?: A,
    options?: CallOptions,
  ): Promise<Awaited<R>> {
    return await this.applyAsync(fn, args, options);
  }

  /** As `apply`, with the result to be asked for later. */
  applyAsync<A extends readonly unknown[], R>(
    fn: (...args: A) => R,
    args?: A,
    options: CallOptions = {},
  ): AsyncResult<Awaited<R>> {
    return this.#run<Awaited<R>>({
      fn: fn as AnyFunction,
      options,
      spread: true,
      items: () => [[...checkArgs(args)]],
      chunkSize: () => 1,
      take: (results) => results[0] as Awaited<R>,
    });
  }

  /**
   * Runs `fn(item)` for each input and resolves to the results in order of the inputs. The function gets the item alone.
   * When items fail no new chunk starts, running ones end, and the error of the lowest index seen is thrown.
   */
  async map<T, R>(fn: (item: T) => R, inputs: Inputs<T>, options?: MapOptions): Promise<Awaited<R>[]> {
    return await this.mapAsync(fn, inputs, options);
  }

  /** As `map`, with the results to be asked for later. */
  mapAsync<T, R>(fn: (item: T) => R, inputs: Inputs<T>, options: MapOptions = {}): AsyncResult<Awaited<R>[]> {
    return this.#run<Awaited<R>[]>({
      fn: fn as AnyFunction,
      options,
      spread: false,
      items: () => materialise(inputs),
      chunkSize: () => options.chunkSize,
      take: (results) => results as Awaited<R>[],
    });
  }

  /**
   * Stand-ins for what a module exports, to be run by this pool or captured by functions that it runs: the module is loaded there, not
   * here. As in `pool.module<typeof import("./tasks.ts")>(new URL('./tasks.ts', import.meta.url))`. Throws TypeError for what is no file
   * URL and CaptureError when there is no such file; a call that uses an export rejects when there is no such one.
   */
  module<M extends object>(url: URL): Readonly<M> {
    return moduleHandles(this.#host.shipper, url) as Readonly<M>;
  }

  /** Takes no new work: later calls reject with PoolClosedError. What runs goes on. */
  close(): void {
    if (this.#state !== "open") return;
    this.#state = "closed";
    if (this.#live.size === 0) this.#connection?.closePool(this.#id);
  }

  /** Resolves when all work is over. Rejects with StateError before `close()` or `terminate()`. */
  async join(): Promise<void> {
    if (this.#state === "open") throw new StateError("join() was called before close() or terminate()");
    if (this.#live.size === 0) return;
    using _hold = this.#host.hold();
    await new Promise<void>((resolve) => this.#onEmpty.push(resolve));
  }

  /** Drops what waits, kills what runs: everything outstanding rejects with PoolTerminatedError. */
  terminate(): Promise<void> {
    this.#state = "terminated";
    const error = new PoolTerminatedError("the pool was terminated");
    for (const [run, connection] of [...this.#live]) {
      connection?.cancel(run, "the pool was terminated");
      run.fail(error);
    }
    this.#connection?.closePool(this.#id);
    return Promise.resolve();
  }

  /** Leaving an `await using` scope terminates, as leaving `with Pool()` does. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.terminate();
  }

  #connect(): Connection {
    if (this.#state === "terminated") throw new PoolTerminatedError("the pool was terminated");
    if (this.#state === "closed") throw new PoolClosedError("the pool was closed");
    this.#connection ??= this.#host.connection(this.#settings);
    if (this.#connection.closed) throw new ClosedError("the fabric was closed");
    return this.#connection;
  }

  #run<R>(call: Call<R>): AsyncResult<R> {
    const id = JobId(mintId(this.#host.env.random));
    const live: LiveCall = { run: new JobRun(id, emptySource) };
    const outcome = this.#start(call, live);
    outcome.catch(() => undefined); // an AsyncResult that nobody awaits is no unhandled rejection
    const { clock } = this.#host.env;
    return new AsyncResult<R>(
      {
        jobId: id,
        outcome,
        progress: () => live.run.progress,
        cancel: (reason) => this.#cancel(live.run, reason),
      },
      clock,
    );
  }

  async #start<R>(call: Call<R>, live: LiveCall): Promise<R> {
    const { fn, options } = call;
    const { shipper } = this.#host;
    const gate = live.run;
    if (typeof fn !== "function") throw new TypeError(`a function is needed, got ${typeof fn}`);
    checkOptionNames(call.spread ? "apply" : "map", options, call.spread ? CALL_OPTIONS : MAP_OPTIONS);
    checkCallOptions(options);
    options.signal?.throwIfAborted();
    const chunkSize = checkChunkSize(call.chunkSize());
    const connection = this.#connect();
    const items = call.items();
    if (items.length === 0) return call.take([]);
    if (items.length > MAP_ITEMS_MAX)
      throw new RangeError(`MAP_ITEMS_MAX is ${MAP_ITEMS_MAX}: a map cannot have ${items.length} inputs`);
    using _hold = this.#host.hold();
    using scope = new DisposableStack();
    this.#live.set(gate, undefined); // before the first wait, so that close(), join() and terminate() know of it
    try {
      const ready = Promise.all([shipper.ship(fn), chunkSize === undefined ? connection.capacity() : undefined]);
      scope.use(this.#watch(options, (reason) => this.#cancel(live.run, reason)));
      const [shipped, capacity] = await Promise.race([ready, gate.outcome.then(neverReached)]);
      if (gate.settled) await gate.outcome; // it lost the race, but it came before the job
      const slots = Math.min(capacity?.slots ?? 1, this.processes ?? Number.POSITIVE_INFINITY);
      const functions = new ArgumentFunctions(shipper);
      const source = chunkSource(items, { chunkSize, slots, functions });
      const run = new JobRun(gate.id, source, (stack) => shipper.localStack(stack));
      this.#live.delete(gate);
      this.#live.set(run, connection);
      live.run = run;
      connection.submit({
        run,
        pool: { id: this.#id, processes: this.processes, name: this.#settings.name ?? "" },
        artifacts: [...artifactsOf(shipped)],
        functions,
        function: functionRef(shipped),
        retries: options.retries ?? 0,
        name: options.name ?? "",
        spread: call.spread,
      });
      return call.take(await run.outcome);
    } finally {
      this.#live.delete(live.run);
      this.#over();
    }
  }

  #over(): void {
    if (this.#live.size > 0) return;
    if (this.#state === "closed") this.#connection?.closePool(this.#id);
    const waiters = this.#onEmpty;
    this.#onEmpty = [];
    for (const resolve of waiters) resolve();
  }

  #cancel(run: JobRun, reason: unknown): void {
    this.#live.get(run)?.cancel(run, "the caller cancelled it");
    run.fail(reason);
  }

  #watch({ signal, timeoutMs }: CallOptions, cancel: (reason: unknown) => void): Disposable {
    const scope = new DisposableStack();
    if (signal !== undefined) {
      const abort = (): void => cancel(signal.reason);
      signal.addEventListener("abort", abort, { once: true });
      scope.defer(() => signal.removeEventListener("abort", abort));
    }
    if (timeoutMs !== undefined) {
      const { clock } = this.#host.env;
      const late = (): void => cancel(new TimeoutError(`the call was cancelled after ${timeoutMs} ms`));
      scope.use(clock.setTimer(clock.nowMs() + timeoutMs, late));
    }
    return scope;
  }
}

function functionRef({ artifact, exportName, displayName, captured }: ShippedFunction): FunctionRef {
  const isInline = captured instanceof Uint8Array;
  return {
    artifact: artifact.hash,
    exportName,
    displayName,
    closure: captured !== undefined,
    captured: isInline ? captured : new Uint8Array(0),
    capturedArtifact: captured === undefined || isInline ? "" : captured.hash,
  };
}

const emptySource: ChunkSource = { total: 0, next: () => undefined };

function neverReached(): never {
  throw new HeddleError("internal", "a call that was not started yet cannot succeed");
}
