import {
  type Assignment,
  type Effect,
  type Input,
  type JobNumber,
  type PoolNumber,
  WorkerPool,
} from "@heddle/core-pool";
import { assert, CoreDriver, type Environment, NodeName, ProtocolError, unreachable } from "@heddle/kernel";
import type { Blobs } from "@heddle/port-blobs";
import type { WorkerSpawner } from "@heddle/port-processes";
import { dialSession, type RpcClient, type Session } from "@heddle/port-rpc";
import {
  type AssignChunk,
  type AttachRequestEntry,
  type AttachResponseEntry,
  type ChunkReturned,
  type DescribeJob,
  type HeldOutgoing,
  jobsRun,
  type PayloadFlow,
  PayloadInflow,
  PayloadOutflow,
  protocolVersion,
  type WorkerRequestEntry,
  type WorkerResponseEntry,
} from "@heddle/wire";
import { Artifacts } from "./artifacts.ts";
import { NESTED_UNAVAILABLE_MS } from "./limits.ts";
import { NestedSessions, nestingWorker } from "./nested-sessions.ts";
import { OutputRelay } from "./output.ts";
import type { ChunkRecord, JobRecord, WorkerRecord } from "./records.ts";
import { deathReport, notStartedReport, type Report, returnedReport, stoppedReport } from "./reports.ts";
import { Uplink } from "./uplink.ts";
import { Workers } from "./workers.ts";

/** What an agent needs of the world. */
export interface AgentOptions {
  readonly env: Environment;
  readonly client: RpcClient;
  /** Coordinators, tried in turn. */
  readonly addresses: readonly string[];
  /** The caller disposes it after the shell. */
  readonly spawner: WorkerSpawner<WorkerRequestEntry, WorkerResponseEntry>;
  /** Cache of code. The caller disposes it after the shell. */
  readonly blobs: Blobs;
  /** The node's name. */
  readonly name: string;
  /** Chunks it runs at a time. */
  readonly slots: number;
  readonly labels?: Readonly<Record<string, string>>;
  /** For people. */
  readonly host: string;
  readonly pid: number;
  readonly build: string;
  readonly nodeMajor: number;
  /** The coordinator knows this node and is in reach (true), or is out of reach (false). */
  readonly onLink?: (up: boolean) => void;
}

/** Performs the pool core's wishes: the one place where the coordinator's session, the workers and the core meet. */
export class AgentShell {
  /** Resolves, never rejects, when the agent is over: drained, or refused for good (with the reason). */
  readonly ended: Promise<{ readonly refused: string | undefined }>;
  readonly #options: AgentOptions;
  readonly #env: Environment;
  readonly #workers: Workers;
  readonly #uplink: Uplink;
  readonly #output: OutputRelay;
  readonly #artifacts: Artifacts;
  readonly #nested: NestedSessions;
  readonly #jobs = new Map<JobNumber, JobRecord>();
  readonly #chunks = new Map<Assignment, ChunkRecord>();
  /** Revoked before they arrived: revocations overtake assignments. */
  readonly #revokedEarly = new Map<number, boolean>();
  /** Number of the last assignment that arrived; they only grow, around 2^32. */
  #newest = 0;
  readonly #driver: CoreDriver<Input, Effect>;
  #inflow = new PayloadInflow();
  #outflow: PayloadOutflow | undefined;
  #credit = 0;
  #timer: Disposable | undefined;
  #draining = false;
  readonly #end: (end: { readonly refused: string | undefined }) => void;

