import { describe, expect, test } from "vitest";
import { type Answer, answered, done, refused, type SequentialModel } from "../history.ts";
import { simulateHistory } from "../testing/simulate.ts";
import * as workloads from "../testing/workloads.ts";
import { cellsModel } from "./cells.ts";
import { dictModel } from "./dict.ts";
import { listModel } from "./list.ts";
import { lockModel } from "./lock.ts";
import { queueModel } from "./queue.ts";
import { semaphoreModel } from "./semaphore.ts";
import { valueModel } from "./value.ts";

/** Answers of calls one after the other. */
function answers<S, In>(model: SequentialModel<S, In>, inputs: readonly In[]): Answer[] {
  let state = model.initial;
  return inputs.map((input) => {
    const [, answer] = model.step(state, input, undefined);
    [state] = model.step(state, input, answer);
    return answer;
  });
}

/** Pairs of a call and its answer, as a model's story. */
function tell<S, In>(model: SequentialModel<S, In>, story: readonly (readonly [In, Answer])[]): void {
  expect(
    answers(
      model,
      story.map(([input]) => input),
    ),
  ).toEqual(story.map(([, answer]) => answer));
}

test("a dict keeps keys in the order in which they were set first, and knows them by structure", () => {
  tell(dictModel([["a", 1]]), [
    [{ type: "set", key: ["k", 1], value: 2 }, done],
    [{ type: "set", key: -0, value: 3 }, done],
    [{ type: "set", key: "a", value: 4 }, done],
    [{ type: "get", key: ["k", 1] }, answered(2)],
    [{ type: "get", key: 0 }, answered(3)],
    [{ type: "get", key: "0" }, answered(undefined)],
    [{ type: "get", key: 1n, fallback: 5 }, answered(5)],
    [{ type: "keys" }, answered(["a", ["k", 1], -0])],
    [{ type: "values" }, answered([4, 2, 3])],
    [{ type: "popItem" }, answered([-0, 3])],
    [
      { type: "entries" },
      answered([
        ["a", 4],
        [["k", 1], 2],
      ]),
    ],
    [{ type: "size" }, answered(2)],
  ]);
});

test("a dict changes keys as a whole", () => {
  tell(dictModel(), [
    [{ type: "pop", key: "a" }, refused("NotFoundError")],
    [{ type: "pop", key: "a", fallback: undefined }, answered(undefined)],
    [{ type: "popItem" }, refused("NotFoundError")],
    [{ type: "increment", key: "n" }, answered(1)],
    [{ type: "increment", key: "n", by: 2 }, answered(3)],
    [{ type: "increment", key: "n", by: 2n }, refused("TypeError")],
    [{ type: "increment", key: "big", by: 2n }, answered(2n)],
    [{ type: "setDefault", key: "n", value: 9 }, answered(3)],
    [{ type: "setDefault", key: "a", value: 9 }, answered(9)],
    [{ type: "compareAndSet", key: "b", expected: 1, value: 2 }, answered(false)],
    [{ type: "compareAndSet", key: "b", expected: undefined, value: { x: 1, y: 2 } }, answered(true)],
    [{ type: "compareAndSet", key: "b", expected: { y: 2, x: 1 }, value: 3 }, answered(true)],
    [
      {
        type: "update",
        entries: [
          ["a", 1],
          ["c", 2],
        ],
      },
      done,
    ],
    [{ type: "pop", key: "a" }, answered(1)],
    [{ type: "delete", key: "a" }, answered(false)],
    [{ type: "delete", key: "b" }, answered(true)],
    [{ type: "has", key: "c" }, answered(true)],
    [{ type: "clear" }, done],
    [{ type: "size" }, answered(0)],
  ]);
});

