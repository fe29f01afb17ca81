import { CAPTURED_INLINE_BYTES_MAX } from "@heddle/kernel";
import { decodeValue, type ProcessEnded, ProcessSignal } from "@heddle/wire";
import { beforeEach, describe, expect, onTestFinished, test } from "vitest";
import { FabricProcess, type ProcessSettings } from "./process.ts";
import { ProcessFamily } from "./process-family.ts";
import { FakeCoordinator, settle } from "./testing.ts";

const work = (): void => undefined;
const main = { name: "MainProcess", path: "", pid: 42, daemon: false, node: undefined };

let fake: FakeCoordinator;
let family: ProcessFamily;
beforeEach(() => {
  fake = new FakeCoordinator();
  family = new ProcessFamily(() => main);
  onTestFinished(() => fake[Symbol.asyncDispose]());
});

function made(settings: Partial<ProcessSettings> = {}): FabricProcess {
  return new FabricProcess(fake.fabric.host, { target: work, ...settings }, family);
}

function ends(process: number, end: ProcessEnded["end"], why = ""): void {
  fake.tell({ $case: "processEnded", value: { process, end, why } });
}

/** A process that runs. */
async function running(settings: Partial<ProcessSettings> = {}): Promise<FabricProcess> {
  const process = made(settings);
  const starting = process.start();
  await settle();
  const { process: number = 0 } = fake.said("startProcess").at(-1) ?? {};
  fake.tell({ $case: "processStarted", value: { process: number, node: "n1", pid: 100 + number } });
  await starting;
  return process;
}

