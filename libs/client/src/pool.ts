import type { AnyFunction } from "@heddle/port-shipper";
import { AsyncResult, type ItemCounts } from "./async-result.ts";
import { callBack, progressMeter } from "./call-listeners.ts";
import type { Callbacks, CallOptions, MapOptions, ReduceOptions, StreamOptions } from "./call-options.ts";
import { described } from "./describe.ts";
import { FoldSink } from "./fold-sink.ts";
import { type Inputs, inputCount } from "./inputs.ts";
import { MAP_ITEMS_MAX } from "./limits.ts";
import type { MapIterator } from "./map-iterator.ts";
import { moduleHandles } from "./module-handles.ts";
import {
  APPLY_OPTIONS,
  CALLBACKS,
  checkArgs,
  checkCallOptions,
  checkDetach,
  checkPoolSettings,
  IMAP_OPTIONS,
  MAP_OPTIONS,
  REDUCE_OPTIONS,
} from "./options.ts";
import { type CallPlan, PoolCalls, type PoolHost, type StartedCall } from "./pool-calls.ts";
import type { PoolSettings } from "./pool-setup.ts";
import { progressOf } from "./progress.ts";
import { ArraySink, SettledSink, type TypedArrayConstructor, TypedSink } from "./result-sinks.ts";
import { StreamConsumer } from "./stream-consumer.ts";

type Into = TypedArrayConstructor | undefined;
type OnError = "throw" | "collect";

/** What a map gives for an option `into` or `onError`: an array of results, of settled results, or a typed array. */
export type MapResult<R, O> = O extends { readonly into: infer Into extends TypedArrayConstructor }
  ? InstanceType<Into>
  : O extends { readonly onError: "collect" }
    ? PromiseSettledResult<Awaited<R>>[]
    : Awaited<R>[];

/** As MapResult, for the values of the two options: a callback among the options gets its type by these. Wide ones say nothing. */
type AsyncMapResult<R, I, E> = MapResult<
  R,
  { readonly into: TypedArrayConstructor extends I ? undefined : I; readonly onError: "throw" extends E ? "throw" : E }
>;

/** Options of `mapAsync`, with callbacks for what it gives. */
type MapAsyncOptions<R, I, E> = MapOptions & { readonly into?: I; readonly onError?: E } & Callbacks<
    AsyncMapResult<R, I, E>
  >;

/** What an imap gives for each item. */
export type StreamResult<R, O> = O extends { readonly onError: "collect" }
  ? PromiseSettledResult<Awaited<R>>
  : Awaited<R>;

/** A call whose options were checked, and how its result is made when every item has its own. */
interface Shape<R> {
  readonly plan: Omit<CallPlan, "options" | "changed">;
  readonly result: () => R;
}

/** Worker processes of its own that run functions over inputs, as multiprocessing.Pool. */
export class FabricPool implements AsyncDisposable {
  /** Asked for: worker processes here, a cap on slots on a cluster; undefined for all there are. */
  readonly processes: number | undefined;
  readonly #host: PoolHost;
  readonly #calls: PoolCalls;

  /**
   * Made by `fabric.pool()` or the Pool of the package. An initializer runs in a first worker at once. Throws RangeError and TypeError for settings that
   * cannot be.
   */
  constructor(host: PoolHost, settings: PoolSettings = {}) {
    checkPoolSettings(settings);
    this.processes = settings.processes;
    this.#host = host;
    this.#calls = new PoolCalls(host, settings);
    if (settings.initializer !== undefined) this.#prime();
  }

