import { CHUNK_SETTLED_SPANS_MAX, FOLD_BLOCK_ITEMS, foldedCount, UnavailableError } from "@heddle/kernel";
import { Encoding, SETTLED_SPANS_MINOR } from "@heddle/wire";
import { describe, expect, onTestFinished, test } from "vitest";
import { all, stage as openStage, replace, square } from "./comeback-stage.ts";
import { Fabric } from "./fabric.ts";
import { range } from "./range.ts";
import { inline, settle, userFailure } from "./testing.ts";

const older = SETTLED_SPANS_MINOR - 1;

function stage(slots?: number) {
  const opened = openStage(slots);
  onTestFinished(() => opened.fake[Symbol.asyncDispose]());
  return opened;
}

describe("a coordinator that is killed and started again", () => {
  test("hears of all that is not answered, under the same ids, and its client's caller of nothing", async () => {
    const { fake, pool, span, offered, sealed } = stage();
    const map = pool.map(square, [0, 1, 2, 3, 4, 5, 6, 7, 8], { chunkSize: 3 });
    await settle();
    const [client, opened, job] = [fake.said("registerClient")[0], fake.said("openPool")[0], fake.said("openJob")[0]];
    fake.answer(1, 0, [0, 1, 4]);
    span(2, 1, [49]);
    await replace(fake);
    expect(fake.said("registerClient")).toEqual([client]);
    expect(fake.said("openPool")).toEqual([opened]);
    expect(fake.said("offerArtifact")).toHaveLength(1);
    expect(fake.said("openJob")).toEqual([job]);
    expect(offered()).toEqual([
      { chunk: 0, firstIndex: 3, settled: [] },
      { chunk: 1, firstIndex: 6, settled: [{ offset: 1, count: 1 }] },
    ]);
    expect(sealed()).toEqual([2]);
    span(1, 2, [64]);
    fake.answer(1, 0, [9, 16, 25]);
    span(1, 0, [36]);
    fake.end(1);
    expect(await map).toEqual([0, 1, 4, 9, 16, 25, 36, 49, 64]);
  });

  test("three times in a row costs no answer that was taken", async () => {
    const { fake, pool, span, offered } = stage();
    const map = pool.map(square, range(8), { chunkSize: 8 });
    await settle();
    for (const [offset, value] of [0, 1, 4].entries()) {
      span(0, 2 * offset, [value]);
      await replace(fake);
    }
    expect(offered()).toEqual([
      { chunk: 0, firstIndex: 0, settled: [0, 2, 4].map((offset) => ({ offset, count: 1 })) },
    ]);
    span(0, 1, [10]);
    span(0, 3, [30]);
    span(0, 5, [50, 60, 70]);
    fake.end(1);
    expect(await map).toEqual([0, 10, 1, 30, 4, 50, 60, 70]);
  });

  test("drops what came of a payload by halves", async () => {
    const { fake, pool, offered } = stage();
    const map = pool.map(square, [1], { chunkSize: 1 });
    await settle();
    const values = { ...inline([1]), data: new Uint8Array(0), partStream: 9 };
    fake.answer(1, 0, [], { values });
    fake.tell({ $case: "part", value: { partStream: 9, data: Uint8Array.of(7), last: false, aborted: false } });
    await replace(fake);
    expect(offered()).toEqual([{ chunk: 0, firstIndex: 0, settled: [] }]);
    fake.answer(1, 0, [5]);
    fake.end(1);
    expect(await map).toEqual([5]);
  });

  test("is offered more inputs as before, numbered behind what it was offered again", async () => {
    const { fake, pool } = stage(1);
    function* inputs() {
      for (let n = 0; n < 12; n++) yield n;
    }
    const map = pool.map(square, inputs(), { chunkSize: 1 });
    await settle();
    expect(fake.said("offerChunk")).toHaveLength(4);
    fake.answer(1, 1, [1], { runMicros: 1_000_000 });
    await settle();
    expect(fake.said("offerChunk")).toHaveLength(5);
    await fake.kill();
    await fake.begin();
    fake.serve((item) => (item as number) ** 2);
    await fake.dialled();
    expect(await map).toEqual(Array.from({ length: 12 }, (_, n) => n * n));
    const chunks = fake.said("offerChunk");
    expect(chunks.map(({ chunk }) => chunk)).toEqual(chunks.map((_, at) => at));
    expect(chunks.map(({ firstIndex }) => firstIndex).slice(0, 5)).toEqual([0, 2, 3, 4, 5]);
    expect(fake.said("sealJob")).toEqual([{ job: 1, chunkCount: chunks.length }]);
  });

  test("is sent what it is to hold, in parts and no more at a time than the window takes", async () => {
    const { fake, pool } = stage();
    const inputs = Array.from({ length: 12 }, (_, n) => new Uint8Array(500_000).fill(n));
    const map = pool.map((bytes: Uint8Array) => bytes.length, inputs, { chunkSize: 1 });
    await replace(fake);
    await settle();
    expect(fake.said("offerChunk").map(({ input }) => input?.size)).toEqual(new Array(12).fill(500_005));
    for (let chunk = 0; chunk < 12; chunk++) fake.answer(1, chunk, [chunk]);
    fake.end(1);
    expect(await map).toEqual(Array.from({ length: 12 }, (_, n) => n));
  });

  test("is asked for jobs that waited behind others, and those that were cancelled meanwhile are not", async () => {
    const { fake, pool } = stage();
    const [first, second] = [pool.mapAsync(square, [1]), pool.mapAsync(square, [2])];
    await settle();
    await fake.kill();
    await settle();
    const third = pool.mapAsync(square, [3]);
    await second.cancel();
    await expect(second.get()).rejects.toMatchObject({ name: "AbortError" });
    await fake.begin();
    await fake.dialled();
    expect(fake.said("openJob").map(({ jobId }) => jobId)).toEqual([first.jobId, third.jobId]);
    fake.answer(1, 0, [1]);
    fake.answer(2, 0, [9]);
    for (const job of [1, 2]) fake.end(job);
    expect([await first.get(), await third.get()]).toEqual([[1], [9]]);
  });

  test("need not hear of a job that lacks nothing but its end", async () => {
    const { fake, pool } = stage();
    const map = pool.map(square, [1, 2], { chunkSize: 2 });
    await settle();
    fake.answer(1, 0, [1, 4]);
    await settle();
    await fake.kill();
    await fake.begin();
    const asked = fake.dialled();
    expect(await map).toEqual([1, 4]);
    expect(await asked).toBe(false);
  });

  test("ends a job that had failed with the error that was seen", async () => {
    const { fake, pool } = stage();
    const map = pool.map(square, [1, 2, 3], { chunkSize: 1 });
    await settle();
    fake.fail(1, 2, 0, new RangeError("no 3"));
    await settle();
    await fake.kill();
    await fake.begin();
    void fake.dialled();
    await expect(map).rejects.toMatchObject({ message: expect.stringContaining("no 3"), remote: { index: 2 } });
  });

  test("leaves a call that collects what has failed, and asks for the rest", async () => {
    const { fake, pool, offered } = stage();
    const map = pool.map(square, [0, 1, 2, 3], { chunkSize: 4, onError: "collect" });
    await settle();
    fake.fail(1, 0, 1, new RangeError("no 1"));
    await replace(fake);
    expect(offered()).toEqual([{ chunk: 0, firstIndex: 0, settled: [{ offset: 1, count: 1 }] }]);
    fake.answer(1, 0, [0], { span: { offset: 0, count: 1 } });
    fake.fail(1, 0, 2, new RangeError("no 2"));
    fake.answer(1, 0, [9], { span: { offset: 3, count: 1 } });
    fake.end(1);
    const states = (await map).map((one) => (one.status === "fulfilled" ? one.value : String(one.reason)));
    expect(states).toEqual([0, "RangeError: no 1", expect.stringContaining("no 2"), 9]);
  });

  test("ends processes as any lost session does", async () => {
    const { fake } = stage();
    const process = fake.fabric.host.connection({});
    const failed = new Promise((resolve) => {
      const run = { number: 0, fail: resolve, hasStarted: () => undefined, hasEnded: () => undefined };
      process.startProcess({ run: run as never, artifacts: [], start: {} as never });
    });
    await settle();
    await fake.kill();
    await fake.begin();
    void fake.dialled();
    expect(await failed).toBeInstanceOf(UnavailableError);
  });

  test("gets functions among the inputs whose shipping outlasts the loss, which are shipped once", async () => {
    const { fake, pool } = stage();
    const gate = Promise.withResolvers<void>();
    const shipped: string[] = [];
    const ship = fake.shipper.ship.bind(fake.shipper);
    fake.shipper.ship = async (fn) => {
      const made = await ship(fn);
      if (fn.name !== "input") return made;
      shipped.push(fn.name);
      await gate.promise;
      return { ...made, artifact: { ...made.artifact, hash: "c".repeat(64) } };
    };
    const map = pool.map((fn: unknown) => typeof fn, [1, function input() {}], { chunkSize: 1 });
    await settle();
    expect([fake.said("offerChunk").length, shipped]).toEqual([1, ["input"]]);
    await replace(fake);
    expect([fake.said("offerChunk").length, fake.said("sealJob").length]).toEqual([1, 0]);
    gate.resolve();
    await settle();
    expect(fake.said("offerArtifact").map(({ hash }) => hash[0])).toEqual(["a", "c"]);
    expect([fake.said("offerChunk").length, fake.said("sealJob").length, shipped]).toEqual([2, 1, ["input"]]);
    for (const chunk of [0, 1]) fake.answer(1, chunk, [chunk]);
    fake.end(1);
    expect(await map).toEqual([0, 1]);
  });
});

