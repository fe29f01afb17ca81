import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { ConflictError, type Fabric, TimeoutError } from "heddle";
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from "vitest";
import { Gate } from "../../harness/gate.ts";
import { ProcessCluster } from "../../harness/process-cluster.ts";
import { Program } from "../../harness/program.ts";
import { eventually } from "../../harness/waiting.ts";
import * as tasks from "./kept-tasks.ts";

vi.setConfig({ testTimeout: 120_000, hookTimeout: 60_000 }); // many processes start on a machine that may be busy

const script = fileURLToPath(new URL("../scripts/kept-submitter.ts", import.meta.url));
const squares = (count: number): number[] => Array.from({ length: count }, (_, n) => n * n);
const numbers = (count: number): number[] => Array.from({ length: count }, (_, n) => n);
const sorted = (all: readonly number[]): number[] => all.toSorted((a, b) => a - b);

let cluster: ProcessCluster;
let fabric: Fabric;
let files = 0;

beforeAll(async () => {
  cluster = await ProcessCluster.start({ slots: 2, unavailableTimeoutMs: 60_000 });
  fabric = await cluster.fabric();
});
afterAll(() => cluster[Symbol.asyncDispose]());

/** A new file in which runs are noted. */
function runsFile(): string {
  return join(cluster.directory, `runs-${++files}`);
}

/** Another program that submits a job. */
function submitter(...args: readonly string[]): Program {
  const program = new Program(["run", script, ...args], { env: { HEDDLE_ADDRESS: cluster.address } });
  onTestFinished(() => program[Symbol.asyncDispose]());
  return program;
}

async function says(program: Program, words: string): Promise<void> {
  await eventually(`a program says ${words}`, () => {
    if (!program.said.includes(words) && program.isOver) throw new Error(`it ended: ${program.said}`);
    return program.said.includes(words) || undefined;
  });
}

const stateOf = async (id: string): Promise<string | undefined> =>
  (await fabric.jobs()).find(({ jobId }) => jobId === id)?.state;

describe("F03: a program that is killed (-9) in the middle of", () => {
  test("a detached job leaves it to whoever attaches: the rest runs once, and all results come in order", async () => {
    const runs = runsFile();
    const program = submitter("detach", "killed", "120", runs);
    await eventually("some have run", () => tasks.runsIn(runs).length >= 20 || undefined);
    program.child.kill("SIGKILL");
    await program.code();
    expect(program.said).toBe("accepted\n");
    const result = fabric.attach<number[]>("killed");
    await result.accepted();
    expect(result.progress.total).toBe(120);
    expect(await cluster.drive(result.get())).toEqual(squares(120));
    expect(sorted(tasks.runsIn(runs))).toEqual(numbers(120));
  });

  test("a job with an id alone has it cancelled when its lease is over; run again, it begins anew", async () => {
    const [runs, gate] = [runsFile(), new Gate()];
    onTestFinished(() => gate[Symbol.dispose]());
    const program = submitter("awaited", "orphan", "4", runs, gate.path);
    await says(program, "accepted");
    await eventually("it runs", () => tasks.runsIn(runs).length > 0 || undefined);
    program.child.kill("SIGKILL");
    await eventually("it is cancelled", async () => (await stateOf("orphan")) === "cancelled" || undefined);
    await expect(fabric.attach("orphan").get()).rejects.toMatchObject({ code: "cancelled" });
    gate.open();
    await says(submitter("awaited", "orphan", "4", runs, gate.path), "sum 14");
  });

  test("its inputs leaves the id to whoever submits the job next", async () => {
    const runs = runsFile();
    const program = submitter("stuck", "half", "30", runs);
    await says(program, "stuck");
    await eventually("some of it is there", async () => (await stateOf("half")) === "submitting" || undefined);
    program.child.kill("SIGKILL");
    const next = submitter("detach", "half", "10", runs);
    const sum = squares(10).reduce((all, n) => all + n, 0);
    expect([await next.code(), next.said]).toEqual([0, `accepted\nsum ${sum}\n`]);
    expect(sorted(tasks.runsIn(runs))).toEqual(numbers(10));
  });
});

