import { NESTING_DEPTH_MAX } from "@heddle/kernel";
import { ProcessSignal, type RunRequestEntry, StartProcess } from "@heddle/wire";
import { expect, onTestFinished, test } from "vitest";
import { PROCESS_READY_MS, PROCESS_STOP_GRACE_MS } from "./limits.ts";
import { Bench, CODE_HASH, type FakeWorker, functionRef, settle } from "./testing.ts";

const OTHER = "e".repeat(64);

async function opened(): Promise<Bench> {
  const bench = await Bench.open();
  onTestFinished(() => bench[Symbol.asyncDispose]());
  return bench;
}

function startOf(process: number, more: Partial<StartProcess> = {}): StartProcess {
  const target = { function: functionRef(), args: new Uint8Array([1]), argsArtifact: "" };
  const parent = { name: "MainProcess", pid: 5 };
  return { ...StartProcess.fromPartial({ process, name: `p${process}`, path: `${process}` }), target, parent, ...more };
}

async function start(bench: Bench, process: number, more: Partial<StartProcess> = {}): Promise<FakeWorker | undefined> {
  const before = bench.workers.length;
  bench.tell({ $case: "startProcess", value: startOf(process, more) });
  await settle();
  return bench.workers[before];
}

/** A process that runs. */
async function running(bench: Bench, process: number, more: Partial<StartProcess> = {}): Promise<FakeWorker> {
  const worker = await start(bench, process, more);
  if (worker === undefined) throw new Error("no worker was started");
  worker.say({ $case: "workerReady", value: { pid: worker.pid, nodeVersion: "v24.0.0" } });
  await settle();
  return worker;
}

function signal(bench: Bench, process: number, how: ProcessSignal): void {
  bench.tell({ $case: "signalProcess", value: { process, signal: how } });
}

test("a process has a worker of its own beside the slots, and is told of when it is ready", async () => {
  const bench = await opened();
  const worker = await start(bench, 7, { daemon: true });
  expect(worker).toBe(bench.workers.at(-1));
  expect(worker?.told("runProcess")).toMatchObject([
    { name: "p7", path: "7", daemon: true, node: "n1", parent: { name: "MainProcess", pid: 5 } },
  ]);
  expect(worker?.told("runProcess")[0]?.target?.function?.artifact).toBe(CODE_HASH);
  expect(bench.said("processStarted")).toEqual([]);
  worker?.say({ $case: "workerReady", value: { pid: worker.pid, nodeVersion: "v24.0.0" } });
  await settle();
  expect(bench.said("processStarted")).toEqual([{ process: 7, node: "n1", pid: worker?.pid }]);
  bench.describe(1);
  bench.assign(1, 1);
  await settle();
  expect([bench.worker(0).chunks, worker?.chunks]).toEqual([[1], []]);
});

test("how it ends is told behind all that it printed", async () => {
  const bench = await opened();
  const [one, two, three] = [await running(bench, 1), await running(bench, 2), await running(bench, 3)];
  one.print("last words");
  one.exit({ signal: null, exitCode: 3 });
  two.exit({ signal: "SIGSEGV" });
  three.exit({ signal: "SIGKILL", fault: "it broke the framing" });
  await settle();
  expect(bench.said("processEnded")).toEqual([
    { process: 1, end: { $case: "exitCode", value: 3 }, why: "" },
    { process: 2, end: { $case: "signal", value: "SIGSEGV" }, why: "" },
    { process: 3, end: { $case: "signal", value: "SIGKILL" }, why: "it broke the framing" },
  ]);
  expect(bench.said("output")).toMatchObject([{ job: 0, process: 1, text: "last words", place: { pid: one.pid } }]);
  const told = bench.heard.at(-1)?.map(({ $case }) => $case) ?? [];
  expect(told.indexOf("output")).toBeLessThan(told.indexOf("processEnded"));
});

test("its code is fetched first, and where it cannot be had there is no process", async () => {
  const bench = await opened();
  const more = { target: { function: functionRef(), args: new Uint8Array(0), argsArtifact: OTHER } };
  expect(await start(bench, 1, more)).toBeUndefined();
  expect(bench.said("wantArtifact")).toEqual([{ hash: OTHER }]);
  bench.tell({ $case: "artifactContent", value: { hash: OTHER, content: undefined, missing: "nobody has it" } });
  await settle();
  expect(bench.said("processEnded")).toMatchObject([
    { process: 1, end: { $case: "refused", value: { code: "unavailable", message: "nobody has it" } } },
  ]);
});

test("a signal ends one whose code is not there yet", async () => {
  const bench = await opened();
  const more = { target: { function: functionRef(), args: new Uint8Array(0), argsArtifact: OTHER } };
  await start(bench, 1, more);
  signal(bench, 1, ProcessSignal.TERMINATE);
  await settle();
  expect(bench.said("processEnded")).toEqual([{ process: 1, end: { $case: "signal", value: "SIGTERM" }, why: "" }]);
  const workers = bench.workers.length;
  bench.tell({ $case: "artifactContent", value: { hash: OTHER, content: undefined, missing: "late" } });
  await settle();
  expect([bench.workers.length, bench.said("processEnded").length]).toEqual([workers, 1]);
});

test("one that ends before it is ready was never there, unless a signal ended it", async () => {
  const bench = await opened();
  const [one, two] = [await start(bench, 1), await start(bench, 2)];
  signal(bench, 2, ProcessSignal.KILL);
  await settle();
  expect([one?.signals, two?.signals]).toEqual([[], ["SIGKILL"]]);
  one?.exit({ signal: null, exitCode: 9, stderrTail: "no such option" });
  two?.exit({ signal: "SIGKILL" });
  await settle();
  expect(bench.said("processEnded")).toMatchObject([
    {
      process: 1,
      end: { $case: "refused", value: { message: expect.stringMatching(/exited with code 9.*no such option/) } },
    },
    { process: 2, end: { $case: "signal", value: "SIGKILL" } },
  ]);
});