describe("a stream whose coordinator is replaced", () => {
  test("goes on in order behind what was read, with what is unread counted", async () => {
    const { fake, pool } = stage(1);
    const stream = pool.imap(square, range(6), { chunkSize: 1, bufferSize: 4 });
    const first = stream.next();
    await settle();
    fake.answer(1, 0, [0]);
    expect(await first).toEqual({ done: false, value: 0 });
    fake.answer(1, 2, [4]);
    await replace(fake);
    const bytes = inline([4]).size;
    expect(fake.said("openJob")).toMatchObject([{ ordered: true, unreadBytes: bytes, gapChunks: 1 }]);
    expect(fake.said("offerChunk").map(({ firstIndex }) => firstIndex)).toEqual([1, 3, 4]);
    fake.answer(1, 0, [1]);
    expect([await stream.next(), await stream.next()].map(({ value }) => value)).toEqual([1, 4]);
    await settle();
    expect(fake.said("offerChunk").map(({ firstIndex }) => firstIndex)).toEqual([1, 3, 4, 5]);
    for (const [chunk, value] of [
      [3, 25],
      [2, 16],
      [1, 9],
    ] as const)
      fake.answer(1, chunk, [value]);
    await settle();
    fake.end(1);
    expect(await all(stream)).toEqual([9, 16, 25]);
  });

  test("gives each result once, in whatever order they come", async () => {
    const { fake, pool, span } = stage();
    const stream = all(pool.imapUnordered(square, [0, 1, 2, 3], { chunkSize: 4 }));
    await settle();
    span(0, 1, [1]);
    await replace(fake);
    span(0, 2, [4, 9]);
    await replace(fake);
    span(0, 0, [0]);
    await settle();
    fake.end(1);
    expect(await stream).toEqual([1, 4, 9, 0]);
  });

  test("tells the new coordinator of no byte that the old one has sent and that is consumed", async () => {
    const { fake, pool } = stage(1);
    const stream = pool.imap(square, range(3), { chunkSize: 1, bufferSize: 3 });
    await settle();
    fake.answer(1, 0, [0]);
    await settle();
    await stream.next();
    await replace(fake);
    expect(fake.said("openJob")).toMatchObject([{ unreadBytes: 0, gapChunks: 0 }]);
  });

  test("tells of what is consumed when it is worth a word in this session, whatever was left to tell in the last", async () => {
    const { fake, pool } = stage(1);
    const stream = pool.imap((n: number) => new Uint8Array(n), range(4), { chunkSize: 1, bufferSize: 4 });
    const taken = async (chunk: number): Promise<void> => {
      await settle();
      fake.answer(1, chunk, [new Uint8Array(1_500_000)]);
      await settle();
      await stream.next();
      await settle();
    };
    await taken(0);
    await replace(fake);
    await taken(0);
    expect(fake.said("takeResults")).toEqual([]);
    await taken(1);
    expect(fake.said("takeResults")).toEqual([{ job: 1, bytes: 2 * 1_500_005 }]);
  });
});

