import type { WorkerExit, WorkerProcess } from "@heddle/port-processes";
import { encodePayload, splitPayload, type WorkerRequestEntry, type WorkerResponseEntry } from "@heddle/wire";
import { describe, expect, it } from "vitest";
import type { HostContext, SimHost } from "./host.ts";
import { SimWorkers } from "./workers.ts";
import { createWorld, type World } from "./world.ts";

const read = (): Promise<never> => Promise.reject(new Error("nothing is captured here"));

interface Stage {
  readonly world: World;
  readonly agent: SimHost;
  readonly workers: SimWorkers;
  readonly process: WorkerProcess<WorkerRequestEntry>;
  /** What the agent heard, in order. */
  readonly heard: string[];
  readonly exited: Promise<WorkerExit>;
  /** Waits for a line of `heard`. */
  readonly hears: (line: string) => Promise<void>;
}

/** One process, ready, that runs `fn` with the number of each assignment. */
async function stage(fn: (assignment: number) => unknown): Promise<Stage> {
  const world = createWorld(1);
  let context: HostContext | undefined;
  const agent = world.host("agent", (booted) => {
    context ??= booted;
    return undefined;
  });
  if (context === undefined) throw new TypeError("boot is synchronous");
  const loader = { read, load: () => Promise.resolve(fn) };
  const workers = new SimWorkers({ context, processes: world.processes, loader });
  const heard: string[] = [];
  const { promise: exited, resolve } = Promise.withResolvers<WorkerExit>();
  const process = workers.spawn({
    entries: (entries) => heard.push(...entries.map(tell)),
    output: (stream, line) => heard.push(`${stream} ${line}`),
    exited: resolve,
  });
  const hears = async (line: string): Promise<void> => {
    await world.run({ deadlineMs: world.clock.nowMs() + 60_000, done: () => heard.includes(line) });
    expect(heard).toContain(line);
  };
  await hears("ready");
  const job = {
    job: 1,
    jobId: "",
    location: "",
    artifact: "",
    exportName: "",
    spread: false,
    node: "agent",
    closure: false,
    captured: new Uint8Array(0),
    capturedArtifact: "",
    capturedLocation: "",
    combine: undefined,
    initializer: undefined,
    concurrency: 0,
    seedLow: 0,
    seedHigh: 0,
    watched: false,
    prime: false,
    weighed: false,
    effectsOnce: false,
  };
  process.send({ kind: { $case: "prepareJob", value: job } });
  return { world, agent, workers, process, heard, exited, hears };
}

function tell({ kind }: WorkerResponseEntry): string {
  return kind?.$case === "chunkReturned" ? `returned ${kind.value.assignment}` : "ready";
}

function run(assignment: number): WorkerRequestEntry {
  const { header: input } = splitPayload(encodePayload([assignment], "argument"), () => 1);
  const chunk = {
    job: 1,
    chunk: 0,
    span: undefined,
    firstIndex: 0,
    input,
    attempt: 1,
    marks: true,
    grain: 0,
    restored: undefined,
  };
  return { kind: { $case: "runChunk", value: { ...chunk, assignment } } };
}

