import {
  type BackoffPolicy,
  backoffMs,
  ClosedError,
  type Environment,
  type JobId,
  NotFoundError,
  StateError,
  UnavailableError,
} from "@heddle/kernel";
import type { RpcClient, UnaryMethod, Version } from "@heddle/port-rpc";
import type { Shipper } from "@heddle/port-shipper";
import {
  adminCancelJob,
  adminGetStatus,
  adminListJobs,
  adminListNodes,
  type GetStatusResponse,
  type JobStatus,
  type NodeStatus,
  type Output,
  type ValueReaderHooks,
} from "@heddle/wire";
import type { AsyncResult } from "./async-result.ts";
import { attachedResult } from "./attached-job.ts";
import { Connection } from "./connection.ts";
import { rpcDial, type SessionDial } from "./dial.ts";
import type { JobKeeper } from "./kept-call.ts";
import { QUESTION_TIMEOUT_MS } from "./limits.ts";
import { allSettled } from "./objects/all-settled.ts";
import type { ObjectsChannel } from "./objects/channel.ts";
import { FabricHomes } from "./objects/fabric-homes.ts";
import { FabricSessions, type ObjectsFacilities } from "./objects/fabric-sessions.ts";
import type { ObjectsHome } from "./objects/home.ts";
import { Manager, type ManagerOptions } from "./objects/manager.ts";
import { EffectsJobs } from "./objects/once.ts";
import { checkJobId, checkOptionNames } from "./options.ts";
import { FabricPool } from "./pool.ts";
import type { PoolHost, StatusLine } from "./pool-calls.ts";
import type { PoolSettings } from "./pool-setup.ts";

/** What a fabric handle needs of the world. */
export interface FabricOptions {
  readonly env: Environment;
  /** For questions, and to dial sessions unless `dial` is given. Undefined where there is no way to ask: inside a worker. */
  readonly client: RpcClient | undefined;
  /** Opens sessions; by `client` and `address` unless given. Jobs then end with their session: whoever gives it goes with it, as a task does. */
  readonly dial?: SessionDial;
  /** The coordinator's. */
  readonly address: string;
  /** Which fabric this is, in words for whoever looks for a job in it that is not there; undefined where its address says it. */
  readonly place?: string;
  /** Disposed with the fabric. */
  readonly shipper: Shipper;
  readonly version: Version;
  /** Host, program and process id, for people. */
  readonly description: string;
  readonly unavailableTimeoutMs: number;
  /** Keeps the caller's process alive until disposed. */
  readonly hold: () => Disposable;
  /** Keeps it alive for a process that was started, which nobody need await; as `hold` unless given. */
  readonly keep?: () => Disposable;
  /** Lines that user functions printed, without control characters. */
  readonly print: (stderr: boolean, line: string) => void;
  /** Where progress is shown; undefined for nowhere. */
  readonly statusLine?: StatusLine | undefined;
  /** Told of each new pool, before it is used. */
  readonly prepare?: (settings: PoolSettings) => void;
  /** For shared objects; there are none on this handle unless given. */
  readonly objects?: ObjectsFacilities | undefined;
  /** Called once, after the session was closed. */
  readonly dispose?: () => Promise<void>;
}

/** A fabric: somewhere to run work. Made by `connect()`. */
export class Fabric implements AsyncDisposable {
  readonly #options: FabricOptions;
  readonly #connection: Connection;
  readonly #sessions: FabricSessions;
  readonly #homes: FabricHomes;
  readonly #results: ValueReaderHooks = { reviveShared: (description) => this.home.revive(description) };
  readonly #callJobs = new EffectsJobs(() => this.home);
  #closing: Promise<void> | undefined;

  constructor(options: FabricOptions) {
    this.#options = options;
    const { client } = options;
    const dial = options.dial ?? (client === undefined ? undefined : rpcDial({ ...options, client }));
    if (dial === undefined) throw new StateError("a fabric needs a client or a way to dial");
    const localStack = (text: string): string => options.shipper.localStack(text);
    const print = (output: Output, job: string): void => {
      printOutput(options.print, { ...output, text: localStack(output.text) }, job);
    };
    this.#connection = new Connection({ ...options, dial, print, comesBack: options.dial === undefined });
    this.#sessions = new FabricSessions(options);
    this.#homes = new FabricHomes(options, (own) => this.objects(own));
  }

