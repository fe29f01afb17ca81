import {
  type Effect,
  type Fault,
  type Input,
  type JobKey,
  type Outcome,
  SCHEDULER_LIMITS,
  Scheduler,
} from "@heddle/core-scheduler";
import { assert, CoreDriver, type Environment, HEARTBEAT_MS, LEASE_MS, mintId, unreachable } from "@heddle/kernel";
import type { JobStore } from "@heddle/port-job-store";
import { type Metric, notReady, type Readiness, ready, type Watched } from "@heddle/port-metrics";
import { Audit, type Goodbye, type Route, SessionAcceptor, streamRoute, unaryRoute } from "@heddle/port-rpc";
import {
  type AttachRequestEntry,
  type AttachResponseEntry,
  adminCancelJob,
  adminCordonNode,
  adminDescribeJob,
  adminDescribeNode,
  adminDrainNode,
  adminGetStatus,
  adminListJobs,
  adminListNodes,
  type FabricError,
  JobOutcome,
  jobsRun,
  nodesAttach,
  protocolVersion,
  type RunRequestEntry,
  type RunResponseEntry,
} from "@heddle/wire";
import { AdminView } from "./admin.ts";
import { Artifacts } from "./artifacts.ts";
import { cancelNamed, verdictOn } from "./cancel.ts";
import { ClientDesk } from "./client-desk.ts";
import { CordonDesk } from "./cordon-desk.ts";
import { description } from "./describe.ts";
import type { Office } from "./desk.ts";
import { JobHistory } from "./history.ts";
import { KeptCloser } from "./kept-closer.ts";
import { KeptSpace } from "./kept-space.ts";
import { type AssignmentRecord, type JobRecord, Ledger, wireAssignment } from "./ledger.ts";
import {
  CALLER_CLIENTS_MAX,
  ENDED_JOB_AGE_MS,
  ENDED_JOBS_MAX,
  KEPT_BYTES_MAX,
  KEPT_FLUSH_MS_MAX,
  LACK_LENGTH_MAX,
  REASON_LENGTH_MAX,
} from "./limits.ts";
import { ManagerRelay, withoutManager } from "./manager-relay.ts";
import { Counts, coordinatorMetrics } from "./metrics.ts";
import { NodeDesk } from "./node-desk.ts";
import { noteEnd } from "./node-tally.ts";
import type { CoordinatorOptions } from "./options.ts";
import { plainLine } from "./plain.ts";
import { type Finish, fabricError, lostFinish, sendItemFailed, sendJobEnded, sendValues } from "./results.ts";

type Assign = Extract<Effect, { type: "assign-chunk" }>;
type EndJob = Extract<Effect, { type: "end-job" }>;

/**
 * Performs the scheduler's wishes: the one place where sessions, payloads and the core meet. Serve `routes` with any RpcServer; clients are let in once
 * `start()` has resolved.
 */
export class CoordinatorShell implements Watched {
  /** What a server must route here: Jobs, Nodes and Admin, and what the manager serves. */
  readonly routes: readonly Route[];
  /** Resolves when nobody knows what is on disk of kept jobs: the process must end. */
  readonly failed: Promise<Error>;
  readonly #env: Environment;
  readonly #audit: Audit;
  readonly #core: Scheduler;
  readonly #ledger = new Ledger();
  readonly #counts = new Counts();
  readonly #office: Office;
  readonly #clients: ClientDesk;
  readonly #clientSessions: SessionAcceptor<RunResponseEntry, RunRequestEntry>;
  readonly #nodeSessions: SessionAcceptor<AttachResponseEntry, AttachRequestEntry>;
  readonly #cordons: CordonDesk;
  readonly #driver: CoreDriver<Input, Effect>;
  readonly #relay: ManagerRelay | undefined;
  readonly #closer: KeptCloser | undefined;
  readonly #jobs: JobStore;
  readonly #space: KeptSpace;
  readonly #history: JobHistory;
  readonly #started = Promise.withResolvers<void>();
  #hasStarted = false;
  #stopping = false;
  #timer: Disposable | undefined;
  /** The finish that the core is being told of. */
  #finish: Finish | undefined;
  /** Its values were delivered. */
  #delivered = false;
  #onIdle: (() => void) | undefined;

