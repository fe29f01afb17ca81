import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { connect, type Fabric, range } from "heddle";
import { expect, onTestFinished, test } from "vitest";
import { ProcessCluster } from "../harness/process-cluster.ts";

/** Results of 1 MiB; HEDDLE_SLEEPER_RESULTS=1024 and HEDDLE_SLEEPER_MS=60000 make a GiB of them, and a sleep of a minute. */
const RESULTS = Number(process.env.HEDDLE_SLEEPER_RESULTS ?? 128);
/** Of clients and workers, however long nobody reads. */
const PROCESS_MB_MAX = 300;
/** Of servers, which have 60 MB more when they are run from their sources, as here, and more garbage the more goes through them: a GiB has made 375. */
const SERVER_MB_MAX = RESULTS > 128 ? 400 : 360;
const LEASE_MS = 1_500;
/** Well beyond a lease. */
const SLEEP_MS = Number(process.env.HEDDLE_SLEEPER_MS ?? 4_000);
/** Between the maps of somebody else: how long they take is what is looked at, not what thousands of them leave to be collected. */
const PAUSE_MS = 20;
const PATIENCE_MS = 180_000 + 2 * SLEEP_MS;

/** A program that reads and sleeps: what it says, line by line. */
function sleeper(how: "pause" | "block", address: string) {
  const path = join(import.meta.dirname, "scripts", "sleepy-reader.ts");
  const args = ["--conditions=@heddle/source", path, how, String(SLEEP_MS), String(RESULTS)];
  const env = { ...process.env, HEDDLE_ADDRESS: address };
  const child = spawn(process.execPath, args, { env, stdio: ["ignore", "pipe", "inherit"] });
  const gone = once(child, "close");
  onTestFinished(async () => {
    child.kill("SIGKILL");
    await gone;
  });
  return { gone, lines: createInterface({ input: child.stdout })[Symbol.asyncIterator]() };
}

/** The largest resident set that a live process ever had, in MB. */
function peakMb(pid: number): number {
  const [, kilobytes] = /VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, "utf8")) ?? [];
  return Math.round(Number(kilobytes) / 1024);
}

/** Maps until told to stop. How many there were, and the longest, in milliseconds. */
async function mapping(
  pool: ReturnType<Fabric["pool"]>,
  until: { isOver: boolean },
): Promise<{ maps: number; longestMs: number }> {
  let [maps, longestMs] = [0, 0];
  while (!until.isOver) {
    const startedMs = performance.now();
    expect(await pool.map(Math.abs, range(0, -100, -1), { chunkSize: 10 })).toHaveLength(100);
    longestMs = Math.max(longestMs, performance.now() - startedMs);
    maps++;
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  }
  return { maps, longestMs: Math.round(longestMs) };
}

const facts = async (fabric: Fabric) =>
  (await fabric.nodes()).map(({ name, state, incarnation, pid }) => ({ name, state, incarnation, pid }));

for (const how of ["pause", "block"] as const) {
  const what = how === "pause" ? "sleeps" : "blocks its event loop";
  test(
    `G02: a reader that ${what} for longer than a lease amid large results has them all, holds up nobody and makes no process large`,
    async () => {
      const cluster = await ProcessCluster.start({ leaseMs: LEASE_MS });
      onTestFinished(() => cluster[Symbol.asyncDispose]());
      await using other = await connect(cluster.address);
      const nodes = await facts(other);
      await using pool = other.pool();
      await pool.map(Math.abs, range(10)); // its workers are there
      const { gone, lines } = sleeper(how, cluster.address);
      expect(await lines.next()).toMatchObject({ value: "asleep" });
      const until = { isOver: false };
      const mapped = mapping(pool, until);
      expect(await lines.next()).toMatchObject({ value: "awake" });
      until.isOver = true;
      const { maps, longestMs } = await mapped;
      const [seen, clientMb] = String((await lines.next()).value)
        .split(" ")
        .map(Number);
      expect(await gone).toEqual([0, null]);
      expect(seen).toBe(RESULTS);
      const servers = { coordinator: cluster.coordinatorPid, n1: cluster.agentPids()[0], n2: cluster.agentPids()[1] };
      const peaks = Object.entries(servers).map(([name, pid = 0]) => [name, peakMb(pid)] as const);
      const workers = cluster.workers().map(({ pid }) => ["worker", peakMb(pid)] as const);
      const told = { how, maps, longestMs, peaks: Object.fromEntries([["client", clientMb], ...peaks]) };
      if (process.env.HEDDLE_SLEEPER_MS !== undefined) console.log(JSON.stringify(told));
      for (const [name, mb] of peaks) expect([name, mb < SERVER_MB_MAX, mb]).toEqual([name, true, mb]);
      for (const [name, mb] of [["client", clientMb ?? 0] as const, ...workers])
        expect([name, mb < PROCESS_MB_MAX, mb]).toEqual([name, true, mb]);
      expect(maps).toBeGreaterThan(2);
      expect(longestMs).toBeLessThan(SLEEP_MS);
      expect(await facts(other)).toEqual(nodes);
    },
    PATIENCE_MS,
  );
}
