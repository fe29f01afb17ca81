import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { expect, onTestFinished, test } from "vitest";
import { ProcessCluster } from "../harness/process-cluster.ts";

/** No process of a fabric may be larger, whatever runs through it. */
const PROCESS_MB_MAX = 300;

/** What a server has more when it is run from its sources, as here: an idle coordinator has 178 MB then, and 117 MB as it is built. */
const SOURCES_MB = 60;

/** What a script beside this file prints. `address`: the fabric it uses, "" for its own. */
async function output(name: string, address: string, flags: readonly string[] = []): Promise<string> {
  const { HEDDLE_ADDRESS: _none, ...inherited } = process.env;
  const environment = address === "" ? inherited : { ...inherited, HEDDLE_ADDRESS: address };
  const path = join(import.meta.dirname, "scripts", name);
  const child: ChildProcess = spawn(process.execPath, [...flags, "--conditions=@heddle/source", path], {
    env: environment,
    stdio: ["ignore", "pipe", "inherit"],
  });
  onTestFinished(() => void child.kill("SIGKILL"));
  const ended = once(child, "close");
  const printed = child.stdout === null ? "" : await text(child.stdout);
  expect((await ended)[0]).toBe(0);
  return printed.trim();
}

/** The largest resident set that a live process ever had, in MB. */
function peakMb(pid: number): number {
  const [, kilobytes] = /VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, "utf8")) ?? [];
  return Number(kilobytes) / 1024;
}

async function twoAgents(): Promise<ProcessCluster> {
  const cluster = await ProcessCluster.start({ leaseMs: 15_000 });
  onTestFinished(() => cluster[Symbol.asyncDispose]());
  return cluster;
}

function expectSmall(cluster: ProcessCluster): void {
  for (const pid of [cluster.coordinatorPid, ...cluster.agentPids()])
    expect(peakMb(pid)).toBeLessThan(PROCESS_MB_MAX + SOURCES_MB);
  for (const { pid } of cluster.workers()) expect(peakMb(pid)).toBeLessThan(PROCESS_MB_MAX);
}

test("a stream of a hundred million items with a slow consumer keeps every process small", async () => {
  const cluster = await twoAgents();
  const [seen, clientMb] = (await output("slow-consumer.ts", cluster.address)).split(" ").map(Number);
  expect(seen).toBe(60_000);
  expect(clientMb).toBeLessThan(PROCESS_MB_MAX);
  expectSmall(cluster);
});

test("large results that nobody reads stop their own job, and keep every process small", async () => {
  const cluster = await twoAgents();
  const [bytes, readAhead, clientMb] = (await output("large-results.ts", cluster.address)).split(" ").map(Number);
  expect(bytes).toBe(4 * 1024 * 1024);
  expect(readAhead).toBeLessThanOrEqual(1_001);
  expect(clientMb).toBeLessThan(PROCESS_MB_MAX);
  expectSmall(cluster);
});

test("a million small objects map, and 200 maps in a row do not grow memory", async () => {
  expect(Number(await output("many-maps.ts", "", ["--expose-gc"]))).toBeLessThan(3);
});
