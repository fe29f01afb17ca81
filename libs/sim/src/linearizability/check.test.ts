import { describe, expect, it, test } from "vitest";
import { assertLinearizable, checkLinearizable, HistoryError } from "./check.ts";
import { type Answer, answered, done, type Operation, partition, refused, type SequentialModel } from "./history.ts";
import { dictModel } from "./models/dict.ts";
import { type ListInput, listModel } from "./models/list.ts";
import { type LockInput, lockModel } from "./models/lock.ts";
import { queueModel } from "./models/queue.ts";
import { semaphoreModel } from "./models/semaphore.ts";
import { type ValueInput, valueModel } from "./models/value.ts";

/** A call by a client, from and to, and what it was answered; without the last two its outcome is unknown. */
type Call<In> = readonly [client: number, from: number, input: In, to?: number, output?: Answer];

function operations<In>(calls: readonly Call<In>[]): Operation<In>[] {
  return calls.map(([client, invokedAt, input, returnedAt, output]) =>
    returnedAt === undefined || output === undefined
      ? { client, input, invokedAt }
      : { client, input, invokedAt, output, returnedAt },
  );
}

function judge<S, In>(model: SequentialModel<S, In>, calls: readonly Call<In>[]): string {
  return checkLinearizable(operations(calls), model).type;
}

