import { CHECKPOINT_BYTES_MAX, LimitError, SerializationError, StateError } from "@heddle/kernel";
import { decodePayload, encodePayload, splitPayload } from "@heddle/wire";
import { describe, expect, test } from "vitest";
import { Bench } from "./testing.ts";

/** What the worker said of items' states, those that went inside their entry. */
function told(bench: Bench): (readonly [offset: number, state: unknown])[] {
  return bench.said("checkpoint").map(({ offset, state }) => {
    if (state === undefined) throw new TypeError("a checkpoint without its state");
    const { encoding, count, data: bytes } = state;
    return [offset, decodePayload({ encoding, count, bytes })[0]];
  });
}

function leftOver(offset: number, value: unknown) {
  return { offset, state: splitPayload(encodePayload([value], "value"), () => 7).header };
}

describe("a task's checkpoint", () => {
  test("is told at once, the next ones ten times a second, the newest of them", async () => {
    const bench = new Bench();
    bench.job(1, (item: number) => {
      for (let at = 1; at <= 30; at++) {
        bench.nowMs += 20;
        bench.runtime.task()?.checkpoint({ item, at });
      }
    });
    await bench.results(1, [5], { firstIndex: 3 });
    const ats = told(bench).map(([offset, state]) => [offset, (state as { at: number }).at]);
    expect(ats).toEqual([1, 6, 11, 16, 21, 26].map((at) => [0, at])); // the last four are of no use any more
  });

  test("is told before the failure of its item, and at once when the process is about to end", async () => {
    const bench = new Bench();
    bench.job(1, (item: number) => {
      const task = bench.runtime.task();
      for (let at = 1; at <= 3; at++) task?.checkpoint(at);
      if (item === 0) throw new Error("no");
      bench.tell({ kind: { $case: "stopNotice", value: { reason: "node n1 comes to its end" } } });
      task?.checkpoint(4);
      return task?.signal.reason.message;
    });
    await bench.run(1, [0]);
    expect(told(bench)).toEqual([
      [0, 1],
      [0, 3],
    ]);
    bench.nowMs += 1_000;
    expect(await bench.results(1, [1])).toEqual(["node n1 comes to its end"]);
    expect(told(bench).slice(2)).toEqual([
      [0, 1],
      [0, 3],
      [0, 4],
    ]);
  });

  test("is what the next attempt of its item finds, and no other item", async () => {
    const bench = new Bench();
    bench.job(1, () => bench.runtime.task()?.restored);
    const more = { firstIndex: 10, span: { offset: 1, count: 2 }, restored: leftOver(2, { half: [1, 2] }) };
    expect(await bench.results(1, ["a", "b", "c"], more)).toEqual([undefined, { half: [1, 2] }]);
    expect(await bench.results(1, ["a", "b", "c"], { firstIndex: 10 })).toEqual([undefined, undefined, undefined]);
  });

  test("that comes in parts is waited for", async () => {
    const bench = new Bench();
    bench.job(1, () => String(bench.runtime.task()?.restored).length);
    const { header: state, parts } = splitPayload(encodePayload(["x".repeat(300_000)], "value"), () => 7);
    bench.tell(...bench.chunk(1, [0], { restored: { offset: 0, state } }));
    await Promise.resolve();
    expect(bench.answers).toEqual([]);
    bench.tell(...parts.map((part) => ({ kind: { $case: "part" as const, value: part } })));
    expect(await bench.answered(1)).toMatchObject([{ done: [300_000] }]);
  });

  test("must travel, be small enough, and be of an item that runs and may begin anew", async () => {
    const bench = new Bench();
    const kept: (() => void)[] = [];
    bench.job(1, () => {
      const task = bench.runtime.task();
      kept.push(() => task?.checkpoint(1));
      expect(() => task?.checkpoint(() => 1)).toThrow(SerializationError);
      expect(() => task?.checkpoint("x".repeat(CHECKPOINT_BYTES_MAX))).toThrow(LimitError);
    });
    await bench.results(1, [0]);
    for (const late of kept) expect(late).toThrow(StateError);
    expect(told(bench)).toEqual([]);
  });
});
