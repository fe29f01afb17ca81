import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Pool, range, task } from "heddle";
import { expect, onTestFinished, test, vi } from "vitest";
import { noteRun, runsIn } from "./runs.ts";

/** Every third item fails at its first attempt. */
function noted(n: number): number {
  noteRun();
  if (n % 3 === 0 && task().attempt === 1) throw new RangeError(`first attempt of ${n}`);
  return n;
}

test("runs are counted by job and item, those that fail among them", async () => {
  const directory = mkdtempSync(join(tmpdir(), "chaos-runs-"));
  onTestFinished(() => rmSync(directory, { recursive: true }));
  const file = join(directory, "runs");
  vi.stubEnv("CHAOS_RUNS", file);
  onTestFinished(() => void vi.unstubAllEnvs());
  expect(runsIn(file)).toEqual({ runs: 0, items: 0 });
  await using pool = new Pool({ processes: 1 });
  for (let call = 0; call < 2; call++) await pool.map(noted, range(6), { retries: 1, chunkSize: 1 });
  expect(runsIn(file)).toEqual({ runs: 16, items: 12 });
});
