import { LimitError, PAYLOAD_BYTES_MAX, ProtocolError } from "@heddle/kernel";
import type { AnyFunction } from "@heddle/port-shipper";
import {
  type EncodedPayload,
  Encoding,
  type ItemSpan,
  PayloadEncoder,
  type PayloadItems,
  payloadItems,
} from "@heddle/wire";
import { fabricFailure, type ItemFailure, isRefusal, userFailure } from "./failures.ts";
import { type Functions, MissingFunction } from "./functions.ts";
import type { CurrentTask } from "./task-context.ts";

/** What came of running a chunk's items. */
export interface ChunkOutcome {
  /** Values of the items before the failing one, or of all. */
  readonly values: EncodedPayload;
  readonly failure: ItemFailure | undefined;
}

export interface ChunkTask {
  readonly fn: AnyFunction;
  /** The items are argument tuples. */
  readonly spread: boolean;
  readonly input: EncodedPayload;
  /** The items to run; undefined for all. */
  readonly span: ItemSpan | undefined;
  /** Called right before each item, with its offset in the chunk. */
  readonly mark: ((offset: number) => void) | undefined;
  /** Index of the chunk's first item in the call's inputs. */
  readonly firstIndex: number;
  /** Told of each item. */
  readonly task: Pick<CurrentTask, "index">;
  /** Where functions among the items come from. */
  readonly functions: Pick<Functions, "hooks" | "fetch" | "forget">;
}

/**
 * Runs the items of a chunk one after the other and stops at the first that fails. Gives the outcome at once where no item
 * returns a promise: a function that is not async costs no turn of the microtask queue.
 */
export function runItems(task: ChunkTask): ChunkOutcome | Promise<ChunkOutcome> {
  return new ChunkRun(task).start();
}

/** What a chunk gives when not even its first item ran. */
export const NO_VALUES: EncodedPayload = { encoding: Encoding.MSGPACK, count: 0, bytes: new Uint8Array(0) };

/** Numbers are encoded so many at a time, which costs a fraction of encoding each; unlike other values they cannot fail to travel. */
const NUMBERS_BATCH = 512;

class ChunkRun {
  readonly #task: ChunkTask;
  readonly #firstOffset: number;
  readonly #encoder = new PayloadEncoder("result");
  /** Values behind those in the encoder. Length < NUMBERS_BATCH between items. */
  readonly #numbers: number[] = [];
  /** Items with a value. Also the index of the item that runs. */
  #completed = 0;

  constructor(task: ChunkTask) {
    this.#task = task;
    this.#firstOffset = task.span?.offset ?? 0;
  }

