import type { FunctionMaker } from "@heddle/port-shipper";
import { Encoding, encodeValue, ObjectsState_State, type SharedDescription, shared, splitPayload } from "@heddle/wire";
import { describe, expect, test } from "vitest";
import type { InsideObjects } from "./shared-objects.ts";
import { Bench } from "./testing.ts";

/** A handle as user code has it. */
class Handle {
  readonly object: string;

  constructor(object: string) {
    this.object = object;
  }

  size(): number {
    return this.object.length;
  }

  [shared](): SharedDescription {
    return { kind: "dict", object: this.object };
  }
}

/** A worker in which `heddle` is not loaded. */
function benchOf(flush: InsideObjects["flush"] = () => undefined): Bench & { loaded: number } {
  const bench = Object.assign(new Bench(), { loaded: 0 });
  bench.loadInside = () => {
    bench.loaded++;
    bench.runtime.objects.provide({ revive: ({ object }) => new Handle(object), flush });
  };
  return bench;
}

const sizeOf = (handle: Handle): number => handle.size();

describe("handles of shared objects", () => {
  test("among inputs are live in the task, and what makes them is loaded when the first is met", async () => {
    const bench = benchOf();
    bench.job(1, sizeOf);
    expect(await bench.run(1, [new Handle("@ab"), new Handle("@abcd")])).toMatchObject({ done: [3, 5] });
    expect(await bench.run(1, [new Handle("@x")])).toMatchObject({ done: [2] });
    expect(bench.loaded).toBe(1);
  });

  test("among captured values are live", async () => {
    const bench = benchOf();
    const maker: FunctionMaker = (values) => {
      const [handle] = values([]) as [Handle];
      return () => handle.size();
    };
    bench.closure(1, maker, encodeValue([new Handle("@captured")], "value"));
    expect(await bench.run(1, [0])).toMatchObject({ done: [9] });
  });

  test("among the arguments of an initializer are live", async () => {
    const bench = benchOf();
    let size = 0;
    const initializer = {
      function: bench.placed("init", (handle: Handle) => {
        size = handle.size();
      }),
      args: encodeValue([new Handle("@in")], "argument"),
      argsArtifact: "",
      argsLocation: "",
    };
    bench.job(1, () => size, false, { initializer });
    expect(await bench.run(1, [0])).toMatchObject({ done: [3] });
  });

  test("travel back as results", async () => {
    const bench = benchOf();
    bench.job(1, (object: string) => new Handle(object));
    expect(await bench.run(1, ["@a"])).toMatchObject({ done: [{ description: { kind: "dict", object: "@a" } }] });
  });
});

describe("writes to shared objects", () => {
  test("are done before their chunk is, whoever awaits them", async () => {
    const writes = Promise.withResolvers<void>();
    const bench = benchOf(() => writes.promise);
    bench.loadInside();
    bench.job(1, (x: number) => x + 1);
    const answered = bench.run(1, [1, 2]);
    await Promise.resolve();
    expect(bench.answers).toEqual([]);
    writes.resolve();
    expect(await answered).toMatchObject({ done: [2, 3] });
  });

  test("that nobody awaited fail the last item with their error; the values before it stay", async () => {
    const bench = benchOf(() => Promise.reject(new RangeError("index 9 of a list of 2")));
    bench.loadInside();
    bench.job(1, (x: number) => `v${x}`);
    expect(await bench.run(1, [1, 2, 3])).toMatchObject({
      completed: 2,
      values: ["v1", "v2"],
      offset: 2,
      error: new RangeError("index 9 of a list of 2"),
    });
    expect(await bench.run(1, [1])).toMatchObject({ completed: 0, values: [], offset: 0 });
  });

  test("say nothing where an item has failed by itself", async () => {
    const bench = benchOf(() => Promise.reject(new RangeError("index")));
    bench.loadInside();
    bench.job(1, (x: number) => {
      if (x === 2) throw new TypeError("two");
      return x;
    });
    expect(await bench.run(1, [1, 2])).toMatchObject({ completed: 1, values: [1], error: new TypeError("two") });
  });

  test("of an initializer are done before it is through, and fail it", async () => {
    const bench = benchOf(() => Promise.reject(new RangeError("index")));
    bench.loadInside();
    const fn = bench.placed("init", () => undefined);
    const initializer = { function: fn, args: encodeValue([], "argument"), argsArtifact: "", argsLocation: "" };
    bench.job(1, () => 1, false, { initializer });
    expect(await bench.run(1, [0])).toMatchObject({ initFailure: "RangeError: index" });
  });
});

describe("the way to the manager", () => {
  test("leads through the agent: operations out, replies and the state of the session in, whatever their size", async () => {
    const bench = benchOf();
    const heard: unknown[] = [];
    bench.runtime.objects.listen(0, {
      replies: (batch) => heard.push(batch.length),
      state: (state) => heard.push(state),
      revoked: (revoked) => heard.push(revoked),
    });
    bench.runtime.objects.operate({ owner: 0, batch: Uint8Array.of(1, 2), count: 1, acknowledged: [1, 3] });
    bench.runtime.objects.operate({ owner: 0, batch: new Uint8Array(300_000), count: 1, acknowledged: [] });
    const [small, large] = bench.said("objectOperations");
    expect(small).toMatchObject({ owner: 0, batch: { count: 1, size: 2, partStream: 0 }, acknowledged: [1, 3] });
    expect(large?.batch).toMatchObject({ size: 300_000, partStream: 1 });
    expect(bench.said("part").map(({ data, last }) => [data.length, last])).toEqual([
      [131_072, false],
      [131_072, false],
      [37_856, true],
    ]);
    const state = { state: ObjectsState_State.OPEN, session: 4, ttlMs: 15_000, code: "", message: "" };
    bench.tell({ kind: { $case: "objectsState", value: state } });
    for (const bytes of [new Uint8Array(3), new Uint8Array(200_000)]) {
      const { header, parts } = splitPayload({ encoding: Encoding.UNSPECIFIED, count: 1, bytes }, () => 9);
      bench.tell({ kind: { $case: "objectReplies", value: { owner: 0, batch: header } } });
      for (const part of parts) bench.tell({ kind: { $case: "part", value: part } });
    }
    const revoked = { owner: 0, object: "@a", token: 5, reason: "it hung" };
    bench.tell({ kind: { $case: "objectRevoked", value: revoked } });
    bench.tell({ kind: { $case: "objectRevoked", value: { ...revoked, owner: 1 } } });
    expect(heard).toEqual([state, 3, 200_000, revoked]);
    bench.runtime.objects.closeOwner(0);
    bench.runtime.objects.closeOwner(0);
    expect(bench.said("objectOwnerClosed")).toEqual([{ owner: 0 }]);
  });
});