test("a list takes indices from both ends", () => {
  tell(listModel([1, 2]), [
    [{ type: "append", value: 3 }, done],
    [{ type: "extend", values: [4, 5] }, done],
    [{ type: "insert", index: -1, value: "x" }, done],
    [{ type: "insert", index: 99, value: 6 }, done],
    [{ type: "insert", index: -99, value: 0 }, done],
    [{ type: "toArray" }, answered([0, 1, 2, 3, 4, "x", 5, 6])],
    [{ type: "at", index: -1 }, answered(6)],
    [{ type: "at", index: 8 }, refused("RangeError")],
    [{ type: "at", index: -9 }, refused("RangeError")],
    [{ type: "pop" }, answered(6)],
    [{ type: "pop", index: 0 }, answered(0)],
    [{ type: "set", index: -2, value: "y" }, done],
    [{ type: "delete", index: 0 }, done],
    [{ type: "slice", from: 1, to: -1 }, answered([3, 4, "y"])],
    [{ type: "slice" }, answered([2, 3, 4, "y", 5])],
    [{ type: "length" }, answered(5)],
  ]);
});

test("a list finds items by structure and sorts numbers or strings", () => {
  tell(listModel([{ a: 1, b: 2 }, 1, 1]), [
    [{ type: "index", value: { b: 2, a: 1 } }, answered(0)],
    [{ type: "index", value: 2 }, refused("NotFoundError")],
    [{ type: "count", value: 1 }, answered(2)],
    [{ type: "includes", value: 2 }, answered(false)],
    [{ type: "sort" }, refused("TypeError")],
    [{ type: "remove", value: { b: 2, a: 1 } }, done],
    [{ type: "remove", value: 7 }, refused("NotFoundError")],
    [{ type: "extend", values: [10, 9] }, done],
    [{ type: "reverse" }, done],
    [{ type: "toArray" }, answered([9, 10, 1, 1])],
    [{ type: "sort" }, done],
    [{ type: "toArray" }, answered([1, 1, 9, 10])],
    [{ type: "sort", descending: true }, done],
    [{ type: "toArray" }, answered([10, 9, 1, 1])],
    [{ type: "clear" }, done],
    [{ type: "pop" }, refused("RangeError")],
    [{ type: "extend", values: ["b", "B", "a"] }, done],
    [{ type: "sort" }, done],
    [{ type: "toArray" }, answered(["B", "a", "b"])],
  ]);
});

test("a value adds, and exchanges what is as expected", () => {
  tell(valueModel(1), [
    [{ type: "add", by: 2 }, answered(3)],
    [{ type: "add", by: 2n }, refused("TypeError")],
    [{ type: "compareExchange", expected: 4, value: 9 }, answered(3)],
    [{ type: "compareExchange", expected: 3, value: [9] }, answered(3)],
    [{ type: "compareExchange", expected: [9], value: "x" }, answered([9])],
    [{ type: "get" }, answered("x")],
    [{ type: "set", value: null }, done],
    [{ type: "get" }, answered(null)],
  ]);
});

test("cells wrap and round as the elements of typed arrays do", () => {
  tell(cellsModel("i8", [0, 200]), [
    [{ type: "get", index: 1 }, answered(-56)],
    [{ type: "set", index: 0, value: 127 }, done],
    [{ type: "add", index: 0, by: 1 }, answered(-128)],
    [{ type: "compareExchange", index: 0, expected: -128, value: 300 }, answered(-128)],
    [{ type: "slice" }, answered([44, -56])],
    [{ type: "setSlice", from: 1, values: [1, 2] }, refused("RangeError")],
    [{ type: "setSlice", from: 0, values: [1, 2] }, done],
    [{ type: "slice", from: -1 }, answered([2])],
    [{ type: "get", index: 2 }, refused("RangeError")],
  ]);
  tell(cellsModel("u64", [0n]), [[{ type: "add", index: 0, by: -1n }, answered(2n ** 64n - 1n)]]);
  tell(cellsModel("f32", [0]), [[{ type: "add", index: 0, by: 0.1 }, answered(Math.fround(0.1))]]);
});

