import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { whyNoHosts } from "./hosts.ts";
import { faultKinds } from "./kinds.ts";
import { parseOptions } from "./options.ts";
import { planOf } from "./plan.ts";
import type { Report } from "./report.ts";

const seed = process.env.HEDDLE_CHAOS_SEED ?? "48";
const args = `--seed ${seed} --minutes 0.4 --fault-every 0.8-1.4 --agents 2 --clients 2 --lease-ms 5000`.split(" ");
const why = whyNoHosts();

/** Runs the command as a process of its own, and gives its exit code with what it said. */
async function chaos(...more: readonly string[]): Promise<{ readonly code: number | null; readonly said: string }> {
  const main = fileURLToPath(new URL("chaos.ts", import.meta.url));
  const command = ["--conditions=@heddle/source", main, ...more];
  const child = spawn(process.execPath, command, { stdio: ["ignore", "pipe", "pipe"] });
  let said = "";
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding("utf8").on("data", (text: string) => {
      said += text;
    });
  await once(child, "close");
  return { code: child.exitCode, said };
}

test(`twenty-four seconds of faults on real hosts loses, doubles and leaves nothing (seed ${seed})`, async (context) => {
  if (why !== undefined) return context.skip(`no hosts can be made here: ${why}`);
  const directory = mkdtempSync(join(tmpdir(), "chaos-test-"));
  try {
    const file = join(directory, "report.json");
    const { code, said } = await chaos(...args, "--report", file);
    expect(code, said).toBe(0);
    const report = JSON.parse(readFileSync(file, "utf8")) as Report;
    expect(report.problems).toEqual([]);
    const planned = planOf(parseOptions(args, () => 0))
      .take(100)
      .filter(({ atMs }) => atMs < 24_000)
      .toArray();
    const made = Object.values(report.faults).reduce((sum, count) => sum + count, 0);
    expect(made + report.skipped.length).toBe(planned.length);
    expect(Object.keys(report.faults).length).toBeGreaterThan(faultKinds.length / 3);
    const lanes = Object.keys(report.done);
    for (const count of [
      report.kept.jobs,
      report.kept.listeners,
      report.work.items,
      report.runs.noted,
      report.samples.length,
    ])
      expect(count).toBeGreaterThan(0);
    for (const lane of ["count", "lock", "process", "pipe"]) expect(lanes).toContain(lane);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}, 300_000);

test("a word that it does not know ends it with usage", async () => {
  const { code, said } = await chaos("--only", "earthquake");
  expect([code, said]).toEqual([2, expect.stringContaining("npm run chaos -- [options]")]);
});
