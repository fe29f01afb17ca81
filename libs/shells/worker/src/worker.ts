import { type Environment, Fifo, ProtocolError, unreachable, WORKER_JOBS_MAX } from "@heddle/kernel";
import { MARK_SLOTS_MAX } from "@heddle/port-processes";
import type { AnyFunction, FunctionLoader } from "@heddle/port-shipper";
import {
  type EncodedPayload,
  encodePayload,
  type Part,
  PayloadAssembler,
  type PrepareJob,
  type Replies,
  type RunChunk,
  type WorkerRequestEntry,
  type WorkerResponseEntry,
} from "@heddle/wire";
import { Answers } from "./answers.ts";
import { Checkpoints } from "./checkpoints.ts";
import { NO_VALUES, runItems } from "./chunk-run.ts";
import type { ChunkOutcome, ItemMarks } from "./chunk-state.ts";
import { fabricFailure, initFailure, userFailure } from "./failures.ts";
import { FunctionLoops } from "./function-loops.ts";
import { Functions } from "./functions.ts";
import { type PlacedInitializer, runInitializer } from "./joining.ts";
import { QUICK_CHUNK_MS, QUICK_CHUNKS_MIN, TURN_MS } from "./limits.ts";
import { OwnProcess, type ProcessEnding, type ProcessFacts } from "./own-process.ts";
import { Relay } from "./relay.ts";
import type { Folding } from "./results.ts";
import {
  type InsideObjects,
  type ObjectsListener,
  type OnceJob,
  SharedObjects,
  type WorkerOperations,
} from "./shared-objects.ts";
import { CurrentTask, type TaskContext, type TaskScope } from "./task-context.ts";
import { placeOf, streamNumbers } from "./task-place.ts";
import { withUnawaited } from "./unawaited.ts";

/** The worker's end of its conversation with the agent. */
export interface AgentLink {
  /** Puts an entry behind those before it; what was sent leaves when the event loop turns, or at `flush`. */
  send(entry: WorkerResponseEntry): void;
  /** Lets what was sent leave now. */
  flush(): void;
  /** Undefined while there is room; else resolves when there is room again. */
  drained(): Promise<void> | undefined;
  /** Begins to read: `listen` is called with entries, in order. */
  onEntries(listen: (entries: readonly WorkerRequestEntry[]) => void): void;
}

export interface WorkerOptions {
  readonly link: AgentLink;
  /** Writes "I am about to run this item" where the agent finds it whatever happens, in the place of the slot's last mark. */
  readonly mark: (assignment: number, offset: number, slot: number) => void;
  /** Takes the mark of a slot back. */
  readonly unmark: (slot: number) => void;
  readonly loader: FunctionLoader;
  readonly env: Environment;
  /** Of this process, for WorkerReady and for the place of a failure. */
  readonly pid: number;
  /** Of the agent that started it. */
  readonly agentPid: number;
  readonly nodeVersion: string;
  /** Whether user code wrote to standard output or error since it was last asked. */
  readonly wroteOutput: () => boolean;
  /** Lets the event loop look at everything once. */
  readonly turn: () => Promise<void>;
  /** Aborts shortly before this process is ended by its agent. */
  readonly stopSignal: () => AbortSignal;
  /** Aborts that signal: this process will be ended soon. `reason`: for people. */
  readonly noticeStop: (reason: string) => void;
  /** How a process of a user's own ends. */
  readonly ending: ProcessEnding;
  /** Resident set of this process now, in bytes. */
  readonly rssBytes: () => number;
  /** A place for values that follow what they were set for. Asked for once, by the first worker whose items run side by side. */
  readonly openScope: <T>() => TaskScope<T>;
  /** Loads `heddle` as user code in this process sees it. */
  readonly loadInside: () => Promise<unknown>;
}

/**
 * What user code in a worker may ask of it. Nothing here throws: the errors of a worker's own bundle are of other classes than those that
 * user code imports.
 */
