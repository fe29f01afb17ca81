import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { type Fabric, Process, type ProcessOptions, wait } from "heddle";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { Gate } from "../harness/gate.ts";
import { ProcessCluster } from "../harness/process-cluster.ts";
import { processesWith } from "../harness/process-table.ts";
import { isThere, read, scratch } from "../harness/reports.ts";
import { eventually, failure, settles } from "../harness/waiting.ts";
import * as tasks from "./process-tasks.ts";

describe("processes on two agents", () => {
  let cluster: ProcessCluster;
  let fabric: Fabric;
  beforeEach(async () => {
    cluster = await ProcessCluster.start({ agentFlags: (index) => ["--label", `number=${index}`] });
    fabric = await cluster.fabric();
  });
  afterEach(async () => {
    await cluster[Symbol.asyncDispose]();
  });

  async function started(target: ProcessOptions["target"], options: Partial<ProcessOptions> = {}): Promise<Process> {
    const process = new Process({ target, fabric, ...options });
    await cluster.drive(process.start());
    return process;
  }

  test("go to the node that has fewer, and to one with their labels", async () => {
    const nodes: (string | undefined)[] = [];
    const all: Process[] = [];
    for (let count = 0; count < 4; count++) all.push(await started(tasks.sleeps));
    nodes.push(...all.map(({ node }) => node));
    expect(nodes).toEqual(["n1", "n2", "n1", "n2"]);
    const labelled = await Promise.all([1, 1].map(() => started(tasks.sleeps, { labels: { number: "1" } })));
    expect(labelled.map(({ node }) => node)).toEqual(["n2", "n2"]);
    await Promise.all([...all, ...labelled].map((process) => process.kill()));
    await cluster.drive(Promise.all([...all, ...labelled].map((process) => process.join())));
    expect((await started(tasks.exits, { args: [0] })).node).toBe("n1");
  });

  test("die with their agent, which is exit code -9, and their children elsewhere see it", async () => {
    const directory = scratch();
    const parent = await started(tasks.isWatched, { args: [directory, false], node: "n1" });
    const childPid = await read(directory, "child");
    await read(directory, "before");
    const bystander = await started(tasks.sleeps, { node: "n2" });
    cluster.killAgent(0);
    await eventually("its process to be gone", () => !isThere(parent.pid) || undefined, 5_000);
    expect(await cluster.drive(wait([bystander, parent]))).toEqual([parent]);
    await cluster.drive(parent.join());
    expect([parent.exitCode, parent.isAlive(), bystander.isAlive()]).toEqual([-9, false, true]);
    expect(await read(directory, "after")).toEqual({ alive: false, waited: true });
    await eventually("the child to end by itself", () => !isThere(childPid) || undefined);
    expect(isThere(bystander.pid)).toBe(true);
  });

  test("outlive lost connections", async () => {
    using gate = new Gate();
    const process = await started(tasks.waitsAt, { args: [gate.path] });
    const joined = process.join();
    cluster.dropConnections();
    gate.open();
    cluster.dropConnections();
    await cluster.drive(joined);
    expect(process.exitCode).toBe(0);
  });

  test("are ended when nothing is heard of their client for a lease, one that is deaf to SIGTERM too", async () => {
    const all = [
      await started(tasks.sleeps),
      await started(tasks.deaf),
      await started(tasks.computes, { daemon: true }),
    ];
    const pids = all.map(({ pid }) => pid);
    cluster.vanishClient();
    await eventually("none of them is there", () => !pids.some(isThere) || undefined);
  });

  test("are over for their client when the coordinator dies, and for their agents", async () => {
    const process = await started(tasks.sleeps);
    const { pid } = process;
    const joined = failure(process.join());
    const waited = wait([process]);
    await cluster.replaceCoordinator();
    expect(await cluster.drive(joined)).toMatchObject({ name: "UnavailableError" });
    expect(await cluster.drive(waited)).toEqual([process]);
    expect([process.isAlive(), process.exitCode]).toEqual([false, -9]);
    expect(await failure(process.join())).toMatchObject({ name: "UnavailableError" });
    await eventually("it is not there", () => !isThere(pid) || undefined);
    const next = await eventually("the next to start", async () => {
      const one = new Process({ target: tasks.exits, args: [0], fabric });
      await one.start().catch(() => undefined);
      return one.pid === undefined ? undefined : one;
    });
    await cluster.drive(next.join());
    expect(next.exitCode).toBe(0);
  });

  test("end with the fabric handle that started them", async () => {
    const process = await started(tasks.sleeps);
    const { pid } = process;
    const joined = failure(process.join());
    await fabric.close();
    expect(await joined).toMatchObject({ name: "ClosedError" });
    await eventually("it is not there", () => !isThere(pid) || undefined);
    expect(await failure(new Process({ target: tasks.sleeps, fabric }).start())).toMatchObject({ name: "ClosedError" });
  });

  test("are waited for by an agent that leaves, which takes no more", async () => {
    using gate = new Gate();
    const process = await started(tasks.waitsAt, { args: [gate.path], node: "n1" });
    const drained = cluster.drainAgent(0);
    await eventually("the node to take nothing more", async () => {
      const next = await started(tasks.exits, { args: [0] });
      await cluster.drive(next.join());
      return next.node === "n2" || undefined;
    });
    gate.open();
    await cluster.drive(process.join());
    expect(process.exitCode).toBe(0);
    await cluster.drive(drained);
  });
});

