import { spawnSync } from "node:child_process";
import { expect, test } from "vitest";

/** Makes and drops buffers of 1 GB in all, piece by piece, and prints how often V8 collected everything. */
const churn = `
  import { GCProfiler } from "node:v8";
  const profiler = new GCProfiler();
  profiler.start();
  for (let turn = 0; turn < 4_000; turn++) {
    new Uint8Array(256 * 1024);
    if (turn % 100 === 0) await new Promise(setImmediate);
  }
  console.log(profiler.stop().statistics.filter(({ gcType }) => gcType === "MarkSweepCompact").length);
`;

function collections(begin: string): number {
  const args = ["--conditions=@heddle/source", "--input-type=module", "--eval", `${begin}\n${churn}`];
  const { stdout, stderr } = spawnSync(process.execPath, args, { cwd: import.meta.dirname, encoding: "utf8" });
  expect(stderr).toBe(""); // a V8 that does not know the flag says so
  return Number(stdout);
}

test("a server that makes many buffers collects its heap less often", () => {
  const begin = 'import { countBuffersAsHeap } from "./relay-memory.ts"; countBuffersAsHeap();';
  expect(collections(begin)).toBeLessThan(collections(""));
});
