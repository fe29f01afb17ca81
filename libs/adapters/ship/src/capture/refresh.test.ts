import type { AnyFunction } from "@heddle/port-shipper";
import { expect, test } from "vitest";
import { FunctionInspector } from "../inspect.ts";
import { Project } from "../testing.ts";
import { loadNatively, testCapturer, valuesOf } from "./testing.ts";

/** Counts how often V8 is asked for variables. */
class CountingInspector extends FunctionInspector {
  asked = 0;

  override scopesOf(fn: AnyFunction): ReturnType<FunctionInspector["scopesOf"]> {
    this.asked++;
    return super.scopesOf(fn);
  }
}

test("constants stay the same, and nobody asks V8 again", () => {
  const inspector = new CountingInspector();
  const [k, word] = [1, "w"];
  const { refresh } = testCapturer({ inspector }).capture(() => [k, word, setTimeout, Math.max]);
  inspector.asked = 0;
  expect(refresh()).toBe("same");
  expect(inspector.asked).toBe(0);
});

test("objects are encoded anew, and nobody asks V8 again", () => {
  const inspector = new CountingInspector();
  const list = [1];
  const { graph, refresh } = testCapturer({ inspector }).capture(() => list);
  inspector.asked = 0;
  list.push(2);
  expect(valuesOf(graph, refresh() as Uint8Array)).toEqual([[1, 2]]);
  expect(inspector.asked).toBe(0);
});

test("a variable that was given another value is seen", () => {
  let k = 1;
  const { graph, refresh } = testCapturer().capture(() => k);
  k = 2;
  expect(valuesOf(graph, refresh() as Uint8Array)).toEqual([2]);
});

test("a function that was not inside the values before is captured anew, though it has a cell", () => {
  const double = (n: number): number => 2 * n;
  const table: Record<string, AnyFunction> = {};
  const { refresh } = testCapturer().capture((n: number) => [double(n), table]);
  table.f = double;
  expect(refresh()).toBeUndefined();
  delete table.f;
  expect(refresh()).toBeInstanceOf(Uint8Array);
});

test("a refusal leaves nothing behind that a later call takes for known", () => {
  const table: Record<string, unknown> = {};
  const { refresh } = testCapturer().capture(() => table);
  table.f = () => 1;
  table.memory = new WeakMap();
  expect(refresh()).toBeUndefined();
  delete table.memory;
  expect(refresh()).toBeUndefined();
  delete table.f;
  table.memory = new WeakMap();
  expect(refresh).toThrow(/uses table .*whose memory is a WeakMap/);
});

test("variables that were taken for one and then part are captured anew", () => {
  const make = (n: number) => ({ next: () => ++n, now: () => n });
  const { next } = make(4);
  const { now } = make(4);
  const { refresh } = testCapturer().capture(() => [next(), now()]);
  expect(refresh()).toBeInstanceOf(Uint8Array);
  next();
  expect(refresh()).toBeUndefined();
});

test("exports of a CommonJS module are read anew, and other code behind them is captured anew", () => {
  using project = new Project({
    "main.cjs": "exports.h = (n) => n; exports.k = 3; exports.get = () => (n) => exports.h(n) + exports.k;",
  });
  const module = loadNatively(project.path("main.cjs")) as Record<string, unknown>;
  const { graph, refresh } = testCapturer().capture((module.get as AnyFunction)() as AnyFunction);
  module.k = 4;
  expect(valuesOf(graph, refresh() as Uint8Array)).toEqual([4]);
  module.h = () => 0;
  expect(refresh()).toBeUndefined();
});

test("a user's own globals are read anew", () => {
  const globals = globalThis as unknown as Record<string, unknown>;
  globals.heddleTestGlobal = 1;
  try {
    const { graph, refresh } = testCapturer().capture(new Function("return heddleTestGlobal") as AnyFunction);
    globals.heddleTestGlobal = 2;
    expect(valuesOf(graph, refresh() as Uint8Array)).toEqual([2]);
    globals.heddleTestGlobal = () => 3;
    expect(refresh()).toBeUndefined();
  } finally {
    delete globals.heddleTestGlobal;
  }
});
