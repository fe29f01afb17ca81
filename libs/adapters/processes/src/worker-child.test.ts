import { silentLogger } from "@heddle/kernel";
import type { WorkerExit, WorkerProcess, WorkerSpawner } from "@heddle/port-processes";
import type { WorkerRequestEntry, WorkerResponseEntry } from "@heddle/wire";
import { afterAll, describe, expect, test } from "vitest";
import { WORKER_FRAME_BYTES_MAX } from "./limits.ts";
import { createProcessSpawner, type ProcessSpawnerOptions } from "./spawner.ts";
import { isRunning } from "./testing/is-running.ts";
import { heard, order, type ProcessAct } from "./testing/puppet-acts.ts";
import { scratchDirectory } from "./testing/scratch.ts";

const scratch = scratchDirectory();
afterAll(() => scratch[Symbol.dispose]());

type Spawner = WorkerSpawner<WorkerRequestEntry, WorkerResponseEntry>;

function open(options: Partial<ProcessSpawnerOptions> = {}): Spawner {
  const workerEntry = new URL("./testing/puppet.ts", import.meta.url);
  return createProcessSpawner({ workerEntry, log: silentLogger, ...options });
}

interface Worker {
  readonly process: WorkerProcess<WorkerRequestEntry>;
  readonly lines: string[];
  readonly exited: Promise<WorkerExit>;
  hears(number: number | "ready"): Promise<void>;
}

function start(spawner: Spawner, ...acts: ProcessAct[]): Worker {
  const lines: string[] = [];
  const words: (number | "ready")[] = [];
  const { promise: exited, resolve } = Promise.withResolvers<WorkerExit>();
  let told = (): void => undefined;
  const process = spawner.spawn({
    entries: (entries) => {
      words.push(...entries.map(heard));
      told();
    },
    output: (_stream, line) => lines.push(line),
    exited: resolve,
  });
  for (const act of acts) process.send(order(act));
  const hears = async (word: number | "ready"): Promise<void> => {
    while (!words.includes(word)) await new Promise<void>((resolve) => (told = resolve));
  };
  return { process, lines, exited, hears };
}

describe("a worker that leaves something behind", () => {
  test.each([
    ["that holds its output open", true],
    ["that is silent", false],
  ])("takes it along, %s and in a session of its own, and leaves its neighbours' alone", async (_what, keepsOutput) => {
    await using spawner = open();
    const neighbour = start(spawner, { type: "runaway", number: 1, keepsOutput });
    await neighbour.hears(1);
    const worker = start(spawner, { type: "runaway", number: 1, keepsOutput }, { type: "exit", code: 0 });
    expect(await worker.exited).toMatchObject({ exitCode: 0, signal: null });
    expect(isRunning(Number(worker.lines[0]))).toBe(false);
    expect(isRunning(Number(neighbour.lines[0]))).toBe(true);
    await spawner[Symbol.asyncDispose]();
    expect(isRunning(Number(neighbour.lines[0]))).toBe(false);
  });
});

describe("a worker that breaks the framing", () => {
  test.each([
    ["a length above the limit", "00001001", /WORKER_FRAME_BYTES_MAX/],
    ["a length with the highest bit", "000000800a00", /WORKER_FRAME_BYTES_MAX/],
    ["bytes that are no message", "04000000ffffffff", /framing/],
    ["a message cut short", "030000000a0561", /framing/],
  ])("by %s is killed, and nobody else is", async (_what, hex, fault) => {
    await using spawner = open();
    const neighbour = start(spawner, { type: "say", number: 1 });
    const worker = start(spawner, { type: "say", number: 1 }, { type: "raw", hex });
    const exit = await worker.exited;
    expect(exit).toMatchObject({ exitCode: null, signal: "SIGKILL", fault: expect.stringMatching(fault) });
    await worker.hears(1); // what came before it counts
    await neighbour.hears(1);
    neighbour.process.send(order({ type: "say", number: 2 }));
    await neighbour.hears(2);
  });

  test("by hanging up is killed after a moment of grace", async () => {
    await using spawner = open();
    const worker = start(spawner, { type: "hang-up" });
    expect(await worker.exited).toMatchObject({ signal: "SIGKILL", fault: expect.stringMatching(/closed its link/) });
  });
});

describe("a worker that cannot be", () => {
  test("because its module is missing says so on its standard error", async () => {
    await using spawner = open({ workerEntry: new URL("./testing/absent.ts", import.meta.url) });
    const exit = await start(spawner).exited;
    expect(exit).toMatchObject({ exitCode: 1, signal: null });
    expect(exit.stderrTail).toMatch(/Cannot find module/);
  });

  test("because Node is told nonsense ends with Node's own word", async () => {
    await using spawner = open({ execArgv: ["--no-such-option"] });
    const exit = await start(spawner).exited;
    expect(exit).toMatchObject({ exitCode: 9, stderrTail: expect.stringMatching(/no-such-option/) });
  });

  test("because its environment cannot be passed on has a fault and no process", async () => {
    await using spawner = open({ env: { TOO_LONG: "x".repeat(3_000_000) } });
    const worker = start(spawner);
    expect(worker.process.pid).toBe(0);
    expect(await worker.exited).toMatchObject({ exitCode: null, fault: expect.stringMatching(/E2BIG/) });
  });
});

test("an entry that no frame can hold is refused where it is sent", async () => {
  await using spawner = open();
  const worker = start(spawner);
  const data = Buffer.alloc(WORKER_FRAME_BYTES_MAX);
  expect(() =>
    worker.process.send({ kind: { $case: "part", value: { partStream: 1, data, last: true, aborted: false } } }),
  ).toThrow(/WORKER_FRAME_BYTES_MAX/);
});

test("a worker that does not read is killed before what waits for it fills the memory", async () => {
  await using spawner = open({ unsentBytesMax: 4 * 1024 * 1024 });
  const worker = start(spawner, { type: "spin", number: 1 });
  await worker.hears(1);
  const data = Buffer.alloc(128 * 1024);
  for (let sent = 0; sent < 40; sent++) {
    worker.process.send({ kind: { $case: "part", value: { partStream: 1, data, last: false, aborted: false } } });
  }
  const exit = await worker.exited;
  expect(exit).toMatchObject({
    signal: "SIGKILL",
    fault: expect.stringMatching(/did not read.*WORKER_UNSENT_BYTES_MAX/),
  });
});

test("a worker's memory is looked at while it lives", async () => {
  await using spawner = open();
  const worker = start(spawner);
  await worker.hears("ready");
  expect(worker.process.rssBytes).toBe(0);
  await new Promise((resolve) => setTimeout(resolve, 1_100)); // two samples
  const seenBytes = worker.process.rssBytes;
  worker.process.kill("SIGKILL");
  const { rssBytes } = await worker.exited;
  expect(seenBytes).toBeGreaterThan(10e6);
  expect(rssBytes).toBeGreaterThan(10e6);
  expect(rssBytes).toBeLessThan(1e9);
});

test("no descriptor is left open by workers that came and went", async () => {
  const { readdirSync } = await import("node:fs");
  await using spawner = open();
  const count = (): number => readdirSync("/proc/self/fd").length;
  await start(spawner, { type: "exit", code: 0 }).exited;
  const before = count();
  for (let round = 0; round < 3; round++) {
    await Promise.all([1, 2].map(() => start(spawner, { type: "exit", code: 0 }).exited));
  }
  expect(count()).toBe(before);
});
