import { type Environment, HEARTBEAT_MS, LEASE_MS, LimitError, type Millis, mintId } from "@heddle/kernel";
import type { Journal } from "@heddle/port-journal";
import { type Metric, notReady, type Readiness, ready, type Watched } from "@heddle/port-metrics";
import {
  Audit,
  type Caller,
  CallerQuota,
  callerText,
  type Link,
  type Route,
  SessionAcceptor,
  streamRoute,
  thisUser,
} from "@heddle/port-rpc";
import {
  type KeepAliveRequest,
  type KeepAliveResponse,
  type OperateRequestEntry,
  type OperateResponseEntry,
  objectsOperate,
  protocolVersion,
  sessionsKeepAlive,
} from "@heddle/wire";
import { AdminView } from "./admin.ts";
import { answerBeats } from "./beats.ts";
import { Leases } from "./leases.ts";
import { BEAT_STREAMS_MAX, CALLER_BEAT_STREAMS_MAX } from "./limits.ts";
import { Counts, managerMetrics } from "./metrics.ts";
import { OperateDesk } from "./operate-desk.ts";
import { Replica } from "./replica.ts";
import { TTL_BOUNDS, type TtlBounds } from "./ttl.ts";

/** What a manager needs of the world. */
export interface ManagerOptions {
  readonly env: Environment;
  /** Where its state is kept; not yet recovered. The caller disposes it after the shell. */
  readonly journal: Journal;
  /** Release, for people and Hello. */
  readonly build: string;
  /** Major version of Node.js, for Hello. */
  readonly nodeMajor: number;
  readonly pid: number;
  /** Silence after which a stream is given up; LEASE_MS unless a test says otherwise. The leases of sessions are another thing. */
  readonly leaseMs?: Millis;
  /** Longest pause between frames; HEARTBEAT_MS unless a test says otherwise. */
  readonly heartbeatMs?: Millis;
  /** Leases that sessions may have; from 2 s to 5 minutes, 15 s by default, unless a test says otherwise. */
  readonly ttl?: TtlBounds;
  /**
   * What keeps a session alive: "beats" of its holder, or that its stream is open, which is enough where both ends are one process and share its
   * pauses. "beats" unless given. Without its stream a session lives for a lease in either case.
   */
  readonly keptBy?: "beats" | "streams";
}