describe("a history is not linearizable when", () => {
  const bad = "not-linearizable";
  const read: ValueInput = { type: "get" };
  const set = (value: unknown): ValueInput => ({ type: "set", value });
  const append = (value: unknown): ListInput => ({ type: "append", value });
  const toArray: ListInput = { type: "toArray" };

  test("an update is lost: two increments both answer 1", () => {
    const increment = { type: "increment", key: "a" } as const;
    expect(
      judge(dictModel(), [
        [1, 0, increment, 5, answered(1)],
        [2, 1, increment, 6, answered(1)],
      ]),
    ).toBe(bad);
    expect(
      judge(dictModel(), [
        [1, 0, increment, 5, answered(2)],
        [2, 1, increment, 6, answered(1)],
      ]),
    ).toBe("linearizable");
  });

  test("two compareAndSets from the same value both succeed", () => {
    const swap = (value: number) => ({ type: "compareAndSet", key: "a", expected: undefined, value }) as const;
    expect(
      judge(dictModel(), [
        [1, 0, swap(1), 5, answered(true)],
        [2, 1, swap(2), 6, answered(true)],
      ]),
    ).toBe(bad);
  });

  test("a read is stale: it was called after the write had returned", () => {
    expect(
      judge(valueModel(0), [
        [1, 0, set(1), 1, done],
        [2, 2, read, 3, answered(0)],
      ]),
    ).toBe(bad);
    expect(
      judge(valueModel(0), [
        [1, 0, set(1), 2, done],
        [2, 2, read, 3, answered(0)],
      ]),
    ).toBe("linearizable");
  });

  test("a read is dirty: it shows what was refused", () => {
    const refusedSwap: ValueInput = { type: "compareExchange", expected: 7, value: 1 };
    expect(
      judge(valueModel(0), [
        [1, 0, refusedSwap, 9, answered(0)],
        [2, 1, read, 2, answered(1)],
      ]),
    ).toBe(bad);
  });

  test("one call is applied twice", () => {
    expect(
      judge(listModel(), [
        [1, 0, append("x"), 1, done],
        [1, 2, toArray, 3, answered(["x", "x"])],
      ]),
    ).toBe(bad);
    expect(
      judge(valueModel(0), [
        [1, 0, { type: "add", by: 1 }],
        [2, 5, read, 6, answered(2)],
      ]),
    ).toBe(bad);
  });

  test("an acknowledged append is lost", () => {
    const calls: Call<ListInput>[] = [
      [1, 0, append(1), 4, done],
      [2, 1, append(2), 5, done],
    ];
    expect(judge(listModel(), [...calls, [1, 6, toArray, 7, answered([2])]])).toBe(bad);
    expect(judge(listModel(), [...calls, [1, 6, toArray, 7, answered([2, 1])]])).toBe("linearizable");
  });

  test("appends that followed each other stand in the other order", () => {
    const calls: Call<ListInput>[] = [
      [1, 0, append(1), 1, done],
      [2, 2, append(2), 3, done],
    ];
    expect(judge(listModel(), [...calls, [3, 4, toArray, 5, answered([2, 1])]])).toBe(bad);
  });

  test("two readers see concurrent appends in different orders", () => {
    const calls: Call<ListInput>[] = [
      [1, 0, append(1), 9, done],
      [2, 0, append(2), 9, done],
    ];
    const seen = (items: number[]): Call<ListInput> => [3, 10, toArray, 11, answered(items)];
    expect(judge(listModel(), [...calls, seen([1, 2]), seen([2, 1])])).toBe(bad);
  });

  test("a queue gives what was put second before what was put first", () => {
    const put = (value: number) => ({ type: "put", value }) as const;
    const get = { type: "get" } as const;
    const puts = [
      [1, 0, put(1), 1, done],
      [1, 2, put(2), 3, done],
    ] as const;
    expect(judge(queueModel(), [...puts, [2, 4, get, 5, answered(2)], [2, 6, get, 7, answered(1)]])).toBe(bad);
    expect(judge(queueModel(), [...puts, [2, 4, get, 7, answered(2)], [3, 4, get, 7, answered(1)]])).toBe(
      "linearizable",
    );
  });

  test("a queue gives an item twice, is empty with an item in it, or takes more than it may", () => {
    const put = { type: "put", value: 1 } as const;
    const get = { type: "get" } as const;
    const item = [1, 0, put, 1, done] as const;
    expect(judge(queueModel(), [item, [2, 2, get, 5, answered(1)], [3, 2, get, 5, answered(1)]])).toBe(bad);
    expect(judge(queueModel(), [item, [2, 2, get, 3, refused("EmptyError")]])).toBe(bad);
    expect(judge(queueModel(1), [item, [2, 2, put, 3, done]])).toBe(bad);
    expect(judge(queueModel(1), [item, [2, 2, put, 3, refused("FullError")]])).toBe("linearizable");
  });

  test("a value is read that nobody wrote", () => {
    expect(
      judge(valueModel(0), [
        [1, 0, set(1), 9, done],
        [2, 1, read, 2, answered(2)],
      ]),
    ).toBe(bad);
  });

  test("reads go back: a later one shows the older value", () => {
    const write: Call<ValueInput> = [1, 0, set(1), 9, done];
    expect(judge(valueModel(0), [write, [2, 1, read, 2, answered(1)], [2, 3, read, 4, answered(0)]])).toBe(bad);
    expect(judge(valueModel(0), [write, [2, 1, read, 3, answered(1)], [3, 3, read, 4, answered(0)]])).toBe(
      "linearizable",
    );
  });

  test("reads go back though the outcome of the write is unknown", () => {
    const write: Call<ValueInput> = [1, 0, set(1)];
    expect(judge(valueModel(0), [write, [2, 1, read, 2, answered(0)], [2, 3, read, 4, answered(1)]])).toBe(
      "linearizable",
    );
    expect(judge(valueModel(0), [write, [2, 1, read, 2, answered(1)], [2, 3, read, 4, answered(0)]])).toBe(bad);
  });
});

