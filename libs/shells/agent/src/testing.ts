// biome-ignore-all lint/style/noRestrictedGlobals: this file stands in for the world, in tests only
import { type Environment, type LogFields, type Logger, seededRandom, silentLogger } from "@heddle/kernel";
import { type Blobs, memoryBlobs, sha256Hex } from "@heddle/port-blobs";
import type { SeenMark, WorkerEvents, WorkerExit, WorkerProcess, WorkerSpawner } from "@heddle/port-processes";
import { MemoryNetwork, type Session, SessionAcceptor, type SessionEnd, streamRoute } from "@heddle/port-rpc";
import { ManualClock } from "@heddle/port-rpc/testing";
import {
  AssignChunk,
  type AttachRequestEntry,
  type AttachResponseEntry,
  ChunkReturned,
  DescribeJob,
  Encoding,
  encodePayload,
  FunctionRef,
  jobsRun,
  nodesAttach,
  type Payload,
  PROTOCOL_MINOR,
  protocolVersion,
  type RunRequestEntry,
  type RunResponseEntry,
  type WorkerRequestEntry,
  type WorkerResponseEntry,
} from "@heddle/wire";
import { AgentShell } from "./agent.ts";

export const ADDRESS = "coordinator";
/** The code of every job of these tests. */
const CODE = new TextEncoder().encode("export default (n) => n;\n");
export const CODE_HASH = sha256Hex(CODE);

type Heard = NonNullable<AttachRequestEntry["kind"]>;
type Case = Heard["$case"];
type Told<C extends Case> = Extract<Heard, { $case: C }>["value"];
type WorkerTold = NonNullable<WorkerRequestEntry["kind"]>;
type Said<C extends WorkerTold["$case"]> = Extract<WorkerTold, { $case: C }>["value"];
type WorkerTell = NonNullable<WorkerResponseEntry["kind"]>;

/** Lets everything that is ready run. */
export async function settle(): Promise<void> {
  for (let turns = 0; turns < 5; turns++) await new Promise((resolve) => setImmediate(resolve));
}

/** Values as the header of an entry. */
export function inline(values: readonly unknown[]): Payload {
  const { encoding, count, bytes } = encodePayload(values, "value");
  return { encoding, count, size: bytes.byteLength, data: bytes, partStream: 0 };
}

/** The code of every job, as it was shipped. */
export function functionRef(more: Partial<FunctionRef> = {}): FunctionRef {
  return { ...FunctionRef.fromPartial({ artifact: CODE_HASH, exportName: "default", displayName: "fn" }), ...more };
}

/** A worker process whose every word is the test's. */
export class FakeWorker implements WorkerProcess<WorkerRequestEntry> {
  readonly pid: number;
  readonly heard: WorkerTold[] = [];
  readonly signals: string[] = [];
  /** What the agent sees when it looks at its marks. */
  seen: SeenMark | null = null;
  rssBytes = 0;
  readonly #events: WorkerEvents<WorkerResponseEntry>;

  constructor(pid: number, events: WorkerEvents<WorkerResponseEntry>) {
    this.pid = pid;
    this.#events = events;
  }

  send({ kind }: WorkerRequestEntry): void {
    if (kind !== undefined) this.heard.push(kind);
  }

  readMark(): SeenMark | null {
    return this.seen;
  }

  kill(signal: string): void {
    this.signals.push(signal);
  }

  say(...kinds: WorkerTell[]): void {
    this.#events.entries(kinds.map((kind) => ({ kind })));
  }

  /** What it was told of one kind. */
  told<C extends WorkerTold["$case"]>(kind: C): Said<C>[] {
    return this.heard.flatMap((entry) => (entry.$case === kind ? [entry.value as Said<C>] : []));
  }

  /** Speaks to the coordinator in its session of that number. */
  nested(session: number, ...entries: (NonNullable<RunRequestEntry["kind"]> & { bulkBytes?: number })[]): void {
    const all = entries.map(({ bulkBytes, ...kind }) => ({ entry: { kind } as RunRequestEntry, bulkBytes }));
    this.say({ $case: "nestedRequest", value: { session, entries: all } });
  }

  print(line: string): void {
    this.#events.output("stdout", line);
  }

  exit(exit: Partial<WorkerExit> = {}): void {
    const died = { exitCode: null, signal: "SIGTERM", mark: null, rssBytes: 0, stderrTail: "" };
    this.#events.exited({ ...died, ...exit });
  }

