import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect, type Fabric, UnavailableError } from "heddle";
import { expect, onTestFinished, test, vi } from "vitest";
import { Gate } from "../../harness/gate.ts";
import { Program } from "../../harness/program.ts";
import { eventually } from "../../harness/waiting.ts";
import * as tasks from "./kept-tasks.ts";

vi.setConfig({ testTimeout: 120_000 }); // many processes start on a machine that may be busy

/** `heddle up`, and a job of four items that it has accepted; they wait at the gate. */
async function upWithJob(...flags: readonly string[]) {
  const directory = mkdtempSync(join(tmpdir(), "kept-up-"));
  onTestFinished(() => rmSync(directory, { recursive: true }));
  const [file, runs] = [join(directory, "address.json"), join(directory, "runs")];
  const program = new Program(["up", "--processes", "2", "--listen", "127.0.0.1:0", "--address-file", file, ...flags]);
  onTestFinished(() => program[Symbol.asyncDispose]());
  const { address } = await program.address(file);
  const fabric = await connect(address);
  onTestFinished(() => fabric.close());
  const gate = new Gate();
  onTestFinished(() => gate[Symbol.dispose]());
  const items = tasks.itemsOf(4, { runs, ms: 1, gate: gate.path });
  const result = fabric.pool().mapAsync(tasks.counted, items, { detach: true });
  await result.accepted();
  await eventually("some run", () => tasks.runsIn(runs).length > 0 || undefined);
  return { program, fabric, gate, result };
}

/** Kills (-9) the coordinator, and waits for the one that is started in its place. */
async function killCoordinator(fabric: Fabric): Promise<void> {
  const { pid, serverId } = await fabric.status();
  process.kill(pid, "SIGKILL");
  await eventually("another coordinator serves", async () => {
    const now = await fabric.status().catch(() => undefined);
    return (now !== undefined && now.serverId !== serverId) || undefined;
  });
}

test("heddle up without a data directory keeps jobs for as long as it is up, whatever becomes of its coordinator", async () => {
  const { fabric, gate, result } = await upWithJob();
  await killCoordinator(fabric);
  gate.open();
  expect(await fabric.attach(result.jobId)).toEqual([0, 1, 4, 9]);
});

test("heddle up --ephemeral keeps them in its coordinator's memory: whoever had submitted one is told that it is lost", async () => {
  const { fabric, result } = await upWithJob("--ephemeral");
  await killCoordinator(fabric);
  await expect(result.get()).rejects.toThrow(UnavailableError);
  await expect(fabric.attach(result.jobId).get()).rejects.toMatchObject({ code: "not-found" });
});
