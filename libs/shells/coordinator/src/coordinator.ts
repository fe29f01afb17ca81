import { type Effect, type Input, SCHEDULER_LIMITS, Scheduler } from "@heddle/core-scheduler";
import { CoreDriver, type Environment, HEARTBEAT_MS, LEASE_MS, mintId } from "@heddle/kernel";
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
  jobsRun,
  nodesAttach,
  protocolVersion,
  type RunRequestEntry,
  type RunResponseEntry,
} from "@heddle/wire";
import { AdminView } from "./admin.ts";
import { Artifacts } from "./artifacts.ts";
import { cancelNamed } from "./cancel.ts";
import { ClientDesk } from "./client-desk.ts";
import { CordonDesk } from "./cordon-desk.ts";
import type { Office } from "./desk.ts";
import { JobHistory } from "./history.ts";
import { KeptCloser } from "./kept-closer.ts";
import { KeptSpace } from "./kept-space.ts";
import { Ledger } from "./ledger.ts";
import { CALLER_CLIENTS_MAX, KEPT_BYTES_MAX, KEPT_FLUSH_MS_MAX, SPILL_BYTES_MAX } from "./limits.ts";
import { ManagerRelay, withoutManager } from "./manager-relay.ts";
import { Counts, coordinatorMetrics } from "./metrics.ts";
import { NodeDesk } from "./node-desk.ts";
import type { CoordinatorOptions } from "./options.ts";
import { SpillSpace } from "./spill-space.ts";
import { Wishes } from "./wishes.ts";

/**
 * The coordinator: puts the scheduler, its desks and the sessions together. Serve `routes` with any RpcServer; clients are let in once
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
  readonly #wishes: Wishes;
  readonly #relay: ManagerRelay | undefined;
  readonly #closer: KeptCloser | undefined;
  readonly #jobs: JobStore;
  readonly #space: KeptSpace;
  readonly #history: JobHistory;
  readonly #started = Promise.withResolvers<void>();
  #hasStarted = false;
  #stopping = false;
  #onIdle: (() => void) | undefined;

  constructor(options: CoordinatorOptions) {
    this.#env = options.env;
    this.#audit = new Audit(options.env);
    const { unschedulableMs = SCHEDULER_LIMITS.unschedulableMs } = options;
    this.#core = new Scheduler({ random: options.env.random, limits: { unschedulableMs } });
    this.#driver = new CoreDriver(this.#core, options.env.clock, (effect) => this.#wishes.perform(effect));
    const { spill, spillBytesMax = SPILL_BYTES_MAX } = options;
    const space = spill && new SpillSpace(spill, spillBytesMax, options.env.log);
    this.#office = {
      env: options.env,
      ledger: this.#ledger,
      artifacts: new Artifacts(options.blobs, options.env.log),
      counts: this.#counts,
      spill: space,
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
    this.#wishes = new Wishes({
      ...{ office, core: this.#core, clients: this.#clients, cordons: this.#cordons, history: this.#history },
      isBusy: () => this.#driver.busy,
      idled: () => this.#idled(),
    });
    const nodes = new NodeDesk(office, this.#clients, this.#cordons, (finish, outcome, runMs) =>
      this.#wishes.finished(finish, outcome, runMs),
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
    this.#wishes[Symbol.dispose]();
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
      spill: { bytes: this.#office.spill?.use.bytes ?? 0, results: this.#office.spill?.total ?? 0 },
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
    const isSending = this.#ledger.clients.values().some(({ outlets }) => outlets.size > 0);
    return !awaited && !isSending && this.#clients.processes.size === 0;
  }

  #idled(): void {
    if (this.#onIdle !== undefined && this.#isIdle()) this.#onIdle();
  }
}
