import type { ArgumentFunctions } from "./argument-functions.ts";
import { described } from "./describe.ts";
import { INPUTS_READ_AHEAD_MAX } from "./limits.ts";
import { ItemEncoder, type Reader, type Reading, type Wanted } from "./readers.ts";

/** Inputs that were read from an iterator and not encoded yet. */
class Buffer {
  readonly #encoder: ItemEncoder;
  #items: unknown[] = [];
  /** Those before it are encoded. */
  #at = 0;
  /** Items that were encoded and let go of. */
  #gone = 0;
  /** What the iterator threw after them. */
  failure: { readonly error: unknown } | undefined;
  /** The iterator has ended, or thrown, or nobody wants more of it. */
  isEnded = false;

  constructor(functions: ArgumentFunctions | undefined) {
    this.#encoder = new ItemEncoder(functions);
  }

  get length(): number {
    return this.#items.length - this.#at;
  }

  /** Takes what an iterator gave. Throws TypeError for what is no iterator result. */
  take(next: IteratorResult<unknown>): void {
    if (typeof next !== "object" || next === null)
      throw new TypeError(`the inputs' iterator gave ${String(next)}, which is no { done, value }`);
    if (next.done === true) this.isEnded = true;
    else this.#items.push(next.value);
  }

  /** Of what the iterator gave before it threw only whole chunks are taken: the one it threw in is lost, as in Python. */
  fail(error: unknown, chunkSize: number): void {
    this.isEnded = true;
    this.failure = { error };
    this.#items.length -= this.length % chunkSize;
  }

  /** A chunk of what is there, which may be fewer than wanted; else why there is none. */
  read({ count, bytesTarget }: Wanted): Reading {
    if (this.length === 0) {
      if (this.failure !== undefined) return { type: "broken", error: this.failure.error };
      return this.isEnded ? { type: "end" } : { type: "later" };
    }
    const first = this.#at;
    const stretch = { first, until: first + Math.min(count, this.length), index: this.#gone + first, bytesTarget };
    const items = this.#items;
    const { at, reading } = this.#encoder.encode(items, stretch);
    if (items !== this.#items) return { type: "end" }; // cleared from within an item
    this.#at = at;
    if (2 * at >= items.length) this.#letGo(); // not at each item: that would be a copy of the rest for each
    return reading;
  }

  /** Nobody wants what is there, nor more. */
  clear(): void {
    this.isEnded = true;
    this.#items = [];
    this.#at = 0;
  }

  #letGo(): void {
    this.#items = this.#items.slice(this.#at);
    this.#gone += this.#at;
    this.#at = 0;
  }
}

/** Throws TypeError for what is no iterator. */
function checkedIterator<I extends { readonly next: unknown }>(iterator: I): I {
  if (typeof (iterator as I | undefined | null)?.next === "function") return iterator;
  throw new TypeError(`the inputs gave ${described(iterator)} for an iterator, which has no next()`);
}

/** Reads an iterable as far as chunks are wanted, and no further. `chunkSize`: what is lost with an iterator that throws. */
export class IterableReader implements Reader {
  readonly total = undefined;
  readonly #inputs: Iterable<unknown>;
  readonly #chunkSize: number;
  readonly #buffer: Buffer;
  #iterator: Iterator<unknown> | undefined;
  /** The iterator is in its own code: it cannot be told anything now. */
  #isInside = false;

  constructor(inputs: Iterable<unknown>, options: { chunkSize: number; functions: ArgumentFunctions | undefined }) {
    this.#inputs = inputs;
    this.#chunkSize = options.chunkSize;
    this.#buffer = new Buffer(options.functions);
  }

  read(wanted: Wanted): Reading {
    const buffer = this.#buffer;
    const count = Math.min(wanted.count, INPUTS_READ_AHEAD_MAX);
    try {
      while (buffer.length < count && !buffer.isEnded) this.#readOne();
    } catch (error) {
      buffer.fail(error, this.#chunkSize);
    }
    return buffer.read({ ...wanted, count });
  }

  close(): void {
    const { isEnded } = this.#buffer;
    this.#buffer.clear();
    if (!isEnded && !this.#isInside) this.#leave();
  }

  #readOne(): void {
    if (this.#iterator === undefined) {
      this.#iterator = checkedIterator(this.#inputs[Symbol.iterator]());
      return;
    }
    this.#isInside = true;
    const next = this.#iterator.next();
    this.#isInside = false;
    if (!this.#buffer.isEnded) this.#buffer.take(next);
    else if (next.done !== true) this.#leave(); // it was closed from within
  }

  #leave(): void {
    try {
      this.#iterator?.return?.();
    } catch {
      // the call has its result or its error already: what the iterator's own end throws has nobody to go to
    }
  }
}

/**
 * As IterableReader, for inputs that come later: reads on in the background until as many were read as were wanted last. Where fewer will do, those that
 * are there are announced as soon as the iterator has the next one wait for more than a few turns of its own.
 */
export class AsyncIterableReader implements Reader {
  readonly total = undefined;
  readonly #inputs: AsyncIterable<unknown>;
  readonly #chunkSize: number;
  readonly #buffer: Buffer;
  readonly #wake: () => void;
  #iterator: AsyncIterator<unknown> | undefined;
  /** Items that the buffer may grow to. */
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
    const there = buffer.length;
    const isEnough = there >= count || buffer.isEnded || (wanted.isEager && there > 0);
    if (isEnough) {
      const reading = buffer.read({ ...wanted, count });
      this.#wanted -= there - buffer.length; // no more of them are to be read until they are asked for
      return reading;
    }
    this.#wanted = count;
    this.#isEager = wanted.isEager;
    if (!this.#isReading) void this.#readOn();
    return { type: "later" };
  }

  close(): void {
    const { isEnded } = this.#buffer;
    this.#buffer.clear();
    if (!isEnded) void this.#leave();
  }

  async #leave(): Promise<void> {
    try {
      await this.#iterator?.return?.();
    } catch {
      // as for IterableReader
    }
  }

  async #readOn(): Promise<void> {
    const buffer = this.#buffer;
    this.#isReading = true;
    try {
      this.#iterator ??= checkedIterator(this.#inputs[Symbol.asyncIterator]());
      while (buffer.length < this.#wanted && !buffer.isEnded) {
        const next = await this.#patiently(this.#iterator.next());
        if (!buffer.isEnded) buffer.take(next); // else it was closed meanwhile
      }
    } catch (error) {
      if (!buffer.isEnded) buffer.fail(error, this.#chunkSize);
    }
    this.#isReading = false;
    this.#wake();
  }

  /** What the iterator promised. When that is not there in a few turns, and fewer items than were wanted will do, those that are there are announced. */
  async #patiently<T>(promised: T | PromiseLike<T>): Promise<T> {
    if (!this.#isEager || this.#buffer.length === 0) return promised;
    let isThere = false;
    const next = Promise.resolve(promised).finally(() => {
      isThere = true;
    });
    next.catch(() => undefined); // it is awaited below, later
    for (let turn = 0; turn < PATIENCE_TURNS && !isThere; turn++) await undefined;
    if (!isThere) this.#wake();
    return next;
  }
}

/** Microtasks that an iterator may take for an item which is there already: a generator of a generator takes some. */
const PATIENCE_TURNS = 16;
