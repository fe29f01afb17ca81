import type { ArgumentFunctions } from "./argument-functions.ts";
import { INPUTS_READ_AHEAD_MAX } from "./limits.ts";
import { ItemEncoder, type Reader, type Reading, type Wanted } from "./readers.ts";

/** Inputs that were read from an iterator and not encoded yet. */
class Buffer {
  readonly #encoder: ItemEncoder;
  #items: unknown[] = [];
  /** Index of the first of them in the call's inputs. */
  #index = 0;
  /** What the iterator threw after them. */
  failure: { readonly error: unknown } | undefined;
  /** The iterator has ended, or thrown. */
  isEnded = false;

  constructor(functions: ArgumentFunctions | undefined) {
    this.#encoder = new ItemEncoder(functions);
  }

  get length(): number {
    return this.#items.length;
  }

  push(item: unknown): void {
    this.#items.push(item);
  }

  /** Of what the iterator gave before it threw only whole chunks are taken: the one it threw in is lost, as in Python. */
  fail(error: unknown, chunkSize: number): void {
    this.isEnded = true;
    this.failure = { error };
    this.#items.length -= this.#items.length % chunkSize;
  }

  /** A chunk of what is there, which may be fewer than wanted; else why there is none. */
  read({ count, bytesTarget }: Wanted): Reading {
    if (this.length === 0) {
      if (this.failure !== undefined) return { type: "broken", error: this.failure.error };
      return this.isEnded ? { type: "end" } : { type: "later" };
    }
    const until = Math.min(count, this.length);
    const stretch = { first: 0, until, index: this.#index, bytesTarget };
    const { at, reading } = this.#encoder.encode(this.#items, stretch);
    this.#items = at === this.length ? [] : this.#items.slice(at);
    this.#index += at;
    return reading;
  }
}

/** Reads an iterable as far as chunks are wanted, and no further. `chunkSize`: what is lost with an iterator that throws. */
export class IterableReader implements Reader {
  readonly total: number | undefined;
  readonly #inputs: Iterable<unknown>;
  readonly #chunkSize: number;
  readonly #buffer: Buffer;
  #iterator: Iterator<unknown> | undefined;

  /** `total`: undefined when it is not known. */
  constructor(
    inputs: Iterable<unknown>,
    options: { total: number | undefined; chunkSize: number; functions: ArgumentFunctions | undefined },
  ) {
    this.total = options.total;
    this.#inputs = inputs;
    this.#chunkSize = options.chunkSize;
    this.#buffer = new Buffer(options.functions);
  }

  read(wanted: Wanted): Reading {
    const buffer = this.#buffer;
    const count = Math.min(wanted.count, INPUTS_READ_AHEAD_MAX);
    try {
      while (buffer.length < count && !buffer.isEnded) {
        this.#iterator ??= this.#inputs[Symbol.iterator]();
        const next = this.#iterator.next();
        if (next.done === true) buffer.isEnded = true;
        else buffer.push(next.value);
      }
    } catch (error) {
      buffer.fail(error, this.#chunkSize);
    }
    return buffer.read({ ...wanted, count });
  }

  close(): void {
    if (this.#buffer.isEnded) return;
    this.#buffer.isEnded = true;
    try {
      this.#iterator?.return?.();
    } catch {
      // the call has its result or its error already: what the iterator's own end throws has nobody to go to
    }
  }
}

/** As IterableReader, for inputs that come later: reads on in the background until as many are there as were wanted last. */
export class AsyncIterableReader implements Reader {
  readonly total = undefined;
  readonly #inputs: AsyncIterable<unknown>;
  readonly #chunkSize: number;
  readonly #buffer: Buffer;
  readonly #wake: () => void;
  #iterator: AsyncIterator<unknown> | undefined;
  #wanted = 0;
  #isEager = false;
  #isReading = false;

  /** `wake`: something came that was waited for. */
  constructor(
    inputs: AsyncIterable<unknown>,
    options: { chunkSize: number; functions: ArgumentFunctions | undefined; wake: () => void },
  ) {
    this.#inputs = inputs;
    this.#chunkSize = options.chunkSize;
    this.#buffer = new Buffer(options.functions);
    this.#wake = options.wake;
  }

  read(wanted: Wanted): Reading {
    const buffer = this.#buffer;
    const count = Math.min(wanted.count, INPUTS_READ_AHEAD_MAX);
    const isEnough = buffer.length >= count || buffer.isEnded || (wanted.isEager && buffer.length > 0);
    if (isEnough) return buffer.read({ ...wanted, count });
    this.#wanted = count;
    this.#isEager = wanted.isEager;
    if (!this.#isReading) void this.#readOn();
    return { type: "later" };
  }

  close(): void {
    if (this.#buffer.isEnded) return;
    this.#buffer.isEnded = true;
    // as for IterableReader
    this.#iterator?.return?.()?.then(undefined, () => undefined);
  }

  async #readOn(): Promise<void> {
    const buffer = this.#buffer;
    this.#isReading = true;
    try {
      this.#iterator ??= this.#inputs[Symbol.asyncIterator]();
      while (buffer.length < this.#wanted && !buffer.isEnded) {
        const next = await this.#iterator.next();
        if (buffer.isEnded) break; // closed meanwhile
        if (next.done === true) buffer.isEnded = true;
        else buffer.push(next.value);
        if (this.#isEager) this.#wake();
      }
    } catch (error) {
      if (!buffer.isEnded) buffer.fail(error, this.#chunkSize);
    }
    this.#isReading = false;
    this.#wake();
  }
}
