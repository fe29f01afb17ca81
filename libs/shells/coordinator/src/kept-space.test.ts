import { JobId, type Logger, silentLogger } from "@heddle/kernel";
import { type JobStore, MemoryJobs, memoryJobStore } from "@heddle/port-job-store";
import { expect, test } from "vitest";
import { KeptSpace } from "./kept-space.ts";
import { KEPT_WRITING_BYTES_MAX } from "./limits.ts";
import { settle } from "./testing.ts";

const job = JobId("a-job");
const added = { type: "job-added", job, spec: new Uint8Array(3) } as const;

async function openStage(disk = new MemoryJobs(), log: Logger = silentLogger) {
  const store = memoryJobStore(disk);
  await store.recover();
  const failures: Error[] = [];
  const writes: number[] = [];
  const seen: JobStore = {
    recover: () => store.recover(),
    write: (changes) => {
      writes.push(changes.length);
      return store.write(changes);
    },
    input: (id, chunk) => store.input(id, chunk),
    answer: (id, answer) => store.answer(id, answer),
    code: (id, hash) => store.code(id, hash),
    get bytes() {
      return store.bytes;
    },
    [Symbol.asyncDispose]: () => store[Symbol.asyncDispose](),
  };
  const space = new KeptSpace({ store: seen, log, bytesMax: 100, failed: (error) => void failures.push(error) });
  return { store, space, failures, writes };
}

test("writes beyond so many bytes wait for those before them, small ones too: all of them in order", async () => {
  const gates: (() => void)[] = [];
  const disk = new MemoryJobs(() => new Promise((resolve) => gates.push(() => resolve("kept"))));
  const { space, writes } = await openStage(disk);
  const large = KEPT_WRITING_BYTES_MAX - 1;
  const order: string[] = [];
  const write = (name: string, bytes: number): void =>
    void space.write([{ type: "history-added", entry: new Uint8Array(1) }], bytes).then(() => order.push(name));
  write("first", large);
  write("second", 1);
  write("third", large);
  write("fourth", 1);
  await settle();
  expect(writes).toHaveLength(2);
  while (order.length < 4) {
    gates.shift()?.();
    await settle();
  }
  expect(order).toEqual(["first", "second", "third", "fourth"]);
  expect(writes).toHaveLength(4);
});

test("one write always goes, however large it is", async () => {
  const { space } = await openStage();
  await space.write([added], 2 * KEPT_WRITING_BYTES_MAX);
  expect(space.bytes).toBe(3);
});

test("what is on its way counts as kept, and what goes as gone", async () => {
  const { space } = await openStage();
  expect(space.hasRoom(100)).toBe(true);
  space.changing(60);
  expect([space.hasRoom(40), space.hasRoom(41)]).toEqual([true, false]);
  let dropped = 0;
  space.makeRoom = () => {
    if (dropped === 2) return undefined;
    dropped++;
    space.changing(-20);
    return Promise.resolve();
  };
  expect([space.hasRoom(60), dropped]).toEqual([true, 1]);
  expect([space.hasRoom(200), dropped]).toEqual([false, 2]);
  space.changed(60);
  space.changed(-40);
  expect(space.bytes).toBe(0);
});

test("a store that fails is told of once, and nothing that was asked of it settles", async () => {
  const { space, failures } = await openStage(new MemoryJobs(() => "failed-kept"));
  let settled = 0;
  const note = (): void => void settled++;
  space.write([added], 3).then(note, note);
  space.write([{ type: "job-dropped", job }], 0).then(note, note);
  await settle();
  space.read("it", (store) => store.input(job, 0)).then(note, note);
  space.write([added], 3).then(note, note);
  await settle();
  expect([failures.length, settled]).toEqual([1, 0]);
});

test("what the store lacks reads as undefined, which the log says", async () => {
  const said: string[] = [];
  const { space } = await openStage(new MemoryJobs(), { ...silentLogger, error: (message) => void said.push(message) });
  expect(await space.read("chunk 1", (store) => store.input(job, 1))).toBeUndefined();
  expect(said).toEqual(["the store of jobs lacks what it had"]);
});
