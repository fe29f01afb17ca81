import {
  CAPTURED_INLINE_BYTES_MAX,
  CLIENT_CHUNKS_MAX,
  CLIENT_INPUT_BYTES_MAX,
  type Clock,
  type Environment,
  type Millis,
  NESTING_DEPTH_MAX,
  PART_BYTES_MAX,
  seededRandom,
  silentLogger,
} from "@heddle/kernel";
import { memoryBlobs } from "@heddle/port-blobs";
import { dialSession, MemoryNetwork, type Session, type SessionEnd } from "@heddle/port-rpc";
import {
  type AttachRequestEntry,
  type AttachResponseEntry,
  type ChunkFinished,
  encodePayload,
  type JobEnded,
  JobOutcome,
  jobsRun,
  nodesAttach,
  type OpenJob,
  type OpenPool,
  type Payload,
  protocolVersion,
  type RegisterNode,
  type RunRequestEntry,
  type RunResponseEntry,
} from "@heddle/wire";
import { expect, onTestFinished, test } from "vitest";
import { CoordinatorShell } from "./coordinator.ts";

const ADDRESS = "coordinator";
const POOL = "a".repeat(32);
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
  ordered: false,
  requirements: undefined,
  prime: false,
};
const version = protocolVersion("test", 24);

/** Time that stands still until told. */
class StillClock implements Clock {
  #nowMs = 0;
  readonly #timers = new Set<{ readonly atMs: Millis; readonly run: () => void }>();

  readonly nowMs = (): Millis => this.#nowMs;

