import {
  ClosedError,
  EmptyError,
  FullError,
  JoinableQueue,
  LimitError,
  Manager,
  Queue,
  SerializationError,
  SimpleQueue,
  StateError,
} from "heddle";
import { describe, expect, test } from "vitest";
import type { ObjectsPlace } from "../../harness/objects-place.ts";
import { failure } from "../../harness/waiting.ts";

type Get = () => ObjectsPlace;

/** Queues, whoever runs them. */
export function describeQueues(get: Get): void {
  describe("a Queue", () => describeQueue(get));
  describe("a JoinableQueue", () => describeJoinableQueue(get));
  describe("a SimpleQueue", () => describeSimpleQueue(get));
}

function describeQueue(place: Get): void {
  test("that is full takes nothing at once, whatever the timeout of what is not to wait", async () => {
    const queue = new Queue<number>({ maxSize: 2, fabric: place().ours });
    await queue.put(1);
    await queue.put(2, { block: true });
    const refusals = [
      queue.put(3, { block: false }),
      queue.put(4, { block: false, timeoutMs: 60_000 }),
      queue.putNowait(5),
      queue.put(6, { timeoutMs: 0 }),
      queue.put(7, { timeoutMs: -5 }),
    ];
    for (const refusal of refusals) expect(await failure(refusal)).toBeInstanceOf(FullError);
    expect(await place().ends(failure(queue.put(8, { timeoutMs: 200 })))).toBeInstanceOf(FullError);
    expect([await queue.qsize(), await queue.full(), await queue.empty()]).toEqual([2, true, false]);
  });

  test("gives what another put in order, in each form of asking", async () => {
    const queue = new Queue<number>({ fabric: place().ours });
    const there = await place().receive(queue);
    for (const item of [2, 3, 4, 5]) await there.put(item);
    const got = [
      await queue.get({ block: true }),
      await queue.get({ timeoutMs: undefined }),
      await queue.get({ timeoutMs: 1_000 }),
      await queue.getNowait(),
    ];
    expect(got).toEqual([2, 3, 4, 5]);
    expect(await queue.empty()).toBe(true);
    for (const nothing of [queue.getNowait(), queue.get({ block: false, timeoutMs: 9 }), queue.get({ timeoutMs: 0 })])
      expect(await failure(nothing)).toBeInstanceOf(EmptyError);
    expect(await place().ends(failure(queue.get({ timeoutMs: 100 })))).toBeInstanceOf(EmptyError);
  });

  test("answers more at once than are ever under way one after the other", async () => {
    const queue = new Queue<number>({ fabric: place().ours });
    const there = await place().receive(queue);
    const count = 3_000;
    const got = Promise.all(Array.from({ length: count }, () => queue.get()));
    await Promise.all(Array.from({ length: count }, (_, item) => there.put(item)));
    expect(await got).toEqual(Array.from({ length: count }, (_, item) => item));
    const puts = Array.from({ length: count }, (_, item) => queue.put(item));
    await Promise.all(puts);
    expect((await Promise.all(Array.from({ length: count }, () => queue.get()))).at(-1)).toBe(count - 1);
  });

  test("keeps what was put by one that is gone", async () => {
    const queue = new Queue<number>({ fabric: place().ours });
    for (let item = 0; item < 10; item++) void queue.put(item);
    await queue.qsize();
    const there = await place().receive(queue);
    for (let item = 10; item < 20; item++) void there.put(item);
    await place().leave();
    const got: number[] = [];
    for (let item = 0; item < 20; item++) got.push(await queue.get());
    expect(got).toEqual(Array.from({ length: 20 }, (_, item) => item));
    expect(await failure(queue.get({ block: false }))).toBeInstanceOf(EmptyError);
  });

  test("knows how many items it has", async () => {
    const queue = new Queue<number>({ fabric: place().ours });
    const sizes = [await queue.qsize()];
    for (const item of [1, 2]) {
      await queue.put(item);
      sizes.push(await queue.qsize());
    }
    for (const item of [1, 2]) {
      expect(await queue.get()).toBe(item);
      sizes.push(await queue.qsize());
    }
    expect(sizes).toEqual([0, 1, 2, 1, 0]);
  });

  test("lets those wait who find it full or empty, in order, and gives up what they gave up", async () => {
    const queue = new Queue<number>({ maxSize: 1, fabric: place().ours });
    const there = await place().receive(queue);
    const abort = new AbortController();
    const first = there.get();
    await place().arrived();
    const tired = failure(there.get({ signal: abort.signal }));
    const second = there.get();
    await place().arrived();
    abort.abort(new Error("tired"));
    expect(await tired).toMatchObject({ message: "tired" });
    await queue.put(1);
    await queue.put(2);
    expect([await first, await second]).toEqual([1, 2]);
    await queue.put(3);
    const waiting = queue.put(4);
    expect(await there.get()).toBe(3);
    await waiting;
    expect(await there.get()).toBe(4);
  });

  test.for(["queue", "joinableQueue"] as const)("closed by this process is closed for it alone (%s)", async (kind) => {
    await using manager = new Manager({ fabric: place().ours });
    const queue = manager[kind]<number>();
    const there = await place().receive(queue);
    await queue.put(1);
    await queue.close();
    await queue.close();
    for (const call of [queue.put(2), queue.get(), queue.putNowait(2), queue.getNowait(), queue.qsize()]) {
      const error = await failure(call);
      expect(error).toBeInstanceOf(ClosedError);
      expect(String(error)).toContain("is closed");
    }
    expect(await there.get()).toBe(1);
  });

  test.for(["queue", "joinableQueue"] as const)(
    "of a manager is the same for whoever receives it (%s)",
    async (kind) => {
      await using manager = new Manager({ fabric: place().ours });
      const queue = manager[kind]<number>({ maxSize: 2 });
      await queue.put(5);
      await queue.put(6);
      const there = await place().receive(queue);
      expect(there).toBeInstanceOf(kind === "queue" ? Queue : JoinableQueue);
      expect([await there.qsize(), await there.full(), await there.empty()]).toEqual([2, true, false]);
      expect([await there.get(), await there.get()]).toEqual([5, 6]);
      expect([await queue.empty(), await queue.full()]).toEqual([true, false]);
    },
  );

  test("refuses what cannot be", async () => {
    expect(() => new Queue({ maxSize: -1, fabric: place().ours })).toThrow(RangeError);
    expect(() => new Queue({ maxSize: 1.5, fabric: place().ours })).toThrow(RangeError);
    expect(() => new Queue({ size: 5 } as never)).toThrow("no option size");
    const queue = new Queue<unknown>({ fabric: place().ours });
    expect(await failure(queue.put(() => 1))).toBeInstanceOf(SerializationError);
    expect(await failure(queue.put(new Uint8Array(64 * 1024 * 1024 + 1)))).toBeInstanceOf(LimitError);
    expect(await failure(queue.put(1, { block: "no" as never }))).toBeInstanceOf(TypeError);
    expect(await queue.qsize()).toBe(0);
  });

  test("of a name is the same for all, and of one shape", async () => {
    const queue = new Queue<string>({ name: "jobs", maxSize: 3, fabric: place().ours });
    await queue.put("first");
    expect(await new Queue({ name: "jobs", maxSize: 3, fabric: place().theirs }).get()).toBe("first");
    const other = new JoinableQueue({ name: "jobs", fabric: place().theirs });
    expect(await failure(other.get())).toMatchObject({ name: "ConflictError" });
  });

  test("holds any values, and handles of shared objects among them", async () => {
    await using manager = new Manager({ fabric: place().ours });
    const queue = new Queue<unknown>({ fabric: place().ours });
    const there = await place().receive(queue);
    const list = manager.list([1]);
    const item = { date: new Date(5), map: new Map([[1, [undefined]]]), bytes: Uint8Array.of(1, 2) };
    await queue.put(item);
    await queue.put({ list });
    expect(await there.get()).toEqual(item);
    const received = (await there.get()) as { list: typeof list };
    await received.list.append(2);
    expect(await list.toArray()).toEqual([1, 2]);
  });
}