/** Serves shared objects and leased locks: what it says was done is on disk. Serve `routes` with any RpcServer once `start()` resolved. */
export class ManagerShell implements Watched {
  /** What a server must route here: Objects, Sessions and ObjectsAdmin. */
  readonly routes: readonly Route[];
  /** Resolves when nobody knows what is on disk, or it cannot be read again: nothing is answered any more, and the process must end. */
  readonly failed: Promise<Error>;
  readonly #env: Environment;
  readonly #audit: Audit;
  readonly #replica: Replica;
  readonly #leases: Leases;
  readonly #desk: OperateDesk;
  readonly #streams: SessionAcceptor<OperateResponseEntry, OperateRequestEntry>;
  readonly #beats = new Set<Link<KeepAliveResponse, KeepAliveRequest>>();
  readonly #beatQuota = new CallerQuota({
    limitName: "CALLER_BEAT_STREAMS_MAX",
    max: CALLER_BEAT_STREAMS_MAX,
    what: "streams of beats",
  });
  readonly #counts = new Counts();
  #isStopping = false;
  #isOver = false;

  constructor(options: ManagerOptions) {
    const { env, journal } = options;
    this.#env = env;
    this.#audit = new Audit(env);
    const failed = Promise.withResolvers<Error>();
    this.failed = failed.promise;
    this.#replica = new Replica({
      env,
      journal,
      counts: this.#counts,
      say: (outcomes) => this.#desk.say(outcomes),
      full: (isFull) => this.#full(isFull),
      undone: (batches, error) => this.#desk.undone(batches, error),
      failed: (error) => {
        this.#end();
        failed.resolve(error instanceof Error ? error : new Error(String(error)));
      },
    });
    this.#leases = new Leases({
      clock: env.clock,
      expire: (session) => this.#desk.expire(session),
      isKept: (session) => options.keptBy === "streams" && this.#desk.isConnected(session),
    });
    this.#desk = new OperateDesk({
      env,
      audit: this.#audit,
      replica: this.#replica,
      leases: this.#leases,
      ttl: options.ttl ?? TTL_BOUNDS,
      counts: this.#counts,
    });
    this.#streams = new SessionAcceptor({
      env,
      serverId: mintId(env.random),
      version: protocolVersion(options.build, options.nodeMajor),
      leaseMs: options.leaseMs ?? LEASE_MS,
      heartbeatMs: options.heartbeatMs ?? HEARTBEAT_MS,
      audit: this.#audit,
      path: objectsOperate.path,
      onSession: this.#desk.onSession,
    });
    const admin = new AdminView({
      clock: env.clock,
      log: env.log,
      replica: this.#replica,
      leases: this.#leases,
      isConnected: (session) => this.#desk.isConnected(session),
      holderOf: (session) => this.#desk.holderOf(session),
      ownerDescription: (session, owner) => this.#desk.ownerDescription(session, owner),
    });
    this.routes = [
      streamRoute(objectsOperate, (link) => void this.#accept(link, () => this.#streams.accept(link))),
      streamRoute(sessionsKeepAlive, (link) => void this.#accept(link, () => this.#answerBeats(link))),
      ...admin.routes,
    ];
  }

  /** Makes the state that the journal keeps; every session of it gets a whole lease from now. Rejects when the journal cannot be trusted. */
  async start(): Promise<void> {
    await this.#replica.start();
    for (const { session, ttlMs } of this.#replica.core.sessions()) this.#leases.open(session, ttlMs);
  }

  /**
   * Stops politely: new sessions are refused, what is under way gets to the disk and is answered, then every stream is told goodbye. Leases go on
   * with the next manager on the journal; for good, what its clients ask fails. `drainMs`: how long the disk may take. Bounded in time.
   */
  async stop(drainMs: Millis, until: "next" | "for-good" = "next"): Promise<void> {
    if (this.#isOver) return;
    this.#isStopping = true;
    this.#desk.stop();
    const { clock } = this.#env;
    const late = Promise.withResolvers<void>();
    using _deadline = clock.setTimer(clock.nowMs() + drainMs, late.resolve);
    await Promise.race([this.#replica.stop(), late.promise]);
    this.#replica.end();
    this.#leases.stop();
    const code = until === "next" ? "unavailable" : "closed";
    await this.#streams.close({ code, message: "the manager was stopped" });
    this.#end();
    await Promise.all([...this.#beats].map((link) => link[Symbol.asyncDispose]()));
  }

  /** Whether it answers. One whose disk is full does, but for writes: nobody else would answer in its place. */
  readonly readiness = (): Readiness => {
    if (this.#isStopping) return notReady("the manager is stopping");
    switch (this.#replica.state) {
      case "starting":
        return notReady("the manager reads its journal");
      case "rebuilding":
        return notReady("the manager reads its journal again, because the disk was full");
      case "over":
        return notReady("the manager has given up: start it anew");
      case "serving":
        return this.#replica.isFull ? ready("read-only: the disk is full") : ready();
    }
  };

  readonly metrics = (): readonly Metric[] => {
    const { core, isFull, tail } = this.#replica;
    return managerMetrics({
      counts: this.#counts,
      totals: core.totals(),
      revision: core.revision,
      isFull,
      tail,
      streams: { operations: this.#streams.size, beats: this.#beats.size },
    });
  };

  async #accept<Out, In>(link: Link<Out, In>, accept: () => void): Promise<void> {
    if (!this.#isOver) await this.#replica.ready();
    if (this.#isOver) await link[Symbol.asyncDispose]();
    else accept();
  }

  #answerBeats(link: Link<KeepAliveResponse, KeepAliveRequest>): void {
    const { caller = thisUser } = link;
    const place = this.#placeOfBeats(link.peer, caller);
    if (place === undefined) return void link[Symbol.asyncDispose]();
    this.#beats.add(link);
    void link.closed.then(() => {
      this.#beats.delete(link);
      place[Symbol.dispose]();
    });
    void answerBeats(link, {
      leases: this.#leases,
      judge: (session, nonce) => this.#desk.judgeBeat(session, nonce, caller),
      refused: (why) =>
        this.#audit.refused({ peer: link.peer, who: callerText(caller), path: sessionsKeepAlive.path, why }),
      isOver: () => this.#isOver,
    });
  }

  /** Undefined: there are too many, or too many of the caller's. */
  #placeOfBeats(peer: string, caller: Caller): Disposable | undefined {
    try {
      if (this.#beats.size >= BEAT_STREAMS_MAX)
        throw new LimitError("BEAT_STREAMS_MAX", BEAT_STREAMS_MAX, this.#beats.size + 1);
      return this.#beatQuota.take(caller);
    } catch (error) {
      if (!(error instanceof LimitError)) throw error;
      this.#audit.refused({ peer, who: callerText(caller), path: sessionsKeepAlive.path, why: error.message });
      return undefined;
    }
  }

  #full(isFull: boolean): void {
    this.#leases.suspend(isFull);
    if (!isFull) this.#desk.resume();
  }

  #end(): void {
    this.#isOver = true;
    this.#leases.stop();
    this.#audit[Symbol.dispose]();
  }
}