describe("a lock's history", () => {
  const acquire = (owner: string): LockInput => ({ type: "acquire", owner });
  const first: Call<LockInput> = [1, 0, acquire("a"), 1, answered(7n)];

  test("has one holder at a time", () => {
    expect(judge(lockModel(), [first, [2, 2, acquire("b"), 3, answered(8n)]])).toBe("not-linearizable");
    const released: Call<LockInput> = [1, 2, { type: "release", token: 7n }, 4, done];
    expect(judge(lockModel(), [first, released, [2, 2, acquire("b"), 3, answered(8n)]])).toBe("linearizable");
  });

  test("has tokens that only grow, by whatever steps", () => {
    const next = (token: bigint): Call<LockInput>[] => [
      first,
      [1, 2, { type: "release", token: 7n }, 3, done],
      [2, 4, acquire("b"), 5, answered(token)],
    ];
    expect(judge(lockModel(), next(900n))).toBe("linearizable");
    expect(judge(lockModel(), next(7n))).toBe("not-linearizable");
    expect(judge(lockModel(), next(6n))).toBe("not-linearizable");
  });

  test("lets a session lose it at any time after it could have expired, and no earlier", () => {
    const expiry = (from: number): Call<LockInput>[] => [
      first,
      [0, from, { type: "expire", owner: "a" }],
      [2, 2, acquire("b"), 5, answered(8n)],
    ];
    expect(judge(lockModel(), expiry(5))).toBe("linearizable");
    expect(judge(lockModel(), expiry(6))).toBe("not-linearizable");
  });

  test("has no write under a token that was given on", () => {
    const history = (until: number, token: bigint): Call<LockInput>[] => [
      first,
      [0, 2, { type: "expire", owner: "a" }],
      [2, 3, acquire("b"), 4, answered(8n)],
      [1, 3, { type: "write", token }, until, done],
      [2, 5, { type: "locked" }, 6, answered(true)],
    ];
    expect(judge(lockModel(), history(6, 7n))).toBe("linearizable");
    const late = history(9, 7n).with(3, [1, 5, { type: "write", token: 7n }, 9, done]);
    expect(judge(lockModel(), late)).toBe("not-linearizable");
    expect(judge(lockModel(), late.with(3, [1, 5, { type: "write", token: 7n }, 9, refused("LockLostError")]))).toBe(
      "linearizable",
    );
    expect(judge(lockModel(), late.with(3, [1, 5, { type: "write", token: 8n }, 9, done]))).toBe("linearizable");
  });

  test("may have a grant whose reply was lost, which nothing but the end of its session frees", () => {
    const lost: Call<LockInput> = [1, 0, acquire("a")];
    const busy: Call<LockInput> = [2, 1, { type: "tryAcquire", owner: "b" }, 2, answered(null)];
    const later: Call<LockInput> = [2, 3, acquire("b"), 4, answered(2n)];
    expect(judge(lockModel(), [lost, busy])).toBe("linearizable");
    expect(judge(lockModel(), [busy])).toBe("not-linearizable");
    expect(judge(lockModel(), [lost, busy, later])).toBe("not-linearizable");
    expect(judge(lockModel(), [lost, busy, later, [0, 2, { type: "expire", owner: "a" }]])).toBe("linearizable");
  });

  test("gives nothing to a session that is over", () => {
    const over: Call<LockInput> = [0, 0, { type: "expire", owner: "a" }, 1, done];
    expect(judge(lockModel(), [over, [1, 2, acquire("a"), 3, answered(1n)]])).toBe("not-linearizable");
    expect(judge(lockModel(), [over, [1, 2, acquire("a"), 3, refused("SessionLostError")]])).toBe("linearizable");
  });
});

test("a semaphore never has more holders than permits", () => {
  const acquire = (owner: string, token: bigint) => [1, 0, { type: "acquire", owner }, 9, answered(token)] as const;
  const history = [acquire("a", 1n), acquire("b", 2n), acquire("c", 3n)];
  expect(judge(semaphoreModel(3), history)).toBe("linearizable");
  expect(judge(semaphoreModel(2), history)).toBe("not-linearizable");
  expect(judge(semaphoreModel(2), [...history, [1, 0, { type: "giveBack", owner: "b", token: 2n }, 9, done]])).toBe(
    "linearizable",
  );
  expect(judge(semaphoreModel(2), [...history, [1, 0, { type: "expire", owner: "a" }]])).toBe("linearizable");
});