describe("folded results", () => {
  const count = 2 * FOLD_BLOCK_ITEMS;
  const add = (a: number, b: number): number => a + b;
  const folded = (first: number, items: number): number[] => {
    const values: number[] = [];
    for (let index = first; index < first + items; ) {
      const isWhole = index % FOLD_BLOCK_ITEMS === 0 && index + FOLD_BLOCK_ITEMS <= first + items;
      values.push(isWhole ? FOLD_BLOCK_ITEMS : 1);
      index += isWhole ? FOLD_BLOCK_ITEMS : 1;
    }
    expect(values).toHaveLength(foldedCount(first, items));
    return values;
  };

  test("are the same whatever of a block was answered before", async () => {
    const { fake, pool } = stage();
    const sum = pool.mapReduce((n: number) => n, add, range(count), { chunkSize: count });
    await settle();
    const answer = (offset: number, items: number) =>
      fake.answer(1, 0, folded(offset, items), { span: { offset, count: items } });
    answer(1_000, 5_000);
    await replace(fake);
    answer(0, 1_000);
    answer(6_000, count - 6_000);
    fake.end(1);
    expect(await sum).toBe(count);
  });

  test("of an older coordinator, which folds all again, are cut between blocks", async () => {
    const { fake, pool } = stage();
    const sum = pool.mapReduce((n: number) => n, add, range(count), { chunkSize: count });
    await settle();
    fake.answer(1, 0, [FOLD_BLOCK_ITEMS], { span: { offset: 0, count: FOLD_BLOCK_ITEMS } });
    await replace(fake, older);
    fake.answer(1, 0, folded(0, count));
    fake.end(1);
    expect(await sum).toBe(count);
  });

  test("of an older coordinator that cannot be cut fail the call in words", async () => {
    const { fake, pool } = stage();
    const sum = pool.mapReduce((n: number) => n, add, range(count), { chunkSize: count });
    await settle();
    fake.answer(1, 0, folded(0, 10), { span: { offset: 0, count: 10 } });
    await replace(fake, older);
    fake.answer(1, 0, folded(0, count));
    await expect(sum).rejects.toMatchObject({ name: "UnavailableError", message: expect.stringContaining("folded") });
  });
});