describe("a simulated worker process", () => {
  it("takes virtual time for what its functions sleep, and answers in order", async () => {
    const { world, process, heard, hears } = await stage(() => world.processes.here().sleep(10_000));
    const startMs = world.clock.nowMs();
    process.send(run(1));
    process.send(run(2));
    await hears("returned 1");
    await hears("returned 2");
    expect(world.clock.nowMs() - startMs).toBeGreaterThanOrEqual(20_000);
    expect(heard).toEqual(["ready", "returned 1", "returned 2"]);
  });

  it("that kills itself leaves its mark, its output and how it died, and nothing that it did afterwards", async () => {
    const { world, process, heard, exited } = await stage((assignment) => {
      const here = world.processes.here();
      if (assignment === 1) return undefined;
      here.print("bad news", "stderr");
      return here.crash("SIGSEGV");
    });
    process.send(run(1));
    process.send(run(2));
    expect(await world.drive(exited)).toMatchObject({
      signal: "SIGSEGV",
      exitCode: null,
      mark: { assignment: 2, offset: 0 },
      stderrTail: "bad news\n",
    });
    expect(heard).toEqual(["ready", "returned 1", "stderr bad news"]);
    expect([...world.processes.live]).toEqual([]);
  });

  it("runs nothing more once it has killed itself, though chunks are waiting", async () => {
    const ran: number[] = [];
    const { world, process, exited } = await stage((assignment) => {
      ran.push(assignment);
      return world.processes.here().crash(3);
    });
    for (const assignment of [1, 2, 3]) process.send(run(assignment));
    expect(await world.drive(exited)).toMatchObject({ signal: null, exitCode: 3, mark: { assignment: 1, offset: 0 } });
    expect(ran).toEqual([1]);
  });

  it("shows what it has been running, and for how long", async () => {
    const { world, process, hears } = await stage(async () => {
      const here = world.processes.here();
      here.print("begins");
      await here.sleep(1_000);
    });
    expect(process.readMark()).toBe(null);
    process.send(run(1));
    await hears("stdout begins");
    await world.run({ deadlineMs: world.clock.nowMs() + 500, done: () => false });
    const seen = process.readMark();
    expect(seen).toMatchObject({ assignment: 1, offset: 0 });
    expect(seen?.forMs).toBeGreaterThanOrEqual(500);
  });

  it("that is told nonsense exits with 1 and says why", async () => {
    const { world, process, exited } = await stage(() => undefined);
    process.send({
      kind: { $case: "part", value: { partStream: 9, data: new Uint8Array(1), last: true, aborted: false } },
    });
    expect(await world.drive(exited)).toMatchObject({
      exitCode: 1,
      stderrTail: expect.stringContaining("ProtocolError"),
    });
  });

  it("that cannot be started says so in its exit", async () => {
    const world = createWorld(1);
    const { promise: exited, resolve } = Promise.withResolvers<WorkerExit>();
    world.host("agent", (context) => {
      const loader = { read, load: () => Promise.reject(new TypeError("never asked")) };
      const workers = new SimWorkers({ context, processes: world.processes, loader, fault: () => "no memory" });
      workers.spawn({ entries: () => undefined, output: () => undefined, exited: resolve });
      return undefined;
    });
    expect(await world.drive(exited)).toMatchObject({ fault: "no memory", exitCode: null, signal: null });
  });

  it("in an endless task dies by SIGTERM, and by SIGKILL alone when it ignores SIGTERM", async () => {
    const { world, process, exited, hears } = await stage(() => {
      world.processes.here().ignoreSigterm();
      world.processes.here().print("here");
      return new Promise(() => undefined);
    });
    process.send(run(1));
    await hears("stdout here");
    expect([...world.processes.live].map(({ isBusy, machine }) => ({ isBusy, machine }))).toEqual([
      { isBusy: true, machine: "agent" },
    ]);
    process.kill("SIGTERM");
    process.kill("SIGKILL");
    expect(await world.drive(exited)).toMatchObject({ signal: "SIGKILL" });
  });

  it("that hangs says nothing more but can be killed", async () => {
    const { world, process, heard, exited } = await stage(() => undefined);
    for (const worker of world.processes.live) worker.hang();
    process.send(run(1));
    await world.run({ deadlineMs: 60_000, done: () => false });
    process.kill("SIGTERM");
    expect(await world.drive(exited)).toMatchObject({ signal: "SIGTERM" });
    expect(heard).toEqual(["ready"]);
  });

  it("ends with its agent's machine, unheard, and stands still with it", async () => {
    const { world, agent, process, heard, hears } = await stage(() => world.processes.here().sleep(1_000));
    process.send(run(1));
    await world.run({ deadlineMs: world.clock.nowMs() + 500, done: () => false });
    agent.pause(60_000);
    await world.run({ deadlineMs: world.clock.nowMs() + 50_000, done: () => false });
    expect(heard).toEqual(["ready"]);
    await hears("returned 1");
    process.send(run(2));
    agent.crash();
    await world.run({ deadlineMs: world.clock.nowMs() + 50_000, done: () => false });
    expect(heard).toEqual(["ready", "returned 1"]);
    expect([...world.processes.live]).toEqual([]);
  });

  it("is gone when its spawner is disposed", async () => {
    const { world, workers, exited } = await stage(() => undefined);
    await world.drive(workers[Symbol.asyncDispose]());
    expect(await exited).toMatchObject({ signal: "SIGKILL" });
  });
});
