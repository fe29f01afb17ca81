import type { ArgumentFunctions } from "./argument-functions.ts";
import { Range } from "./range.ts";
import { ArrayReader, RangeReader, type Reader, RepeatReader } from "./readers.ts";
import { Repeat } from "./repeat.ts";
import { AsyncIterableReader, IterableReader } from "./stream-readers.ts";

/**
 * Inputs of a map. Arrays, typed arrays, `range()`, `repeat()`, Sets and Maps have a length; other iterables and async iterables are read as their items
 * are needed, never to their end in advance.
 */
export type Inputs<T> = Iterable<T> | AsyncIterable<T>;

/** How many inputs there are, as far as that can be known without reading them. Throws TypeError for what cannot be read at all. */
export function inputCount(inputs: unknown): number | undefined {
  if (inputs instanceof Range || inputs instanceof Repeat || Array.isArray(inputs)) return inputs.length;
  if (isTypedArray(inputs)) return inputs.length;
  if (inputs instanceof Set || inputs instanceof Map) return inputs.size;
  if (isAsyncIterable(inputs) || isIterable(inputs)) return undefined;
  throw new TypeError("inputs must be iterable: an array, a typed array, range(...), a Set, a generator, ...");
}

/** A reader of what `inputCount` took. `chunkSize`: what is lost with an iterator that throws; `wake`: see Reading. */
export function openInputs(
  inputs: unknown,
  options: { readonly chunkSize: number; readonly functions: ArgumentFunctions; readonly wake: () => void },
): Reader {
  const { functions } = options;
  if (inputs instanceof Range) return new RangeReader(inputs);
  if (inputs instanceof Repeat) return new RepeatReader(inputs, functions);
  if (Array.isArray(inputs) || isTypedArray(inputs)) return new ArrayReader(inputs, functions);
  if (inputs instanceof Set || inputs instanceof Map) return new ArrayReader([...inputs], functions); // as they are now: their size was taken
  if (isAsyncIterable(inputs)) return new AsyncIterableReader(inputs, options);
  return new IterableReader(inputs as Iterable<unknown>, options);
}

function isTypedArray(inputs: unknown): inputs is ArrayLike<unknown> & object {
  return ArrayBuffer.isView(inputs) && !(inputs instanceof DataView);
}

function isIterable(inputs: unknown): inputs is Iterable<unknown> {
  return isThere(inputs) && typeof (inputs as Iterable<unknown>)[Symbol.iterator] === "function";
}

function isAsyncIterable(inputs: unknown): inputs is AsyncIterable<unknown> {
  return isThere(inputs) && typeof (inputs as AsyncIterable<unknown>)[Symbol.asyncIterator] === "function";
}

function isThere(inputs: unknown): boolean {
  return inputs !== null && inputs !== undefined;
}
