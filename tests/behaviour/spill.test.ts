import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import { connect, type Fabric, range } from "heddle";
import { expect, onTestFinished, test, vi } from "vitest";
import { comersTo, Gate } from "../harness/gate.ts";
import { ProcessCluster, type ProcessOptions } from "../harness/process-cluster.ts";
import { Program } from "../harness/program.ts";
import { eventually } from "../harness/waiting.ts";

vi.setConfig({ testTimeout: 120_000 });

const MIB = 1024 * 1024;
/** Three times as many as a stream may have unread, of 1 MiB each. */
const RESULTS = 48;
/** Of the script's map. */
const CHUNKS = 4;
/** What a server from sources has at most, were all of them on disk: as in G02. */
const SERVER_MB_MAX = 360;

const filled = (n: number): Uint8Array => new Uint8Array(MIB).fill(n);

async function openCluster(options: ProcessOptions = {}): Promise<{ cluster: ProcessCluster; other: Fabric }> {
  const cluster = await ProcessCluster.start(options);
  onTestFinished(() => cluster[Symbol.asyncDispose]());
  const other = await connect(cluster.address);
  onTestFinished(() => other.close());
  return { cluster, other };
}

/** Files without a name that a coordinator has open. */
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

async function untilJobsAreOver(other: Fabric): Promise<void> {
  await eventually("no job is open", async () => ((await other.status()).jobs === 0 ? true : undefined));
}

/** Chunks that are offered and not done. */
async function untilChunksAre(count: number, other: Fabric): Promise<void> {
  await eventually(`${count} chunks are to be done`, async () => {
    const { chunksPlaced, chunksWaiting } = await other.status();
    return chunksPlaced + chunksWaiting === count ? true : undefined;
  });
}

const look = (bytes: Uint8Array | undefined): (number | undefined)[] => [bytes?.length, bytes?.[0], bytes?.at(-1)];
const all = Array.from({ length: RESULTS }, (_, n) => [MIB, n, n]);

/** A program that has taken one result, when all have been made. */
async function pausedReader(cluster: ProcessCluster, other: Fabric) {
  const fabric = await cluster.fabric();
  const stream = fabric.pool().imap(filled, range(RESULTS), { chunkSize: 1, bufferSize: RESULTS });
  const reading = stream[Symbol.asyncIterator]();
  const first = await reading.next();
  await untilJobsAreOver(other);
  return { reading, first };
}

async function rest(reading: AsyncIterator<Uint8Array>): Promise<(number | undefined)[][]> {
  const seen: (number | undefined)[][] = [];
  for (let next = await reading.next(); !next.done; next = await reading.next()) seen.push(look(next.value));
  return seen;
}

test("a job runs to its end on the coordinator's disk while its program takes nothing, and each result comes when it does", async () => {
  const { cluster, other } = await openCluster();
  const { reading, first } = await pausedReader(cluster, other);
  expect(spilledFiles(cluster.coordinatorPid)).toHaveLength(1);
  expect(peakMb(cluster.coordinatorPid)).toBeLessThan(SERVER_MB_MAX);
  expect([look(first.value), ...(await rest(reading))]).toEqual(all);
  expect(spilledFiles(cluster.coordinatorPid)).toEqual([]);
});

test("a coordinator that is killed with results on its disk costs them, and no more: they are made again", async () => {
  const { cluster, other } = await openCluster();
  const { reading, first } = await pausedReader(cluster, other);
  await cluster.replaceCoordinator();
  expect([look(first.value), ...(await rest(reading))]).toEqual(all);
  expect(readdirSync(join(cluster.directory, "coordinator", "spill"))).toEqual([]);
});

test("a program that reads nothing off its connection has its job run to the end, too", async () => {
  const { cluster, other } = await openCluster({ leaseMs: 60_000 });
  using gate = new Gate();
  const script = join(import.meta.dirname, "scripts", "absent-reader.ts");
  const env = { HEDDLE_ADDRESS: cluster.address };
  await using program = new Program(["run", script, gate.path, String(RESULTS)], { env });
  await untilChunksAre(CHUNKS, other);
  await eventually("each node runs one", () =>
    comersTo(gate.path).length === cluster.nodes.length ? true : undefined,
  ); // and has the code
  program.child.kill("SIGSTOP");
  gate.open();
  await untilChunksAre(0, other);
  expect(spilledFiles(cluster.coordinatorPid)).toHaveLength(1);
  expect(peakMb(cluster.coordinatorPid)).toBeLessThan(SERVER_MB_MAX);
  program.child.kill("SIGCONT");
  expect([await program.code(), program.said.trim()]).toEqual([0, String(RESULTS)]);
});

test.for([["--spill-bytes", "0"], ["--ephemeral"]])(
  "with %s nothing goes to disk: the job waits for its reader, and goes on as that does",
  async (coordinatorFlags) => {
    const { cluster, other } = await openCluster({ coordinatorFlags });
    const fabric = await cluster.fabric();
    const stream = fabric.pool().imap(filled, range(RESULTS), { chunkSize: 1, bufferSize: RESULTS });
    const reading = stream[Symbol.asyncIterator]();
    const first = await reading.next();
    await eventually("the job is held back", async () => {
      const { chunksPlaced, chunksWaiting } = await other.status();
      return chunksPlaced === 0 && chunksWaiting > 0 ? true : undefined;
    });
    expect(spilledFiles(cluster.coordinatorPid)).toEqual([]);
    expect([look(first.value), ...(await rest(reading))]).toEqual(all);
  },
);