  /** Assignments of the chunks that it was sent. */
  get chunks(): number[] {
    return this.heard.flatMap((kind) => (kind.$case === "runChunk" ? [kind.value.assignment] : []));
  }

  /** Returns a chunk whose one value is larger than an entry: the announcement, with its parts to follow. */
  announce(assignment: number, size: number): void {
    const done = { encoding: Encoding.MSGPACK, count: 1, size, data: new Uint8Array(0), partStream: 1 };
    this.answers(assignment, { $case: "done", value: done });
  }

  /** Returns a chunk with this outcome. */
  answers(assignment: number, outcome: ChunkReturned["outcome"]): void {
    this.say({
      $case: "chunkReturned",
      value: { ...ChunkReturned.fromPartial({ assignment, runMicros: 5 }), outcome },
    });
  }

  part(bytes: number, last: boolean): void {
    this.say({ $case: "part", value: { partStream: 1, data: new Uint8Array(bytes), last, aborted: false } });
  }

  returns(assignment: number, values: readonly unknown[]): void {
    this.answers(assignment, { $case: "done", value: inline(values) });
  }
}

/** Blobs that a test can evict. */
class EvictingBlobs implements Blobs {
  #blobs = memoryBlobs();

  readonly put: Blobs["put"] = (hash, bytes) => this.#blobs.put(hash, bytes);
  readonly get: Blobs["get"] = (hash) => this.#blobs.get(hash);
  readonly locate: Blobs["locate"] = (hash) => this.#blobs.locate(hash);

  evictAll(): void {
    this.#blobs = memoryBlobs();
  }

  [Symbol.asyncDispose](): PromiseLike<void> {
    return this.#blobs[Symbol.asyncDispose]();
  }
}

/** A session that a worker has with the coordinator, seen from the coordinator. */
export interface NestedClient {
  readonly session: Session<RunResponseEntry>;
  readonly heard: NonNullable<RunRequestEntry["kind"]>[];
  end: SessionEnd | undefined;
}

/** What a bench can be told. */
export interface BenchOptions {
  readonly slots?: number;
  readonly refusal?: Error;
  /** Of the protocol, that the coordinator speaks. */
  readonly minor?: number;
  readonly addresses?: readonly string[];
  readonly lifetimeMs?: number;
}

/** An agent whose coordinator and workers are the test. */
export class Bench implements AsyncDisposable {
  readonly clock = new ManualClock(settle);
  readonly env: Environment = { clock: this.clock, random: seededRandom(1), log: this.#log() };
  readonly network = new MemoryNetwork(this.env);
  readonly sessions: Session<AttachResponseEntry>[] = [];
  /** What the agent said, by session. */
  readonly heard: Heard[][] = [];
  readonly workers: FakeWorker[] = [];
  /** Sessions of workers, in the order in which they came. */
  readonly clients: NestedClient[] = [];
  readonly agent: AgentShell;
  /** What the coordinator refuses to register the node with. */
  refusal: Error | undefined;
  /** What the agent said for people, from "warn" on. */
  readonly warned: { readonly message: string; readonly fields: LogFields | undefined }[] = [];
  /** Whether its coordinator is in reach, each time that this changed. */
  readonly links: boolean[] = [];
  readonly blobs = new EvictingBlobs();

  private constructor({ slots = 1, refusal, minor = PROTOCOL_MINOR, addresses = [ADDRESS], lifetimeMs }: BenchOptions) {
    this.refusal = refusal;
    const version = { ...protocolVersion("test", 24), minor };
    const acceptor = new SessionAcceptor<AttachResponseEntry, AttachRequestEntry>({
      env: this.env,
      serverId: "0".repeat(32),
      version,
      leaseMs: 15_000,
      heartbeatMs: 2_000,
      onSession: (session) => {
        const heard: Heard[] = [];
        this.sessions.push(session);
        this.heard.push(heard);
        const entries = (all: readonly AttachRequestEntry[]): void => {
          for (const { kind } of all) {
            if (kind !== undefined) heard.push(kind);
            if (kind?.$case === "registerNode") this.#registered(session);
          }
        };
        return { entries, ended: () => undefined };
      },
    });
    const clients = new SessionAcceptor<RunResponseEntry, RunRequestEntry>({
      env: this.env,
      serverId: "1".repeat(32),
      version,
      leaseMs: 15_000,
      heartbeatMs: 2_000,
      onSession: (session) => this.#client(session),
    });
    const routes = [streamRoute(nodesAttach, acceptor.accept), streamRoute(jobsRun, clients.accept)];
    void this.network.listen(ADDRESS, routes);
    const spawner: WorkerSpawner<WorkerRequestEntry, WorkerResponseEntry> = {
      spawn: (events) => {
        const worker = new FakeWorker(100 + this.workers.length, events);
        this.workers.push(worker);
        return worker;
      },
      [Symbol.asyncDispose]: async () => undefined,
    };
    this.agent = new AgentShell({
      env: this.env,
      client: this.network,
      addresses,
      onLink: (up) => void this.links.push(up),
      spawner,
      blobs: this.blobs,
      name: "n1",
      slots,
      lifetimeMs,
      host: "host",
      pid: 1,
      build: "test",
      nodeMajor: 24,
    });
  }

  /** Throws what the test has its coordinator refuse the node with. */
  #registered(session: Session<AttachResponseEntry>): void {
    if (this.refusal !== undefined) throw this.refusal;
    session.send({ kind: { $case: "nodeRegistered", value: {} } });
  }

