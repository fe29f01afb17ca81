import { TimeoutError } from "@heddle/kernel";
import { ManualClock } from "@heddle/port-rpc/testing";
import { encodePayload } from "@heddle/wire";
import { expect, test } from "vitest";
import { MapIterator } from "./map-iterator.ts";
import { settle } from "./testing.ts";
import { WaitingResults } from "./waiting-results.ts";

function stream(settled = false) {
  const clock = new ManualClock(settle);
  const state = { abandoned: 0, holds: 0 };
  const results = new WaitingResults({
    isOrdered: true,
    onArrived: () => iterator.arrived(),
    onTaken: () => undefined,
  });
  const iterator: MapIterator<unknown> = new MapIterator<unknown>({
    results,
    clock,
    settled,
    abandon: () => void state.abandoned++,
    hold: () => {
      state.holds++;
      return { [Symbol.dispose]: () => void state.holds-- };
    },
  });
  const put = (index: number, ...values: unknown[]): void =>
    results.values(index, values.length, encodePayload(values, "result"));
  return { clock, state, results, iterator, put };
}

/** How calls of `next` ended. */
async function outcomes(nexts: readonly Promise<IteratorResult<unknown>>[]): Promise<unknown[]> {
  const settled = await Promise.allSettled(nexts);
  return settled.map((one) => {
    if (one.status === "rejected") return ["threw", one.reason];
    return one.value.done === true ? "done" : one.value.value;
  });
}

const error = new Error("no");

test("results come in order, an item's error at its turn, and iteration goes on after it", async () => {
  const { iterator, results, put } = stream();
  put(0, "a");
  results.failed(1, error);
  put(2, "c");
  iterator.ended();
  const nexts = [iterator.next(), iterator.next(), iterator.next(), iterator.next(), iterator.next()];
  expect(await outcomes(nexts)).toEqual(["a", ["threw", error], "c", "done", "done"]);
});

test("several calls of next at once get one result each, in the order of the calls", async () => {
  const { iterator, results, put } = stream();
  const nexts = [iterator.next(), iterator.next(), iterator.next(), iterator.next()];
  put(1, "b");
  put(0, "a");
  results.failed(2, error);
  iterator.ended();
  expect(await outcomes(nexts)).toEqual(["a", "b", ["threw", error], "done"]);
});

test("settled results are results whatever became of the item", async () => {
  const { iterator, results, put } = stream(true);
  put(0, "a");
  results.failed(1, error);
  expect(await outcomes([iterator.next(), iterator.next()])).toEqual([
    { status: "fulfilled", value: "a" },
    { status: "rejected", reason: error },
  ]);
});

test("next that times out loses nothing and can be called again", async () => {
  const { iterator, clock, put, state } = stream();
  const late = iterator.next({ timeoutMs: 100 });
  const next = iterator.next({ timeoutMs: 200 });
  const failed = expect(late).rejects.toThrow(new TimeoutError("there is no result after 100 ms"));
  await clock.advance(150);
  await failed;
  expect(state.holds).toBe(1);
  put(0, "a");
  expect(await next).toEqual({ done: false, value: "a" });
  expect([state.holds, clock.timerCount]).toEqual([0, 0]);
});

test("next with no time left takes only what is there now", async () => {
  const { iterator, put, clock, state } = stream();
  for (const timeoutMs of [0, -5, Number.NEGATIVE_INFINITY])
    await expect(iterator.next({ timeoutMs })).rejects.toThrow(TimeoutError);
  put(0, "a");
  expect(await iterator.next({ timeoutMs: 0 })).toEqual({ done: false, value: "a" });
  expect([state.holds, clock.timerCount]).toEqual([0, 0]);
});

test("a time to wait that is no number is refused, and nothing is taken", async () => {
  const { iterator, put } = stream();
  put(0, "a");
  await expect(iterator.next({ timeoutMs: "5" as never })).rejects.toThrow(
    new TypeError("timeoutMs must be a number, got a string"),
  );
  await expect(iterator.next({ timeoutMs: Number.NaN })).rejects.toThrow(
    new TypeError("timeoutMs must be a number, got NaN"),
  );
  expect(await iterator.next()).toEqual({ done: false, value: "a" });
});

test("an error of the inputs is thrown after the results of what was read, once", async () => {
  const { iterator, put } = stream();
  iterator.inputsBroke(error);
  put(0, "a");
  iterator.ended();
  const nexts = [iterator.next(), iterator.next(), iterator.next()];
  expect(await outcomes(nexts)).toEqual(["a", ["threw", error], "done"]);
});

test("an error of the whole call is thrown at once, and once, instead of what was not consumed", async () => {
  const { iterator, put, state } = stream();
  put(1, "b");
  const waiting = [iterator.next(), iterator.next()];
  iterator.failed(error);
  iterator.failed(new Error("later"));
  expect(await outcomes([...waiting, iterator.next()])).toEqual([["threw", error], "done", "done"]);
  expect(state).toEqual({ abandoned: 0, holds: 0 });
});

test("return abandons the work once, lets those who wait go, and forgets what is left", async () => {
  const { iterator, put, state } = stream();
  put(1, "b");
  const waiting = iterator.next();
  expect(await iterator.return()).toEqual({ done: true, value: undefined });
  await iterator.return();
  expect(await outcomes([waiting, iterator.next()])).toEqual(["done", "done"]);
  expect(state).toEqual({ abandoned: 1, holds: 0 });
});

test("return after the end abandons nothing, and what was not consumed is gone", async () => {
  const { iterator, put, state } = stream();
  put(0, "a");
  iterator.ended();
  await iterator.return();
  expect(await iterator.next()).toEqual({ done: true, value: undefined });
  expect(state.abandoned).toBe(0);
});

test("leaving a loop early abandons the rest, and so does leaving the scope of await using", async () => {
  const loop = stream();
  loop.put(0, "a", "b");
  for await (const value of loop.iterator) {
    expect(value).toBe("a");
    break;
  }
  expect(loop.state.abandoned).toBe(1);
  const scope = stream();
  {
    await using _iterator = scope.iterator;
  }
  expect(scope.state.abandoned).toBe(1);
});

test("a loop that an item's error ends can be gone on with", async () => {
  const { iterator, results, put, state } = stream();
  put(0, "a");
  results.failed(1, error);
  put(2, "c");
  iterator.ended();
  const seen: unknown[] = [];
  const loop = async (): Promise<void> => {
    for await (const value of iterator) seen.push(value);
  };
  await expect(loop()).rejects.toBe(error);
  await loop();
  expect(seen).toEqual(["a", "c"]);
  expect(state.abandoned).toBe(0);
});

test("the caller's process is kept alive while somebody waits, and only then", async () => {
  const { iterator, put, state } = stream();
  expect(state.holds).toBe(0);
  const [first, second] = [iterator.next(), iterator.next()];
  expect(state.holds).toBe(1);
  put(0, "a");
  await first;
  await settle();
  expect(state.holds).toBe(1);
  put(1, "b");
  await second;
  expect(state.holds).toBe(0);
  put(2, "c");
  void iterator.next();
  expect(state.holds).toBe(0);
});