describe("a process", () => {
  test("is asked for with all that was said of it", async () => {
    const process = made({ args: [1, "a"], name: "Ada", daemon: true, node: "n1", labels: { disk: "fast" } });
    process.start().catch(() => undefined); // it ends with the test
    await settle();
    const [start] = fake.said("startProcess");
    expect(start).toMatchObject({
      ...{ process: 1, name: "Ada", path: "1", daemon: true, node: "n1", depth: 0, parentProcess: 0 },
      requirements: { labels: { disk: "fast" }, resources: {} },
      parent: { name: "MainProcess", pid: 42 },
    });
    expect(decodeValue(start?.target?.args ?? new Uint8Array())).toEqual([1, "a"]);
    expect(fake.said("offerArtifact").map(({ hash }) => hash[0])).toEqual(["a"]);
  });

  test("has large arguments travel as an artifact, which is let go when it is over", async () => {
    await running({ args: ["x".repeat(CAPTURED_INLINE_BYTES_MAX)] });
    expect(fake.said("startProcess")[0]?.target).toMatchObject({
      args: new Uint8Array(0),
      argsArtifact: "b".repeat(64),
    });
    expect(fake.said("offerArtifact").map(({ hash }) => hash[0])).toEqual(["a", "b"]);
  });

  test("is named by its place among those that its parent has made", () => {
    expect([made(), made({ name: "Ada" }), made()].map(({ name }) => name)).toEqual(["Process-1", "Ada", "Process-3"]);
    family = new ProcessFamily(() => ({ ...main, path: "3", daemon: true }));
    expect([made(), made({ daemon: false })].map(({ name, daemon }) => [name, daemon])).toEqual([
      ["Process-3:1", true],
      ["Process-3:2", false],
    ]);
  });

  test.for<readonly [ProcessEnded["end"], number]>([
    [{ $case: "exitCode", value: 0 }, 0],
    [{ $case: "exitCode", value: 255 }, 255],
    [{ $case: "signal", value: "SIGTERM" }, -15],
    [{ $case: "signal", value: "SIGKILL" }, -9],
    [{ $case: "signal", value: "SIGHUP" }, -1],
    [{ $case: "signal", value: "SIGSEGV" }, -11],
    [{ $case: "signal", value: "SIGSYS" }, -31],
    [{ $case: "signal", value: "SIGNEW" }, -9],
  ])("that ended by %j has exit code %i", async ([end, exitCode]) => {
    const process = await running();
    expect([process.exitCode, process.pid, process.node, process.isAlive()]).toEqual([null, 101, "n1", true]);
    ends(1, end);
    await process.join();
    expect([process.exitCode, process.pid, process.isAlive()]).toEqual([exitCode, 101, false]);
  });

  test("keeps its program alive until it is over; a daemon does only while it is waited for", async () => {
    const process = await running();
    const daemon = await running({ daemon: true });
    expect(fake.holds).toBe(1);
    const joined = daemon.join();
    expect(fake.holds).toBe(2);
    ends(2, { $case: "exitCode", value: 0 });
    await joined;
    expect(fake.holds).toBe(1);
    ends(1, { $case: "exitCode", value: 0 });
    await process.join();
    expect(fake.holds).toBe(0);
  });

  test("is joined for no longer than was said", async () => {
    const process = await running();
    await process.join({ timeoutMs: 0 });
    await process.join({ timeoutMs: -5 });
    let isOver = false;
    const joined = process.join({ timeoutMs: 100 }).then(() => {
      isOver = true;
    });
    await fake.env.clock.advance(99);
    expect(isOver).toBe(false);
    await fake.env.clock.advance(1);
    await joined;
    expect(process.isAlive()).toBe(true);
    await expect(process.join({ timeoutMs: Number.NaN })).rejects.toThrow(TypeError);
  });

  test("is signalled once it is asked for, and before that ends at once", async () => {
    const process = await running();
    await process.terminate();
    await process.kill();
    await settle();
    const { TERMINATE, KILL } = ProcessSignal;
    expect(fake.said("signalProcess").map(({ process: number, signal }) => [number, signal])).toEqual([
      [1, TERMINATE],
      [1, KILL],
    ]);
    const gate = Promise.withResolvers<void>();
    fake.shipper.gate = gate.promise;
    const early = made();
    const starting = early.start();
    await early.terminate();
    expect([early.exitCode, early.isAlive()]).toEqual([-15, false]);
    gate.resolve();
    await starting;
    await settle();
    expect(fake.said("startProcess")).toHaveLength(1);
  });

  test("that is refused was never started, and may be again", async () => {
    const process = made();
    const starting = process.start();
    const joined = process.join();
    await settle();
    const words = { path: "", side: "", cause: new Uint8Array(0), message: "too many" };
    const value = { ...words, code: "limit", limitName: "NODE_PROCESSES_MAX", limit: 2, actual: 3 };
    ends(1, { $case: "refused", value });
    await expect(starting).rejects.toMatchObject({ name: "LimitError", limitName: "NODE_PROCESSES_MAX", limit: 2 });
    await expect(joined).rejects.toMatchObject({ name: "LimitError" });
    expect([process.isAlive(), process.exitCode, family.active, fake.holds]).toEqual([false, null, [], 0]);
    await expect(process.join()).rejects.toMatchObject({ name: "StateError" });
    process.start().catch(() => undefined); // it ends with the test
    await settle();
    expect(fake.said("startProcess")).toHaveLength(2);
  });

  test("whose target cannot travel is not asked for", async () => {
    fake.shipper.failure = new TypeError("cannot travel");
    const process = made();
    await expect(process.start()).rejects.toThrow("cannot travel");
    expect([process.isAlive(), family.active, fake.holds]).toEqual([false, [], 0]);
  });

  test("is over when its session is, and says why", async () => {
    const [process, pending] = [await running(), made()];
    const starting = pending.start();
    const joined = process.join();
    await settle();
    await fake.stop();
    await expect(joined).rejects.toMatchObject({ name: "UnavailableError" });
    await expect(starting).rejects.toMatchObject({ name: "UnavailableError" });
    expect([process.exitCode, process.isAlive(), family.active, fake.holds]).toEqual([-9, false, [], 0]);
    await expect(process.join()).rejects.toMatchObject({ name: "UnavailableError" });
    process.close();
  });

  test("is listed among the children while it lives", async () => {
    const [first, second] = [await running(), await running()];
    expect(family.active).toEqual([first, second]);
    ends(1, { $case: "exitCode", value: 0 });
    await first.join();
    expect(family.active).toEqual([second]);
  });
});

test("what a process prints is shown with its name, whatever its number", async () => {
  await running({ name: "Ada" });
  const place = { node: "n1", pid: 101, attempt: 0 };
  for (const processName of ["Ada", "Ada:1"])
    fake.tell({
      $case: "output",
      value: { job: 0, process: processName === "Ada" ? 1 : 0, processName, place, stderr: false, text: "hi\nthere:x" },
    });
  await settle();
  expect(fake.printed).toEqual([
    "out [n1/101 Ada] hi",
    "out [n1/101 Ada] here:x",
    "out [n1/101 Ada:1] hi",
    "out [n1/101 Ada:1] here:x",
  ]);
});
