import { StateError, TimeoutError } from "@heddle/kernel";
import { ManualClock } from "@heddle/port-rpc/testing";
import { expect, test } from "vitest";
import { AsyncResult } from "./async-result.ts";
import { settle } from "./testing.ts";

function pending() {
  const clock = new ManualClock(settle);
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  const reasons: unknown[] = [];
  const cancel = (reason: unknown): void => {
    reasons.push(reason);
    reject(reason);
  };
  const progress = () => ({ done: 1, failed: 0, total: 2, elapsedMs: 10, perSecond: 100, etaMs: 10 });
  const accepted = () => Promise.resolve();
  const result = new AsyncResult({ jobId: "job-1", outcome: promise, progress, cancel, accepted }, clock);
  return { clock, resolve, reject, reasons, result };
}

test("get gives the same result each time, and so does await", async () => {
  const { result, resolve } = pending();
  resolve(5);
  expect([await result.get(), await result.get({ timeoutMs: 1 }), await result]).toEqual([5, 5, 5]);
  expect(result.jobId).toBe("job-1");
});

test("get throws the task's error each time", async () => {
  const { result, reject } = pending();
  const error = new RangeError("no");
  reject(error);
  for (let times = 0; times < 2; times++) await expect(result.get()).rejects.toBe(error);
  await expect(result.get({ timeoutMs: 0 })).rejects.toBe(error);
});

test("get with a timeout of 0 gives what is there and throws TimeoutError for what is not", async () => {
  const { result, resolve, clock } = pending();
  await expect(result.get({ timeoutMs: 0 })).rejects.toBeInstanceOf(TimeoutError);
  await expect(result.get({ timeoutMs: -1 })).rejects.toThrow("job job-1 has no result after -1 ms");
  resolve(5);
  await settle();
  expect(await result.get({ timeoutMs: 0 })).toBe(5);
  expect(clock.timerCount).toBe(0);
});

test("a timeout ends the wait, not the work, and leaves no timer", async () => {
  const { result, resolve, clock, reasons } = pending();
  const late = expect(result.get({ timeoutMs: 100 })).rejects.toBeInstanceOf(TimeoutError);
  const early = result.get({ timeoutMs: 200 });
  await clock.advance(100);
  await late;
  resolve(5);
  expect(await early).toBe(5);
  expect(clock.timerCount).toBe(0);
  expect(reasons).toEqual([]);
});

test("a timeout that is no number is a TypeError", async () => {
  const { result } = pending();
  await expect(result.get({ timeoutMs: Number.NaN })).rejects.toBeInstanceOf(TypeError);
  await expect(result.wait({ timeoutMs: "1" as never })).rejects.toBeInstanceOf(TypeError);
});

test("options of a wait that are none are TypeErrors that say what there is", async () => {
  const { result } = pending();
  await expect(result.get(3 as never)).rejects.toThrow(
    new TypeError("options of get must be an object, as { timeoutMs: 3 }, got a number"),
  );
  await expect(result.get({ timeout: 5 } as never)).rejects.toThrow("get has no option timeout");
  await expect(result.get({ signal: 5 as never })).rejects.toThrow("signal must be an AbortSignal, got a number");
  await expect(result.wait({ signal: AbortSignal.abort() } as never)).rejects.toThrow("wait has no option signal");
});

test("a signal ends the wait with its reason, also when it was aborted before", async () => {
  const { result, resolve } = pending();
  const controller = new AbortController();
  const waiting = result.get({ signal: controller.signal });
  const reason = new Error("enough");
  controller.abort(reason);
  await expect(waiting).rejects.toBe(reason);
  resolve(5);
  await expect(result.get({ signal: controller.signal })).rejects.toBe(reason);
});

test("wait never rejects for what the task did, and ends at its timeout", async () => {
  const { result, reject, clock } = pending();
  const waited = result.wait({ timeoutMs: 50 });
  await clock.advance(50);
  await waited;
  expect(result.ready()).toBe(false);
  reject(new Error("no"));
  await result.wait();
  await result.wait({ timeoutMs: 50 });
  expect(result.ready()).toBe(true);
});

test("wait is not taken in by a task that throws TimeoutError itself", async () => {
  const { result, reject } = pending();
  reject(new TimeoutError("mine"));
  await result.wait();
  expect(result.ready()).toBe(true);
  await expect(result.get()).rejects.toThrow("mine");
});

test("successful throws StateError before it is ready, then tells how it ended", async () => {
  const [good, bad] = [pending(), pending()];
  expect(() => good.result.successful()).toThrow(StateError);
  good.resolve(1);
  bad.reject(new Error("no"));
  await Promise.all([good.result.wait(), bad.result.wait()]);
  expect([good.result.successful(), bad.result.successful()]).toEqual([true, false]);
});

test("cancel rejects with an AbortError, and changes nothing when it is over", async () => {
  const { result, reasons } = pending();
  await result.cancel();
  expect(result.ready()).toBe(true);
  await expect(result.get()).rejects.toMatchObject({ name: "AbortError" });
  expect(reasons).toHaveLength(1);
  const over = pending();
  over.resolve(5);
  await over.result.cancel();
  expect(await over.result).toBe(5);
});