  /** The coordinator's address. */
  get address(): string {
    return this.#options.address;
  }

  /** A pool of workers of its own on this fabric. */
  pool(settings: PoolSettings = {}): FabricPool {
    return new FabricPool(this.host, settings);
  }

  /**
   * The result of a job that the fabric keeps (`detach`, `jobId`), whoever has submitted it: of the kind that its call gives. The fabric is asked when somebody wants it; it rejects with NotFoundError for a job that is
   * not kept (any more), and as the call would. Several may have it. Throws TypeError and RangeError for what is no job's id, and StateError in a task.
   */
  attach<R = unknown>(jobId: string): AsyncResult<R> {
    if (jobId === undefined) throw new TypeError("attach() takes the id of a job");
    checkJobId(jobId);
    const { host } = this;
    const { keeper } = host;
    if (keeper === undefined)
      throw new StateError("attach() is for programs: the session of a task or a Process ends with it");
    return attachedResult<R>(host, {
      ...{ id: jobId, keeper, connection: this.#connection },
      place: this.#options.place,
    });
  }

  /** Every node, in order of name. Rejects as `ask`. */
  async nodes(): Promise<NodeStatus[]> {
    return (await this.ask(adminListNodes, {})).nodes;
  }

  /** Live and lately ended jobs, newest first. Rejects as `ask`. */
  async jobs(): Promise<JobStatus[]> {
    return (await this.ask(adminListJobs, {})).jobs;
  }

  /** The fabric in a few numbers. Rejects as `ask`. */
  status(): Promise<GetStatusResponse> {
    return this.ask(adminGetStatus, {});
  }

  /**
   * A session with the manager of shared objects, opened at its first use and closed with the fabric: without options the one that all such callers have in common, else one of its
   * own. `ttlMs`: its lease, 15 s unless given. Throws ClosedError, and StateError where there is no way to a manager.
   */
  objects(options?: { readonly ttlMs?: number | undefined }): ObjectsChannel {
    return options === undefined ? this.#sessions.default : this.#sessions.open(options);
  }

  /** Resolves when the fabric can run something. Rejects with UnavailableError, also after `timeoutMs`, and as `ask` when it is not let in. */
  async ready(options: { readonly timeoutMs?: number } = {}): Promise<void> {
    const { env, hold, address } = this.#options;
    using _hold = hold();
    const { promise: late, reject } = Promise.withResolvers<never>();
    const { timeoutMs } = options;
    const message = `the fabric at ${address} has no node ready after ${timeoutMs} ms`;
    using _deadline =
      timeoutMs === undefined
        ? undefined
        : env.clock.setTimer(env.clock.nowMs() + timeoutMs, () => reject(new UnavailableError(message)));
    await Promise.race([this.#connection.capacity(), late]);
  }

  /** A session of its own with this fabric's manager of shared objects. Throws TypeError and RangeError for what is no option. */
  manager(options: Omit<ManagerOptions, "fabric" | "address"> = {}): Manager {
    checkOptionNames("a manager", options, ["ttlMs"]);
    return new Manager({ ...options, fabric: this });
  }

  /** Of objects that belong to no manager of their own: they share the fabric's session. */
  get home(): ObjectsHome {
    return this.#homes.default;
  }

  /**
   * At the end of a task's chunk: what its attempts have acquired through this handle and not released is released. Undefined when nothing that was asked of the manager is without an
   * answer, but for what waits for others. Else resolves when all of it is answered;
   * rejects with the first error of a write that nobody awaited.
   */
  flushObjects(): Promise<void> | undefined {
    return this.#homes.flush();
  }

  /** Of the objects of a manager. */
  openObjects(options: { readonly ttlMs?: number | undefined }): ObjectsHome {
    return this.#homes.open(options);
  }

  /**
   * What is open fails with a HeddleError of code "closed". What was asked of shared objects is done first, as by Manager.close, and their first error that nobody heard is what
   * it rejects with, once all is over. Idempotent.
   */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /**
   * Says goodbye at the end of the process, so that the coordinator need not wait for a lease. What is open stays unsettled, and never
   * gets to say why; what comes after all connects anew.
   */
  async leave(): Promise<void> {
    if (!this.#connection.isOpen && !this.#sessions.isOpen) return;
    using _hold = this.#options.hold();
    await Promise.all([this.#connection.leave(), this.#sessions.leave()]);
  }

  /**
   * Asks the coordinator, which hands on what is the manager's to answer. Rejects with UnavailableError or TimeoutError when nobody answers, AuthenticationError when one side does not believe the
   * other, PermissionError (with role and method) for what this side's role may not ask, the answer's error, and StateError where there is no way to ask.
   */
  async ask<Request, Response>(method: UnaryMethod<Request, Response>, request: Request): Promise<Response> {
    const { client, address, hold } = this.#options;
    if (client === undefined)
      throw new StateError(
        "a task can use its fabric, but not ask about it: do so from outside, or connect to an address",
      );
    using _hold = hold();
    return await client.call(method, address, request, { timeoutMs: QUESTION_TIMEOUT_MS });
  }

  /** What this fabric gives its pools. */
  get host(): PoolHost {
    const { env, shipper, hold, keep = hold, prepare, statusLine } = this.#options;
    return {
      env,
      shipper,
      hold,
      keep,
      keeper: this.#keeper,
      statusLine,
      results: this.#results,
      effects: {
        checkCall: () => this.#checkCall(),
        open: (job, lost) => this.#callJobs.open(job, lost),
        writeOff: (job, index) => this.#callJobs.writeOff(job, index),
        close: (job) => this.#callJobs.close(job),
      },
      connection: (settings) => {
        prepare?.(settings);
        return this.#connection;
      },
    };
  }

  #checkCall(): void {
    if (this.#options.objects?.effects?.() === undefined) return;
    throw new StateError(
      'a task of a call with effects: "once" starts no calls and processes: what they write would count each time that the task is run',
    );
  }

  /** Undefined in a task: its session ends with it, and what it calls. */
  get #keeper(): JobKeeper | undefined {
    return this.#options.dial === undefined ? { cancel: (id, reason) => this.#cancelJob(id, reason) } : undefined;
  }

  /** Asks until the coordinator has answered: one that is just starting again is waited for. */
  async #cancelJob(jobId: JobId, reason: string): Promise<void> {
    const { env, hold, unavailableTimeoutMs } = this.#options;
    const { clock, random } = env;
    using _hold = hold();
    const deadlineMs = clock.nowMs() + unavailableTimeoutMs;
    for (let failures = 1; ; failures++)
      try {
        await this.ask(adminCancelJob, { jobId, reason });
        return;
      } catch (error) {
        if (error instanceof NotFoundError) return;
        const againMs = clock.nowMs() + backoffMs(CANCEL_PAUSES, failures, random);
        if (!(error instanceof UnavailableError) || againMs > deadlineMs) throw error;
        await new Promise<void>((resolve) => clock.setTimer(againMs, resolve));
      }
  }

  async #close(): Promise<void> {
    const { hold, shipper, dispose } = this.#options;
    using _hold = hold();
    await using scope = new AsyncDisposableStack();
    scope.defer(async () => dispose?.());
    scope.use(shipper);
    const closing = [this.#homes.close(), this.#sessions.close()];
    await allSettled([...closing, this.#connection.close(new ClosedError("the fabric was closed by its owner"))]);
  }
}

/** Pauses between questions to a coordinator that does not answer. */
const CANCEL_PAUSES: BackoffPolicy = { firstMs: 50, maxMs: 2_000 };

/** Prefixes each line with where it came from (`name`: of the job, or of the process), and takes out what could steer a terminal. */
function printOutput(print: (stderr: boolean, line: string) => void, output: Output, name: string): void {
  const { place, stderr, text } = output;
  const prefix = `[${place?.node ?? "?"}/${place?.pid ?? 0} ${name}]`;
  for (const line of text.split("\n")) print(stderr, `${prefix} ${line.replace(CONTROL, "")}`);
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
const CONTROL = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g;
