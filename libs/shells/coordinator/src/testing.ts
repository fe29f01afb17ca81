// biome-ignore-all lint/style/noRestrictedGlobals: this file stands in for the world, in tests only
import { type Environment, type LogFields, mintId, seededRandom, silentLogger } from "@heddle/kernel";
import { memoryBlobs } from "@heddle/port-blobs";
import { type MemoryJobs, memoryJobStore } from "@heddle/port-job-store";
import { type Caller, dialSession, MemoryNetwork, type Session, type SessionEnd, thisUser } from "@heddle/port-rpc";
import { ManualClock } from "@heddle/port-rpc/testing";
import {
  type AttachRequestEntry,
  type AttachResponseEntry,
  adminListJobs,
  type ChunkFinished,
  encodePayload,
  type JobStatus,
  jobsRun,
  nodesAttach,
  type OpenJob,
  type OpenPool,
  type Payload,
  protocolVersion,
  RegisterNode,
  type RunRequestEntry,
  type RunResponseEntry,
  type Span,
} from "@heddle/wire";
import { CoordinatorShell } from "./coordinator.ts";
import type { CoordinatorOptions } from "./options.ts";

const ADDRESS = "coordinator";
export const POOL = "a".repeat(32);
const plainPool: OpenPool = {
  poolId: POOL,
  processes: 0,
  name: "",
  initializer: undefined,
  chunksPerWorker: 0,
  rssBytesPerWorker: 0,
  requirements: undefined,
};
const plainJob = {
  retries: 0,
  name: "",
  spread: false,
  collect: false,
  itemTimeoutMs: 0,
  concurrency: 0,
  seedLow: 0,
  seedHigh: 0,
  combine: undefined,
  unreadBytesMax: 0,
  unreadBytes: 0,
  gapChunks: 0,
  ordered: false,
  requirements: undefined,
  prime: false,
  keep: undefined,
  speculate: false,
  effectsOnce: false,
};
const version = protocolVersion("test", 24);

/** Lets everything that is ready run. */
export async function settle(): Promise<void> {
  for (let turns = 0; turns < 10; turns++) await new Promise((resolve) => setImmediate(resolve));
}

interface Kinded {
  readonly kind?: { readonly $case: string; readonly value: unknown } | undefined;
}
type Kind<Entry extends Kinded> = NonNullable<Entry["kind"]>;
type ValueOf<Entry extends Kinded, C extends Kind<Entry>["$case"]> = Extract<Kind<Entry>, { $case: C }>["value"];

/** One end of a session in the hands of a test. */
class Peer<Out extends Kinded, In extends Kinded> {
  readonly heard: Kind<In>[] = [];
  session: Session<Out> | undefined;
  end: SessionEnd | undefined;

  say(kind: Kind<Out>, bulkBytes?: number): void {
    this.session?.send({ kind } as unknown as Out, bulkBytes);
  }

  said<C extends Kind<In>["$case"]>(kind: C): ValueOf<In, C>[] {
    return this.heard.flatMap((entry) => (entry.$case === kind ? [entry.value as ValueOf<In, C>] : []));
  }

  readonly handler = {
    entries: (entries: readonly In[]): void => {
      for (const { kind } of entries) if (kind !== undefined) this.heard.push(kind as Kind<In>);
    },
    ended: (end: SessionEnd): void => {
      this.end = end;
    },
  };
}

export type Client = Peer<RunRequestEntry, RunResponseEntry>;
export type Node = Peer<AttachRequestEntry, AttachResponseEntry>;

/** What a test may want otherwise. */
export type BenchOptions = Pick<CoordinatorOptions, "keptBytesMax" | "timeOfDayMs" | "spill" | "spillBytesMax"> & {
  readonly disk?: MemoryJobs;
  /** Where on its network its manager is: without it, it has none. */
  readonly managerAt?: string;
};

