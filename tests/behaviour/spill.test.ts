import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import { connect, type Fabric, range } from "heddle";
import { expect, onTestFinished, test, vi } from "vitest";
import { ProcessCluster } from "../harness/process-cluster.ts";
import { eventually } from "../harness/waiting.ts";

vi.setConfig({ testTimeout: 120_000 });

const MIB = 1024 * 1024;
/** Three times as many as a stream may have unread, of 1 MiB each. */
const RESULTS = 48;
/** What a server from sources has at most, were all of them on disk: as in G02. */
const SERVER_MB_MAX = 360;

const filled = (n: number): Uint8Array => new Uint8Array(MIB).fill(n);

async function openCluster(): Promise<{ cluster: ProcessCluster; other: Fabric }> {
  const cluster = await ProcessCluster.start();
  onTestFinished(() => cluster[Symbol.asyncDispose]());
  const other = await connect(cluster.address);
  onTestFinished(() => other.close());
  return { cluster, other };
}

/** Files without a name that the coordinator has open, in bytes. */
function spilledFiles(pid: number): string[] {
  const directory = `/proc/${pid}/fd`;
  const targets = readdirSync(directory).map((fd) => {
    try {
      return readlinkSync(join(directory, fd));
    } catch {
      return ""; // closed meanwhile
    }
  });
  return targets.filter((target) => target.endsWith(".spill (deleted)"));
}

function peakMb(pid: number): number {
  const [, kilobytes] = /VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, "utf8")) ?? [];
  return Math.round(Number(kilobytes) / 1024);
}

async function untilAllHasRun(other: Fabric): Promise<void> {
  await eventually("nothing is left to run", async () => ((await other.status()).jobs === 0 ? true : undefined));
}

test("a job runs to its end on the coordinator's disk while its program takes nothing, and each result comes when it does", async () => {
  const { cluster, other } = await openCluster();
  const fabric = await cluster.fabric();
  const stream = fabric.pool().imap(filled, range(RESULTS), { chunkSize: 1, bufferSize: RESULTS });
  const reading = stream[Symbol.asyncIterator]();
  const { value: first } = await reading.next();
  await untilAllHasRun(other);
  expect(spilledFiles(cluster.coordinatorPid)).toHaveLength(1);
  expect(peakMb(cluster.coordinatorPid)).toBeLessThan(SERVER_MB_MAX);
  const rest: Uint8Array[] = [];
  for (let next = await reading.next(); !next.done; next = await reading.next()) rest.push(next.value);
  expect([first, ...rest].map((bytes) => [bytes?.length, bytes?.[0], bytes?.at(-1)])).toEqual(
    Array.from({ length: RESULTS }, (_, n) => [MIB, n, n]),
  );
  expect(spilledFiles(cluster.coordinatorPid)).toEqual([]);
});
