import { expect, test } from "vitest";
import { FakeCoordinator } from "./testing.ts";
import { isReady, type Waitable, waitable, waitFor } from "./wait.ts";

const { fabric, env } = new FakeCoordinator();
const { host } = fabric;

/** Something to wait for, in the hands of the test. */
class Door implements Waitable {
  isOpen = false;
  /** It does not answer whether it is open. */
  isMute = false;
  readonly signals: AbortSignal[] = [];
  #waiters: PromiseWithResolvers<void>[] = [];

  [waitable](signal: AbortSignal): Promise<void> {
    this.signals.push(signal);
    const waiter = Promise.withResolvers<void>();
    if (this.isOpen) waiter.resolve();
    else this.#waiters.push(waiter);
    return waiter.promise;
  }

  [isReady](): boolean | Promise<boolean> {
    return this.isMute ? new Promise(() => undefined) : Promise.resolve(this.isOpen);
  }

  /** `isOpen`: false when another one was quicker to go through. */
  open(isOpen = true): void {
    this.isOpen = isOpen;
    for (const { resolve } of this.#waiters.splice(0)) resolve();
  }

  break(error: Error): void {
    for (const { reject } of this.#waiters.splice(0)) reject(error);
  }
}

const doors = (count: number): Door[] => Array.from({ length: count }, () => new Door());

test("wait gives all that are ready at once, in the order given", async () => {
  const [a, b, c] = doors(3) as [Door, Door, Door];
  a.open();
  c.open();
  expect(await waitFor(host, [c, b, a])).toEqual([c, a]);
  expect([a, b, c].map(({ signals }) => signals.length)).toEqual([0, 0, 0]);
});

test("wait goes on until one is ready, gives others that are by then, and lets go of the rest", async () => {
  const [a, b, c] = doors(3) as [Door, Door, Door];
  const waiting = waitFor(host, new Set([a, b, c]));
  await Promise.resolve();
  b.isOpen = true;
  c.open();
  expect(await waiting).toEqual([b, c]);
  expect(a.signals.map(({ aborted }) => aborted)).toEqual([true]);
});

test("one that does not answer holds up none of the others, neither at the first look nor when they are ready later", async () => {
  const [mute, open, late] = doors(3) as [Door, Door, Door];
  mute.isMute = true;
  open.open();
  for (const options of [{}, { timeoutMs: 0 }, { timeoutMs: 60_000 }]) {
    const looking = waitFor(host, [mute, open], options);
    await env.clock.advance(1_000);
    expect(await looking).toEqual([open]);
  }
  const waiting = waitFor(host, [mute, late]);
  await env.clock.advance(30_000);
  late.open();
  await env.clock.advance(1_000);
  expect(await waiting).toEqual([late]);
});

test("one that somebody else was quicker to take is waited for again", async () => {
  const [a] = doors(1) as [Door];
  const waiting = waitFor(host, [a]);
  await new Promise((resolve) => setImmediate(resolve));
  a.open(false);
  await new Promise((resolve) => setImmediate(resolve));
  expect(a.signals).toHaveLength(2);
  a.open();
  expect(await waiting).toEqual([a]);
});

test("when the time is up wait gives what is ready: nothing", async () => {
  const [a] = doors(1) as [Door];
  expect([await waitFor(host, [a], { timeoutMs: 0 }), await waitFor(host, [a], { timeoutMs: -1 })]).toEqual([[], []]);
  expect(a.signals).toEqual([]);
  const waiting = waitFor(host, [a], { timeoutMs: 50 });
  await env.clock.advance(50);
  expect(await waiting).toEqual([]);
  expect(await waitFor(host, [])).toEqual([]);
});

test("wait ends with the reason of its signal, or with what one of the objects fails with", async () => {
  const [a] = doors(1) as [Door];
  const aborting = new AbortController();
  const waiting = waitFor(host, [a], { signal: aborting.signal });
  const reason = new Error("enough");
  aborting.abort(reason);
  await expect(waiting).rejects.toBe(reason);
  await expect(waitFor(host, [a], { signal: aborting.signal })).rejects.toBe(reason);
  const failing = waitFor(host, [a]);
  await new Promise((resolve) => setImmediate(resolve));
  a.break(reason);
  await expect(failing).rejects.toBe(reason);
});

test("what cannot be waited for, and options that cannot be, are a TypeError", async () => {
  await expect(waitFor(host, [{} as Waitable])).rejects.toThrow(/processes and connections/);
  for (const [given, got] of [
    [5, "a number"],
    [undefined, "undefined"],
    ["p", "a string"],
    [new Door(), "a Door"],
  ])
    await expect(waitFor(host, given as never)).rejects.toThrow(
      new TypeError(`wait() takes an array of processes and connections, got ${got}`),
    );
  await expect(waitFor(host, [new Door()], { timeout: 1 } as never)).rejects.toThrow(/did you mean timeoutMs/);
});