test("a queue gives items in the order in which they were put, up to its size", () => {
  tell(queueModel(2), [
    [{ type: "get" }, refused("EmptyError")],
    [{ type: "put", value: 1 }, done],
    [{ type: "full" }, answered(false)],
    [{ type: "put", value: 2 }, done],
    [{ type: "put", value: 3 }, refused("FullError")],
    [{ type: "full" }, answered(true)],
    [{ type: "get" }, answered(1)],
    [{ type: "qsize" }, answered(1)],
    [{ type: "get" }, answered(2)],
    [{ type: "empty" }, answered(true)],
  ]);
  expect(answers(queueModel(), [{ type: "put", value: 1 }, { type: "full" }])).toEqual([done, answered(false)]);
});

test("a lock is its holder's until it is released, or its session is over", () => {
  tell(lockModel(), [
    [{ type: "acquire", owner: "a" }, answered(1n)],
    [{ type: "tryAcquire", owner: "b" }, answered(null)],
    [{ type: "acquire", owner: "b" }, refused("TimeoutError")],
    [{ type: "release", token: 2n }, refused("NotHeldError")],
    [{ type: "write", token: 1n }, done],
    [{ type: "release", token: 1n }, done],
    [{ type: "release", token: 1n }, refused("NotHeldError")],
    [{ type: "write", token: 1n }, refused("LockLostError")],
    [{ type: "locked" }, answered(false)],
    [{ type: "tryAcquire", owner: "b" }, answered(2n)],
    [{ type: "expire", owner: "a" }, done],
    [{ type: "locked" }, answered(true)],
    [{ type: "expire", owner: "b" }, done],
    [{ type: "locked" }, answered(false)],
    [{ type: "acquire", owner: "b" }, refused("SessionLostError")],
  ]);
});

test("a semaphore gives permits back, and never more than its bound", () => {
  tell(semaphoreModel(2, { bound: 2 }), [
    [{ type: "acquire", owner: "a" }, answered(0n)],
    [{ type: "tryAcquire", owner: "b" }, answered(0n)],
    [{ type: "tryAcquire", owner: "c" }, answered(null)],
    [{ type: "giveBack", owner: "c", token: 0n }, refused("NotHeldError")],
    [{ type: "giveBack", owner: "a", token: 0n }, done],
    [{ type: "getValue" }, answered(1)],
    [{ type: "release", count: 2 }, refused("RangeError")],
    [{ type: "release", count: 1 }, done],
    [{ type: "expire", owner: "b" }, done],
    [{ type: "getValue" }, answered(2)],
    [{ type: "acquire", owner: "b" }, refused("SessionLostError")],
  ]);
  expect(answers(semaphoreModel(0), [{ type: "release", count: 2 }, { type: "getValue" }])).toEqual([
    done,
    answered(2),
  ]);
});

interface Promises {
  readonly name: string;
  readonly walk: (seed: number) => void;
}

/** Walks through a run and holds the model to what the checker relies on. */
function promises<S, In>({ name, model, draw }: workloads.Workload<S, In>): Promises {
  const walk = (seed: number): void => {
    const keys = new Map<string, S>();
    let state = model.initial;
    for (const { input, output } of simulateHistory({ seed, model, draw, clientCount: 1, operationCount: 200 })) {
      const before = model.key(state);
      const copy = structuredClone(state);
      const [next, answer] = model.step(state, input, output);
      expect(state).toEqual(copy);
      expect(answer).toEqual(output);
      if (model.isRead(input, answer)) expect(model.key(next)).toBe(before);
      if (model.isRead(input, undefined)) expect(model.isRead(input, answer)).toBe(true);
      expect(keys.get(model.key(next)) ?? next).toEqual(next);
      keys.set(model.key(next), next);
      state = next;
    }
  };
  return { name, walk };
}

describe.each([
  promises(workloads.cells),
  promises(workloads.dict),
  promises(workloads.list),
  promises(workloads.lock),
  promises(workloads.queue),
  promises(workloads.semaphore),
  promises(workloads.value),
])("the model of a $name", ({ walk }) => {
  test("changes no state in place, has a key for each, and knows what changes nothing", () => {
    for (let seed = 0; seed < 20; seed++) walk(seed);
  });
});