  /** Slots usable now. A fabric without nodes is waited for. Rejects with UnavailableError. */
  async capacity(): Promise<number> {
    using _hold = this.#host.hold();
    const { slots } = await this.#calls.connect().capacity();
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

  /** As `apply`, with the result to be asked for later. Throws TypeError and RangeError for what is no function, arguments or options. */
  applyAsync<A extends readonly unknown[], R>(
    fn: (...args: A) => R,
    args?: A,
    options: CallOptions & Callbacks<Awaited<R>> = {},
  ): AsyncResult<Awaited<R>> {
    checkCallOptions("apply", options, [...APPLY_OPTIONS, ...CALLBACKS]);
    this.#checkDetach("apply", options);
    const sink = new ArraySink(1, this.#host.results);
    const inputs = [[...checkArgs(args)]];
    return this.#async<Awaited<R>>(options, {
      plan: { fn: checkFunction(fn), spread: true, inputs, total: 1, sink, onItemError: "fail", shape: "item" },
      result: () => sink.results[0] as Awaited<R>,
    });
  }

  /**
   * Runs `fn(item)` for each input and resolves to the results in order of the inputs. The function gets the item alone.
   * When items fail no new chunk starts, running ones end, and the error of the lowest index seen is thrown.
   */
  async map<T, R, const O extends MapOptions = MapOptions>(
    fn: (item: T) => R,
    inputs: Inputs<T>,
    options?: O,
  ): Promise<MapResult<R, O>> {
    return await this.#mapAsync<MapResult<R, O>>("map", fn, inputs, options, false);
  }

  /** As `map`, with the results to be asked for later. Throws TypeError and RangeError for what is no function, inputs or options. */
  mapAsync<T, R, I extends Into = undefined, const E extends OnError = "throw">(
    fn: (item: T) => R,
    inputs: Inputs<T>,
    options?: MapAsyncOptions<R, I, E>,
  ): AsyncResult<AsyncMapResult<R, I, E>> {
    return this.#mapAsync("map", fn, inputs, options, false);
  }

  /** As `map`, each input being the array of arguments of one call: `fn(...input)`. */
  async starmap<A extends readonly unknown[], R, const O extends MapOptions = MapOptions>(
    fn: (...args: A) => R,
    inputs: Inputs<Readonly<A>>,
    options?: O,
  ): Promise<MapResult<R, O>> {
    return await this.#mapAsync<MapResult<R, O>>("starmap", fn, inputs, options, true);
  }

  /** As `starmap`, with the results to be asked for later. */
  starmapAsync<A extends readonly unknown[], R, I extends Into = undefined, const E extends OnError = "throw">(
    fn: (...args: A) => R,
    inputs: Inputs<Readonly<A>>,
    options?: MapAsyncOptions<R, I, E>,
  ): AsyncResult<AsyncMapResult<R, I, E>> {
    return this.#mapAsync("starmap", fn, inputs, options, true);
  }

  /**
   * Runs `fn(item)` for each input and gives the results one at a time, in order of the inputs. Inputs are read, and results kept, no further ahead of
   * their consumer than `bufferSize`. Throws TypeError and RangeError for what is no function, inputs or options, PoolClosedError, and the reason of a
   * signal that was aborted before.
   */
  imap<T, R, const O extends StreamOptions = StreamOptions>(
    fn: (item: T) => R,
    inputs: Inputs<T>,
    options?: O,
  ): MapIterator<StreamResult<R, O>> {
    return this.#stream(fn, inputs, options, { method: "imap", isOrdered: true, spread: false });
  }

  /** As `imap`, in the order in which results come. */
  imapUnordered<T, R, const O extends StreamOptions = StreamOptions>(
    fn: (item: T) => R,
    inputs: Inputs<T>,
    options?: O,
  ): MapIterator<StreamResult<R, O>> {
    return this.#stream(fn, inputs, options, { method: "imapUnordered", isOrdered: false, spread: false });
  }

  /** As `imap`, each input being the array of arguments of one call. */
  istarmap<A extends readonly unknown[], R, const O extends StreamOptions = StreamOptions>(
    fn: (...args: A) => R,
    inputs: Inputs<Readonly<A>>,
    options?: O,
  ): MapIterator<StreamResult<R, O>> {
    return this.#stream(fn, inputs, options, { method: "istarmap", isOrdered: true, spread: true });
  }

