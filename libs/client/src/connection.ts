import {
  ClosedError,
  type Environment,
  type Millis,
  mintId,
  type PoolId,
  ProtocolError,
  UnavailableError,
  unreachable,
} from "@heddle/kernel";
import type { SessionEnd } from "@heddle/port-rpc";
import type { FabricError, ItemFailed, JobEnded, JobKept, Output, RunResponseEntry, SpanDone } from "@heddle/wire";
import { endedError, noCoordinatorError, type SessionDial, unreachableText } from "./dial.ts";
import { fabricErrorOf } from "./failure.ts";
import type { JobRun } from "./job-run.ts";
import { KeptDesk } from "./kept-desk.ts";
import type { KeptListener } from "./kept-listener.ts";
import type { KeptSubmission } from "./kept-submission.ts";
import { FIRST_CONNECT_TIMEOUT_MS } from "./limits.ts";
import {
  clearLine,
  forget,
  type JobRequest,
  type Line,
  newLine,
  type OfferedRun,
  receive,
  recount,
  sendPayload,
  stopOffering,
  wakeAll,
} from "./line.ts";
import { Offering } from "./offering.ts";
import type { ProcessRequest } from "./open-processes.ts";
import { isCurable, Patience } from "./patience.ts";
import type { ProcessRun } from "./process-run.ts";

/** What a client needs of the world. */
export interface ConnectionOptions {
  readonly env: Environment;
  readonly dial: SessionDial;
  /** The coordinator's, for people. */
  readonly address: string;
  /** Host, program and process id, for people. */
  readonly description: string;
  /** Longest wait for a vanished coordinator. */
  readonly unavailableTimeoutMs: number;
  /** Jobs outlive their session: another is opened, and what is not answered is submitted again. */
  readonly comesBack: boolean;
  /** Lines that user functions printed. */
  readonly print: (output: Output, jobName: string) => void;
}

/** What the fabric can run now. */
export interface FabricCapacity {
  readonly slots: number;
  readonly nodes: number;
}

/**
 * A client's conversation with a coordinator: many jobs over one session, which is dialled when it is first needed. It has the inputs and takes the results, so when
 * the session is over because the coordinator does not know it any more, it submits what is not answered in another.
 */