/** A coordinator whose clients and nodes are the test. */
export class Bench {
  readonly clock = new ManualClock(settle);
  /** What the coordinator said for people, from "info" on. */
  readonly logged: { readonly message: string; readonly fields: LogFields | undefined }[] = [];
  readonly #note = (message: string, fields?: LogFields): void => void this.logged.push({ message, fields });
  readonly env: Environment = {
    clock: this.clock,
    random: seededRandom(1),
    log: { ...silentLogger, info: this.#note, warn: this.#note, error: this.#note },
  };
  readonly network = new MemoryNetwork(this.env);
  readonly shell: CoordinatorShell;

  /** `disk`: where its jobs are kept; one of its own unless given. */
  constructor({ disk, managerAt, ...more }: BenchOptions = {}) {
    this.shell = new CoordinatorShell({
      env: this.env,
      blobs: memoryBlobs(),
      jobs: memoryJobStore(disk),
      build: "test",
      nodeMajor: 24,
      pid: 1,
      unschedulableMs: 5_000,
      ...(managerAt === undefined ? {} : { manager: { address: managerAt, client: this.network } }),
      ...more,
    });
  }

  /** `clientId`: one of its own unless given. */
  async client(
    pool: Partial<OpenPool> = {},
    caller: Caller = thisUser,
    clientId = mintId(this.env.random),
    address = ADDRESS,
  ): Promise<Client> {
    const peer: Client = new Peer();
    const common = { env: this.env, client: this.network.as(caller), address, version };
    peer.session = dialSession({ ...common, method: jobsRun, handler: peer.handler });
    peer.say({ $case: "registerClient", value: { clientId, description: "test" } });
    peer.say({ $case: "openPool", value: { ...plainPool, ...pool } });
    await settle();
    return peer;
  }

  /** Jobs as operators see them. */
  async jobs(): Promise<readonly JobStatus[]> {
    return (await this.network.call(adminListJobs, ADDRESS, {}, { timeoutMs: 1_000 })).jobs;
  }

  /** `minor`: of the protocol, that it speaks; the newest unless given. */
  async node(
    name: string,
    credit: number,
    { minor = version.minor, ...more }: Partial<RegisterNode> & { readonly minor?: number } = {},
    caller: Caller = thisUser,
  ): Promise<Node> {
    const peer: Node = new Peer();
    const common = { env: this.env, client: this.network.as(caller), address: ADDRESS, version: { ...version, minor } };
    peer.session = dialSession({ ...common, method: nodesAttach, handler: peer.handler });
    const value = { ...RegisterNode.fromPartial({ name, slots: 1, pid: 1, host: name, build: "test" }), ...more };
    peer.say({ $case: "registerNode", value });
    peer.say({ $case: "grantCredit", value: { chunks: credit } });
    await settle();
    return peer;
  }
}

/** A coordinator that listens. `atEnd` is told what to do when the test is over. */
export async function openBench(
  atEnd: (close: () => Promise<void>) => void,
  options: BenchOptions = {},
): Promise<Bench> {
  const bench = new Bench(options);
  await bench.shell.start();
  await bench.network.listen(ADDRESS, bench.shell.routes);
  atEnd(() => bench.network[Symbol.asyncDispose]());
  return bench;
}

export function inline(values: readonly unknown[]): Payload {
  const { encoding, count, bytes } = encodePayload(values, "value");
  return { encoding, count, size: bytes.byteLength, data: bytes, partStream: 0 };
}

export interface MoreOfJob {
  readonly depth?: number;
  readonly captured?: Uint8Array;
  readonly capturedArtifact?: string;
  readonly open?: Partial<OpenJob>;
}

export function openJob(client: Client, job: number, more: MoreOfJob = {}): void {
  const { depth = 0, captured = new Uint8Array(0), capturedArtifact = "" } = more;
  const fn = {
    artifact: "f".repeat(64),
    exportName: "default",
    displayName: "fn",
    closure: captured.length > 0 || capturedArtifact !== "",
    captured,
    capturedArtifact,
  };
  const value = { ...plainJob, job, jobId: `job-${job}`, poolId: POOL, function: fn, depth, ...more.open };
  client.say({ $case: "openJob", value });
}

export function offer(
  client: Client,
  job: number,
  chunk: number,
  input = inline([chunk]),
  { grain = 0, settled = [] }: { readonly grain?: number; readonly settled?: Span[] } = {},
): void {
  const value = { job, chunk, firstIndex: chunk, input, grain, settled };
  client.say({ $case: "offerChunk", value }, input.data.byteLength);
}

/** A job of one item, offered whole. */
export function small(client: Client, job: number, more: MoreOfJob = {}): void {
  openJob(client, job, more);
  offer(client, job, 0);
  client.say({ $case: "sealJob", value: { job, chunkCount: 1 } }, 0);
}

export function finish(node: Node, assignment: number | undefined, outcome: ChunkFinished["outcome"]): void {
  node.say({ $case: "chunkFinished", value: { assignment: assignment ?? 0, pid: 9, runMicros: 5, outcome } }, 8);
}
