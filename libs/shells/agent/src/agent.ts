import { type Assignment, type Effect, type Input, type PoolNumber, WorkerPool } from "@heddle/core-pool";
import { assert, CoreDriver, type Environment, NodeName, unreachable } from "@heddle/kernel";
import type { Blobs } from "@heddle/port-blobs";
import { type Metric, notReady, type Readiness, ready, type Watched } from "@heddle/port-metrics";
import type { WorkerSpawner } from "@heddle/port-processes";
import { dialSession, type LeaseKeeper, type RpcClient, type Session } from "@heddle/port-rpc";
import {
  type AttachRequestEntry,
  type AttachResponseEntry,
  CHECKPOINTS_MINOR,
  type ChunkReturned,
  type HeldOutgoing,
  jobsRun,
  type NodeCordon,
  type PayloadFlow,
  PayloadInflow,
  PayloadOutflow,
  protocolVersion,
  type WorkerRequestEntry,
  type WorkerResponseEntry,
} from "@heddle/wire";
import { Artifacts } from "./artifacts.ts";
import { Departure } from "./departure.ts";
import { Intake } from "./intake.ts";
import { CHECKPOINT_BACKLOG_BYTES, NESTED_UNAVAILABLE_MS } from "./limits.ts";
import { agentMetrics, Counts } from "./metrics.ts";
import { NestedSessions, nestingWorker } from "./nested-sessions.ts";
import { type ObjectRelay, objectRelay, owningWorker } from "./object-relay.ts";
import { OutputRelay } from "./output.ts";
import { Processes } from "./processes.ts";
import type { Checkpoint, ChunkRecord, WorkerRecord } from "./records.ts";
import {
  cutShortReport,
  deathReport,
  initFailureReport,
  notStartedReport,
  overdueReport,
  type Report,
  returnedReport,
  stoppedReport,
} from "./reports.ts";
import { type Final, Uplink } from "./uplink.ts";
import { Workers, type WorkersHost } from "./workers.ts";

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
  /** Amounts of what chunks may ask for. */
  readonly resources?: Readonly<Record<string, number>>;
  /** For people. */
  readonly host: string;
  readonly pid: number;
  readonly build: string;
  readonly nodeMajor: number;
  /** It ends so long from now, whatever runs; undefined: nobody knows. */
  readonly lifetimeMs?: number | undefined;
  /** Keeps the node's session with the manager alive; by beats of this event loop unless given. */
  readonly managerLeases?: LeaseKeeper;
  /** The coordinator knows this node and is in reach (true), or is out of reach (false). */
  readonly onLink?: (up: boolean) => void;
}

/** How an agent came to its end: drained, or refused for good, why (for people) and how. */
export interface AgentEnd {
  readonly refused: string | undefined;
  /** Undefined where it was drained. */
  readonly final?: Final;
  /** Its lifetime was over, so that it drained by itself. */
  readonly isOfAge?: boolean;
}

/** Performs the pool core's wishes: the one place where the coordinator's session, the workers and the core meet. */
export class AgentShell implements Watched {
  /** Resolves, never rejects, when the agent is over: drained, or refused for good (with the reason). */
  readonly ended: Promise<AgentEnd>;
  readonly #options: AgentOptions;
  readonly #env: Environment;
  readonly #workers: Workers;
  readonly #uplink: Uplink;
  readonly #output: OutputRelay;
  readonly #artifacts: Artifacts;
  readonly #nested: NestedSessions;
  readonly #objects: ObjectRelay;
  readonly #intake: Intake;
  readonly #processes: Processes;
  readonly #driver: CoreDriver<Input, Effect>;
  #inflow = new PayloadInflow();
  #outflow: PayloadOutflow | undefined;
  #credit = 0;
  /** The session whose room checkpoints wait for. */
  #crowded: Session<AttachRequestEntry> | undefined;
  #timer: Disposable | undefined;
  readonly #departure: Departure;
  /** Whoever runs it wants it to end. */
  #isAsked = false;
  /** What operators want of the node, as a coordinator said last: the next one is told. */
  #cordon: NodeCordon | undefined;
  /** The coordinator is in reach. */
  #isLinked = false;
  readonly #core: WorkerPool;
  readonly #counts = new Counts();
  readonly #end: (end: AgentEnd) => void;