describe("a coordinator that runs what is settled again", () => {
  test("because it is an older one, is told nothing of it, and its answers are taken once", async () => {
    const { fake, pool, span, offered } = stage();
    const stream = all(pool.imapUnordered((text: string) => text, ["a", "b", "c", "d", "e"], { chunkSize: 5 }));
    await settle();
    span(0, 1, ["B"]);
    span(0, 3, ["D"]);
    await replace(fake, older);
    expect(offered()).toEqual([{ chunk: 0, firstIndex: 0, settled: [] }]);
    span(0, 0, ["a2", "b2"]);
    fake.fail(1, 0, 3, new Error("not again"));
    span(0, 2, ["c2", "d2", "e2"]);
    await settle();
    fake.end(1);
    expect(await stream).toEqual(["B", "D", "a2", "c2", "e2"]);
  });

  test("because it is in more pieces than are told, is told the largest", async () => {
    const { fake, pool, offered } = stage();
    const items = 2 * CHUNK_SETTLED_SPANS_MAX + 4;
    const map = pool.map(square, range(items), { chunkSize: items });
    await settle();
    for (let offset = 0; offset < items - 2; offset += 2) fake.answer(1, 0, ["old"], { span: { offset, count: 1 } });
    fake.answer(1, 0, ["old"], { span: { offset: items - 1, count: 1 } });
    fake.answer(1, 0, ["old"], { span: { offset: items - 2, count: 1 } });
    await replace(fake);
    const settled = offered()[0]?.settled ?? [];
    expect([settled.length, settled.at(-1)]).toEqual([CHUNK_SETTLED_SPANS_MAX, { offset: items - 2, count: 2 }]);
    fake.answer(1, 0, new Array(items - 2).fill("new"), { span: { offset: 0, count: items - 2 } });
    fake.end(1);
    expect(await map).toEqual(Array.from({ length: items }, (_, n) => (n % 2 === 0 || n >= items - 2 ? "old" : "new")));
  });

  test("breaks the protocol when it was told of it", async () => {
    const { fake, pool, span } = stage();
    const map = pool.map(square, [0, 1], { chunkSize: 2 });
    await settle();
    span(0, 0, [0]);
    await replace(fake);
    fake.answer(1, 0, [0, 1]);
    await expect(map).rejects.toMatchObject({
      message: expect.stringContaining("2 values came for items 0+2 of chunk 0"),
    });
  });
});