describe.each([["embedded"], ["served"]])("a script on an %s fabric", (kind) => {
  let cluster: ProcessCluster | undefined;
  beforeEach(async () => {
    if (kind === "served") cluster = await ProcessCluster.start();
  });
  afterEach(async () => {
    await cluster?.[Symbol.asyncDispose]();
    cluster = undefined;
  });

  const run = (name: string, ...args: readonly string[]): Script => runScript(name, args, cluster?.address);
  /** Of the script and of what runs for it. */
  const left = (script: Script): number => processesWith(script.mark).length + (cluster?.workers().length ?? 0);

  test("ends when its processes have, but waits for no daemon and leaves none", async () => {
    using gate = new Gate();
    const idle = cluster === undefined ? 0 : await idleWorkers(cluster);
    const script = run("daemons.ts", gate.path);
    await eventually("the script to start", () => script.lines.includes("started") || undefined);
    expect(script.child.exitCode).toBe(null);
    gate.open();
    expect(await settles(script.ended, () => script.lines.join("\n"))).toBe(0);
    expect(script.lines).toEqual(["started", "0"]);
    await eventually("nothing is left", () => left(script) <= idle || undefined);
  });

  test.for(["SIGKILL", "SIGTERM"] as const)("that ends by %s leaves no process", async (signal) => {
    const idle = cluster === undefined ? 0 : await idleWorkers(cluster);
    const script = run("processes.ts");
    await eventually("the script to start", () => script.lines.includes("started") || undefined);
    script.child.kill(signal);
    expect(await settles(script.ended, () => script.lines.join("\n"))).toBe(signal);
    await eventually("nothing is left", () => left(script) <= idle || undefined);
  });
});

interface Script {
  readonly child: ChildProcess;
  readonly lines: string[];
  readonly ended: Promise<number | string | null>;
  /** In the environment of the script and of what it starts on this machine. */
  readonly mark: string;
}

let count = 0;

function runScript(name: string, args: readonly string[], address: string | undefined): Script {
  const mark = `${process.pid}-${++count}`;
  const { HEDDLE_ADDRESS: _none, ...inherited } = process.env;
  const where = address === undefined ? {} : { HEDDLE_ADDRESS: address };
  const path = join(import.meta.dirname, "scripts", name);
  const child = spawn(process.execPath, ["--conditions=@heddle/source", path, ...args], {
    env: { ...inherited, ...where, FABRIC_TEST_PROCESSES: mark },
    stdio: ["ignore", "pipe", "inherit"],
  });
  const lines: string[] = [];
  if (child.stdout !== null) createInterface({ input: child.stdout }).on("line", (line) => lines.push(line));
  const ended = once(child, "close").then(([code, signal]) => (signal as string | null) ?? (code as number | null));
  return { child, lines, ended, mark: `FABRIC_TEST_PROCESSES=${mark}` };
}

/** Those that agents keep warm. */
async function idleWorkers(cluster: ProcessCluster): Promise<number> {
  return await eventually("each slot's worker", () => {
    const { length } = cluster.workers();
    return length >= cluster.slots ? length : undefined;
  });
}