  constructor(options: AgentOptions) {
    this.#options = options;
    this.#env = options.env;
    const name = NodeName(options.name);
    const { promise, resolve } = Promise.withResolvers<AgentEnd>();
    this.ended = promise;
    this.#end = resolve;
    this.#core = new WorkerPool({ slots: options.slots });
    this.#driver = new CoreDriver(this.#core, options.env.clock, (effect) => this.#perform(effect));
    this.#artifacts = new Artifacts({
      blobs: options.blobs,
      clock: options.env.clock,
      node: name,
      want: (hash) => this.#want(hash),
    });
    this.#intake = new Intake(this.#artifacts, (input) => this.#driver.feed(input));
    this.#output = new OutputRelay(name, () => this.#uplink.session);
    this.#workers = new Workers(options.spawner, name, this.#workersHost(), this.#counts);
    this.#processes = new Processes({
      clock: options.env.clock,
      node: name,
      artifacts: this.#artifacts,
      workers: this.#workers,
      started: (process, pid) => this.#send({ kind: { $case: "processStarted", value: { process, node: name, pid } } }),
      ended: (ended) => {
        this.#output.flush();
        // behind what it printed, which goes in the bulk lane
        this.#send({ kind: { $case: "processEnded", value: ended } }, 0);
      },
    });
    const { client, addresses, build, nodeMajor, env } = options;
    const version = protocolVersion(build, nodeMajor);
    this.#nested = new NestedSessions((handler) => {
      const { address } = this.#uplink;
      const unavailableTimeoutMs = NESTED_UNAVAILABLE_MS;
      return dialSession({ env, client, method: jobsRun, address, version, unavailableTimeoutMs, handler });
    });
    this.#objects = objectRelay(options, version, () => this.#uplink.address);
    this.#departure = new Departure(options.env.clock, {
      leave: () => this.#leave(),
      warn: (why) => this.#workers.warn(why),
      stop: () => this.#stop(),
      over: () => this.#finishDrain(),
    });
    if (options.lifetimeMs !== undefined) this.#departure.endIn(options.lifetimeMs, `node ${name} comes to its end`);
    this.#uplink = new Uplink(
      { env, client, addresses, version },
      {
        opened: (session) => this.#opened(session),
        entries: (entries) => {
          for (const entry of entries) this.#entry(entry);
        },
        linked: (up) => this.#linked(up),
        lost: (why, final) => this.#lost(why, final),
      },
    );
    this.#driver.feed({ type: "started" });
  }

  #workersHost(): WorkersHost {
    return {
      feed: (input) => this.#driver.feed(input),
      chunk: (assignment) => this.#intake.chunk(assignment),
      checkpointed: (chunk, checkpoint) => this.#checkpointed(chunk, checkpoint),
      announce: (chunk, worker, message, values) => this.#announce(chunk, worker, message, values),
      wantArtifact: (worker, hash) =>
        void this.#artifacts.place(hash).then((place) => this.#workers.place(worker, place)),
      nested: (worker, request) => this.#nested.request(nestingWorker(worker), request),
      nestedClosed: (worker, session) => this.#nested.close(worker, session),
      objects: (worker, operations) => this.#objects.operate(owningWorker(worker), operations),
      ownerClosed: (worker, owner) => this.#objects.closed(worker, owner),
      gone: (worker) => {
        this.#nested.gone(worker);
        this.#objects.gone(worker);
      },
      output: (worker, stream, line) => {
        const { lead } = worker;
        if (lead !== undefined && this.#processes.has(lead)) return this.#output.line(worker, lead, stream, line);
        const job = worker.lastJob;
        // a job of an earlier session is nobody's, and its number may be another's by now
        if (job !== undefined && this.#intake.has(job)) this.#output.line(worker, job, stream, line);
      },
    };
  }

  /**
   * Takes nothing new, ends what runs, then says goodbye; `ended` resolves. After `deadlineMs` it ends in any case: tasks that still run are told some time before, and stopped
   * shortly before, to run elsewhere.
   */
  async drain(deadlineMs: number): Promise<void> {
    this.#isAsked = true;
    this.#departure.endIn(deadlineMs, `node ${this.#options.name} is being stopped`);
    this.#departure.leave();
    await this.ended;
  }

  /** Whether its coordinator gives it work. */
  readonly readiness = (): Readiness => {
    if (this.#departure.isLeaving) return notReady("the agent drains: it takes no new work");
    return this.#isLinked ? ready() : notReady("no coordinator is in reach");
  };

  readonly metrics = (): readonly Metric[] =>
    agentMetrics({
      counts: this.#counts,
      slots: this.#options.slots,
      pool: this.#core.view(),
      processes: this.#processes.size,
      rssBytes: this.#workers.rssBytes,
      isLinked: this.#isLinked,
    });

  #linked(up: boolean): void {
    this.#isLinked = up;
    if (up) this.#counts.links++;
    this.#options.onLink?.(up);
  }

  #leave(): void {
    this.#uplink.session?.send({ kind: { $case: "leaveNode", value: { lifetime: this.#departure.lifetime } } });
    this.#driver.feed({ type: "drain-requested" });
  }

  /** What still runs is stopped, to run elsewhere. */
  #stop(): void {
    for (const chunk of this.#intake.chunks()) this.#intake.revoked(chunk.assign.assignment, true);
    this.#processes.stop();
  }

  #finishDrain(): void {
    this.#timer?.[Symbol.dispose]();
    this.#departure[Symbol.dispose]();
    this.#nested.shut({ code: "unavailable", message: "the node was drained" });
    const end = (): void => this.#end({ refused: undefined, ...(this.#isAsked ? {} : { isOfAge: true }) });
    const goodbye = { code: "closed", message: "the node was drained" };
    Promise.all([this.#objects.close(), this.#uplink.close(goodbye)]).then(end, end);
  }

  #perform(effect: Effect): void {
    switch (effect.type) {
      case "spawn-worker":
        return this.#workers.spawn(effect.worker);
      case "run-chunk":
        return this.#workers.run(effect.worker, this.#intake.known(effect.assignment));
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
      case "read-mark":
        return this.#workers.readMark(effect.worker);
      case "finish-overdue":
        return this.#finish(effect.assignment, (chunk) =>
          overdueReport(chunk, this.#worker(effect.worker), effect.offset),
        );
      case "finish-init-failure":
        return this.#finish(effect.assignment, (chunk) => initFailureReport(chunk, this.#worker(effect.worker)));
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
        return this.#processes.whenEmpty(() => this.#finishDrain());
      case "set-timer":
        this.#timer?.[Symbol.dispose]();
        this.#timer = this.#env.clock.setTimer(effect.atMs, () => this.#driver.feed({ type: "timer-fired" }));
        return;
      default:
        return unreachable(effect);
    }
  }

  #worker(key: Parameters<Workers["get"]>[0]): WorkerRecord {
    const worker = this.#workers.get(key);
    assert(worker !== undefined, "the core names workers whose exit it was just told, or live ones");
    return worker;
  }

  #finishReturned(assignment: Assignment, worker: WorkerRecord | undefined): void {
    const chunk = this.#intake.known(assignment);
    const { returned } = chunk;
    assert(returned !== undefined && worker !== undefined, "only what a worker returned is reported as returned");
    if (returned.relay === undefined)
      return this.#finish(assignment, () =>
        this.#isCutShort(chunk)
          ? cutShortReport(this.#out(), chunk, worker, returned)
          : returnedReport(this.#out(), chunk, worker, returned),
      );
    returned.relay.end(false);
    this.#counts.chunks.done++;
    chunk.returned = undefined;
    this.#intake.drop(chunk);
  }

  /** What its task threw is how it came to an end, as it was told to. */
  #isCutShort({ returned, isStopped }: ChunkRecord): boolean {
    return returned?.message.outcome?.$case === "error" && (isStopped || this.#departure.hasWarned);
  }

  #finish(assignment: Assignment, make: (chunk: ChunkRecord) => Report): void {
    const chunk = this.#intake.known(assignment);
    const { unsaid } = chunk;
    if (unsaid !== undefined) this.#sayCheckpoint(chunk, unsaid);
    const report = make(chunk);
    chunk.returned?.relay?.end(true); // what it returned too late is not what it ends with
    chunk.returned = undefined;
    this.#output.flush();
    this.#counts.finished(report.finished.outcome);
    this.#send({ kind: { $case: "chunkFinished", value: report.finished } }, report.bytes);
    report.start();
    this.#intake.drop(chunk);
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

  /** The newest of a chunk waits while the coordinator does not keep up, at the latest for the chunk's end. An older one is told of none. */
  #checkpointed(chunk: ChunkRecord, checkpoint: Checkpoint): void {
    const { session, minor } = this.#uplink;
    if (session === undefined || minor < CHECKPOINTS_MINOR) return;
    if (session.queuedBytes <= CHECKPOINT_BACKLOG_BYTES) return this.#sayCheckpoint(chunk, checkpoint);
    chunk.unsaid = checkpoint;
    if (this.#crowded === session) return;
    this.#crowded = session;
    void session.drained().then(() => this.#drained(session));
  }

  /** There is room: what waits is said as far as that goes. */
  #drained(session: Session<AttachRequestEntry>): void {
    if (this.#crowded !== session) return;
    this.#crowded = undefined;
    for (const chunk of this.#intake.chunks()) if (chunk.unsaid !== undefined) this.#checkpointed(chunk, chunk.unsaid);
  }

  #sayCheckpoint(chunk: ChunkRecord, { offset, state }: Checkpoint): void {
    chunk.unsaid = undefined;
    const outgoing = this.#out().send(state);
    const value = { assignment: chunk.assign.assignment, offset, state: outgoing.header };
    this.#send({ kind: { $case: "chunkCheckpointed", value } }, outgoing.inlineBytes);
    outgoing.start();
  }

  #want(hash: string): boolean {
    this.#send({ kind: { $case: "wantArtifact", value: { hash } } });
    return this.#uplink?.session !== undefined;
  }

  #send(entry: AttachRequestEntry, bulkBytes?: number): void {
    this.#uplink?.session?.send(entry, bulkBytes);
  }

  #opened(session: Session<AttachRequestEntry>): void {
    const { name, slots, labels, resources, pid, host, build } = this.#options;
    // of this session for ever: what a worker still says of an earlier one must not come into this
    this.#outflow = new PayloadOutflow((part, bytes) => session.send({ kind: { $case: "part", value: part } }, bytes));
    const amounts = { labels: { ...labels }, resources: { ...resources } };
    const value = {
      name,
      slots,
      pid,
      host,
      build,
      ...amounts,
      cordon: this.#cordon,
      lifetime: this.#departure.lifetime,
    };
    session.send({ kind: { $case: "registerNode", value } });
    const chunks = this.#departure.isLeaving ? 0 : this.#credit;
    session.send({ kind: { $case: "grantCredit", value: { chunks } } });
  }

  #lost(why: string, final: Final | undefined): void {
    this.#isLinked = false;
    this.#inflow.abort();
    this.#inflow = new PayloadInflow();
    this.#outflow = undefined;
    this.#crowded = undefined;
    this.#intake.clear();
    this.#processes.lost();
    this.#artifacts.lost();
    this.#nested.endAll({ code: "unavailable", message: `the node has lost its coordinator: ${why}` });
    this.#driver.feed({ type: "coordinator-lost" });
    if (final !== undefined) {
      void this.#objects.close();
      this.#end({ refused: why, final });
    } else if (this.#departure.isLeaving) this.#finishDrain();
  }

  #entry({ kind }: AttachResponseEntry): void {
    switch (kind?.$case) {
      case "assignChunk":
        return this.#intake.assigned(kind.value, this.#inflow);
      case "part":
        return this.#inflow.part(kind.value);
      case "revokeChunk":
        return this.#intake.revoked(kind.value.assignment, kind.value.stop);
      case "describeJob":
        return this.#intake.described(kind.value);
      case "forgetJob":
        return this.#intake.forget(kind.value.job);
      case "retirePool":
        return this.#driver.feed({ type: "pool-retired", pool: kind.value.pool as PoolNumber });
      case "artifactContent":
        return this.#artifacts.arrived(kind.value, this.#inflow);
      case "startProcess":
        return this.#processes.start(kind.value);
      case "signalProcess":
        return this.#processes.signal(kind.value);
      case "parentEnded":
        return this.#processes.parentEnded(kind.value);
      case "nodeRegistered": // the uplink has heard it
        return;
      case "nodeCordonChanged":
        this.#cordon = kind.value.cordon;
        return;
      case undefined:
        return; // a newer peer's entry that this build does not know
      default:
        return unreachable(kind);
    }
  }
}