  /** As `imapUnordered`, each input being the array of arguments of one call. */
  istarmapUnordered<A extends readonly unknown[], R, const O extends StreamOptions = StreamOptions>(
    fn: (...args: A) => R,
    inputs: Inputs<Readonly<A>>,
    options?: O,
  ): MapIterator<StreamResult<R, O>> {
    return this.#stream(fn, inputs, options, { method: "istarmapUnordered", isOrdered: false, spread: true });
  }

  /**
   * Runs `fn(item)` for each input and combines the results, in the workers as far as possible, always in order of the inputs and in aligned blocks of
   * 4,096: an associative `combine` gives what a loop would give, and one that is only nearly so (sums of fractions) the same bits each time. Rejects
   * with TypeError when there is nothing to combine and no `initial`.
   */
  async mapReduce<T, A>(
    fn: (item: T) => A,
    combine: (a: Awaited<A>, b: Awaited<A>) => Awaited<A>,
    inputs: Inputs<T>,
    options: ReduceOptions<Awaited<A>> = {},
  ): Promise<Awaited<A>> {
    if (Object.hasOwn(Object(options), "effects"))
      throw new TypeError(
        "mapReduce has no option effects: items whose results are folded count together, not one by one",
      );
    this.#checkDetach("mapReduce", options);
    checkCallOptions("mapReduce", options, REDUCE_OPTIONS);
    if (typeof combine !== "function") throw new TypeError(`combine must be a function, got ${described(combine)}`);
    const initial = "initial" in options ? { value: options.initial as unknown } : undefined;
    const sink = new FoldSink(combine as (a: unknown, b: unknown) => unknown, initial, this.#host.results);
    const total = inputCount(inputs);
    const { initial: _, ...rest } = options;
    return await this.#async<Awaited<A>>(rest, {
      plan: { fn: checkFunction(fn), combine, spread: false, inputs, total, sink, onItemError: "fail" },
      result: () => {
        const result = sink.result();
        if (result === undefined) throw new TypeError("mapReduce of nothing needs an initial value");
        return result.value as Awaited<A>;
      },
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
    this.#calls.close();
  }

  /**
   * Resolves when all work is over. Rejects with StateError before `close()` or `terminate()`. A stream of results that is neither consumed nor left
   * (`return()`, or the end of its `await using`) is never over, unless all of its results fit its buffer.
   */
  join(): Promise<void> {
    return this.#calls.join();
  }

  /** Drops what waits, kills what runs: everything outstanding rejects with PoolTerminatedError. */
  terminate(): Promise<void> {
    this.#calls.terminate();
    return Promise.resolve();
  }

  /** Leaving an `await using` scope terminates, as leaving `with Pool()` does. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.terminate();
  }

  /** Has a first worker join. What goes wrong there goes wrong in the calls too, and is told by them. */
  #prime(): void {
    const plan = { fn: undefined, spread: false, inputs: [undefined], total: 1, sink: new ArraySink(1) };
    const call = this.#calls.start({ ...plan, options: { chunkSize: 1 }, onItemError: "fail" });
    call.outcome.then(call.release, call.release);
  }

