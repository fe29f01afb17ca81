import { decodePayload } from "@heddle/wire";
import { describe, expect, test } from "vitest";
import type { Reading, Wanted } from "./readers.ts";
import { AsyncIterableReader, IterableReader } from "./stream-readers.ts";
import { settle } from "./testing.ts";

const wanted = (count: number, isEager = false): Wanted => ({ count, bytesTarget: Number.POSITIVE_INFINITY, isEager });

/** A reading as its values, or as the word for what it is. */
function told(reading: Reading): unknown {
  if (reading.type === "chunk") return decodePayload(reading.payload);
  if (reading.type === "broken" || reading.type === "refused") return [reading.type, reading.error];
  return reading.type;
}

/** Counts up, and notes what is done with it. */
class Counting {
  pulls = 0;
  returns = 0;
  readonly until: number;
  readonly onPull: (pull: number) => void;

  constructor(until: number, onPull: (pull: number) => void = () => undefined) {
    this.until = until;
    this.onPull = onPull;
  }

  [Symbol.iterator](): Iterator<number> {
    return {
      next: () => {
        this.onPull(++this.pulls);
        return this.pulls > this.until ? { done: true, value: undefined } : { done: false, value: this.pulls };
      },
      return: () => {
        this.returns++;
        return { done: true, value: undefined };
      },
    };
  }
}

function reader(inputs: Iterable<unknown>, chunkSize = 1): IterableReader {
  return new IterableReader(inputs, { chunkSize, functions: undefined });
}

describe("an iterable", () => {
  test("is read as far as items are wanted, and no further", () => {
    const inputs = new Counting(5);
    const reads = reader(inputs);
    expect(inputs.pulls).toBe(0);
    expect(told(reads.read(wanted(2)))).toEqual([1, 2]);
    expect(inputs.pulls).toBe(2);
    expect(told(reads.read(wanted(10)))).toEqual([3, 4, 5]);
    expect(told(reads.read(wanted(1)))).toBe("end");
    reads.close();
    expect(inputs).toMatchObject({ pulls: 6, returns: 0 });
  });

  test("that was not read to its end is told when it is closed, once", () => {
    const inputs = new Counting(5);
    const reads = reader(inputs);
    reads.read(wanted(2));
    reads.close();
    reads.close();
    expect(inputs).toMatchObject({ pulls: 2, returns: 1 });
    expect(told(reads.read(wanted(2)))).toBe("end");
  });

  test("that was never read is not even opened", () => {
    const inputs = new Counting(5);
    reader(inputs).close();
    expect(inputs).toMatchObject({ pulls: 0, returns: 0 });
  });

  test("whose own end throws keeps nobody from closing it", () => {
    const reads = reader(
      (function* () {
        try {
          yield 1;
          yield 2;
        } finally {
          // biome-ignore lint/correctness/noUnsafeFinally: that is what is tried
          throw new Error("at the end");
        }
      })(),
    );
    reads.read(wanted(1));
    expect(() => reads.close()).not.toThrow();
  });

  test("that throws gives what it gave before in whole chunks, then its own error", () => {
    const own = new Error("mine");
    const inputs = new Counting(9, (pull) => {
      if (pull === 6) throw own;
    });
    const reads = reader(inputs, 2);
    expect(told(reads.read(wanted(100)))).toEqual([1, 2, 3, 4]);
    expect(told(reads.read(wanted(100)))).toEqual(["broken", own]);
    reads.close();
    expect(inputs.returns).toBe(0);
  });

  test("that cannot even be opened, or gives what is no result, is broken", () => {
    const own = new Error("mine");
    const closed = {
      [Symbol.iterator]() {
        throw own;
      },
    };
    expect(told(reader(closed as never).read(wanted(1)))).toEqual(["broken", own]);
    const odd = { [Symbol.iterator]: () => ({ next: () => 5 }) };
    const error = new TypeError("the inputs' iterator gave 5, which is no { done, value }");
    expect(told(reader(odd as never).read(wanted(1)))).toEqual(["broken", error]);
    const none = { [Symbol.iterator]: () => 5 };
    const noneError = new TypeError("the inputs gave a number for an iterator, which has no next()");
    expect(told(reader(none as never).read(wanted(1)))).toEqual(["broken", noneError]);
  });

  test("goes on after an item that cannot travel, with the others' indices", () => {
    const reads = reader([0, () => 1, () => 2, 3]);
    expect(told(reads.read(wanted(4)))).toEqual([0]);
    expect(told(reads.read(wanted(4)))).toEqual(["refused", expect.objectContaining({ path: "$" })]);
    expect(told(reads.read(wanted(4)))).toEqual([
      "refused",
      expect.objectContaining({ message: expect.stringMatching(/^input 2: /) }),
    ]);
    expect(told(reads.read(wanted(4)))).toEqual([3]);
  });

  test("keeps the items that did not fit the bytes of a chunk for the next one", () => {
    const items = ["a", "b", "c", "d", "e"].map((letter) => letter.repeat(100));
    const reads = reader(items);
    const chunks = [1, 2, 3].map(() => told(reads.read({ ...wanted(5), bytesTarget: 150 })));
    expect(chunks).toEqual([items.slice(0, 2), items.slice(2, 4), items.slice(4)]);
  });

  test("that is closed from within its own code is told once it is out of it", () => {
    let isFinished = false;
    function* inputs() {
      try {
        yield 1;
        reads.close();
        yield 2;
        yield 3;
      } finally {
        isFinished = true;
      }
    }
    const reads: IterableReader = reader(inputs());
    expect(told(reads.read(wanted(3)))).toBe("end");
    expect(isFinished).toBe(true);
  });

  test("that is closed from within one of its items has no chunk", () => {
    const item = {
      get a() {
        reads.close();
        return 1;
      },
    };
    const reads = reader([item]);
    expect(told(reads.read(wanted(1)))).toBe("end");
  });
});