describe("a verdict", () => {
  const history = operations<ListInput>([
    [1, 0, { type: "append", value: "a" }, 3, done],
    [2, 1, { type: "append", value: "b" }, 4, done],
    [3, 5, { type: "append", value: "c" }],
    [1, 6, { type: "toArray" }, 7, answered(["b", "a"])],
    [2, 8, { type: "length" }, 9, answered(1)],
    [3, 8, { type: "pop" }, 9, refused("RangeError")],
  ]);

  it("that is good has an order which the model allows", () => {
    const verdict = checkLinearizable(history.slice(0, 4), listModel());
    expect(verdict).toMatchObject({ type: "linearizable", order: [history[1], history[0], history[3]] });
  });

  it("that is bad shows the longest order that fits, what could not follow and what should have been answered", () => {
    const verdict = checkLinearizable(history, listModel());
    expect(verdict).toMatchObject({
      type: "not-linearizable",
      longest: [history[1], history[0], history[3]],
      stuck: [
        { operation: history[4], expected: { value: 2 } },
        { operation: history[5], expected: { value: "a" } },
      ],
    });
    expect("text" in verdict && verdict.text.split("\n")).toEqual([
      "Not linearizable: no order of one operation at a time explains the answers. An order of 3 of the 6 operations fits, none of more answered ones was found.",
      "The outcome of 1 is unknown: they were tried at every place, and left out.",
      "The order that fits ends with",
      '  1. client 2 [1 .. 4] append(value: "b") -> done',
      '  2. client 1 [0 .. 3] append(value: "a") -> done',
      '  3. client 1 [6 .. 7] toArray() -> ["b", "a"]',
      'after which the object is ["b", "a"]. What could come next does not fit:',
      "  client 2 [8 .. 9] length() -> 1, should be 2",
      '  client 3 [8 .. 9] pop() -> RangeError, should be "a"',
    ]);
  });

  it("is unknown when the steps are used up, and is then thrown as a bad one is", () => {
    expect(checkLinearizable(history, listModel(), { stepsMax: 3 })).toMatchObject({ type: "unknown" });
    expect(() => assertLinearizable("list l", history, listModel(), { stepsMax: 3 })).toThrow(HistoryError);
    expect(() => assertLinearizable("list l", history, listModel())).toThrow(/^list l: Not linearizable/);
    expect(() => assertLinearizable("list l", history.slice(0, 4), listModel())).not.toThrow();
  });

  it("of nothing is good", () => {
    expect(checkLinearizable([], listModel())).toEqual({ type: "linearizable", order: [], steps: 0 });
  });
});

test("operations that cannot be are refused", () => {
  const input: ListInput = { type: "clear" };
  const check = (operation: Omit<Operation<ListInput>, "client" | "input">) => () =>
    checkLinearizable([{ client: 1, input, ...operation }], listModel());
  expect(check({ invokedAt: 2, returnedAt: 1, output: done })).toThrow(
    "operation 0 returned at 1 but was invoked at 2",
  );
  expect(check({ invokedAt: 1, returnedAt: 2 })).toThrow("operation 0 has a time of return without an answer");
  expect(check({ invokedAt: 1, output: done })).toThrow("operation 0 has an answer without a time");
  expect(check({ invokedAt: Number.NaN })).toThrow(RangeError);
});

test("a history of several objects is split by object, in order", () => {
  const history = operations<ValueInput & { object: string }>([
    [1, 0, { object: "a", type: "set", value: 1 }, 1, done],
    [1, 2, { object: "b", type: "get" }, 3, answered(0)],
    [1, 4, { object: "a", type: "get" }, 5, answered(1)],
  ]);
  const parts = partition(history, ({ input }) => input.object);
  expect([...parts]).toEqual([
    ["a", [history[0], history[2]]],
    ["b", [history[1]]],
  ]);
});
