import { Encoding, encodePayload } from "@heddle/wire";
import { expect, test } from "vitest";
import { WaitingResults } from "./waiting-results.ts";

function waiting(isOrdered: boolean) {
  const arrived: number[] = [];
  const taken: [items: number, bytes: number][] = [];
  const results = new WaitingResults({
    isOrdered,
    onArrived: (items) => void arrived.push(items),
    onTaken: (items, bytes) => void taken.push([items, bytes]),
  });
  const put = (index: number, ...values: unknown[]): void =>
    results.values(index, values.length, encodePayload(values, "result"));
  /** All that is there now: values as they are, errors in an array. */
  const takeAll = (): unknown[] => {
    const all: unknown[] = [];
    for (let one = results.take(); one !== undefined; one = results.take())
      all.push(one.type === "value" ? one.value : [one.error]);
    return all;
  };
  return { results, put, takeAll, arrived, taken };
}

test("in order, results wait for those before them", () => {
  const { results, put, takeAll } = waiting(true);
  const error = new Error("no");
  put(3, "d", "e");
  expect(takeAll()).toEqual([]);
  put(0, "a", "b");
  expect(takeAll()).toEqual(["a", "b"]);
  results.failed(2, error);
  expect(takeAll()).toEqual([[error], "d", "e"]);
});

test("unordered, results are taken as they came", () => {
  const { results, put, takeAll } = waiting(false);
  const error = new Error("no");
  put(3, "d", "e");
  results.failed(2, error);
  put(0, "a");
  expect(takeAll()).toEqual(["d", "e", [error], "a"]);
});

test("each result says its index", () => {
  const { results, put } = waiting(false);
  put(7, "h", "i");
  results.failed(2, "no");
  expect([results.take(), results.take(), results.take(), results.take()]).toEqual([
    { type: "value", index: 7, value: "h" },
    { type: "value", index: 8, value: "i" },
    { type: "error", index: 2, error: "no" },
    undefined,
  ]);
});

test.for([true, false])(
  "items are told as they come and go, bytes with the last of theirs (ordered: %s)",
  (isOrdered) => {
    const { results, put, takeAll, arrived, taken } = waiting(isOrdered);
    put(0, 1, 2, 3);
    results.failed(3, "no");
    expect(arrived).toEqual([3, 1]);
    takeAll();
    expect(taken).toEqual([
      [1, 0],
      [1, 0],
      [1, 12],
      [1, 0],
    ]);
  },
);

test("a value is decoded when it is taken, and not before", () => {
  const { results } = waiting(true);
  const bytes = encodePayload(["a", "b"], "result").bytes;
  const copy = Uint8Array.from(bytes);
  results.values(0, 2, { encoding: Encoding.MSGPACK, count: 2, bytes: copy });
  results.take();
  copy[copy.length - 1] = "c".charCodeAt(0);
  expect(results.take()).toMatchObject({ value: "c" });
});

test("a value that cannot be read is an error, and so are those after it that came with it, but no others", () => {
  const { results, put, takeAll, taken } = waiting(true);
  const { bytes } = encodePayload(["ab", "cd", "ef"], "result");
  const broken = Uint8Array.from(bytes);
  broken[3] = 0xc1; // a byte that no value begins with
  results.values(0, 3, { encoding: Encoding.MSGPACK, count: 3, bytes: broken });
  put(3, 4);
  const refused = [expect.objectContaining({ code: "serialization" })];
  expect(takeAll()).toEqual(["ab", refused, refused, 4]);
  expect(taken.map(([items]) => items)).toEqual([1, 1, 1, 1]);
});

test("a payload that is not what it claims is the error of each of its items", () => {
  const { results, takeAll } = waiting(false);
  results.values(0, 2, { encoding: Encoding.F64, count: 2, bytes: new Uint8Array(3) });
  expect(takeAll()).toHaveLength(2);
});

test("what was cleared is gone, half taken or not", () => {
  for (const isOrdered of [true, false]) {
    const { results, put } = waiting(isOrdered);
    put(0, 1, 2);
    put(2, 3);
    results.take();
    results.clear();
    expect(results.take()).toBeUndefined();
  }
});
