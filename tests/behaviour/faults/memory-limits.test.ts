import { readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { LimitError, WorkerLostError } from "heddle";
import { expect, onTestFinished, test, vi } from "vitest";
import { makeCgroup, whyNoCgroup } from "../../chaos/run-directory.ts";
import { ProcessCluster } from "../../harness/process-cluster.ts";
import { eventually } from "../../harness/waiting.ts";

vi.setConfig({ testTimeout: 150_000 });

const MIB = 1024 * 1024;
/** "Progress or a clear error": within so long. */
const WITHIN_MS = 60_000;
const why = whyNoCgroup("memory");

/** Two agents that may have so much memory together, with a worker each, and how often they wanted more. */
async function smallAgents(limitBytes: number) {
  const cgroup = makeCgroup("memory", `small-${process.hrtime.bigint()}`);
  onTestFinished(async () => void (await eventually("nobody is in the cgroup", () => removed(cgroup))));
  writeFileSync(join(cgroup, "memory.limit_in_bytes"), String(limitBytes));
  const joining = ["sh", "-c", 'echo $$ > "$0/cgroup.procs" && exec "$@"', cgroup];
  const cluster = await ProcessCluster.start({ agentsWithin: joining, leaseMs: 5_000 });
  return { cluster, wantedMore: () => Number(readFileSync(join(cgroup, "memory.failcnt"), "utf8")) };
}

function removed(directory: string): true | undefined {
  try {
    rmdirSync(directory);
    return true;
  } catch {
    return undefined; // who was killed in it leaves it a moment later
  }
}

function filled({ bytes, n }: { readonly bytes: number; readonly n: number }): Uint8Array {
  return new Uint8Array(bytes).fill(n);
}

/** Each result is right, or an error of this class says why there is none. Gives how many there are. */
function judged(
  settled: readonly PromiseSettledResult<Uint8Array>[],
  bytes: number,
  expected: new (...args: never[]) => Error,
): number {
  let right = 0;
  for (const [n, one] of settled.entries()) {
    if (one.status === "rejected") expect(one.reason).toBeInstanceOf(expected);
    else expect([one.value.length, one.value[0], one.value.at(-1)]).toEqual([bytes, n, n]);
    if (one.status === "fulfilled") right++;
  }
  return right;
}

test.for([
  ["enough for one at a time: all come", 512, 8, 60_000_000, 8],
  [
    "too little for one with what runs beside it: what cannot be has killed its worker, and says so",
    220,
    6,
    60_000_000,
    0,
  ],
  ["too little for what no call may give: the limit is named", 512, 6, 100_000_000, 0],
] as const)("F18 large results where all agents have %s", async ([, limitMib, count, bytes, least], context) => {
  if (why !== undefined) return context.skip(why);
  const { cluster, wantedMore } = await smallAgents(limitMib * MIB);
  await using _cluster = cluster;
  const fabric = await cluster.fabric();
  const inputs = Array.from({ length: count }, (_, n) => ({ bytes, n }));
  const sinceMs = performance.now();
  const settled = await cluster.drive(fabric.pool().map(filled, inputs, { chunkSize: 1, onError: "collect" }));
  expect(performance.now() - sinceMs).toBeLessThan(WITHIN_MS);
  const isTooLarge = bytes > 64 * MIB;
  expect(judged(settled, bytes, isTooLarge ? LimitError : WorkerLostError)).toBeGreaterThanOrEqual(least);
  if (!isTooLarge) expect(wantedMore()).toBeGreaterThan(0); // else nothing was tested
  expect((await fabric.nodes()).map(({ incarnation }) => incarnation)).toEqual([1, 1]); // workers died, not agents
  expect(await cluster.drive(fabric.pool().map(cluster.tasks.square, [1, 2, 3]))).toEqual([1, 4, 9]);
});
