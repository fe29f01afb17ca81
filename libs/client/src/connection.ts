import {
  CLIENT_CHUNKS_MAX,
  CLIENT_INPUT_BYTES_MAX,
  CLIENT_JOBS_MAX,
  ClosedError,
  type Environment,
  Fifo,
  mintId,
  type PoolId,
  ProtocolError,
  SESSION_WINDOW_BYTES,
  unreachable,
} from "@heddle/kernel";
import type { SessionEnd } from "@heddle/port-rpc";
import {
  type EncodedPayload,
  type ItemFailed,
  type Output,
  type Payload,
  PayloadAssembler,
  type RunRequestEntry,
  type RunResponseEntry,
  type SpanDone,
  splitPayload,
} from "@heddle/wire";
import { made, UnshippedFunctions } from "./argument-functions.ts";
import { OfferedArtifacts } from "./artifacts.ts";
import { endedError, noCoordinatorError, type SessionDial } from "./dial.ts";
import type { JobRun } from "./job-run.ts";
import { FIRST_CONNECT_TIMEOUT_MS } from "./limits.ts";
import { forget, isOn, type JobRequest, type Line, recount, stopOffering, wakeAll } from "./line.ts";
import { OpenProcesses, type ProcessRequest } from "./open-processes.ts";
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
  /** Lines that user functions printed. */
  readonly print: (output: Output, jobName: string) => void;
}

/** What the fabric can run now. */
export interface FabricCapacity {
  readonly slots: number;
  readonly nodes: number;
}

