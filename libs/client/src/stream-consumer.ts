import type { ItemCounts } from "./async-result.ts";
import type { StreamOptions } from "./call-options.ts";
import { STREAM_UNREAD_BYTES_MAX } from "./limits.ts";
import { MapIterator } from "./map-iterator.ts";
import type { CallPlan, PoolCalls, PoolHost, StartedRun, StreamPlan } from "./pool-calls.ts";
import type { ProgressMeter } from "./progress.ts";
import { WaitingResults } from "./waiting-results.ts";
import type { StreamWindow } from "./window.ts";

/** Between a call whose results are consumed one by one and its consumer: what arrives, what was taken, and how it ends. */
export class StreamConsumer<R> {
  readonly results: WaitingResults;
  readonly iterator: MapIterator<R>;
  readonly #calls: PoolCalls;
  readonly #isOrdered: boolean;
  #call: StartedRun | undefined;
  #window: StreamWindow | undefined;
  /** Bytes of results that were taken and not told of. */
  #untoldBytes = 0;
  /** Bytes that arrived and were not taken. */
  #unreadBytes = 0;
  /** Everything may come: what arrives counts as taken. */
  #isLifted = false;

  /** `settled`: errors of items are results too. */
  constructor(host: PoolHost, calls: PoolCalls, how: { readonly isOrdered: boolean; readonly settled: boolean }) {
    this.#calls = calls;
    this.#isOrdered = how.isOrdered;
    this.results = new WaitingResults({
      isOrdered: how.isOrdered,
      onArrived: (items, bytes) => this.#arrived(items, bytes),
      onTaken: (items, bytes) => this.#taken(items, bytes),
      hooks: host.results,
    });
    this.iterator = new MapIterator<R>({
      results: this.results,
      clock: host.env.clock,
      hold: host.hold,
      settled: how.settled,
      abandon: () => this.#abandon(),
    });
  }

  get counts(): ItemCounts {
    return this.#call?.counts() ?? { done: 0, failed: 0 };
  }

  /** How its call is to be streamed. */
  plan({ bufferSize, chunkSize }: StreamOptions): StreamPlan {
    return {
      isOrdered: this.#isOrdered,
      bufferSize,
      chunkSize,
      unreadBytesMax: STREAM_UNREAD_BYTES_MAX,
      unreadBytes: () => {
        this.#untoldBytes = 0;
        return this.#isLifted ? 0 : this.#unreadBytes;
      },
      inputsBroke: (error) => this.iterator.inputsBroke(error),
      failed: (error) => this.iterator.failed(error),
      opened: (window) => {
        this.#window = window;
      },
      lift: () => this.#lift(),
    };
  }

  /** Starts the call. Throws what keeps it from starting. `meter`: told how it ends. */
  begin(plan: CallPlan, meter: ProgressMeter | undefined): void {
    plan.options.signal?.throwIfAborted();
    const call = this.#calls.start(plan);
    this.#call = call;
    meter?.begun();
    call.outcome.then(
      () => {
        meter?.ended();
        this.iterator.ended();
        call.release();
      },
      (error: unknown) => {
        meter?.stopped();
        this.iterator.failed(error);
        call.release();
      },
    );
  }

  #arrived(items: number, bytes: number): void {
    this.#unreadBytes += bytes;
    this.#window?.arrived(items);
    if (this.#isLifted) this.#tell(bytes);
    this.iterator.arrived();
  }

  /** Whoever waits for the end of the work waits for all of it, consumer or not: what is left is kept, however much it is. */
  #lift(): void {
    if (this.#isLifted) return;
    this.#isLifted = true;
    this.#window?.lift();
    this.#tell(this.#unreadBytes + this.#untoldBytes);
    this.#call?.run.consumed(0); // it may go on
  }

  #taken(items: number, bytes: number): void {
    const run = this.#call?.run;
    if (run === undefined) return;
    run.consumed(items);
    this.#unreadBytes -= bytes;
    if (this.#isLifted) return;
    this.#untoldBytes += bytes;
    if (this.#untoldBytes >= TELL_BYTES) this.#tell(this.#untoldBytes);
  }

  #tell(bytes: number): void {
    this.#untoldBytes = 0;
    if (this.#call !== undefined && bytes > 0) this.#calls.takeResults(this.#call.run, bytes);
  }

  #abandon(): void {
    if (this.#call !== undefined)
      this.#calls.cancel(this.#call.run, new DOMException("The rest of the results is not wanted", "AbortError"));
  }
}

/** Bytes taken that are worth a word: a part of the bound, so that a consumer who goes on always frees the next chunk. */
const TELL_BYTES = STREAM_UNREAD_BYTES_MAX / 8;
