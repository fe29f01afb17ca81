import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { WorkerLostError } from "heddle";
import { expect, onTestFinished, test } from "vitest";
import { EmbeddedCluster } from "../harness/embedded-cluster.ts";

/** Lets this process make its temporary directories in one of its own. */
function scratch(): string {
  const before = process.env.TMPDIR;
  const directory = mkdtempSync(join(tmpdir(), "evicted-code-"));
  process.env.TMPDIR = directory;
  onTestFinished(() => {
    if (before === undefined) delete process.env.TMPDIR;
    else process.env.TMPDIR = before;
    rmSync(directory, { recursive: true, force: true });
  });
  return directory;
}

/** Removes every artifact below a directory; says how many there were. */
function evict(directory: string): number {
  const files = readdirSync(directory, { recursive: true, encoding: "utf8" });
  const artifacts = files.filter((name) => /[0-9a-f]{64}\.mjs$/.test(name));
  for (const name of artifacts) rmSync(join(directory, name));
  return artifacts.length;
}

test("code and captured values that are gone from a node's disk are fetched again by the next worker that needs them", async () => {
  const directory = scratch();
  await using cluster = new EmbeddedCluster();
  const pool = (await cluster.fabric()).pool({ processes: 1 });
  const table = Array.from({ length: 2_000 }, (_, at) => at);
  const look = (at: number) => {
    if (at < 0) process.kill(process.pid, "SIGKILL");
    return table[at];
  };
  expect(await cluster.drive(pool.map(look, [5, 6]))).toEqual([5, 6]);
  expect(evict(directory)).toBeGreaterThanOrEqual(2);
  await expect(pool.apply(look, [-1])).rejects.toBeInstanceOf(WorkerLostError);
  expect(await cluster.drive(pool.map(look, [7, 8]))).toEqual([7, 8]);
  expect(evict(directory)).toBeGreaterThanOrEqual(2);
});