describe("a detached job", () => {
  test("goes on when its program ends of itself, which it does as soon as it is accepted", async () => {
    const [runs, gate] = [runsFile(), new Gate()];
    onTestFinished(() => gate[Symbol.dispose]());
    const program = submitter("leave", "left", "6", runs, gate.path);
    expect([await program.code(), program.said]).toEqual([0, "accepted\n"]);
    const [first, second] = [fabric.attach<number[]>("left"), fabric.attach<number[]>("left")];
    await first.accepted();
    gate.open();
    expect(await cluster.drive(Promise.all([first, second]))).toEqual([squares(6), squares(6)]);
    expect(sorted(tasks.runsIn(runs))).toEqual(numbers(6));
  });

  test("that two programs submit at a time under one id runs once, for both", async () => {
    const runs = runsFile();
    const programs = [0, 1].map(() => submitter("detach", "twice", "40", runs));
    const codes = await Promise.all(programs.map((program) => program.code()));
    const sum = squares(40).reduce((all, n) => all + n, 0);
    expect([codes, programs.map(({ said }) => said)]).toEqual([[0, 0], new Array(2).fill(`accepted\nsum ${sum}\n`)]);
    expect(sorted(tasks.runsIn(runs))).toEqual(numbers(40));
    const again = fabric.pool().mapAsync(tasks.counted, tasks.itemsOf(41, { runs, ms: 20 }), {
      ...{ jobId: "twice", detach: true, chunkSize: 2 },
    });
    await expect(again.get()).rejects.toThrow(ConflictError);
    expect(tasks.runsIn(runs)).toHaveLength(40);
  });

  test("ends by its timeout, and by whoever cancels it, for all who listen", async () => {
    await using pool = fabric.pool({ processes: 1 });
    const late = pool.applyAsync(tasks.forever, [], { detach: true, timeoutMs: 700 });
    await late.accepted();
    await expect(fabric.attach(late.jobId).get()).rejects.toThrow(TimeoutError);
    await expect(late.get()).rejects.toThrow(TimeoutError);
    const cancelled = pool.applyAsync(tasks.forever, [], { detach: true });
    await cancelled.accepted();
    const other = fabric.attach(cancelled.jobId).get();
    other.catch(() => undefined);
    await fabric.attach(cancelled.jobId).cancel();
    await expect(other).rejects.toMatchObject({ code: "cancelled" });
    await expect(cancelled.get()).rejects.toMatchObject({ code: "cancelled" });
  });

  test("whose items fail and are collected has each result or error, for whoever attaches", async () => {
    const runs = runsFile();
    await using pool = fabric.pool();
    const submitted = pool.mapAsync(tasks.countedOrFailed, tasks.itemsOf(30, { runs, ms: 1 }), {
      ...{ detach: true, onError: "collect", chunkSize: 4 },
    });
    await submitted.accepted();
    const results = await cluster.drive(fabric.attach<PromiseSettledResult<number>[]>(submitted.jobId).get());
    expect(results.map((one) => (one.status === "fulfilled" ? one.value : String(one.reason)))).toEqual(
      numbers(30).map((n) => (n % 3 === 0 ? `RangeError: no ${n}` : n * n)),
    );
    expect(results[9]).toMatchObject({
      reason: { remote: { jobId: submitted.jobId, chunk: 2, index: 9, attempt: 1 } },
    });
    expect(await cluster.drive(submitted.get())).toEqual(results);
  });

  test("takes an item of 64 MiB", async () => {
    await using pool = fabric.pool();
    const bytes = 64 * 1_048_576 - 64; // with what says that they are bytes
    const result = pool.mapAsync(tasks.length, [new Uint8Array(bytes), new Uint8Array(3)], { detach: true });
    expect(await cluster.drive(result.get())).toEqual([bytes, 3]);
  });
});