  readonly setTimer = (atMs: Millis, run: () => void): Disposable => {
    const timer = { atMs, run };
    this.#timers.add(timer);
    return { [Symbol.dispose]: () => this.#timers.delete(timer) };
  };

  async advance(ms: Millis): Promise<void> {
    const untilMs = this.#nowMs + ms;
    const due = () => [...this.#timers].filter(({ atMs }) => atMs <= untilMs).sort((a, b) => a.atMs - b.atMs)[0];
    for (let next = due(); next !== undefined; next = due()) {
      this.#timers.delete(next);
      this.#nowMs = Math.max(this.#nowMs, next.atMs);
      next.run();
      await settle();
    }
    this.#nowMs = untilMs;
  }
}

/** Lets everything that is ready run. */
async function settle(): Promise<void> {
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

type Client = Peer<RunRequestEntry, RunResponseEntry>;
type Node = Peer<AttachRequestEntry, AttachResponseEntry>;

/** A coordinator whose clients and nodes are the test. */
class Bench {
  readonly clock = new StillClock();
  readonly env: Environment = { clock: this.clock, random: seededRandom(1), log: silentLogger };
  readonly network = new MemoryNetwork(this.env);
  readonly shell = new CoordinatorShell({ env: this.env, blobs: memoryBlobs(), build: "test", nodeMajor: 24, pid: 1 });

  async client(pool: Partial<OpenPool> = {}): Promise<Client> {
    const peer: Client = new Peer();
    const common = { env: this.env, client: this.network, address: ADDRESS, version };
    peer.session = dialSession({ ...common, method: jobsRun, handler: peer.handler });
    peer.say({ $case: "registerClient", value: { clientId: "c".repeat(32), description: "test" } });
    peer.say({ $case: "openPool", value: { ...plainPool, ...pool } });
    await settle();
    return peer;
  }

  async node(name: string, credit: number, more: Partial<RegisterNode> = {}): Promise<Node> {
    const peer: Node = new Peer();
    const common = { env: this.env, client: this.network, address: ADDRESS, version };
    peer.session = dialSession({ ...common, method: nodesAttach, handler: peer.handler });
    const value = { name, slots: 1, labels: {}, pid: 1, host: name, build: "test", resources: {}, ...more };
    peer.say({ $case: "registerNode", value });
    peer.say({ $case: "grantCredit", value: { chunks: credit } });
    await settle();
    return peer;
  }
}

async function open(): Promise<Bench> {
  const bench = new Bench();
  await bench.network.listen(ADDRESS, bench.shell.routes);
  onTestFinished(() => bench.network[Symbol.asyncDispose]());
  return bench;
}

function inline(values: readonly unknown[]): Payload {
  const { encoding, count, bytes } = encodePayload(values, "value");
  return { encoding, count, size: bytes.byteLength, data: bytes, partStream: 0 };
}

interface MoreOfJob {
  readonly depth?: number;
  readonly captured?: Uint8Array;
  readonly capturedArtifact?: string;
  readonly open?: Partial<OpenJob>;
}

function openJob(client: Client, job: number, more: MoreOfJob = {}): void {
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

function offer(client: Client, job: number, chunk: number, input = inline([chunk]), grain = 0): void {
  client.say({ $case: "offerChunk", value: { job, chunk, firstIndex: chunk, input, grain } }, input.data.byteLength);
}

/** A job of one item, offered whole. */
function small(client: Client, job: number, more: MoreOfJob = {}): void {
  openJob(client, job, more);
  offer(client, job, 0);
  client.say({ $case: "sealJob", value: { job, chunkCount: 1 } }, 0);
}

function finish(node: Node, assignment: number | undefined, outcome: ChunkFinished["outcome"]): void {
  node.say({ $case: "chunkFinished", value: { assignment: assignment ?? 0, pid: 9, runMicros: 5, outcome } }, 8);
}

const outcomes = (ended: readonly JobEnded[]): number[] => ended.map(({ outcome }) => outcome);

test("a job runs on a node and its values reach the client once", async () => {
  const bench = await open();
  const [client, node] = [await bench.client(), await bench.node("n1", 4)];
  small(client, 1);
  await settle();
  expect(node.heard.map(({ $case }) => $case)).toEqual(["describeJob", "assignChunk"]);
  const [assigned] = node.said("assignChunk");
  finish(node, assigned?.assignment, { $case: "done", value: inline([7]) });
  finish(node, assigned?.assignment, { $case: "done", value: inline([8]) });
  await settle();
  expect(client.said("spanDone")).toMatchObject([{ job: 1, chunk: 0, span: undefined, values: { count: 1 } }]);
  expect(outcomes(client.said("jobEnded"))).toEqual([JobOutcome.DONE]);
  expect(node.said("forgetJob")).toHaveLength(1);
});

test("values of a node that is lost in their middle are aborted, and come whole from another", async () => {
  const bench = await open();
  const [client, first] = [await bench.client(), await bench.node("n1", 4)];
  small(client, 1);
  await settle();
  const large = { ...inline([1]), size: 2 * PART_BYTES_MAX, data: new Uint8Array(0), partStream: 5 };
  finish(first, first.said("assignChunk")[0]?.assignment, { $case: "done", value: large });
  const piece = { partStream: 5, data: new Uint8Array(PART_BYTES_MAX), last: false, aborted: false };
  first.say({ $case: "part", value: piece }, PART_BYTES_MAX);
  await settle();
  expect(client.said("part")).toHaveLength(1);
  await first.session?.close();
  await settle();
  expect(client.said("part").at(-1)).toMatchObject({ last: true, aborted: true });
  const second = await bench.node("n2", 4);
  finish(second, second.said("assignChunk")[0]?.assignment, { $case: "done", value: inline([7]) });
  await settle();
  expect(client.said("spanDone").map(({ values }) => values?.partStream === 0)).toEqual([false, true]);
  expect(outcomes(client.said("jobEnded"))).toEqual([JobOutcome.DONE]);
});

test("a node that says less than it announced is dropped, and its values are aborted at the client", async () => {
  const bench = await open();
  const [client, node] = [await bench.client(), await bench.node("n1", 4)];
  small(client, 1);
  await settle();
  const large = { ...inline([1]), size: 2 * PART_BYTES_MAX, data: new Uint8Array(0), partStream: 5 };
  finish(node, node.said("assignChunk")[0]?.assignment, { $case: "done", value: large });
  node.say({ $case: "part", value: { partStream: 5, data: new Uint8Array(1), last: true, aborted: false } }, 1);
  await settle();
  expect(node.end).toMatchObject({ reason: "goodbye", goodbye: { code: "protocol" } });
  expect(client.end).toBeUndefined();
  expect(client.said("part").at(-1)).toMatchObject({ last: true, aborted: true });
});

test("a newer agent of the same name takes the older one's chunks over at once", async () => {
  const bench = await open();
  const [client, older] = [await bench.client(), await bench.node("n1", 4)];
  small(client, 1);
  await settle();
  const newer = await bench.node("n1", 4);
  expect(older.end).toMatchObject({ reason: "goodbye", goodbye: { code: "conflict" } });
  finish(newer, newer.said("assignChunk")[0]?.assignment, { $case: "done", value: inline([7]) });
  await settle();
  expect(outcomes(client.said("jobEnded"))).toEqual([JobOutcome.DONE]);
});

test("what a cancelled job held makes room for the next one: a client at its bound stays welcome", async () => {
  const bench = await open();
  const client = await bench.client();
  for (const job of [1, 2, 3]) {
    openJob(client, job);
    for (let chunk = 0; chunk < CLIENT_CHUNKS_MAX; chunk++) offer(client, job, chunk);
    await settle();
    await settle();
    client.say({ $case: "cancelJob", value: { job, reason: "" } });
    await settle();
  }
  expect(client.end).toBeUndefined();
  expect(outcomes(client.said("jobEnded"))).toEqual([1, 2, 3].map(() => JobOutcome.CANCELLED));
});

test("a client that holds more chunks than it may is dropped alone", async () => {
  const bench = await open();
  const [client, other] = [await bench.client(), await bench.client()];
  openJob(client, 1);
  for (let chunk = 0; chunk <= CLIENT_CHUNKS_MAX; chunk++) offer(client, 1, chunk);
  for (let turns = 0; turns < 20 && client.end === undefined; turns++) await settle();
  expect(client.end).toMatchObject({ reason: "goodbye", goodbye: { code: "protocol" } });
  expect(other.end).toBeUndefined();
});

test("one chunk may be larger than all that a client may hold, a second may not", async () => {
  const bench = await open();
  const client = await bench.client();
  openJob(client, 1);
  const header = { ...inline([1]), size: CLIENT_INPUT_BYTES_MAX + 1, data: new Uint8Array(0) };
  offer(client, 1, 0, { ...header, partStream: 1 });
  await settle();
  expect(client.end).toBeUndefined();
  offer(client, 1, 1, inline([1]));
  await settle();
  expect(client.end).toMatchObject({ goodbye: { code: "protocol" } });
});

test("chunks of a job that is over are read and dropped, with their parts", async () => {
  const bench = await open();
  const client = await bench.client();
  openJob(client, 1);
  client.say({ $case: "cancelJob", value: { job: 1, reason: "" } });
  offer(client, 1, 0, { ...inline([1]), size: 3, data: new Uint8Array(0), partStream: 1 });
  client.say({ $case: "part", value: { partStream: 1, data: new Uint8Array(3), last: true, aborted: false } }, 3);
  small(client, 2);
  await settle();
  expect(client.end).toBeUndefined();
});

test("stopping waits for open jobs, not for what nodes still have of ended ones", async () => {
  const bench = await open();
  const [client, node] = [await bench.client(), await bench.node("n1", 4)];
  small(client, 1);
  await settle();
  expect(node.said("assignChunk")).toHaveLength(1);
  client.say({ $case: "cancelJob", value: { job: 1, reason: "" } });
  await settle();
  let stopped = false;
  const stop = bench.shell.stop(60_000).then(() => {
    stopped = true;
  });
  await settle();
  expect(stopped).toBe(true);
  await stop;
  expect(client.end).toMatchObject({ goodbye: { code: "unavailable" } });
});

test("while it stops, open jobs end and new ones are refused", async () => {
  const bench = await open();
  const [client, node] = [await bench.client(), await bench.node("n1", 4)];
  small(client, 1);
  await settle();
  const stop = bench.shell.stop(60_000);
  small(client, 2);
  await settle();
  expect(client.said("jobEnded")).toMatchObject([{ job: 2, error: { code: "unavailable" } }]);
  finish(node, node.said("assignChunk")[0]?.assignment, { $case: "done", value: inline([7]) });
  await settle();
  await stop;
  expect(outcomes(client.said("jobEnded"))).toEqual([JobOutcome.FAILED, JobOutcome.DONE]);
});

test("what runs for a client that leaves is stopped, and its workers may end", async () => {
  const bench = await open();
  const [client, node] = [await bench.client(), await bench.node("n1", 4)];
  small(client, 1);
  await settle();
  await client.session?.close();
  await settle();
  expect(node.said("revokeChunk")).toMatchObject([{ stop: true }]);
  finish(node, node.said("assignChunk")[0]?.assignment, { $case: "stopped", value: {} });
  await settle();
  expect(node.said("retirePool")).toHaveLength(1);
});

test("a node is told how deep a job is, and what its function has captured", async () => {
  const bench = await open();
  const [client, node] = [await bench.client(), await bench.node("n1", 4)];
  const captured = new Uint8Array(CAPTURED_INLINE_BYTES_MAX).fill(7);
  small(client, 1, { depth: 3, captured });
  small(client, 2, { depth: NESTING_DEPTH_MAX, capturedArtifact: "e".repeat(64) });
  await settle();
  const described = [...node.said("describeJob")].sort((a, b) => a.depth - b.depth);
  expect(described).toMatchObject([
    { depth: 3, function: { closure: true, captured, capturedArtifact: "" } },
    { depth: NESTING_DEPTH_MAX, function: { closure: true, capturedArtifact: "e".repeat(64) } },
  ]);
});

test("chunks of a deeper job go first: a task may wait for them", async () => {
  const bench = await open();
  const client = await bench.client();
  small(client, 1);
  small(client, 2, { depth: 1 });
  await settle();
  const node = await bench.node("n1", 1);
  expect(node.said("describeJob").map(({ depth }) => depth)).toEqual([1, 0]);
});

test.each<[string, MoreOfJob]>([
  ["to be inside of more tasks than there may be", { depth: NESTING_DEPTH_MAX + 1 }],
  ["to have captured more than travels inline", { captured: new Uint8Array(CAPTURED_INLINE_BYTES_MAX + 1) }],
  ["to have captured an artifact that is none", { capturedArtifact: "../secrets" }],
])("a client whose job claims %s is dropped alone", async (_what, more) => {
  const bench = await open();
  const [client, other] = [await bench.client(), await bench.client()];
  openJob(client, 1, more);
  await settle();
  expect(client.end).toMatchObject({ reason: "goodbye", goodbye: { code: "protocol" } });
  expect(other.end).toBeUndefined();
});