  constructor(options: CoordinatorOptions) {
    this.#env = options.env;
    this.#audit = new Audit(options.env);
    const { unschedulableMs = SCHEDULER_LIMITS.unschedulableMs } = options;
    this.#core = new Scheduler({ random: options.env.random, limits: { unschedulableMs } });
    this.#driver = new CoreDriver(this.#core, options.env.clock, (effect) => this.#perform(effect));
    this.#office = {
      env: options.env,
      ledger: this.#ledger,
      artifacts: new Artifacts(options.blobs, options.env.log),
      counts: this.#counts,
      unschedulableMs,
      feed: (input) => this.#driver.feed(input),
      isOvertaken: (assignment) => this.#core.isOvertaken(assignment),
      open: () => !this.#stopping,
    };
    const office = this.#office;
    const { jobs, keptBytesMax: bytesMax = KEPT_BYTES_MAX, timeOfDayMs, env, leaseMs = LEASE_MS } = options;
    const failure = Promise.withResolvers<Error>();
    this.failed = failure.promise;
    const failed = (error: Error): void => {
      this.#stopping = true;
      this.#clients.kept.freeze();
      failure.resolve(error);
    };
    this.#jobs = jobs;
    this.#space = new KeptSpace({ store: jobs, log: env.log, bytesMax, failed });
    this.#history = new JobHistory({ env, space: this.#space, timeOfDayMs });
    const { manager } = options;
    const version = protocolVersion(options.build, options.nodeMajor);
    const closed = (): void => this.#clients.kept.closed();
    this.#closer = manager === undefined ? undefined : new KeptCloser({ env, manager, version, closed });
    const keeping = { space: this.#space, history: this.#history, leaseMs, timeOfDayMs, closer: this.#closer };
    this.#clients = new ClientDesk(office, keeping, () => this.#idled());
    this.#cordons = new CordonDesk(office, this.#clients.processes);
    const nodes = new NodeDesk(office, this.#clients, this.#cordons, (finish, outcome, runMs) =>
      this.#finished(finish, outcome, runMs),
    );
    const serverId = mintId(options.env.random);
    const startedMs = options.env.clock.nowMs();
    const { build, pid } = options;
    const identity = { build, serverId, pid, startedMs, manager: manager?.address };
    const sessions = {
      env: options.env,
      audit: this.#audit,
      serverId,
      version,
      leaseMs: options.leaseMs ?? LEASE_MS,
      heartbeatMs: options.heartbeatMs ?? HEARTBEAT_MS,
    };
    const quota = { limitName: "CALLER_CLIENTS_MAX", max: CALLER_CLIENTS_MAX, what: "clients' sessions" };
    this.#clientSessions = new SessionAcceptor({
      ...{ ...sessions, quota, path: jobsRun.path },
      onSession: this.#clients.onSession,
    });
    this.#nodeSessions = new SessionAcceptor({ ...sessions, path: nodesAttach.path, onSession: nodes.onSession });
    this.#relay = manager === undefined ? undefined : new ManagerRelay(manager, options.env.log, this.#audit);
    const admin = new AdminView(identity, this.#core, this.#ledger, this.#clients, this.#history);
    this.routes = [...this.#route(admin), ...(this.#relay?.routes ?? withoutManager(sessions))];
  }

  /**
   * Reads what is kept: jobs that have not ended go on. To be called once, before or after its routes are served. Rejects when the store cannot be trusted.
   */
  async start(): Promise<void> {
    const { jobs, history } = await this.#jobs.recover();
    this.#history.recover(history);
    this.#clients.kept.recover(jobs);
    this.#hasStarted = true;
    this.#started.resolve();
  }

  /**
   * Stops politely: new jobs are refused, open ones have `drainMs` to end; then every session is told goodbye,
   * and what is left waits at its client for another coordinator, kept jobs on disk; for good, it fails there, as no other comes. Bounded in time.
   */
  async stop(drainMs: number, until: "next" | "for-good" = "next"): Promise<void> {
    this.#stopping = true;
    await this.#idle(drainMs);
    this.#clients.kept.freeze(); // before nodes leave: what they lose by that is nobody's failure
    const goodbye: Goodbye =
      until === "next"
        ? { code: "unavailable", message: "the coordinator was stopped" }
        : { code: "closed", message: "the fabric was stopped" };
    await Promise.all([this.#clientSessions.close(goodbye), this.#nodeSessions.close(goodbye), this.#relay?.close()]);
    await this.#closer?.stop();
    this.#timer?.[Symbol.dispose]();
    this.#cordons[Symbol.dispose]();
    this.#audit[Symbol.dispose]();
    await this.#flush();
    this.#space.end();
  }

  async #flush(): Promise<void> {
    const { clock } = this.#env;
    const late = Promise.withResolvers<void>();
    using _deadline = clock.setTimer(clock.nowMs() + KEPT_FLUSH_MS_MAX, late.resolve);
    await Promise.race([Promise.all([this.#clients.kept.flushed(), this.#history.flushed()]), late.promise]);
  }

  /** Whether it takes new jobs. */
  readonly readiness = (): Readiness => {
    if (this.#stopping) return notReady("the coordinator is stopping");
    return this.#hasStarted ? ready() : notReady("the coordinator reads what jobs it keeps");
  };

  readonly metrics = (): readonly Metric[] => {
    const { processes } = this.#clients;
    return coordinatorMetrics({
      counts: this.#counts,
      ledger: this.#ledger,
      nodes: this.#core.nodes(),
      jobs: this.#core.jobs(),
      backups: this.#core.backups(),
      sessions: { client: this.#clientSessions.size, agent: this.#nodeSessions.size },
      processes: { placed: processes.size - processes.waiting, waiting: processes.waiting },
      kept: this.#clients.kept.counts,
      keptBytes: this.#jobs.bytes,
    });
  };

  #route(admin: AdminView): readonly Route[] {
    const now = (): number => this.#env.clock.nowMs();
    return [
      streamRoute(jobsRun, (link) => void this.#started.promise.then(() => this.#clientSessions.accept(link))),
      streamRoute(nodesAttach, (link) => this.#nodeSessions.accept(link)),
      unaryRoute(adminGetStatus, () => Promise.resolve(admin.status(now()))),
      unaryRoute(adminListNodes, () => Promise.resolve(admin.nodes(now()))),
      unaryRoute(adminDescribeNode, async ({ name }, caller) => admin.describeNode(name, caller, now())),
      unaryRoute(adminCordonNode, async (request, caller) => ({ changed: this.#cordons.cordon(request, caller) })),
      unaryRoute(adminDrainNode, async (request, caller) => {
        const node = this.#cordons.drain(request, caller);
        return { node: admin.node(node, now()) };
      }),
      unaryRoute(adminDescribeJob, async (request) => admin.describeJob(request, now())),
      unaryRoute(adminCancelJob, async (request, caller) => ({
        changed: cancelNamed(this.#office, { kept: this.#clients.kept, history: this.#history }, request, caller),
      })),
      unaryRoute(adminListJobs, () => Promise.resolve(admin.jobs(now()))),
    ];
  }

  async #idle(drainMs: number): Promise<void> {
    if (this.#isIdle()) return;
    const { clock } = this.#env;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#onIdle = resolve;
    using _deadline = clock.setTimer(clock.nowMs() + drainMs, resolve);
    await promise;
    this.#onIdle = undefined;
  }

  #isIdle(): boolean {
    const awaited = this.#ledger.jobs.values().some(({ keptFor }) => keptFor === undefined);
    return !awaited && this.#clients.processes.size === 0;
  }

  #idled(): void {
    if (this.#onIdle !== undefined && this.#isIdle()) this.#onIdle();
  }

  /** Tells the core, lets its wishes use what came, and settles what was announced to the client before. */
  #finished(finish: Finish, outcome: Outcome, runMs: number): void {
    const { assignment } = finish;
    if (this.#ledger.assignments.get(assignment.id) !== assignment) {
      finish.relay?.end(true);
      return;
    }
    assert(!this.#driver.busy, "a finish is fed from a session's read loop, never from a wish");
    this.#ledger.assignments.delete(assignment.id);
    assignment.node.assignments.delete(wireAssignment(assignment.id));
    this.#counts.chunksFinished[outcome.type]++;
    noteEnd(assignment.node, outcome);
    const isOvertaken = this.#office.isOvertaken(assignment.id);
    if (outcome.type === "stopped" && !isOvertaken) this.#cordons.chunkStopped(assignment);
    this.#note(finish, outcome, isOvertaken);
    this.#finish = finish;
    this.#delivered = false;
    this.#driver.feed({ type: "chunk-finished", assignment: assignment.id, outcome, runMs });
    if (!this.#delivered) finish.relay?.end(true); // the core had no use for it
    this.#finish = undefined;
    this.#clients.watchBacklog(assignment.job.pool.client);
  }

  /** Keeps what went wrong, unless its job is over: then nobody asks why it does not go on. What was overtaken is kept for as long as its job is remembered. */
  #note(finish: Finish, outcome: Outcome, isOvertaken: boolean): void {
    const { node, job } = finish.assignment;
    if (isOvertaken ? !this.#ledger.remembers(job) : outcome.type === "done" || !this.#ledger.jobs.has(job.key)) return;
    const nowMs = this.#env.clock.nowMs();
    const isEnding = node.lifetime !== undefined && nowMs >= node.lifetime.stopsAtMs;
    const state = isOvertaken ? "overtaken" : isEnding ? "lifetime" : this.#core.node(node.key)?.state;
    this.#ledger.attempts.finished(finish, outcome, state, nowMs);
  }

  #perform(effect: Effect): void {
    switch (effect.type) {
      case "assign-chunk":
        return this.#assign(effect);
      case "revoke-chunk":
        return this.#revoke(effect.assignment, effect.stop);
      case "deliver-span":
        return this.#deliver(effect.offset, effect.count);
      case "fail-item":
        return this.#failItem(effect);
      case "end-job":
        return this.#endJob(effect);
      case "release-chunk":
        return this.#release(effect.job, effect.chunk);
      case "forget-job": {
        const node = this.#ledger.nodes.get(effect.node);
        if (node?.described.delete(effect.job))
          node.session.send({ kind: { $case: "forgetJob", value: { job: effect.job } } }, 0, "unhurried");
        return;
      }
      case "retire-pool": {
        const node = this.#ledger.nodes.get(effect.node);
        return node?.session.send({ kind: { $case: "retirePool", value: { pool: effect.pool } } }, 0);
      }
      case "node-drained":
        return this.#nodeDrained(effect.node);
      case "exclude-node":
        return this.#exclude(effect);
      case "readmit-node":
        return this.#readmit(effect.node);
      case "announce-capacity":
        return this.#clients.announceCapacity(effect.slots, effect.nodes);
      case "set-timer":
        this.#timer?.[Symbol.dispose]();
        this.#timer = this.#env.clock.setTimer(effect.atMs, () => this.#driver.feed({ type: "timer-fired" }));
        return;
      default:
        return unreachable(effect);
    }
  }

  #assign(effect: Assign): void {
    const node = this.#ledger.nodes.get(effect.node);
    const job = this.#ledger.jobs.get(effect.job);
    const chunk = job?.chunks.get(effect.chunk);
    if (node === undefined) return; // its session ended while wishes were performed: the core hears of it next
    assert(job !== undefined && chunk !== undefined, "the core assigns what it was told of");
    const number = wireAssignment(effect.assignment);
    const { offset, count, attempt } = effect;
    const assignment: AssignmentRecord = {
      id: effect.assignment,
      node,
      job,
      chunk: effect.chunk,
      offset,
      count,
      attempt,
      firstIndex: chunk.firstIndex + offset,
      isWhole: count === chunk.count,
      placedMs: this.#env.clock.nowMs(),
      startedMs: undefined,
      checkpointed: undefined,
    };
    this.#ledger.assignments.set(effect.assignment, assignment);
    node.assignments.set(number, assignment);
    if (!node.described.has(job.key)) {
      node.described.add(job.key);
      node.session.send({ kind: { $case: "describeJob", value: description(job) } }, 0);
    }
    const outgoing = node.outflow.send(chunk.input);
    const restoring = this.#ledger.checkpoints.restoring(assignment, node);
    const value = {
      assignment: number,
      job: job.key,
      chunk: effect.chunk,
      span: assignment.isWhole ? undefined : { offset, count },
      firstIndex: chunk.firstIndex,
      input: outgoing.header,
      attempt,
      marks: effect.marks,
      poolSlots: effect.poolSlots,
      fresh: effect.fresh,
      grain: effect.grain,
      restored: restoring?.restored,
    };
    const inlineBytes = outgoing.inlineBytes + (restoring?.inlineBytes ?? 0);
    node.session.send({ kind: { $case: "assignChunk", value } }, inlineBytes);
    outgoing.start();
    restoring?.start();
  }

  /** In the control lane: it overtakes assignments that wait, so an agent may hear of it first. */
  #revoke(id: AssignmentRecord["id"], stop: boolean): void {
    const assignment = this.#ledger.assignments.get(id);
    const value = { assignment: wireAssignment(id), stop };
    assignment?.node.session.send({ kind: { $case: "revokeChunk", value } });
  }

  #deliver(offset: number, count: number): void {
    const finish = this.#finish;
    assert(finish !== undefined, "only the finish that the core was told of is delivered");
    finish.assignment.job.itemsDone += count;
    this.#counts.itemsDone += count;
    settle(finish.assignment, count);
    const { job, firstIndex } = finish.assignment;
    this.#ledger.checkpoints.settled(job, firstIndex - finish.assignment.offset + offset, count);
    this.#delivered = true;
    if (finish.relay !== undefined) finish.relay.end(false);
    else sendValues(finish, offset, count);
  }

  #failItem(effect: Extract<Effect, { type: "fail-item" }>): void {
    const lost = this.#ledger.assignments.get(effect.assignment);
    const finish = this.#finish?.assignment.id === effect.assignment ? this.#finish : lost && lostFinish(lost);
    assert(finish !== undefined, "an item fails by a finish or by the loss of its node");
    const { job } = finish.assignment;
    if (job.failure === "")
      job.failure = (finish.failure?.summary ?? `node ${finish.assignment.node.name} was lost`).slice(0, 200);
    if (job.opened.collect) settle(finish.assignment, 1);
    this.#ledger.checkpoints.settled(job, finish.assignment.firstIndex - finish.assignment.offset + effect.offset, 1);
    sendItemFailed(finish, effect);
  }

  #endJob(effect: EndJob): void {
    const job = this.#ledger.jobs.get(effect.job);
    assert(job !== undefined, "the core ends what it was told of");
    const { client } = job.pool;
    const { fault } = effect;
    if (fault !== undefined && job.failure === "") job.failure = plainLine(fault.message, 200);
    const verdict = verdictOn(job, effect.outcome);
    if (verdict !== undefined) job.failure = plainLine(verdict.error.message, 200);
    const error = fault === undefined ? verdict?.error : faultError(fault, this.#finish?.initError);
    const outcome = verdict?.outcome ?? effect.outcome;
    sendJobEnded(client, job.number, JOB_OUTCOMES[outcome], error);
    client.jobs.delete(job.number);
    for (const chunk of job.chunks.keys()) this.#release(job.key, chunk);
    this.#ledger.jobs.delete(job.key);
    this.#ledger.checkpoints.forget(job);
    this.#counts.jobsEnded[outcome]++;
    this.#remember(job, outcome);
    this.#idled(); // what is left of ended jobs is stopped with the rest
  }

  #release(key: JobKey, number: number): void {
    const job = this.#ledger.jobs.get(key);
    const chunk = job?.chunks.get(number);
    if (job === undefined || chunk === undefined) return;
    job.chunks.delete(number);
    job.pool.client.heldChunks--;
    job.pool.client.heldBytes -= chunk.input.size;
    job.heldBytes -= chunk.input.size;
  }

  #remember(job: JobRecord, outcome: EndJob["outcome"]): void {
    const { ended } = this.#ledger;
    const endedMs = this.#env.clock.nowMs();
    job.isAbandoned = !this.#ledger.clients.has(job.pool.client.key);
    ended.push({ job, outcome, endedMs });
    if (job.keptFor === undefined) this.#history.ended({ job, outcome, endedMs });
    while (ended.length > ENDED_JOBS_MAX || endedMs - (ended[0]?.endedMs ?? endedMs) > ENDED_JOB_AGE_MS) {
      const forgotten = ended.shift();
      if (forgotten !== undefined) this.#ledger.attempts.forget(forgotten.job);
      const id = forgotten?.job.id;
      if (id !== undefined && this.#ledger.jobIds.get(id) === forgotten?.job) this.#ledger.jobIds.delete(id);
    }
  }

  #exclude({ node: key, reason, untilMs }: Extract<Effect, { type: "exclude-node" }>): void {
    const node = this.#ledger.nodes.get(key);
    if (node === undefined) return;
    const forSeconds = Math.round((untilMs - this.#env.clock.nowMs()) / 1_000);
    this.#env.log.warn("node excluded", { node: node.name, forSeconds, reason: plainLine(reason, REASON_LENGTH_MAX) });
    this.#clients.processes.nodeExcluded(node, true);
  }

  #readmit(key: Extract<Effect, { type: "readmit-node" }>["node"]): void {
    const node = this.#ledger.nodes.get(key);
    if (node === undefined) return;
    this.#env.log.info("node takes work again, on probation", { node: node.name });
    this.#clients.processes.nodeExcluded(node, false);
  }

  #nodeDrained(key: Extract<Effect, { type: "node-drained" }>["node"]): void {
    const node = this.#ledger.nodes.get(key);
    const processes = node === undefined ? 0 : this.#clients.processes.countOn(node);
    this.#env.log.info("no chunk is left on a node that drains", { node: node?.name, processes });
  }
}

/** `initError`: what came with the finish that the core is being told of. */
function faultError({ code, message }: Fault, initError: Uint8Array | undefined): FabricError {
  if (code === "pool-init") return fabricError(code, message, initError);
  return fabricError(code, plainLine(message, LACK_LENGTH_MAX)); // labels are words of others
}

/** Items of its chunk have their answer. */
function settle({ job, chunk: number }: AssignmentRecord, count: number): void {
  const chunk = job.chunks.get(number);
  if (chunk === undefined) return;
  chunk.itemsSettled += count;
  if (chunk.itemsSettled === chunk.count) job.chunksDone++;
}

const JOB_OUTCOMES = { done: JobOutcome.DONE, failed: JobOutcome.FAILED, cancelled: JobOutcome.CANCELLED } as const;
