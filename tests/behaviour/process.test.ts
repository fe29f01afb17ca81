import {
  activeChildren,
  EndOfStreamError,
  type Fabric,
  type HeddleError,
  Pipe,
  Process,
  type ProcessOptions,
  Queue,
  wait,
} from "heddle";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { clusters } from "../harness/clusters.ts";
import { Gate } from "../harness/gate.ts";
import type { RealCluster } from "../harness/real-cluster.ts";
import { isThere, read, scratch } from "../harness/reports.ts";
import { eventually, failure } from "../harness/waiting.ts";
import * as tasks from "./process-tasks.ts";

describe.each(clusters)("processes on %s", (_name, open) => {
  let cluster: RealCluster;
  let fabric: Fabric;
  beforeAll(async () => {
    cluster = await open();
    fabric = await cluster.fabric();
  });
  afterAll(async () => {
    await cluster[Symbol.asyncDispose]();
  });

  function made(target: ProcessOptions["target"], options: Partial<ProcessOptions> = {}): Process {
    return new Process({ target, fabric, ...options });
  }

  async function started(target: ProcessOptions["target"], options: Partial<ProcessOptions> = {}): Promise<Process> {
    const process = made(target, options);
    await cluster.drive(process.start());
    return process;
  }

  async function ended(target: ProcessOptions["target"], options: Partial<ProcessOptions> = {}): Promise<Process> {
    const process = await started(target, options);
    await cluster.drive(process.join());
    return process;
  }

  const printedBy = ({ node, pid, name }: Process, stderr: boolean): string[] => {
    const prefix = `[${node}/${pid} ${name}] `;
    return cluster.printed.flatMap(({ stderr: isError, line }) =>
      isError === stderr && line.startsWith(prefix) ? [line.slice(prefix.length)] : [],
    );
  };

  test("PROC-02: a sleeping process is looked at without waiting, terminated, and joined again", async () => {
    const process = await started(tasks.sleeps);
    await process.join({ timeoutMs: 0 });
    await process.join({ timeoutMs: -1 });
    expect([process.isAlive(), process.exitCode, isThere(process.pid)]).toEqual([true, null, true]);
    await process.terminate();
    await cluster.drive(process.join());
    expect([process.isAlive(), process.exitCode, isThere(process.pid)]).toEqual([false, -15, false]);
    await process.join();
    await process.terminate();
    await process.kill();
    expect(process.exitCode).toBe(-15);
  });

  test("PROC-02: one that never looks up is killed, and terminated", async () => {
    const [first, second] = await Promise.all([started(tasks.computes), started(tasks.computes)]);
    await Promise.all([first.kill(), second.terminate()]);
    await cluster.drive(Promise.all([first.join(), second.join()]));
    expect([first.exitCode, second.exitCode]).toEqual([-9, -15]);
  });

  test("one that traps SIGTERM goes on, and ends as it wants", async () => {
    const directory = scratch();
    const process = await started(tasks.refusesOnce, { args: [directory] });
    await read(directory, "listens");
    await process.terminate();
    await eventually("it to be asked once", async () => (await read(directory, "asked")) === 1 || undefined);
    expect(process.isAlive()).toBe(true);
    await process.terminate();
    await cluster.drive(process.join());
    expect(process.exitCode).toBe(5);
  });

  test("PROC-03: a handle is closed once the process is over, and then of no use", async () => {
    const queue = new Queue<string>({ fabric });
    const process = await started(tasks.waitsOn, { args: [queue] });
    expect(() => process.close()).toThrow(/is alive: join\(\) or terminate\(\) it before close\(\)/);
    await queue.put("go");
    await cluster.drive(process.join());
    expect(process.exitCode).toBe(0);
    process.close();
    process.close();
    expect(() => process.isAlive()).toThrow(expect.objectContaining({ name: "ClosedError" }));
    for (const act of [() => process.join(), () => process.terminate(), () => process.kill(), () => process.start()])
      expect(await failure(act())).toMatchObject({ name: "ClosedError", code: "closed" });
  });

  test("what is asked of one that was not started, or is started again, is a StateError", async () => {
    const process = made(tasks.exits, { args: [0] });
    for (const act of [() => process.join(), () => process.terminate(), () => process.kill(), () => wait([process])])
      expect(await failure(act())).toMatchObject({ name: "StateError" });
    expect([process.isAlive(), process.exitCode, process.pid, process.node]).toEqual([
      false,
      null,
      undefined,
      undefined,
    ]);
    const starting = process.start();
    expect(await failure(process.start())).toMatchObject({ name: "StateError" });
    await cluster.drive(starting);
    await cluster.drive(process.join());
    expect(await failure(process.start())).toMatchObject({ name: "StateError" });
  });

  test("its status is that of its process: returned, set, exited, or an error that nobody caught", async () => {
    const runs = await Promise.all([
      ended(tasks.returnsFunction),
      ended(tasks.setsStatus, { args: [3] }),
      ended(tasks.exits, { args: [7] }),
      ended(tasks.exits, { args: [0] }),
      ended(tasks.fails, { args: ["luck"] }),
      ended(tasks.throwsLater),
      ended(tasks.throwsText),
    ]);
    expect(runs.map(({ exitCode }) => exitCode)).toEqual([0, 3, 7, 0, 1, 1, 1]);
  });

  test("an error that nobody caught is shown with its cause and the user's own lines", async () => {
    const process = await ended(tasks.fails, { args: ["luck"] });
    const shown = printedBy(process, true).join("\n");
    expect(shown).toMatch(/^NoSuchThing: no luck\n/);
    expect(shown).toMatch(/at deeper \(\S*tests\/behaviour\/process-tasks\.ts:\d+:\d+\)/);
    expect(shown).toMatch(/\[cause\]: TypeError: for a reason/);
    expect(shown).not.toMatch(/shells\/worker|node:internal/);
    expect(printedBy(await ended(tasks.throwsText), true)).toEqual(["only words"]);
    expect(printedBy(await ended(tasks.throwsLater), true).join("\n")).toContain("NoSuchThing: no later");
  });

  test("what it prints is shown, all of it, before it is over", async () => {
    const process = await started(tasks.prints, { args: [300], name: "printer" });
    await cluster.drive(process.join());
    expect(process.exitCode).toBe(0);
    expect(printedBy(process, false)).toEqual(Array.from({ length: 300 }, (_, at) => `line ${at + 1}`));
    expect(printedBy(process, true)).toEqual(["an open end"]);
  });

  test("more of them than there are slots wait for each other", async () => {
    using gate = new Gate();
    gate.open();
    const count = 3 * cluster.slots + 1;
    const names = Array.from({ length: count }, (_, at) => `n${at}`);
    const all = await Promise.all(names.map((name) => ended(tasks.meetsOthers, { args: [gate.path, name, count] })));
    expect(all.map(({ exitCode }) => exitCode)).toEqual(names.map(() => 0));
  });

  test("arguments may be large, and functions, and what is captured is read at the start", async () => {
    const directory = scratch();
    const factor = 2;
    const process = made(tasks.adds, {
      args: [directory, new Uint8Array(3_000_000).fill(1), (n: number) => n * factor, { n: 1 }],
    });
    await cluster.drive(process.start());
    await cluster.drive(process.join());
    expect([process.exitCode, await read(directory, "sum")]).toEqual([0, 6_000_001]);
    let captured = "before";
    const closure = made(() => tasks.report(directory, "captured", captured));
    const next = closure.start();
    captured = "after";
    await cluster.drive(next);
    await cluster.drive(closure.join());
    expect(await read(directory, "captured")).toBe("before");
  });

  test("an argument or a variable that cannot travel is an error at the start, which may be tried again", async () => {
    const item: { n: number; say?: symbol } = { n: 1, say: Symbol("none") };
    const process = made(tasks.adds, { args: ["", item] });
    expect(await failure(process.start())).toMatchObject({ name: "SerializationError" });
    expect([process.isAlive(), activeChildren().includes(process)]).toEqual([false, false]);
    delete item.say;
    await cluster.drive(process.start());
    await cluster.drive(process.join());
    expect(process.exitCode).toBe(1);
    const secret = Symbol("secret");
    expect(await failure(made(() => secret).start())).toMatchObject({ name: "CaptureError" });
  });

  test("it knows its name, its node and its parent", async () => {
    const directory = scratch();
    const process_ = await ended(tasks.knowsItself, { args: [directory], name: "Ada", daemon: true });
    expect(await read(directory, "itself")).toEqual({
      name: "Ada",
      isMyPid: true,
      daemon: true,
      node: process_.node,
      exitCode: null,
      parent: "MainProcess",
      parentPid: process.pid,
      isAlive: true,
    });
    expect(process_.name).toBe("Ada");
  });

  test("PROC-06: processes start processes, two levels deep, and tell of it over one pipe", async () => {
    const [reader, writer] = Pipe<{ path: readonly number[]; name: string }>({ duplex: false, fabric });
    const process = await started(tasks.branches, { args: [writer, []] });
    await writer.close();
    const seen: { path: readonly number[]; name: string }[] = [];
    for (let reports = 0; reports < 7; reports++) seen.push(await cluster.drive(reader.recv()));
    expect(await cluster.drive(failure(reader.recv()))).toBeInstanceOf(EndOfStreamError);
    await cluster.drive(process.join());
    expect(process.exitCode).toBe(0);
    expect(seen.map(({ path }) => path)).toEqual([[], [0], [0, 0], [0, 1], [1], [1, 0], [1, 1]]);
    const { name } = process;
    expect(seen.map((one) => one.name.replace(name, "P"))).toEqual([
      "P",
      "P:1",
      "P:1:1",
      "P:1:2",
      "P:2",
      "P:2:1",
      "P:2:2",
    ]);
  });

  test("PROC-07: a grandchild sees the end of its parent, and lives on", async () => {
    const directory = scratch();
    const parent = await started(tasks.isWatched, { args: [directory, false] });
    const childPid = await read(directory, "child");
    expect(await read(directory, "before")).toEqual({ name: parent.name, pid: parent.pid, alive: true });
    await parent.terminate();
    await cluster.drive(parent.join());
    expect(await read(directory, "after")).toEqual({ alive: false, waited: true });
    await eventually("the grandchild to end by itself", () => !isThere(childPid) || undefined);
  });

  test("a daemonic grandchild ends with its parent", async () => {
    const directory = scratch();
    const parent = await started(tasks.isWatched, { args: [directory, true] });
    const childPid = await read(directory, "child");
    await parent.kill();
    await cluster.drive(parent.join());
    expect(parent.exitCode).toBe(-9);
    await eventually("the grandchild to be ended", () => !isThere(childPid) || undefined);
  });

  test("a process that is through waits for its children, and its daemons end with it", async () => {
    using gate = new Gate();
    const directory = scratch();
    const parent = await started(tasks.leavesChildren, { args: [directory, gate.path] });
    const { children, pids, daemons } = await read(directory, "children");
    expect(children.toSorted()).toEqual([`${parent.name}:1`, `${parent.name}:2`]);
    expect(daemons).toEqual([true, false]);
    expect(parent.isAlive()).toBe(true);
    gate.open();
    await cluster.drive(parent.join());
    expect(parent.exitCode).toBe(0);
    await eventually("no child is left", () => !pids.some(isThere) || undefined);
  });

  test("what a daemon starts is one, unless it says otherwise", async () => {
    const directory = scratch();
    expect((await ended(tasks.inherits, { args: [directory], daemon: true })).exitCode).toBe(0);
    expect(await read(directory, "itself")).toMatchObject({ daemon: true });
  });

  test("wait gives those that are over, in the order given", async () => {
    using gate = new Gate();
    const [slow, quick, other] = await Promise.all([
      started(tasks.waitsAt, { args: [gate.path] }),
      started(tasks.exits, { args: [0] }),
      started(tasks.exits, { args: [1] }),
    ]);
    expect(await wait([slow], { timeoutMs: 0 })).toEqual([]);
    await cluster.drive(Promise.all([quick.join(), other.join()]));
    expect(await wait([other, slow, quick])).toEqual([other, quick]);
    const waiting = wait([slow]);
    expect(await wait([slow], { timeoutMs: 10 })).toEqual([]);
    gate.open();
    expect(await cluster.drive(waiting)).toEqual([slow]);
  });

  test("children are listed while they live", async () => {
    const [first, second] = [await started(tasks.sleeps), await started(tasks.sleeps)];
    expect(activeChildren()).toEqual([first, second]);
    await first.kill();
    await cluster.drive(first.join());
    expect(activeChildren()).toEqual([second]);
    await second.kill();
    await cluster.drive(second.join());
    expect(activeChildren()).toEqual([]);
  });

  test("a task starts a process, and one that it leaves ends with it", async () => {
    const directory = scratch();
    await using pool = fabric.pool({ processes: 1 });
    expect(await cluster.drive(pool.map(tasks.startsOne, [4, 0]))).toEqual([
      [4, true, true, true, true],
      [0, true, true, true, true],
    ]);
    const call = pool.applyAsync(tasks.startsAndSleeps, [directory]);
    const childPid = await read(directory, "child");
    expect(isThere(childPid)).toBe(true);
    await call.cancel();
    await eventually("its process to be ended", () => !isThere(childPid) || undefined);
  });

  test("a node that is not there is an UnschedulableError, one that is there is used", async () => {
    expect(await failure(made(tasks.sleeps, { node: "nowhere" }).start())).toMatchObject({
      code: "unschedulable" satisfies HeddleError["code"],
      message: expect.stringContaining('"nowhere"'),
    });
    const nodes = [...cluster.nodes, ...cluster.nodes];
    const runs = await Promise.all(nodes.map((node) => ended(tasks.exits, { args: [0], node })));
    expect(runs.map(({ node }) => node)).toEqual(nodes);
  });

  test("one that no node fits waits, and may be ended meanwhile", async () => {
    const process = made(tasks.sleeps, { labels: { disk: "none" } });
    const starting = process.start();
    await process.join({ timeoutMs: 200 });
    expect([process.isAlive(), process.pid]).toEqual([true, undefined]);
    await process.terminate();
    await cluster.drive(starting);
    await cluster.drive(process.join());
    expect(process.exitCode).toBe(-15);
  });
});

test("settings that cannot be are refused at once", () => {
  const bad =
    (settings: object): (() => Process) =>
    () =>
      new Process(settings as ProcessOptions);
  expect(bad({})).toThrow(TypeError);
  expect(bad({ target: tasks.sleeps, arg: [1] })).toThrow(/did you mean args\?/);
  expect(bad({ target: tasks.sleeps, args: 1 })).toThrow(TypeError);
  expect(bad({ target: tasks.sleeps, name: "" })).toThrow(RangeError);
  expect(bad({ target: tasks.sleeps, daemon: 1 })).toThrow(TypeError);
  expect(bad({ target: tasks.sleeps, node: 1 })).toThrow(TypeError);
  expect(bad({ target: tasks.sleeps, labels: [] })).toThrow(TypeError);
  expect(bad({ target: tasks.sleeps, fabric: {} })).toThrow(/what connect\(\) resolved to/);
});