test("jobs of a session that somebody else has given end with it", async () => {
  const { fake } = stage();
  const sessions: { ended: (goodbye: string) => void }[] = [];
  await using fabric = new Fabric({
    ...fake.fabricOptions,
    dial: (handler, onLink) => {
      sessions.push({
        ended: (message) => handler.ended({ reason: "goodbye", goodbye: { code: "unavailable", message } }),
      });
      queueMicrotask(() => onLink(true));
      const done = Promise.resolve();
      return { id: "", peer: "", queuedBytes: 0, send: () => undefined, drained: () => done, close: () => done };
    },
  });
  const map = fabric.pool().map(square, [1], { chunkSize: 1 });
  await settle();
  sessions[0]?.ended("the node has lost its coordinator");
  await expect(map).rejects.toMatchObject({ name: "UnavailableError" });
  expect(sessions).toHaveLength(1);
});

test("values of an encoding that holds one for many are taken once, too", async () => {
  const { fake, pool, span } = stage();
  const stream = all(pool.imapUnordered(square, range(3), { chunkSize: 3 }));
  await settle();
  span(0, 0, [0]);
  await replace(fake, older);
  const repeated = { ...inline([7]), encoding: Encoding.REPEAT, count: 3, data: Uint8Array.of(7), size: 1 };
  fake.answer(1, 0, [], { values: repeated });
  await settle();
  fake.end(1);
  expect(await stream).toEqual([0, 7, 7]);
});

test("a failure of an older coordinator for an item that has its result is nobody's", async () => {
  const { fake, pool, span } = stage();
  const map = pool.map(square, [0, 1], { chunkSize: 2, onError: "collect" });
  await settle();
  span(0, 0, [0]);
  await replace(fake, older);
  fake.tell({ $case: "itemFailed", value: { job: 1, chunk: 0, failure: userFailure(0, new Error("late")) } });
  span(0, 1, [1]);
  fake.end(1);
  expect((await map).map(({ status }) => status)).toEqual(["fulfilled", "fulfilled"]);
});