function describeJoinableQueue(place: Get): void {
  test("is joined once as many items were done as were put", async () => {
    const queue = new JoinableQueue<number | null>({ fabric: place().ours });
    const done: number[] = [];
    const worker = async (handle: JoinableQueue<number | null>): Promise<void> => {
      for (let item = await handle.get(); item !== null; item = await handle.get()) {
        await place().arrived();
        done.push(item);
        await handle.taskDone();
      }
    };
    const workers = [];
    for (let each = 0; each < 4; each++) workers.push(worker(await place().receive(queue)));
    for (let item = 0; item < 10; item++) await queue.put(item);
    await queue.join();
    expect(done.sort((a, b) => a - b)).toEqual(Array.from({ length: 10 }, (_, item) => item));
    for (let each = 0; each < 4; each++) await queue.put(null);
    await Promise.all(workers);
  });

  test("refuses more that is done than was put", async () => {
    const queue = new JoinableQueue<number>({ fabric: place().ours });
    await queue.join();
    expect(await failure(queue.taskDone())).toBeInstanceOf(StateError);
    await queue.put(1);
    await queue.get();
    await queue.taskDone();
    expect(await failure(queue.taskDone())).toBeInstanceOf(StateError);
  });
}

function describeSimpleQueue(place: Get): void {
  test("puts and gets", async () => {
    const queue = new SimpleQueue<string>({ fabric: place().ours });
    const there = await place().receive(queue);
    expect(there).toBeInstanceOf(SimpleQueue);
    const waiting = there.get();
    await place().arrived();
    await queue.put("a");
    await queue.put("b");
    expect([await waiting, await queue.empty(), await queue.get(), await queue.empty()]).toEqual([
      "a",
      false,
      "b",
      true,
    ]);
    await queue.close();
    expect(await failure(queue.put("c"))).toBeInstanceOf(ClosedError);
  });
}