export interface WorkerRuntime {
  /** The item that runs now; undefined when none does. */
  readonly task: () => TaskContext | undefined;
  /** Stands for the attempt of the item that runs now: one object for each. */
  readonly attempt: () => object | undefined;
  /** Opens a session with the coordinator that the worker belongs to. */
  readonly dial: Relay["dial"];
  /** Something of the fabric is awaited until disposed. */
  readonly hold: () => Disposable;
  /** Shared objects. */
  readonly objects: WorkerObjects;
  /** A place for values that follow what they were set for. */
  readonly openScope: <T>() => TaskScope<T>;
  /** What this process is: a user's own, or a pool's worker. */
  readonly process: () => ProcessFacts;
  /** This process, when it is a user's own, does not end by itself before this is disposed. */
  readonly keep: () => Disposable;
}

/** The way of user code in this worker to the manager. */
export interface WorkerObjects {
  /** Operations of this worker, in order. */
  readonly operate: (operations: WorkerOperations) => void;
  /** Who hears what concerns an owner: of replies, and of the session that the agent holds for this worker. */
  readonly listen: (owner: number, listener: ObjectsListener) => void;
  /** The owner is over: what it holds is free. */
  readonly closeOwner: (owner: number) => void;
  /** What `heddle` does for the worker from now on. */
  readonly provide: (inside: InsideObjects) => void;
}

/** Runs chunks for an agent, one after the other in the order in which they came. Lasts as long as the process. */
export function runWorker(options: WorkerOptions): WorkerRuntime {
  const worker = new Worker(options);
  worker.start();
  return worker.runtime;
}

/** A job's functions, as far as this worker knows it. */
interface Job {
  readonly prepare: PrepareJob;
  /** Loaded at its first chunk. */
  code: Code | undefined;
}

/** What a job runs. */
interface Code {
  readonly fn: AnyFunction;
  readonly origin: object;
  readonly folding: Folding | undefined;
  /** Set when what its items write counts once. */
  readonly once: OnceJob | undefined;
}

/** A chunk that was sent and not yet answered. */
interface Chunk {
  readonly message: RunChunk;
  /** Looked up when the chunk came, so that agent and worker forget jobs in the same order; undefined for one that is not known. */
  readonly job: Job | undefined;
  state:
    | { readonly type: "coming" }
    | { readonly type: "ready"; readonly input: EncodedPayload }
    /** Left out, as asked or because its sender died. */
    | { readonly type: "skipped" };
  /** What an attempt before has left of one of its items; undefined for nothing. */
  restored: EncodedPayload | "coming" | undefined;
}

/** What an attempt before has left of an item, where that comes in parts. */
interface RestoredTo {
  readonly restoredOf: Chunk;
}

/** Replies that come in parts. */
interface RepliesTo {
  readonly owner: number;
}

class Worker {
  readonly #options: WorkerOptions;
  readonly #link: AgentLink;
  /** By number, the one used least recently first. Size <= WORKER_JOBS_MAX. */
  readonly #jobs = new Map<number, Job>();
  readonly #chunks = new Fifo<Chunk>();
  /** Items of chunks, and replies for shared objects. */
  readonly #inputs = new PayloadAssembler<Chunk | RepliesTo | RestoredTo>();
  /** The job used last. */
  #current: Job | undefined;
  readonly #answers: Answers;
  readonly #functions: Functions;
  readonly #shared: SharedObjects;
  readonly #relay: Relay;
  readonly #task: CurrentTask;
  readonly #checkpoints: Checkpoints;
  readonly #process: OwnProcess;
  readonly #loops = new FunctionLoops();
  /** Whether its pool's initializer is through, as far as it has one; "failed" means that nothing runs any more. */
  #joining: "pending" | "joined" | "failed" = "pending";
  /** The chunk that waits for the initializer. */
  #joiner: Chunk | undefined;
  #isPumping = false;
  #isFlushing = false;
  #lastTurnMs: number;
  /** Quick chunks in a row. */
  #quickCount = 0;