  constructor(options: AgentOptions) {
    this.#options = options;
    this.#env = options.env;
    const name = NodeName(options.name);
    const { promise, resolve } = Promise.withResolvers<{ readonly refused: string | undefined }>();
    this.ended = promise;
    this.#end = resolve;
    const core = new WorkerPool({ slots: options.slots });
    this.#driver = new CoreDriver(core, options.env.clock, (effect) => this.#perform(effect));
    this.#artifacts = new Artifacts({
      blobs: options.blobs,
      clock: options.env.clock,
      node: name,
      want: (hash) => this.#want(hash),
    });
    this.#output = new OutputRelay(name, () => this.#uplink.session);
    this.#workers = new Workers(options.spawner, name, {
      feed: (input) => this.#driver.feed(input),
      chunk: (assignment) => this.#chunks.get(assignment),
      announce: (chunk, worker, message, values) => this.#announce(chunk, worker, message, values),
      wantArtifact: (worker, hash) =>
        void this.#artifacts.place(hash).then((place) => this.#workers.place(worker, place)),
      nested: (worker, request) => this.#nested.request(nestingWorker(worker), request),
      nestedClosed: (worker, session) => this.#nested.close(worker, session),
      gone: (worker) => this.#nested.gone(worker),
      output: (worker, stream, line) => {
        const job = worker.lastJob;
        // a job of an earlier session is nobody's, and its number may be another's by now
        if (job !== undefined && this.#jobs.get(job.number) === job) this.#output.line(worker, job, stream, line);
      },
    });
    const { client, addresses, build, nodeMajor, env } = options;
    const version = protocolVersion(build, nodeMajor);
    this.#nested = new NestedSessions((handler) => {
      const { address } = this.#uplink;
      const unavailableTimeoutMs = NESTED_UNAVAILABLE_MS;
      return dialSession({ env, client, method: jobsRun, address, version, unavailableTimeoutMs, handler });
    });
    this.#uplink = new Uplink(
      { env, client, addresses, version },
      {
        opened: (session) => this.#opened(session),
        entries: (entries) => {
          for (const entry of entries) this.#entry(entry);
        },
        linked: (up) => options.onLink?.(up),
        lost: (why, final) => this.#lost(why, final),
      },
    );
    this.#driver.feed({ type: "started" });
  }

  /** Takes nothing new, ends what runs, then says goodbye; `ended` resolves. After `deadlineMs` it ends in any case. */
  async drain(deadlineMs: number): Promise<void> {
    if (!this.#draining) {
      this.#draining = true;
      this.#uplink.session?.send({ kind: { $case: "leaveNode", value: {} } });
      this.#driver.feed({ type: "drain-requested" });
    }
    const { clock } = this.#env;
    using _deadline = clock.setTimer(clock.nowMs() + deadlineMs, () => this.#finishDrain());
    await this.ended;
  }

  #finishDrain(): void {
    this.#timer?.[Symbol.dispose]();
    this.#nested.endAll({ code: "unavailable", message: "the node was drained" });
    const end = (): void => this.#end({ refused: undefined });
    this.#uplink.close({ code: "closed", message: "the node was drained" }).then(end, end);
  }

  #perform(effect: Effect): void {
    switch (effect.type) {
      case "spawn-worker":
        return this.#workers.spawn(effect.worker);
      case "run-chunk":
        return this.#workers.run(effect.worker, this.#known(effect.assignment));
      case "skip-chunk":
        return this.#workers.skip(effect.worker, effect.assignment);
      case "kill-worker":
        return this.#workers.kill(effect.worker, effect.signal);
      case "finish-returned":
        return this.#finishReturned(effect.assignment, this.#workers.get(effect.worker));
      case "finish-death":
        return this.#finish(effect.assignment, (chunk) =>
          deathReport(chunk, this.#worker(effect.worker), effect.markedOffset),
        );
      case "finish-not-started":
        return this.#finish(effect.assignment, (chunk) => notStartedReport(chunk.assign.assignment, effect.fault));
      case "finish-stopped":
        return this.#finish(effect.assignment, (chunk) => stoppedReport(chunk, this.#worker(effect.worker)));
      case "report-started":
        return this.#send({ kind: { $case: "chunkStarted", value: { assignment: effect.assignment } } }, 0);
      case "grant-credit":
        this.#credit = effect.chunks;
        return this.#send({ kind: { $case: "grantCredit", value: { chunks: effect.chunks } } });
      case "drained":
        return this.#finishDrain();
      case "set-timer":
        this.#timer?.[Symbol.dispose]();
        this.#timer = this.#env.clock.setTimer(effect.atMs, () => this.#driver.feed({ type: "timer-fired" }));
        return;
      default:
        return unreachable(effect);
    }
  }

  #known(assignment: Assignment): ChunkRecord {
    const chunk = this.#chunks.get(assignment);
    assert(chunk !== undefined, "the core names chunks that are here");
    return chunk;
  }

  #worker(key: Parameters<Workers["get"]>[0]): WorkerRecord {
    const worker = this.#workers.get(key);
    assert(worker !== undefined, "the core names workers whose exit it was just told, or live ones");
    return worker;
  }

  #finishReturned(assignment: Assignment, worker: WorkerRecord | undefined): void {
    const chunk = this.#known(assignment);
    const { returned } = chunk;
    assert(returned !== undefined && worker !== undefined, "only what a worker returned is reported as returned");
    if (returned.relay === undefined)
      return this.#finish(assignment, () => returnedReport(this.#out(), chunk, worker, returned));
    returned.relay.end(false);
    chunk.returned = undefined;
    this.#drop(chunk);
  }

  #finish(assignment: Assignment, make: (chunk: ChunkRecord) => Report): void {
    const chunk = this.#known(assignment);
    const report = make(chunk);
    this.#output.flush();
    this.#send({ kind: { $case: "chunkFinished", value: report.finished } }, report.bytes);
    report.start();
    this.#drop(chunk);
  }

  #drop(chunk: ChunkRecord): void {
    chunk.returned?.relay?.end(true);
    this.#chunks.delete(chunk.assignment);
    chunk.job.chunks--;
    this.#dropJob(chunk.job);
  }

  #dropJob(job: JobRecord): void {
    if (!job.forgotten || job.chunks > 0) return;
    this.#jobs.delete(job.number);
    this.#driver.feed({ type: "job-forgotten", job: job.number });
  }

  #announce(chunk: ChunkRecord, worker: WorkerRecord, message: ChunkReturned, values: PayloadFlow): HeldOutgoing {
    this.#output.flush();
    const held = this.#out().hold(values);
    const { assignment } = chunk.assign;
    const outcome = { $case: "done", value: held.header } as const;
    const value = { assignment, pid: worker.process.pid, runMicros: message.runMicros, outcome };
    this.#send({ kind: { $case: "chunkFinished", value } }, held.inlineBytes);
    held.start();
    return held;
  }

  #out(): PayloadOutflow {
    assert(this.#outflow !== undefined, "there are chunks only while there is a session");
    return this.#outflow;
  }

  #want(hash: string): boolean {
    this.#send({ kind: { $case: "wantArtifact", value: { hash } } });
    return this.#uplink?.session !== undefined;
  }

  #send(entry: AttachRequestEntry, bulkBytes?: number): void {
    this.#uplink?.session?.send(entry, bulkBytes);
  }

  #opened(session: Session<AttachRequestEntry>): void {
    const { name, slots, labels, pid, host, build } = this.#options;
    // of this session for ever: what a worker still says of an earlier one must not come into this
    this.#outflow = new PayloadOutflow((part, bytes) => session.send({ kind: { $case: "part", value: part } }, bytes));
    const value = { name, slots, labels: { ...labels }, pid, host, build };
    session.send({ kind: { $case: "registerNode", value } });
    session.send({ kind: { $case: "grantCredit", value: { chunks: this.#draining ? 0 : this.#credit } } });
  }

  #lost(why: string, final: boolean): void {
    this.#inflow.abort();
    this.#inflow = new PayloadInflow();
    this.#outflow = undefined;
    this.#newest = 0;
    this.#revokedEarly.clear();
    this.#chunks.clear();
    this.#jobs.clear();
    this.#artifacts.lost();
    this.#nested.endAll({ code: "unavailable", message: `the node has lost its coordinator: ${why}` });
    this.#driver.feed({ type: "coordinator-lost" });
    if (final) this.#end({ refused: why });
    else if (this.#draining) this.#finishDrain();
  }

  #entry({ kind }: AttachResponseEntry): void {
    switch (kind?.$case) {
      case "assignChunk":
        return this.#assigned(kind.value);
      case "part":
        return this.#inflow.part(kind.value);
      case "revokeChunk":
        return this.#revoked(kind.value.assignment, kind.value.stop);
      case "describeJob":
        return this.#described(kind.value);
      case "forgetJob": {
        const job = this.#jobs.get(kind.value.job as JobNumber);
        if (job === undefined) return;
        job.forgotten = true;
        return this.#dropJob(job);
      }
      case "retirePool":
        return this.#driver.feed({ type: "pool-retired", pool: kind.value.pool as PoolNumber });
      case "artifactContent":
        return this.#artifacts.arrived(kind.value, this.#inflow);
      case undefined:
        return; // a newer peer's entry that this build does not know
      default:
        return unreachable(kind);
    }
  }

  #assigned(assign: AssignChunk): void {
    const assignment = assign.assignment as Assignment;
    const job = this.#jobs.get(assign.job as JobNumber);
    if (job === undefined)
      throw new ProtocolError(`chunk ${assign.chunk} came before its job ${assign.job} was described`);
    this.#newest = assign.assignment;
    const input = this.#inflow.open(assign.input, true);
    job.chunks++;
    this.#chunks.set(assignment, { assignment, job, assign, input, worker: undefined, returned: undefined });
    const { poolSlots, fresh } = assign;
    this.#driver.feed({ type: "chunk-assigned", assignment, job: job.number, poolSlots, fresh });
    const stop = this.#revokedEarly.get(assignment);
    if (stop === undefined) return;
    this.#revokedEarly.delete(assignment);
    this.#driver.feed({ type: "revoke-requested", assignment, stop });
  }

  #revoked(number: number, stop: boolean): void {
    const assignment = number as Assignment;
    if (this.#chunks.has(assignment)) this.#driver.feed({ type: "revoke-requested", assignment, stop });
    else if (((number - this.#newest) | 0) > 0) this.#revokedEarly.set(number, stop); // else it is finished: the two crossed
  }

  #described(description: DescribeJob): void {
    const number = description.job as JobNumber;
    const pool = description.pool as PoolNumber;
    const job: JobRecord = {
      number,
      pool,
      description,
      location: undefined,
      capturedLocation: "",
      chunks: 0,
      forgotten: false,
    };
    this.#jobs.set(number, job);
    this.#driver.feed({ type: "job-described", job: number, pool, depth: description.depth });
    const { artifact = "", capturedArtifact = "" } = description.function ?? {};
    const known = [
      this.#artifacts.known(artifact),
      capturedArtifact && this.#artifacts.known(capturedArtifact),
    ] as const;
    if (known[0] !== undefined && known[1] !== undefined) return this.#ready(job, known[0], known[1]);
    const found = [artifact, capturedArtifact].map((hash) => (hash === "" ? "" : this.#artifacts.locate(hash)));
    Promise.all(found).then(
      ([location = "", capturedLocation = ""]) => this.#ready(job, location, capturedLocation),
      (error: unknown) => this.#broken(job, error instanceof Error ? error.message : String(error)),
    );
  }

  /** Its chunks may run, if it is still wanted. */
  #ready(job: JobRecord, location: string, capturedLocation: string): void {
    if (this.#jobs.get(job.number) !== job) return;
    job.location = location;
    job.capturedLocation = capturedLocation;
    this.#driver.feed({ type: "job-ready", job: job.number });
  }

  #broken(job: JobRecord, fault: string): void {
    if (this.#jobs.get(job.number) === job) this.#driver.feed({ type: "job-broken", job: job.number, fault });
  }
}