export class Connection {
  readonly #options: ConnectionOptions;
  readonly #clientId: string;
  readonly #offering = new Offering({
    line: () => this.#line,
    isReady: (line) => !this.#isKnown || line.firstAnswer === undefined,
    cancel: (run, reason) => this.cancel(run, reason),
  });
  readonly #kept: KeptDesk;
  readonly #capacityWaiters = new Set<{
    resolve: (capacity: FabricCapacity) => void;
    reject: (error: Error) => void;
  }>();
  readonly #patience: Patience;
  /** Jobs that a coordinator refused because it stops: for the one after it, unless that takes too long. */
  readonly #refused = new Map<JobRequest, Disposable>();
  #line: Line | undefined;
  /** Set during a pause between two sessions. */
  #redial: Disposable | undefined;
  /** The coordinator has answered, and was not given up since. */
  #isKnown = false;
  /** Why the last session was over; undefined once another had an answer. */
  #loss: Error | undefined;
  #capacity: FabricCapacity | undefined;
  #closed = false;

  constructor(options: ConnectionOptions) {
    this.#options = options;
    this.#clientId = mintId(options.env.random);
    this.#patience = new Patience(options.env, options.unavailableTimeoutMs);
    this.#kept = new KeptDesk({ ...options, line: () => this.#line, submit: (request) => this.submit(request) });
  }

  /** It takes no more jobs. */
  get closed(): boolean {
    return this.#closed;
  }

  /** Slots that the fabric has, as far as it is known here; 0 before the first word. */
  get slots(): number {
    return this.#capacity?.slots ?? 0;
  }

  /** Capacity once there is some: a fabric without nodes is waited for. Rejects with UnavailableError. */
  async capacity(): Promise<FabricCapacity> {
    if (this.#capacity !== undefined && this.#capacity.slots > 0) return this.#capacity;
    this.#open();
    const waiter = Promise.withResolvers<FabricCapacity>();
    this.#capacityWaiters.add(waiter);
    return waiter.promise;
  }

  /** Runs a job; it settles through its JobRun. */
  submit(request: JobRequest): void {
    this.#open();
    this.#offering.add(request);
  }

  /** Resolves when a submission may be submitted: those of the same id before it are settled. */
  turn(submission: KeptSubmission): Promise<void> {
    return this.#kept.turn(submission);
  }

  /** Listens to a kept job; it settles through its KeptListener. */
  listen(listener: KeptListener): void {
    this.#open();
    this.#kept.listen(listener);
  }

  /** Listens to it no more: it must be settled by the caller. */
  leaveJob(listener: KeptListener): void {
    this.#kept.leave(listener);
  }

  /** Cancels a job that is listened to, for all who do. The listener must be settled by the caller. False: it is listened to in no session. */
  cancelKept(listener: KeptListener, reason: string): boolean {
    return this.#kept.cancel(listener, reason);
  }

  /** Stops a job that was submitted. Its run must be settled by the caller. False: it is open in no session. */
  cancel(run: OfferedRun, reason: string): boolean {
    const line = this.#line;
    const request = line?.jobs.get(run.number);
    this.#forgetRefused(run);
    if (line === undefined || request?.run !== run) return false; // one that waits for its turn is passed over then
    forget(line, request);
    line.session.send({ kind: { $case: "cancelJob", value: { job: run.number, reason } } });
    this.#offering.schedule();
    return true;
  }

  /** The consumer of a job's results took some: so many bytes more may be sent. */
  takeResults(run: JobRun, bytes: number): void {
    const line = this.#line;
    if (line?.jobs.get(run.number)?.run !== run) return;
    line.session.send({ kind: { $case: "takeResults", value: { job: run.number, bytes } } });
  }

  /** Starts a process; the rest is told to its run. */
  startProcess(request: ProcessRequest): void {
    this.#open().processes.start(request);
  }

  /** Signals a process that was started here. Nothing for one that is over. */
  signalProcess(run: ProcessRun, signal: "SIGTERM" | "SIGKILL"): void {
    this.#line?.processes.signal(run, signal);
  }

  /** The pool is over: its workers may end. */
  closePool(id: PoolId): void {
    if (this.#line?.pools.delete(id))
      this.#line.session.send({ kind: { $case: "closePool", value: { poolId: id } } }, 0);
  }

  /** Ends the session; what is still open fails with `error`. */
  async close(error: Error): Promise<void> {
    this.#closed = true;
    const line = this.#letGo();
    this.#failAll(line, error);
    this.#kept.close(error);
    await line?.session.close();
  }

  /** Ends the session and leaves what is open unsettled: the process ends. What comes after all dials anew. */
  async leave(): Promise<void> {
    await this.#letGo()?.session.close();
  }

  /** There is a session, or one is being dialled. */
  get isOpen(): boolean {
    return this.#line !== undefined || this.#redial !== undefined;
  }

  #open(): Line {
    if (this.#closed) throw new ClosedError("the fabric was closed");
    return this.#line ?? this.#dial();
  }

  #dial(): Line {
    const { dial, description } = this.#options;
    this.#redial?.[Symbol.dispose]();
    this.#redial = undefined;
    const session = dial(
      {
        entries: (entries) => {
          if (this.#line === line) for (const entry of entries) this.#entry(line, entry);
        },
        ended: (end) => {
          if (this.#line === line) this.#lost(line, end);
        },
      },
      (up, minor = 0) => {
        if (this.#line === line) this.#linked(line, up, minor);
      },
    );
    const line = newLine(session);
    this.#line = line;
    this.#awaitAnswer(line);
    session.send({ kind: { $case: "registerClient", value: { clientId: this.#clientId, description } } });
    return line;
  }

  /** Time during which this process itself stood still is not held against the coordinator: then it gets the whole time again. */
  #awaitAnswer(line: Line, timeoutMs = this.#isKnown ? this.#patience.leftMs : this.#firstTimeoutMs): void {
    const { clock } = this.#options.env;
    const deadlineMs = clock.nowMs() + timeoutMs;
    line.firstAnswer = clock.setTimer(deadlineMs, () => {
      const { address, unavailableTimeoutMs } = this.#options;
      const isLate = clock.nowMs() > deadlineMs + STANDSTILL_MS;
      if (isLate) return this.#awaitAnswer(line, this.#isKnown ? unavailableTimeoutMs : this.#firstTimeoutMs);
      this.#letGo();
      this.#failAll(line, this.#loss ?? noCoordinatorError(address));
      void line.session.close();
    });
  }

  get #firstTimeoutMs(): Millis {
    return Math.min(FIRST_CONNECT_TIMEOUT_MS, this.#options.unavailableTimeoutMs);
  }

  #linked(line: Line, up: boolean, minor: number): void {
    if (!up) return this.#patience.lost();
    this.#patience.linked(line.firstAnswer === undefined);
    line.minor = minor;
    if (line.firstAnswer === undefined) return;
    line.firstAnswer[Symbol.dispose]();
    line.firstAnswer = undefined;
    this.#isKnown = true;
    this.#loss = undefined;
    for (const { run } of line.jobs.values()) if (!run.isKept) run.markOpened();
    this.#offering.schedule();
    this.#kept.schedule();
  }

  /** No session, nor another to come. */
  #letGo(): Line | undefined {
    const line = this.#line;
    this.#line = undefined;
    this.#capacity = undefined;
    this.#redial?.[Symbol.dispose]();
    this.#redial = undefined;
    line?.firstAnswer?.[Symbol.dispose]();
    return line;
  }

  #lost(line: Line, end: SessionEnd): void {
    const { address, comesBack } = this.#options;
    const isUnanswered = line.firstAnswer !== undefined;
    this.#letGo();
    this.#patience.lost();
    const error =
      isUnanswered && !this.#isKnown && end.reason === "expired"
        ? noCoordinatorError(address)
        : endedError(end, address);
    if (comesBack && this.#isKnown && isCurable(end) && this.#patience.leftMs > 0) this.#comeBack(line, end, error);
    else this.#failAll(line, error);
  }

  /** What is not answered is submitted again, under the same ids. Processes end with their session. */
  #comeBack(line: Line, end: SessionEnd, error: Error): void {
    const { env, address } = this.#options;
    const begun = [...line.jobs.values(), ...this.#refused.keys()];
    const waiting = this.#offering.takeAll();
    this.#kept.restart(line);
    clearLine(line);
    this.#forgetRefused();
    line.processes.fail(error);
    for (const request of begun) if (request.run.restart()) this.#offering.add(request);
    for (const request of waiting) this.#offering.add(request);
    if (this.#offering.size + this.#kept.size + this.#capacityWaiters.size === 0) return this.#patience.regained(); // the next call dials
    env.log.info("client opens another session", { address, why: error.message });
    // who does not come back has said so last, but whoever did not know the session was there
    const isForgotten = end.reason === "lost" && end.isForgotten === true;
    this.#loss = isForgotten ? new UnavailableError(unreachableText(address)) : error;
    const pauseMs = this.#patience.pauseMs();
    if (pauseMs === 0) this.#dial();
    else this.#redial = env.clock.setTimer(env.clock.nowMs() + pauseMs, () => this.#dial());
  }

  /** All of them unless given. */
  #forgetRefused(only?: OfferedRun): void {
    for (const [request, timer] of this.#refused) {
      if (only !== undefined && request.run !== only) continue;
      this.#refused.delete(request);
      timer[Symbol.dispose]();
    }
  }

  #failAll(line: Line | undefined, error: Error): void {
    const requests = [...(line?.jobs.values() ?? []), ...this.#refused.keys(), ...this.#offering.takeAll()];
    this.#kept.fail(line, error);
    if (line !== undefined) clearLine(line);
    this.#forgetRefused();
    this.#isKnown = false;
    this.#loss = undefined;
    this.#patience.regained();
    for (const { run } of requests) run.fail(error);
    line?.processes.fail(error);
    const waiters = [...this.#capacityWaiters];
    this.#capacityWaiters.clear();
    for (const waiter of waiters) waiter.reject(error);
  }

  #entry(line: Line, { kind }: RunResponseEntry): void {
    switch (kind?.$case) {
      case "spanDone":
        return this.#spanDone(line, kind.value);
      case "part": {
        const completion = line.assembler.add(kind.value);
        if (completion?.payload !== undefined) completion.tag(completion.payload);
        return;
      }
      case "itemFailed":
        return this.#itemFailed(line, kind.value);
      case "jobEnded":
        return this.#jobEnded(line, kind.value);
      case "capacity":
        return this.#capacityChanged(line, kind.value);
      case "wantArtifact":
        return this.#upload(line, kind.value.hash);
      case "output": {
        const request = line.jobs.get(kind.value.job);
        const listened = line.listeners.get(kind.value.job)?.name ?? "";
        const name = request === undefined ? listened : request.job.name || (request.job.function?.displayName ?? "");
        return this.#options.print(kind.value, kind.value.processName || name);
      }
      case "processStarted":
        return line.processes.started(kind.value);
      case "processEnded":
        return line.processes.ended(kind.value);
      case "jobKept":
        return this.#jobKept(line, kind.value);
      case "jobAttached":
      case "keptSpanDone":
      case "keptItemFailed":
        this.#patience.regained();
        return this.#kept.answer(line, kind);
      case undefined:
        return; // a newer peer's entry that this build does not know
      default:
        return unreachable(kind);
    }
  }

  #jobEnded(line: Line, end: JobEnded): void {
    if (this.#kept.ended(line, end)) {
      this.#patience.regained();
      return this.#offering.schedule();
    }
    const request = line.jobs.get(end.job);
    if (request !== undefined) forget(line, request);
    if (request !== undefined && end.error?.code === "unavailable" && this.#options.comesBack)
      this.#setAside(request, end.error);
    else {
      this.#patience.regained();
      if (request?.run.isKept && end.error?.code === "conflict") void this.#kept.contend(request, request.run, end);
      else request?.run.ended(end);
    }
    this.#offering.schedule();
  }

  /** The coordinator takes no new jobs: it stops. */
  #setAside(request: JobRequest, why: FabricError): void {
    const { env, unavailableTimeoutMs } = this.#options;
    const timer = env.clock.setTimer(env.clock.nowMs() + unavailableTimeoutMs, () => {
      if (this.#refused.delete(request)) request.run.fail(fabricErrorOf(why));
    });
    this.#refused.set(request, timer);
  }

  #spanDone(line: Line, done: SpanDone): void {
    receive(line, done.values, (values) => {
      const request = line.jobs.get(done.job);
      if (request === undefined) return; // it was cancelled from here
      this.#take(line, request, (run) => run.spanDone(done, values));
      if (line.unsealed.size > 0) this.#offering.schedule();
    });
  }

  #itemFailed(line: Line, failed: ItemFailed): void {
    const { failure } = failed;
    if (failure === undefined) throw new ProtocolError("a failed item came without its failure");
    const take = (userError: Uint8Array | undefined): void => {
      const request = line.jobs.get(failed.job);
      if (request === undefined) return; // it was cancelled from here
      const { job } = request;
      if (!job.collect) stopOffering(line, request); // the job is lost: the coordinator would drop what is still offered
      this.#take(line, request, (run) => run.itemFailed({ ...failed, failure }, userError));
      if (line.unsealed.size > 0) this.#offering.schedule();
    };
    if (failure.kind?.$case === "userError") receive(line, failure.kind.value, (payload) => take(payload.bytes));
    else take(undefined);
  }

  /** What cannot be taken fails its own job; what breaks the protocol ends the session, by being thrown on. */
  #take(line: Line, request: JobRequest, answer: (run: JobRun) => void): void {
    const { run } = request;
    if (run.isKept) throw new ProtocolError(`job ${run.id} was answered, and was only to be kept`);
    this.#patience.regained();
    try {
      answer(run);
    } catch (error) {
      if (error instanceof ProtocolError) throw error;
      this.cancel(run, "a result cannot be taken");
      run.fail(error);
    }
    recount(line, request);
  }

  #jobKept(line: Line, kept: JobKept): void {
    const request = line.jobs.get(kept.job);
    if (request === undefined) return; // it was cancelled from here
    const { run } = request;
    if (!run.isKept) throw new ProtocolError(`job ${run.id} is kept, which nobody asked for`);
    this.#patience.regained();
    const isWhole = run.kept(kept);
    recount(line, request);
    if (run.settled) this.cancel(run, "what was kept of it is lost");
    else if (isWhole) {
      forget(line, request);
      void this.#kept.verify(request, run);
    } else this.#offering.kept(line, request);
    this.#offering.schedule();
  }

  #capacityChanged(line: Line, capacity: FabricCapacity): void {
    const isMore = capacity.slots > this.slots;
    this.#capacity = capacity;
    if (isMore && wakeAll(line)) this.#offering.schedule();
    if (capacity.slots === 0) return;
    const waiters = [...this.#capacityWaiters];
    this.#capacityWaiters.clear();
    for (const waiter of waiters) waiter.resolve(capacity);
  }

  #upload(line: Line, hash: string): void {
    const bytes = line.artifacts.get(hash);
    if (bytes === undefined) return; // withdrawn while the coordinator asked
    sendPayload(line, { encoding: 0, count: 0, bytes }, (content) => ({
      kind: { $case: "artifactContent", value: { hash, content, missing: "" } },
    }));
  }
}

/** A timer that fires later than this was kept waiting by this process itself. */
const STANDSTILL_MS = 500;