  start(): ChunkOutcome | Promise<ChunkOutcome> {
    let items: PayloadItems;
    try {
      items = payloadItems(this.#task.input, this.#task.span, this.#task.functions.hooks);
    } catch (error) {
      if (isRefusal(error)) return { values: NO_VALUES, failure: fabricFailure(this.#firstOffset, error, "argument") };
      throw error;
    }
    const rest = this.#runUntilPromise(items);
    return rest === undefined ? this.#outcome(undefined) : rest;
  }

  /** Undefined when every item has its value. */
  #runUntilPromise(items: PayloadItems): ChunkOutcome | Promise<ChunkOutcome> | undefined {
    const { fn, spread, mark, task } = this.#task;
    const firstIndex = this.#task.firstIndex + this.#firstOffset;
    const { length } = items;
    const numbers = this.#numbers;
    for (let at = 0; at < length; at++) {
      let item: unknown;
      let result: unknown;
      let isCalled = false;
      try {
        item = items.next();
        mark?.(this.#firstOffset + at);
        task.index = firstIndex + at;
        isCalled = true;
        result = spread ? fn(...(item as unknown[])) : fn(item);
        if (typeof result === "number" && numbers.length < NUMBERS_BATCH) {
          numbers.push(result);
          continue;
        }
        this.#completed = at;
        if (isThenable(result)) return this.#runAsync(items, result);
      } catch (error) {
        this.#completed = at;
        if (!isCalled && error instanceof MissingFunction) return this.#resume(items);
        return isCalled ? this.#outcome(userFailure(this.#offset, error)) : this.#refused(error, "argument");
      }
      const refused = this.#keep(result);
      if (refused !== undefined) return refused;
    }
    return undefined;
  }

  /** `first`: what the item that runs gave. */
  async #runAsync(items: PayloadItems, first: unknown): Promise<ChunkOutcome> {
    const { length } = items;
    let pending: unknown = first;
    for (;;) {
      let result: unknown;
      try {
        result = isThenable(pending) ? await pending : pending;
      } catch (error) {
        return this.#outcome(userFailure(this.#offset, error));
      }
      const refused = this.#keep(result);
      if (refused !== undefined) return refused;
      if (++this.#completed === length) return this.#outcome(undefined);
      let item: unknown;
      try {
        item = items.next();
      } catch (error) {
        if (error instanceof MissingFunction) return this.#resume(items);
        return this.#refused(error, "argument");
      }
      try {
        pending = this.#call(item);
      } catch (error) {
        return this.#outcome(userFailure(this.#offset, error));
      }
    }
  }

  /** Goes on at an item whose functions have to be fetched first. */
  async #resume(items: PayloadItems): Promise<ChunkOutcome> {
    let item: unknown;
    try {
      item = await this.#fetched(items);
    } catch (error) {
      if (error instanceof ProtocolError) return this.#outcome(fabricFailure(this.#offset, error, "argument"));
      return this.#refused(error, "argument");
    }
    let pending: unknown;
    try {
      pending = this.#call(item);
    } catch (error) {
      return this.#outcome(userFailure(this.#offset, error));
    }
    return this.#runAsync(items, pending);
  }

  async #fetched(items: PayloadItems): Promise<unknown> {
    const { input, functions } = this.#task;
    const alone = { offset: this.#offset, count: 1 };
    try {
      await functions.fetch((hooks) => void payloadItems(input, alone, hooks).next());
      return items.next();
    } finally {
      functions.forget();
    }
  }

  #call(item: unknown): unknown {
    const { fn, spread, mark, task, firstIndex } = this.#task;
    mark?.(this.#offset);
    task.index = firstIndex + this.#offset;
    return spread ? fn(...(item as unknown[])) : fn(item);
  }

  get #offset(): number {
    return this.#firstOffset + this.#completed;
  }

  /** Keeps an item's value. The outcome when it cannot travel, else undefined. */
  #keep(result: unknown): ChunkOutcome | undefined {
    if (typeof result === "number") {
      return this.#numbers.push(result) < NUMBERS_BATCH ? undefined : this.#encodeNumbers();
    }
    const crowded = this.#encodeNumbers();
    if (crowded !== undefined) return crowded;
    const { size, count } = this.#encoder;
    try {
      this.#encoder.add(result);
    } catch (error) {
      return this.#refused(error, "result");
    }
    return this.#checkSize(size, count);
  }

  #encodeNumbers(): ChunkOutcome | undefined {
    if (this.#numbers.length === 0) return undefined;
    const { size, count } = this.#encoder;
    this.#encoder.addAll(this.#numbers, 0, this.#numbers.length);
    this.#numbers.length = 0;
    return this.#checkSize(size, count);
  }

  /** The outcome when the values grew too large since they were `count` in `size` bytes: those alone, then a failure. */
  #checkSize(size: number, count: number): ChunkOutcome | undefined {
    if (this.#encoder.size <= PAYLOAD_BYTES_MAX) return undefined;
    const error = new LimitError("PAYLOAD_BYTES_MAX", PAYLOAD_BYTES_MAX, this.#encoder.size);
    const { encoding, bytes } = this.#encoder.finish();
    const values = { encoding, count, bytes: bytes.subarray(0, size) };
    return { values, failure: fabricFailure(this.#firstOffset + count, error, "result") };
  }

  #refused(error: unknown, side: "argument" | "result"): ChunkOutcome {
    if (isRefusal(error)) return this.#outcome(fabricFailure(this.#offset, error, side));
    return this.#outcome(userFailure(this.#offset, error)); // a getter of the user's own value threw
  }

  #outcome(failure: ItemFailure | undefined): ChunkOutcome {
    const crowded = this.#encodeNumbers();
    if (crowded !== undefined) return crowded;
    return { values: this.#encoder.finish(), failure };
  }
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return (
    value !== null &&
    (typeof value === "object" || typeof value === "function") &&
    typeof (value as { readonly then?: unknown }).then === "function"
  );
}
