import { EmptyError, LockLostError, OutcomeUnknownError, UnavailableError } from "@heddle/kernel";
import { ManualClock } from "@heddle/port-rpc/testing";
import { expect, test } from "vitest";
import { assertLinearizable } from "./check.ts";
import { answered, refused } from "./history.ts";
import { type QueueInput, queueModel } from "./models/queue.ts";
import { Recorder } from "./recorder.ts";

const get: QueueInput = { type: "get" };
const put = (value: unknown): QueueInput => ({ type: "put", value });

test("what calls are fulfilled with, and how objects refuse, are their answers", async () => {
  const clock = new ManualClock();
  const recorder = new Recorder<QueueInput>(clock);
  const start = clock.nowMs();
  await expect(recorder.record(1, "q", put(7), () => Promise.resolve())).resolves.toBeUndefined();
  await clock.advance(10);
  await expect(recorder.record(1, "q", get, () => Promise.resolve(7))).resolves.toBe(7);
  await expect(recorder.record(2, "other", get, () => Promise.reject(new EmptyError("empty")))).rejects.toThrow(
    "empty",
  );
  const tick = 1 / 1_024;
  expect([...recorder.histories()]).toEqual([
    [
      "q",
      [
        { client: 1, input: put(7), invokedAt: start, output: answered(undefined), returnedAt: start + tick },
        { client: 1, input: get, invokedAt: start + 10, output: answered(7), returnedAt: start + 10 + tick },
      ],
    ],
    [
      "other",
      [
        {
          client: 2,
          input: get,
          invokedAt: start + 10 + 2 * tick,
          output: refused("EmptyError"),
          returnedAt: start + 10 + 3 * tick,
        },
      ],
    ],
  ]);
});

test("calls whose reply was lost, that wait still, or that failed for no known reason have an unknown outcome", async () => {
  const recorder = new Recorder<QueueInput>(new ManualClock());
  const losses = [
    new UnavailableError("gone"),
    new OutcomeUnknownError("once or not at all"),
    new Error("?"),
    "thrown",
  ];
  for (const loss of losses) {
    const call = recorder.record(1, "q", put(1), () => Promise.reject(loss));
    await expect(call).rejects.toBe(loss);
  }
  void recorder.record(2, "q", get, () => new Promise(() => undefined));
  recorder.expect(0, "q", get);
  const history = recorder.histories().get("q") ?? [];
  expect(history).toHaveLength(losses.length + 2);
  for (const operation of history) expect(operation).not.toHaveProperty("returnedAt");
});

test("calls that were certainly not done are forgotten", async () => {
  const recorder = new Recorder<QueueInput>(new ManualClock());
  const loss = new LockLostError("lost", { lock: "l", token: 1n, reason: "test" });
  await expect(recorder.record(1, "q", put(1), () => Promise.reject(loss))).rejects.toBe(loss);
  expect(recorder.histories().get("q")).toEqual([]);
});

test("calls that follow each other within one tick of the clock are in order, those that overlap are not", async () => {
  const recorder = new Recorder<QueueInput>(new ManualClock());
  await recorder.record(1, "in turn", put(1), () => Promise.resolve());
  await recorder.record(1, "in turn", put(2), () => Promise.resolve());
  await Promise.all([put(1), put(2)].map((input) => recorder.record(1, "at once", input, () => Promise.resolve())));
  for (const object of ["in turn", "at once"]) await recorder.record(1, object, get, () => Promise.resolve(2));
  const histories = recorder.histories();
  const judge = (object: string) => () => assertLinearizable(object, histories.get(object) ?? [], queueModel());
  expect(judge("in turn")).toThrow("in turn: Not linearizable");
  expect(judge("at once")).not.toThrow();
});