  #mapAsync<R>(
    method: string,
    fn: unknown,
    inputs: unknown,
    options: (MapOptions & Callbacks<R>) | undefined,
    spread: boolean,
  ): AsyncResult<R> {
    const given = options === undefined ? {} : options;
    checkCallOptions(method, given, [...MAP_OPTIONS, ...CALLBACKS]);
    this.#checkDetach(method, given);
    const total = inputCount(inputs);
    if (total !== undefined && total > MAP_ITEMS_MAX)
      throw new RangeError(`MAP_ITEMS_MAX is ${MAP_ITEMS_MAX}: a ${method} cannot have ${total} inputs`);
    const collects = given.onError === "collect";
    const sink = collects
      ? new SettledSink(total, this.#host.results)
      : given.into === undefined
        ? new ArraySink(total, this.#host.results)
        : new TypedSink(given.into, total);
    const shape = collects ? "settled" : (given.into?.name ?? "list");
    const plan = { fn: checkFunction(fn), spread, inputs, total, sink, shape };
    return this.#async<R>(given, {
      plan: { ...plan, onItemError: collects ? "keep" : "fail" },
      result: () => sink.results as R,
    });
  }

  #async<R>(options: MapOptions & Callbacks<R>, { plan, result }: Shape<R>): AsyncResult<R> {
    const { env } = this.#host;
    const sinceMs = env.clock.nowMs();
    let call: StartedCall | undefined;
    const counts = (): ItemCounts => call?.counts() ?? { done: 0, failed: 0 };
    const meter = progressMeter(this.#host, options, plan.fn, counts);
    const outcome = this.#begun({ ...plan, options, ...(meter && { changed: () => meter.changed() }) }, (started) => {
      call = started;
      meter?.begun();
    }).then(
      () => {
        meter?.ended();
        const value = result();
        callBack(env.log, "callback", () => options.callback?.(value));
        return value;
      },
      (error: unknown) => {
        meter?.stopped();
        throw error;
      },
    );
    const told = outcome.catch((error: unknown) => {
      callBack(env.log, "errorCallback", () => options.errorCallback?.(error as Error));
      throw error;
    });
    told.catch(() => undefined); // an AsyncResult that nobody awaits is no unhandled rejection
    const asyncResult = new AsyncResult<R>(
      {
        jobId: call?.jobId ?? "",
        outcome: told,
        progress: () => progressOf(counts(), env.clock.nowMs() - sinceMs),
        cancel: (reason) => call?.cancel(reason),
        accepted: () => call?.accepted() ?? told.then(() => undefined),
        ...(call?.want === undefined ? {} : { want: call.want }),
      },
      env.clock,
    );
    const isToldOf = meter !== undefined || options.callback !== undefined || options.errorCallback !== undefined;
    const wanted = isToldOf ? call?.want?.() : undefined;
    const release = (): void => {
      wanted?.[Symbol.dispose]();
      call?.release();
    };
    told.then(release, release); // after the result has turned ready
    return asyncResult;
  }

  #checkDetach(what: string, options: unknown): void {
    checkDetach(what, options, { isTask: this.#host.keeper === undefined });
  }

  /** What keeps a call from starting at all (a closed pool, a signal that was aborted) is its outcome. */
  async #begun(plan: CallPlan, begun: (call: StartedCall) => void): Promise<void> {
    plan.options.signal?.throwIfAborted();
    const call = this.#calls.begin(plan);
    begun(call);
    await call.outcome;
  }

  #stream<R, O>(
    fn: unknown,
    inputs: unknown,
    options: StreamOptions | undefined,
    how: { readonly method: string; readonly isOrdered: boolean; readonly spread: boolean },
  ): MapIterator<StreamResult<R, O>> {
    const given = options === undefined ? {} : options;
    const { method, isOrdered, spread } = how;
    this.#checkDetach(method, given);
    checkCallOptions(method, given, IMAP_OPTIONS);
    const { bufferSize: _, ...rest } = given;
    const total = inputCount(inputs);
    const chunkSize = rest.chunkSize ?? rest.concurrency ?? 1;
    const settled = given.onError === "collect";
    const consumer = new StreamConsumer<StreamResult<R, O>>(this.#host, this.#calls, { isOrdered, settled });
    const meter = progressMeter(this.#host, rest, fn, () => consumer.counts);
    consumer.begin(
      {
        ...{ fn: checkFunction(fn), spread, inputs, total, sink: consumer.results, onItemError: "keep" },
        options: { ...rest, chunkSize },
        stream: consumer.plan(given),
        ...(meter && { changed: () => meter.changed() }),
      },
      meter,
    );
    return consumer.iterator;
  }
}

function checkFunction(fn: unknown): AnyFunction {
  if (typeof fn !== "function") throw new TypeError(`a function is needed, got ${described(fn)}`);
  return fn as AnyFunction;
}