  constructor(options: WorkerOptions) {
    this.#options = options;
    this.#link = options.link;
    this.#lastTurnMs = options.env.clock.nowMs();
    const mintStream = streamNumbers();
    this.#answers = new Answers(options, mintStream);
    this.#shared = new SharedObjects(({ kind }) => this.#sendNow(kind), mintStream, options.loadInside);
    this.#functions = new Functions(
      options.loader,
      (hash) => this.#sendNow({ $case: "wantArtifact", value: { hash } }),
      this.#shared,
    );
    this.#relay = new Relay(({ kind }) => this.#sendNow(kind));
    this.#checkpoints = new Checkpoints(options, mintStream);
    const { stopSignal, take: checkpoint } = this.#checkpoints;
    this.#task = new CurrentTask({ stopSignal, checkpoint, openScope: () => options.openScope() });
    this.#process = new OwnProcess(this.#functions, options.ending, options, () => this.#shared.flush());
  }

  get runtime(): WorkerRuntime {
    const { dial, hold } = this.#relay;
    const { facts, keep } = this.#process;
    const { openScope } = this.#options;
    const attempt = (): object | undefined => this.#task.attempt();
    return {
      task: () => this.#task.get(),
      attempt,
      dial,
      hold,
      objects: this.#shared,
      openScope,
      process: facts,
      keep,
    };
  }

  /** Sends in the middle of a chunk, together with what else is said in this turn. */
  #sendNow(kind: WorkerResponseEntry["kind"]): void {
    this.#link.send({ kind });
    this.#flushSoon();
  }

  #flushSoon(): void {
    if (this.#isFlushing) return;
    this.#isFlushing = true;
    queueMicrotask(() => {
      this.#isFlushing = false;
      this.#link.flush();
    });
  }

  start(): void {
    const { pid, nodeVersion } = this.#options;
    this.#link.onEntries((entries) => this.#hear(entries));
    this.#link.send({ kind: { $case: "workerReady", value: { pid, nodeVersion } } });
    this.#link.flush();
  }

  #hear(entries: readonly WorkerRequestEntry[]): void {
    for (const entry of entries) this.#take(entry);
    if (!this.#isPumping) void this.#pump();
  }

  #take({ kind }: WorkerRequestEntry): void {
    switch (kind?.$case) {
      case "prepareJob":
        this.#process.placed(kind.value.node);
        return this.#prepare(kind.value);
      case "runChunk":
        return this.#enqueue(kind.value);
      case "skipChunk":
        return this.#skip(kind.value.assignment);
      case "part":
        return this.#add(kind.value);
      case "artifactPlace":
        return this.#functions.placed(kind.value);
      case "nestedResponse":
      case "nestedTaken":
      case "nestedEnded":
        return this.#relay.hear(kind);
      case "objectReplies":
        return this.#replied(kind.value);
      case "objectsState":
        return this.#shared.stands(kind.value);
      case "objectRevoked":
        return this.#shared.revoked(kind.value);
      case "stopNotice":
        return this.#checkpoints.notice(kind.value.reason);
      case "runProcess":
        return void this.#process.run(kind.value);
      case "parentEnded":
        return this.#process.parentEnded();
      case undefined:
        return; // of a newer agent
      default:
        return unreachable(kind);
    }
  }

  #prepare(prepare: PrepareJob): void {
    this.#current = undefined;
    this.#jobs.delete(prepare.job);
    this.#jobs.set(prepare.job, { prepare, code: undefined });
    if (this.#jobs.size <= WORKER_JOBS_MAX) return;
    for (const oldest of this.#jobs.keys()) return void this.#jobs.delete(oldest);
  }

  #enqueue(message: RunChunk): void {
    if (message.input === undefined) throw new ProtocolError(`chunk ${message.chunk} came without its items`);
    const chunk: Chunk = { message, job: this.#use(message.job), state: { type: "coming" }, restored: undefined };
    const input = this.#inputs.open(message.input, chunk);
    if (input !== undefined) chunk.state = { type: "ready", input };
    if (message.restored?.state !== undefined)
      chunk.restored = this.#inputs.open(message.restored.state, { restoredOf: chunk }) ?? "coming";
    this.#chunks.push(chunk);
  }

  #add(part: Part): void {
    const completion = this.#inputs.add(part);
    if (completion === undefined) return;
    const { tag: chunk, payload } = completion;
    if ("restoredOf" in chunk) {
      chunk.restoredOf.restored = payload;
      return;
    }
    if ("owner" in chunk) return payload === undefined ? undefined : this.#shared.replied(chunk.owner, payload.bytes);
    if (chunk.state.type !== "coming") return;
    chunk.state = payload === undefined ? { type: "skipped" } : { type: "ready", input: payload };
  }

  #replied({ owner, batch }: Replies): void {
    if (batch === undefined) throw new ProtocolError("replies came without their batch");
    const whole = this.#inputs.open(batch, { owner });
    if (whole !== undefined) this.#shared.replied(owner, whole.bytes);
  }

  /**
   * A chunk that was begun is not in the queue any more. One that was not is left out at once, not in its turn: a task before it may wait for
   * long, and others could run it.
   */
  #skip(assignment: number): void {
    if (this.#joiner?.message.assignment === assignment) this.#joiner.state = { type: "skipped" };
    for (const chunk of this.#chunks.take(({ message }) => message.assignment === assignment)) {
      chunk.state = { type: "skipped" };
      this.#answers.skipped(chunk.message);
      this.#flushSoon();
    }
  }

  /** Answers chunks until there is none, or the next one's items are still coming. */
  async #pump(): Promise<void> {
    this.#isPumping = true;
    for (let chunk = this.#chunks.peek(); chunk !== undefined; chunk = this.#chunks.peek()) {
      if (chunk.state.type === "coming" || chunk.restored === "coming" || this.#joining === "failed") break;
      this.#chunks.shift();
      const blocked =
        chunk.state.type === "skipped" ? this.#answers.skipped(chunk.message) : this.#run(chunk, chunk.state.input);
      if (blocked !== undefined) await blocked;
      const waiting = this.#link.drained() ?? this.#turnIfDue();
      if (waiting !== undefined) await waiting;
    }
    this.#isPumping = false;
    this.#link.flush();
  }

  /** A promise when the chunk, or sending its results, takes more than this turn. */
  #run(chunk: Chunk, input: EncodedPayload): Promise<void> | undefined {
    const initializer = this.#joining === "pending" ? chunk.job?.prepare.initializer : undefined;
    if (initializer !== undefined) return this.#joinAndRun(initializer, chunk, input);
    const { message, job } = chunk;
    if (this.#quickCount < QUICK_CHUNKS_MIN) this.#link.flush(); // results must not wait for a chunk that may take long
    const { clock } = this.#options.env;
    const startMs = clock.nowMs();
    this.#relay.running(true);
    const outcome = this.#outcomeOf(chunk, input);
    const answer = (known: ChunkOutcome): Promise<void> | undefined => {
      const writes = this.#shared.flush();
      if (writes === undefined) return finish(known);
      const firstOffset = message.span?.offset ?? 0;
      return writes.then(
        () => finish(known),
        (error: unknown) => finish(job?.code?.once ? known : withUnawaited(known, error, firstOffset)), // what counts is settled
      );
    };
    const finish = (known: ChunkOutcome): Promise<void> | undefined => {
      const runMs = clock.nowMs() - startMs;
      this.#relay.running(false);
      this.#task.end();
      if (known.end.type === "failed") this.#checkpoints.tell();
      else this.#checkpoints.drop();
      this.#quickCount = runMs <= QUICK_CHUNK_MS ? this.#quickCount + 1 : 0;
      const { node = "", weighed = false } = job?.prepare ?? {};
      return this.#answers.ran(message, { node, runMs, weighed }, known);
    };
    return outcome instanceof Promise ? outcome.then(answer) : answer(outcome);
  }

  /** The worker's first chunk: its pool's initializer comes before it. It is not begun before that is through, and can still be left out. */
  async #joinAndRun(initializer: PlacedInitializer, chunk: Chunk, input: EncodedPayload): Promise<void> {
    this.#link.flush();
    this.#relay.running(true);
    this.#joiner = chunk;
    try {
      await runInitializer(initializer, this.#functions);
      await this.#shared.flush();
      this.#joining = "joined";
    } catch (error) {
      this.#joining = "failed";
      this.#answers.initFailed(chunk.message, initFailure(error));
    }
    this.#joiner = undefined;
    if (this.#joining === "failed") return;
    this.#sendNow({ $case: "workerJoined", value: {} });
    if (chunk.state.type === "ready") return this.#run(chunk, input);
    this.#relay.running(false);
    this.#answers.skipped(chunk.message);
  }

  #outcomeOf(chunk: Chunk, input: EncodedPayload): ChunkOutcome | Promise<ChunkOutcome> {
    const { job, message } = chunk;
    if (job?.code !== undefined) return this.#runItems(job, job.code, chunk, input);
    if (job?.prepare.prime === true) return primed(message.span?.count ?? input.count);
    return this.#loadAndRun(chunk, input);
  }

  #use(number: number): Job | undefined {
    if (this.#current?.prepare.job === number && this.#jobs.has(number)) return this.#current;
    const job = this.#jobs.get(number);
    if (job === undefined) return undefined;
    this.#jobs.delete(number);
    this.#jobs.set(number, job);
    this.#current = job;
    return job;
  }

  async #loadAndRun(chunk: Chunk, input: EncodedPayload): Promise<ChunkOutcome> {
    const { job, message } = chunk;
    const offset = message.span?.offset ?? 0;
    if (job === undefined) {
      const unknown = new ProtocolError(`job ${message.job} was not described to this worker`);
      return { values: NO_VALUES, completed: 0, end: { type: "failed", failure: fabricFailure(offset, unknown, "") } };
    }
    try {
      job.code = await this.#load(job.prepare);
    } catch (error) {
      const failure =
        error instanceof ProtocolError ? fabricFailure(offset, error, "argument") : userFailure(offset, error);
      return { values: NO_VALUES, completed: 0, end: { type: "failed", failure } };
    }
    return this.#runItems(job, job.code, chunk, input);
  }

  async #load(prepare: PrepareJob): Promise<Code> {
    const functions = this.#functions;
    const fn = await functions.load(prepare);
    const origin = functions.originOf(fn);
    const once = prepare.effectsOnce ? await this.#shared.once(prepare.jobId) : undefined;
    if (prepare.combine === undefined) return { fn, origin, folding: undefined, once };
    const combine = await functions.load(prepare.combine);
    const combineOrigin = functions.originOf(combine);
    return { fn, origin, folding: { combine, loop: () => this.#loops.ownFold(combineOrigin) }, once };
  }

  #runItems(job: Job, code: Code, chunk: Chunk, input: EncodedPayload): ChunkOutcome | Promise<ChunkOutcome> {
    const { message } = chunk;
    const { span, marks, firstIndex, grain } = message;
    const { spread, watched, concurrency } = job.prepare;
    const restored = chunk.restored === "coming" ? undefined : chunk.restored;
    this.#task.begin(placeOf({ prepare: job.prepare, message, restored }, this.#functions.hooks));
    return runItems({
      ...code,
      spread,
      input,
      span,
      marks: marks || watched ? this.#marksOf(message.assignment, watched) : undefined,
      firstIndex,
      grain,
      concurrency: marks ? 1 : Math.min(concurrency, MARK_SLOTS_MAX),
      task: this.#task,
      functions: this.#functions,
      loops: this.#loops,
      nowMs: this.#options.env.clock.nowMs,
    });
  }

  #marksOf(assignment: number, areTakenBack: boolean): ItemMarks {
    const { mark, unmark } = this.#options;
    return { mark: (offset, slot) => mark(assignment, offset, slot), unmark, areTakenBack };
  }

  /** Once in a while, lets the event loop look for requests. */
  #turnIfDue(): Promise<void> | undefined {
    const { env, turn } = this.#options;
    if (env.clock.nowMs() - this.#lastTurnMs <= TURN_MS) return undefined;
    this.#link.flush();
    return turn().then(() => {
      this.#lastTurnMs = env.clock.nowMs();
    });
  }
}

/** A job without a function: its worker is one of the pool now. */
function primed(count: number): ChunkOutcome {
  const values = encodePayload(new Array(count).fill(undefined), "result");
  return { values, completed: count, end: { type: "all" } };
}