  #client(session: Session<RunResponseEntry>) {
    const client: NestedClient = { session, heard: [], end: undefined };
    this.clients.push(client);
    return {
      entries: (entries: readonly RunRequestEntry[]): void => {
        for (const { kind } of entries) if (kind !== undefined) client.heard.push(kind);
      },
      ended: (end: SessionEnd): void => {
        client.end = end;
      },
    };
  }

  #log(): Logger {
    const warn = (message: string, fields?: LogFields): void => void this.warned.push({ message, fields });
    return { ...silentLogger, warn, error: warn };
  }

  /** An agent that is connected, with its first workers ready and the code of every job on its machine. */
  static async open(slots = 1, more: Omit<BenchOptions, "slots"> = {}): Promise<Bench> {
    const bench = new Bench({ slots, ...more });
    await bench.blobs.put(CODE_HASH, CODE);
    await settle();
    for (const worker of bench.workers) worker.say({ $case: "workerReady", value: { pid: worker.pid } as never });
    await settle();
    return bench;
  }

  worker(at: number): FakeWorker {
    const worker = this.workers[at];
    if (worker === undefined) throw new RangeError(`there is no worker ${at}`);
    return worker;
  }

  /** Speaks in the newest session, as the coordinator; payloads go in the bulk lane. */
  tell(kind: NonNullable<AttachResponseEntry["kind"]>, bulkBytes?: number): void {
    this.sessions.at(-1)?.send({ kind }, bulkBytes);
  }

  /** The code of every job, in the coordinator's answer to who asked for it. */
  sendCode(bytes: Uint8Array = CODE): void {
    const content = { encoding: 0 as const, count: 0, size: bytes.length, data: bytes, partStream: 0 };
    this.tell({ $case: "artifactContent", value: { hash: sha256Hex(bytes), content, missing: "" } }, bytes.length);
  }

  describe(job: number, more: Partial<DescribeJob> & { readonly capturedArtifact?: string } = {}): void {
    const { capturedArtifact = "", ...terms } = more;
    const fn = functionRef({ closure: capturedArtifact !== "", capturedArtifact });
    const base = DescribeJob.fromPartial({ job, jobId: `job-${job}`, pool: 1 });
    this.tell({ $case: "describeJob", value: { ...base, function: fn, ...terms } }, 0);
  }

  assign(assignment: number, job: number, values: readonly unknown[] = [1], more: Partial<AssignChunk> = {}): void {
    const base = AssignChunk.fromPartial({ assignment, job, attempt: 1, poolSlots: 1 });
    this.tell({ $case: "assignChunk", value: { ...base, input: inline(values), ...more } }, 8);
  }

  /** What the agent said of one kind in its newest session, or in the one numbered `at`. */
  said<C extends Case>(kind: C, at = this.heard.length - 1): Told<C>[] {
    return (this.heard[at] ?? []).flatMap((entry) => (entry.$case === kind ? [entry.value as Told<C>] : []));
  }

  /** The coordinator ends the session; the agent has dialled the next one when this resolves. */
  async loseSession(code = "unavailable"): Promise<void> {
    await this.sessions.at(-1)?.close({ code, message: "the coordinator was stopped" });
    await this.clock.advance(100);
    await settle();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const drained = this.agent.drain(0);
    await this.clock.advance(3_000);
    await drained;
    await this.network[Symbol.asyncDispose]();
  }
}