/** An async iterator whose every answer is the test's. */
class Prompted implements AsyncIterable<unknown> {
  pulls = 0;
  returns = 0;
  readonly #waiting: PromiseWithResolvers<IteratorResult<unknown>>[] = [];

  [Symbol.asyncIterator](): AsyncIterator<unknown> {
    return {
      next: () => {
        this.pulls++;
        const waiting = Promise.withResolvers<IteratorResult<unknown>>();
        this.#waiting.push(waiting);
        return waiting.promise;
      },
      return: async () => {
        this.returns++;
        return { done: true, value: undefined };
      },
    };
  }

  async give(value: unknown): Promise<void> {
    this.#waiting.shift()?.resolve({ done: false, value });
    await settle();
  }

  async end(): Promise<void> {
    this.#waiting.shift()?.resolve({ done: true, value: undefined });
    await settle();
  }

  async throw(error: unknown): Promise<void> {
    this.#waiting.shift()?.reject(error);
    await settle();
  }
}

function asyncReader(inputs: AsyncIterable<unknown>, chunkSize = 1) {
  let wakes = 0;
  const wake = (): void => void wakes++;
  const reads = new AsyncIterableReader(inputs, { chunkSize, functions: undefined, wake });
  return { reads, wakes: () => wakes };
}

describe("an async iterable", () => {
  test("wakes its run when as many items are there as are wanted, and reads no further", async () => {
    const inputs = new Prompted();
    const { reads, wakes } = asyncReader(inputs);
    expect(told(reads.read(wanted(2)))).toBe("later");
    await inputs.give(1);
    expect([wakes(), inputs.pulls]).toEqual([0, 2]);
    await inputs.give(2);
    expect([wakes(), inputs.pulls]).toEqual([1, 2]);
    expect(told(reads.read(wanted(2)))).toEqual([1, 2]);
    await settle();
    expect(inputs.pulls).toBe(2);
  });

  test("whose end comes early gives what is there, then the end", async () => {
    const inputs = new Prompted();
    const { reads, wakes } = asyncReader(inputs);
    reads.read(wanted(3));
    await inputs.give(1);
    await inputs.end();
    expect(wakes()).toBe(1);
    expect(told(reads.read(wanted(3)))).toEqual([1]);
    expect(told(reads.read(wanted(3)))).toBe("end");
    reads.close();
    expect(inputs.returns).toBe(0);
  });

  test("that waits gives what is there where fewer items will do, and is asked for no more than were wanted", async () => {
    const inputs = new Prompted();
    const { reads, wakes } = asyncReader(inputs);
    expect(told(reads.read(wanted(3, true)))).toBe("later");
    await inputs.give(1);
    expect(wakes()).toBe(1);
    expect(told(reads.read(wanted(3, true)))).toEqual([1]);
    await inputs.give(2);
    await inputs.give(3);
    expect(inputs.pulls).toBe(3);
    expect(told(reads.read(wanted(3, true)))).toEqual([2, 3]);
  });

  test("that is quick gives as many as are wanted, though fewer would do", async () => {
    async function* quick() {
      for (let at = 0; at < 100; at++) yield at;
    }
    async function* through() {
      yield* quick();
    }
    const { reads, wakes } = asyncReader(through());
    reads.read(wanted(100, true));
    await settle();
    expect(wakes()).toBe(1);
    expect(told(reads.read(wanted(100, true)))).toHaveLength(100);
  });

  test("that throws gives what it gave before in whole chunks, then its own error", async () => {
    const inputs = new Prompted();
    const { reads, wakes } = asyncReader(inputs, 2);
    reads.read(wanted(10));
    for (const item of [1, 2, 3]) await inputs.give(item);
    const own = new Error("mine");
    await inputs.throw(own);
    expect(wakes()).toBe(1);
    expect(told(reads.read(wanted(10)))).toEqual([1, 2]);
    expect(told(reads.read(wanted(10)))).toEqual(["broken", own]);
  });

  test("that cannot even be opened, or gives what is no result, is broken", async () => {
    const own = new Error("mine");
    const closed = {
      [Symbol.asyncIterator]() {
        throw own;
      },
    };
    const odd = { [Symbol.asyncIterator]: () => ({ next: () => undefined }) };
    const [first, second] = [asyncReader(closed as never).reads, asyncReader(odd as never).reads];
    for (const reads of [first, second]) reads.read(wanted(1));
    await settle();
    expect(told(first.read(wanted(1)))).toEqual(["broken", own]);
    const error = new TypeError("the inputs' iterator gave undefined, which is no { done, value }");
    expect(told(second.read(wanted(1)))).toEqual(["broken", error]);
    const { reads: third } = asyncReader({ [Symbol.asyncIterator]: () => undefined } as never);
    third.read(wanted(1));
    await settle();
    const noneError = new TypeError("the inputs gave undefined for an iterator, which has no next()");
    expect(told(third.read(wanted(1)))).toEqual(["broken", noneError]);
  });

  test("that is closed while an item is awaited is told at once, and what still comes is nobody's", async () => {
    const inputs = new Prompted();
    const { reads } = asyncReader(inputs);
    reads.read(wanted(2));
    reads.close();
    reads.close();
    expect(inputs.returns).toBe(1);
    await inputs.give(1);
    expect(inputs.pulls).toBe(1);
    expect(told(reads.read(wanted(2)))).toBe("end");
  });

  test("that throws after it was closed is not heard", async () => {
    const inputs = new Prompted();
    const { reads } = asyncReader(inputs);
    reads.read(wanted(2));
    reads.close();
    await inputs.throw(new Error("late"));
    expect(told(reads.read(wanted(2)))).toBe("end");
  });

  test.for([
    [
      "throws",
      () => {
        throw new Error("no end");
      },
    ],
    ["rejects", () => Promise.reject(new Error("no end"))],
    ["is no promise", () => ({ done: true })],
  ] as const)("whose own end %s keeps nobody from closing it", async ([, end]) => {
    const inputs = { [Symbol.asyncIterator]: () => ({ next: async () => ({ done: false, value: 1 }), return: end }) };
    const { reads } = asyncReader(inputs as never);
    reads.read(wanted(1));
    await settle();
    expect(() => reads.close()).not.toThrow();
    await settle();
  });
});