/** A client's conversation with a coordinator: many jobs over one session, which is dialled when it is first needed. */
export class Connection {
  readonly #options: ConnectionOptions;
  readonly #clientId: string;
  readonly #waiting = new Fifo<JobRequest>();
  readonly #capacityWaiters = new Set<{
    resolve: (capacity: FabricCapacity) => void;
    reject: (error: Error) => void;
  }>();
  #line: Line | undefined;
  #capacity: FabricCapacity | undefined;
  #pumping = false;
  #awaitingDrain = false;
  #closed = false;

  constructor(options: ConnectionOptions) {
    this.#options = options;
    this.#clientId = mintId(options.env.random);
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
    this.#waiting.push(request);
    this.#schedulePump();
  }

  /** Stops a job that was submitted. Its JobRun must be settled by the caller. */
  cancel(run: JobRun, reason: string): void {
    const line = this.#line;
    const request = line?.jobs.get(run.number);
    if (line === undefined || request?.run !== run) return; // one that waits for its turn is passed over then
    forget(line, request);
    line.session.send({ kind: { $case: "cancelJob", value: { job: run.number, reason } } });
    this.#schedulePump();
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
    const line = this.#line;
    this.#line = undefined;
    this.#failAll(line, error);
    line?.firstAnswer?.[Symbol.dispose]();
    await line?.session.close();
  }

  /** Ends the session and leaves what is open unsettled: the process ends. What comes after all dials anew. */
  async leave(): Promise<void> {
    const line = this.#line;
    this.#line = undefined;
    this.#capacity = undefined;
    line?.firstAnswer?.[Symbol.dispose]();
    await line?.session.close();
  }

  /** There is a session, or one is being dialled. */
  get isOpen(): boolean {
    return this.#line !== undefined;
  }

  #open(): Line {
    if (this.#closed) throw new ClosedError("the fabric was closed");
    if (this.#line !== undefined) return this.#line;
    const { dial, description } = this.#options;
    const session = dial(
      {
        entries: (entries) => {
          if (this.#line?.session === session) for (const entry of entries) this.#entry(this.#line, entry);
        },
        ended: (end) => {
          if (this.#line?.session === session) this.#lost(end);
        },
      },
      () => {
        line.firstAnswer?.[Symbol.dispose]();
        line.firstAnswer = undefined;
      },
    );
    const send = (entry: RunRequestEntry): void => session.send(entry);
    const artifacts = new OfferedArtifacts(send);
    const line: Line = {
      session,
      assembler: new PayloadAssembler(),
      pools: new Set(),
      artifacts,
      processes: new OpenProcesses(send, artifacts),
      jobs: new Map(),
      unsealed: new Set(),
      dormant: new Set(),
      openChunks: 0,
      openBytes: 0,
      lastPartStream: 0,
      lastJob: 0,
      firstAnswer: undefined,
    };
    this.#line = line;
    this.#awaitFirstAnswer(line);
    session.send({ kind: { $case: "registerClient", value: { clientId: this.#clientId, description } } });
    return line;
  }

  /** Time during which this process itself stood still is not held against the coordinator: then it gets the whole time again. */
  #awaitFirstAnswer(line: Line): void {
    const { env, address, unavailableTimeoutMs } = this.#options;
    const timeoutMs = Math.min(FIRST_CONNECT_TIMEOUT_MS, unavailableTimeoutMs);
    const deadlineMs = env.clock.nowMs() + timeoutMs;
    line.firstAnswer = env.clock.setTimer(deadlineMs, () => {
      if (env.clock.nowMs() > deadlineMs + STANDSTILL_MS) return this.#awaitFirstAnswer(line);
      this.#line = undefined;
      this.#failAll(line, noCoordinatorError(address));
      void line.session.close();
    });
  }

  #lost(end: SessionEnd): void {
    const line = this.#line;
    this.#line = undefined;
    this.#capacity = undefined;
    const isUnanswered = line?.firstAnswer !== undefined;
    line?.firstAnswer?.[Symbol.dispose]();
    const { address } = this.#options;
    this.#failAll(
      line,
      isUnanswered && end.reason === "expired" ? noCoordinatorError(address) : endedError(end, address),
    );
  }

  #failAll(line: Line | undefined, error: Error): void {
    const requests = [...(line?.jobs.values() ?? []), ...this.#waiting];
    line?.jobs.clear();
    line?.unsealed.clear();
    line?.dormant.clear();
    this.#waiting.clear();
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
      case "jobEnded": {
        const request = line.jobs.get(kind.value.job);
        if (request !== undefined) forget(line, request);
        request?.run.ended(kind.value);
        return this.#schedulePump();
      }
      case "capacity":
        return this.#capacityChanged(line, kind.value);
      case "wantArtifact":
        return this.#upload(line, kind.value.hash);
      case "output": {
        const request = line.jobs.get(kind.value.job);
        const name = request === undefined ? "" : request.job.name || (request.job.function?.displayName ?? "");
        return this.#options.print(kind.value, kind.value.processName || name);
      }
      case "processStarted":
        return line.processes.started(kind.value);
      case "processEnded":
        return line.processes.ended(kind.value);
      case undefined:
        return; // a newer peer's entry that this build does not know
      default:
        return unreachable(kind);
    }
  }

  #spanDone(line: Line, done: SpanDone): void {
    this.#receive(line, done.values, (values) => {
      const request = line.jobs.get(done.job);
      if (request === undefined) return; // it was cancelled from here
      this.#take(line, request, () => request.run.spanDone(done, values));
      if (line.unsealed.size > 0) this.#schedulePump();
    });
  }

  #itemFailed(line: Line, failed: ItemFailed): void {
    const { failure } = failed;
    if (failure === undefined) throw new ProtocolError("a failed item came without its failure");
    const take = (userError: Uint8Array | undefined): void => {
      const request = line.jobs.get(failed.job);
      if (request === undefined) return; // it was cancelled from here
      const { run, job } = request;
      if (!job.collect) stopOffering(line, request); // the job is lost: the coordinator would drop what is still offered
      this.#take(line, request, () => run.itemFailed({ ...failed, failure }, userError));
      if (line.unsealed.size > 0) this.#schedulePump();
    };
    if (failure.kind?.$case === "userError") this.#receive(line, failure.kind.value, (payload) => take(payload.bytes));
    else take(undefined);
  }

  /** What cannot be taken fails its own job; what breaks the protocol ends the session, by being thrown on. */
  #take(line: Line, request: JobRequest, answer: () => void): void {
    const { run } = request;
    try {
      answer();
    } catch (error) {
      if (error instanceof ProtocolError) throw error;
      this.cancel(run, "a result cannot be taken");
      run.fail(error);
    }
    recount(line, request);
  }

  #receive(line: Line, header: Payload | undefined, take: (payload: EncodedPayload) => void): void {
    if (header === undefined) throw new ProtocolError("an entry lacks its payload");
    const payload = line.assembler.open(header, take);
    if (payload !== undefined) take(payload);
  }

  #capacityChanged(line: Line, capacity: FabricCapacity): void {
    const isMore = capacity.slots > this.slots;
    this.#capacity = capacity;
    if (isMore && wakeAll(line)) this.#schedulePump();
    if (capacity.slots === 0) return;
    const waiters = [...this.#capacityWaiters];
    this.#capacityWaiters.clear();
    for (const waiter of waiters) waiter.resolve(capacity);
  }

  #schedulePump(): void {
    if (this.#pumping) return;
    this.#pumping = true;
    queueMicrotask(() => {
      this.#pumping = false;
      if (this.#line !== undefined) this.#pump(this.#line);
    });
  }

  /** Opens jobs and offers their chunks, one of each job in turn, while the coordinator's bounds and the window allow. */
  #pump(line: Line): void {
    while (line.jobs.size < CLIENT_JOBS_MAX && line.artifacts.room >= JOB_ARTIFACTS_MAX) {
      const request = this.#waiting.shift();
      if (request === undefined) break;
      this.#openJob(line, request);
    }
    for (const request of line.unsealed) {
      if (line.openChunks >= CLIENT_CHUNKS_MAX) return;
      if (line.session.queuedBytes >= SESSION_WINDOW_BYTES) return this.#pumpWhenDrained(line);
      if (!this.#poll(line, request)) continue;
      const { nextBytes } = request.run;
      if (line.openChunks > 0 && line.openBytes + nextBytes > CLIENT_INPUT_BYTES_MAX) return;
      this.#offer(line, request);
      line.unsealed.delete(request); // to the end of the queue: it is met there again, also when a bound comes before that
      line.unsealed.add(request);
    }
  }

  /** Whether there is a chunk to offer; seals the job after its last one, and fails it for an input that cannot travel. */
  #poll(line: Line, request: JobRequest): boolean {
    const { run } = request;
    try {
      const readiness = run.poll();
      if (!isOn(line, request)) return false; // the inputs' own code has ended it
      if (readiness === "ready") return true;
      line.unsealed.delete(request);
      if (readiness === "wait") line.dormant.add(request);
      else line.session.send({ kind: { $case: "sealJob", value: { job: run.number, chunkCount: run.chunkCount } } }, 0);
    } catch (error) {
      if (error instanceof UnshippedFunctions) void this.#shipArguments(line, request, error);
      else this.#refuseInput(run, error);
    }
    return false;
  }

  #refuseInput(run: JobRun, error: unknown): void {
    this.cancel(run, "an input cannot travel");
    run.fail(error);
  }

  /**
   * The job offers no more until the functions among its inputs are shipped and the shared objects made, or refused: that is thrown by the input that has
   * them.
   */
  async #shipArguments(line: Line, request: JobRequest, { fns, handles }: UnshippedFunctions): Promise<void> {
    line.unsealed.delete(request);
    for (const met of [...handles, ...fns])
      try {
        const artifacts = typeof met === "function" ? await request.functions.ship(met) : await made(met);
        if (this.#line !== line || !isOn(line, request)) return;
        for (const artifact of artifacts) {
          line.artifacts.use(artifact);
          request.artifacts.push(artifact);
        }
      } catch (error) {
        request.functions.refuse(met, error);
        if (!request.job.collect) break; // the call fails, unless an input before it cannot travel either
      }
    if (this.#line !== line || !isOn(line, request) || request.run.isLost) return;
    line.unsealed.add(request);
    this.#schedulePump();
  }

  #pumpWhenDrained(line: Line): void {
    if (this.#awaitingDrain) return;
    this.#awaitingDrain = true;
    const resume = (): void => {
      this.#awaitingDrain = false;
      this.#schedulePump();
    };
    line.session.drained().then(resume, resume);
  }

  /** In the control lane, as what cancels it: neither may overtake the other. Its chunks follow in the bulk lane. */
  #openJob(line: Line, request: JobRequest): void {
    const { run, pool, job } = request;
    if (run.settled || !this.#useArtifacts(line, request)) return;
    run.number = ++line.lastJob;
    line.jobs.set(run.number, request);
    line.unsealed.add(request);
    run.onWake = () => {
      if (!line.dormant.delete(request)) return;
      line.unsealed.add(request);
      this.#schedulePump();
    };
    if (!line.pools.has(pool.poolId)) {
      line.pools.add(pool.poolId);
      line.session.send({ kind: { $case: "openPool", value: pool } });
    }
    line.session.send({ kind: { $case: "openJob", value: { ...job, job: run.number } } });
  }

  /** Offers its code. False: it needs more of it than there is room for, and has failed. */
  #useArtifacts(line: Line, { run, artifacts }: JobRequest): boolean {
    for (const [at, artifact] of artifacts.entries())
      try {
        line.artifacts.use(artifact);
      } catch (error) {
        for (const used of artifacts.slice(0, at)) line.artifacts.release(used);
        run.fail(error);
        return false;
      }
    return true;
  }

  #offer(line: Line, request: JobRequest): void {
    const { run } = request;
    const { chunk, firstIndex, grain, payload } = run.take();
    recount(line, request);
    this.#sendPayload(line, payload, (input) => ({
      kind: { $case: "offerChunk", value: { job: run.number, chunk, firstIndex, input, grain } },
    }));
  }

  #upload(line: Line, hash: string): void {
    const bytes = line.artifacts.get(hash);
    if (bytes === undefined) return; // withdrawn while the coordinator asked
    this.#sendPayload(line, { encoding: 0, count: 0, bytes }, (content) => ({
      kind: { $case: "artifactContent", value: { hash, content, missing: "" } },
    }));
  }

  #sendPayload(line: Line, payload: EncodedPayload, entry: (header: Payload) => RunRequestEntry): void {
    const { header, parts } = splitPayload(payload, () => ++line.lastPartStream);
    line.session.send(entry(header), header.data.byteLength);
    for (const part of parts) line.session.send({ kind: { $case: "part", value: part } }, part.data.byteLength);
  }
}

/** Of a job: code and captured values of its function, of what combines its results and of its pool's initializer, and that one's arguments. */
const JOB_ARTIFACTS_MAX = 7;
/** A timer that fires later than this was kept waiting by this process itself. */
const STANDSTILL_MS = 500;