test("one that is not ready in time is killed", async () => {
  const bench = await opened();
  const worker = await start(bench, 1);
  await bench.clock.advance(PROCESS_READY_MS);
  expect(worker?.signals).toEqual(["SIGKILL"]);
  worker?.exit({ signal: "SIGKILL" });
  await settle();
  expect(bench.said("processEnded")).toMatchObject([
    { end: { $case: "refused", value: { message: expect.stringContaining("not ready within 30000 ms") } } },
  ]);
});

test("one that is stopped is killed when it is there a second later; one that is terminated is not", async () => {
  const bench = await opened();
  const [stopped, terminated] = [await running(bench, 1), await running(bench, 2)];
  signal(bench, 1, ProcessSignal.STOP);
  signal(bench, 2, ProcessSignal.TERMINATE);
  await bench.clock.advance(PROCESS_STOP_GRACE_MS - 1);
  expect([stopped.signals, terminated.signals]).toEqual([["SIGTERM"], ["SIGTERM"]]);
  await bench.clock.advance(PROCESS_READY_MS);
  expect([stopped.signals, terminated.signals]).toEqual([["SIGTERM", "SIGKILL"], ["SIGTERM"]]);
});

test("one that is stopped before it is ready is killed a second later all the same, one that outlives SIGTERM lives", async () => {
  const bench = await opened();
  const [stopped, terminated] = [await start(bench, 1), await start(bench, 2)];
  signal(bench, 1, ProcessSignal.STOP);
  signal(bench, 2, ProcessSignal.TERMINATE);
  await settle();
  for (const worker of [stopped, terminated])
    worker?.say({ $case: "workerReady", value: { pid: worker.pid, nodeVersion: "v24.0.0" } });
  await bench.clock.advance(PROCESS_READY_MS);
  expect([stopped?.signals, terminated?.signals]).toEqual([["SIGTERM", "SIGKILL"], ["SIGTERM"]]);
});

test("it hears that its parent is over, also when that was before it was there", async () => {
  const bench = await opened();
  const early = bench.workers.length;
  bench.tell({ $case: "startProcess", value: startOf(1) });
  bench.tell({ $case: "parentEnded", value: { process: 1 } });
  await settle();
  const late = await running(bench, 2);
  bench.tell({ $case: "parentEnded", value: { process: 2 } });
  await settle();
  for (const worker of [bench.worker(early), late])
    expect(worker.heard.map(({ $case }) => $case)).toEqual(["runProcess", "parentEnded"]);
});

test("a lost coordinator is the end of them, and nothing of them comes into the next session", async () => {
  const bench = await opened();
  const worker = await running(bench, 1);
  await bench.loseSession();
  expect(worker.signals).toEqual(["SIGKILL"]);
  worker.print("too late");
  worker.exit({ signal: "SIGKILL" });
  await settle();
  expect([bench.sessions.length, bench.said("processEnded"), bench.said("output")]).toEqual([2, [], []]);
});

test("an agent that leaves waits for them, no longer than it may", async () => {
  const bench = await opened();
  const worker = await running(bench, 1);
  let isOver = false;
  const drained = bench.agent.drain(60_000).then(() => {
    isOver = true;
  });
  await settle();
  bench.worker(0).exit();
  await settle();
  expect(isOver).toBe(false);
  worker.exit({ signal: null, exitCode: 0 });
  await drained;
  expect(bench.said("processEnded")).toHaveLength(1);
});

test("what it starts is said to be its own, and is refused where it is too deep", async () => {
  const bench = await opened();
  const worker = await running(bench, 7, { depth: 3 });
  const register = { $case: "registerClient", value: { clientId: "a".repeat(32), description: "p" } } as const;
  const child = { $case: "startProcess", value: startOf(1, { depth: 0, parentProcess: 99 }) } as const;
  worker.nested(1, register, child);
  await settle();
  const kinds = (heard: readonly NonNullable<RunRequestEntry["kind"]>[] = []) =>
    heard.flatMap((kind) => (kind.$case === "startProcess" ? [[kind.value.parentProcess, kind.value.depth]] : []));
  expect(kinds(bench.clients[0]?.heard)).toEqual([[7, 4]]);
  const deep = await running(bench, 8, { depth: NESTING_DEPTH_MAX });
  deep.nested(1, register, child);
  await settle();
  expect(kinds(bench.clients[1]?.heard)).toEqual([]);
  expect(deep.told("nestedResponse").flatMap(({ entries }) => entries)).toMatchObject([
    {
      kind: {
        $case: "processEnded",
        value: { process: 1, end: { value: { code: "limit", limitName: "NESTING_DEPTH_MAX" } } },
      },
    },
  ]);
});

test("a worker that says what none of a process can say is killed for it", async () => {
  const bench = await opened();
  const worker = await running(bench, 1);
  worker.say({ $case: "taskWaiting", value: { waiting: true } });
  expect(worker.signals).toEqual([]);
  worker.say({ $case: "workerJoined", value: {} });
  expect(worker.signals).toEqual(["SIGKILL"]);
  worker.exit({ signal: "SIGKILL" });
  await settle();
  expect(bench.said("processEnded")).toMatchObject([{ why: expect.stringContaining("has no pool to join") }]);
});
