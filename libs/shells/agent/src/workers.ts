import type { Assignment, Input, WorkerKey } from "@heddle/core-pool";
import { assert, CHECKPOINT_BYTES_MAX, ProtocolError, unreachable, WORKER_JOBS_MAX } from "@heddle/kernel";
import type { WorkerExit, WorkerSpawner } from "@heddle/port-processes";
import {
  type ArtifactPlace,
  type Checkpoint as CheckpointSaid,
  type ChunkReturned,
  type NestedRequest,
  type Operations,
  type PayloadFlow,
  PayloadInflow,
  PayloadOutflow,
  type WorkerRequestEntry,
  type WorkerResponseEntry,
  whenEnded,
} from "@heddle/wire";
import { WORKER_WANTS_MAX } from "./limits.ts";
import type { Counts } from "./metrics.ts";
import { prepareOf } from "./prepare.ts";
import type { Checkpoint, ChunkRecord, JobRecord, Returned, WorkerLead, WorkerRecord } from "./records.ts";
import { areKept, checkOutcome, itemsOf, progressOf, valuesOf } from "./returned.ts";

/** What workers tell the agent. */
export interface WorkersHost {
  readonly feed: (input: Input) => void;
  readonly chunk: (assignment: Assignment) => ChunkRecord | undefined;
  /** An item of a chunk that the worker runs has come to something. */
  readonly checkpointed: (chunk: ChunkRecord, checkpoint: Checkpoint) => void;
  /** Values of a chunk begin to arrive that will not fit one entry: announce them, or undefined when nobody is there to tell. */
  readonly announce: (
    chunk: ChunkRecord,
    worker: WorkerRecord,
    message: ChunkReturned,
    values: PayloadFlow,
  ) => Returned["relay"];
  /** The worker asks where an artifact is; it is told by `place`. */
  readonly wantArtifact: (worker: WorkerRecord, hash: string) => void;
  /** The task that the worker runs speaks to the coordinator. */
  readonly nested: (worker: WorkerRecord, request: NestedRequest) => void;
  /** It speaks no more in that session. */
  readonly nestedClosed: (worker: WorkerKey, session: number) => void;
  /** Its code operates on shared objects. */
  readonly objects: (worker: WorkerRecord, operations: Operations) => void;
  /** An owner of its is over. */
  readonly ownerClosed: (worker: WorkerKey, owner: number) => void;
  /** The worker is gone. The core is told next. */
  readonly gone: (worker: WorkerKey) => void;
  readonly output: (worker: WorkerRecord, stream: "stdout" | "stderr", line: string) => void;
}

/** The worker processes of one agent: sends them chunks, hears what they return. */
export class Workers {
  readonly #records = new Map<WorkerKey, WorkerRecord>();
  readonly #spawner: WorkerSpawner<WorkerRequestEntry, WorkerResponseEntry>;
  readonly #host: WorkersHost;
  readonly #node: string;
  readonly #counts: Counts;

  constructor(
    spawner: WorkerSpawner<WorkerRequestEntry, WorkerResponseEntry>,
    node: string,
    host: WorkersHost,
    counts: Counts,
  ) {
    this.#spawner = spawner;
    this.#node = node;
    this.#host = host;
    this.#counts = counts;
  }

  /** A worker that was started and whose exit was not told yet. */
  get(key: WorkerKey): WorkerRecord | undefined {
    return this.#records.get(key);
  }

  /** Memory of all that are there, as sampled last. */
  get rssBytes(): number {
    let bytes = 0;
    for (const { process } of this.#records.values()) bytes += process.rssBytes;
    return bytes;
  }

  /** Starts one; for the pool's core unless it has another `lead`. */
  spawn(key: WorkerKey, lead?: WorkerLead): void {
    this.#counts.workersStarted++;
    const inflow = new PayloadInflow();
    const process = this.#spawner.spawn({
      entries: (entries) => this.#entries(key, entries),
      output: (stream, line) => {
        const worker = this.#records.get(key);
        if (worker !== undefined) this.#host.output(worker, stream, line);
      },
      exited: (exit) => this.#exited(key, exit),
    });
    const outflow = new PayloadOutflow((part) => process.send({ kind: { $case: "part", value: part } }));
    this.#records.set(key, {
      key,
      lead,
      process,
      inflow,
      outflow,
      prepared: new Set(),
      lastJob: undefined,
      lastAttempt: 0,
      wants: 0,
      ready: false,
      joined: false,
      offence: undefined,
      isTold: false,
      exit: undefined,
    });
  }

  /** Sends a chunk, and before the first of a job where its code lies. */
  run(key: WorkerKey, chunk: ChunkRecord): void {
    const worker = this.#records.get(key);
    assert(worker !== undefined, "the core runs chunks on live workers");
    if (worker.lastJob !== chunk.job) this.#use(worker, chunk.job);
    chunk.worker = worker;
    worker.lastJob = chunk.job;
    worker.lastAttempt = chunk.assign.attempt;
    const outgoing = worker.outflow.send(chunk.input);
    const { assignment, job, chunk: number, span, firstIndex, attempt, marks, grain } = chunk.assign;
    const leftOver = chunk.restored === undefined ? undefined : worker.outflow.send(chunk.restored);
    const restored = leftOver && { offset: chunk.assign.restored?.offset ?? 0, state: leftOver.header };
    const input = outgoing.header;
    const value = { assignment, job, chunk: number, span, firstIndex, input, attempt, marks, grain, restored };
    worker.process.send({ kind: { $case: "runChunk", value } });
    outgoing.start();
    leftOver?.start();
  }

  /** Tells all, those that run no chunk now too, that they will be stopped soon. */
  warn(reason: string): void {
    for (const { process } of this.#records.values())
      process.send({ kind: { $case: "stopNotice", value: { reason } } });
  }

  skip(key: WorkerKey, assignment: Assignment): void {
    this.#records.get(key)?.process.send({ kind: { $case: "skipChunk", value: { assignment } } });
  }

  /** Tells the core which item the worker has been running for longest. */
  readMark(key: WorkerKey): void {
    const mark = this.#records.get(key)?.process.readMark() ?? null;
    const seen = mark && { ...mark, assignment: mark.assignment as Assignment };
    this.#host.feed({ type: "mark-seen", worker: key, mark: seen });
  }

  kill(key: WorkerKey, signal: "SIGTERM" | "SIGKILL"): void {
    const worker = this.#records.get(key);
    if (worker === undefined) return;
    worker.isTold = true;
    worker.process.kill(signal);
  }

  /** Nothing for one that is gone. */
  tell(key: WorkerKey, entry: WorkerRequestEntry): void {
    this.#records.get(key)?.process.send(entry);
  }

  /** Answers a worker that asked for an artifact: where it is, or ("") why it cannot be had. */
  place(worker: WorkerRecord, place: ArtifactPlace): void {
    worker.wants--;
    worker.process.send({ kind: { $case: "artifactPlace", value: place } });
  }

  #use(worker: WorkerRecord, job: JobRecord): void {
    const { prepared } = worker;
    const known = prepared.delete(job.number);
    prepared.add(job.number);
    if (known) return;
    for (const oldest of prepared) {
      if (prepared.size <= WORKER_JOBS_MAX) break;
      prepared.delete(oldest);
    }
    const value = prepareOf(job, this.#node, worker.joined);
    worker.process.send({ kind: { $case: "prepareJob", value } });
  }

  #entries(key: WorkerKey, entries: readonly WorkerResponseEntry[]): void {
    const worker = this.#records.get(key);
    if (worker === undefined || worker.offence !== undefined) return; // nothing that an offender says counts
    try {
      for (const entry of entries) this.#entry(worker, entry);
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      worker.offence = error.message;
      worker.process.kill("SIGKILL"); // only the offender is dropped: its chunk is blamed like any death
    }
  }

  #entry(worker: WorkerRecord, { kind }: WorkerResponseEntry): void {
    switch (kind?.$case) {
      case "chunkReturned":
        return this.#returned(worker, kind.value);
      case "part":
        return worker.inflow.part(kind.value);
      case "wantArtifact":
        if (++worker.wants > WORKER_WANTS_MAX)
          throw new ProtocolError(`a worker asked for more than ${WORKER_WANTS_MAX} artifacts at a time`);
        return this.#host.wantArtifact(worker, kind.value.hash);
      case "taskWaiting":
        if (worker.lead !== undefined) return; // it has no slot to lend
        return this.#host.feed({ type: "task-waiting", worker: worker.key, waiting: kind.value.waiting });
      case "nestedRequest":
        return this.#host.nested(worker, kind.value);
      case "nestedClose":
        return this.#host.nestedClosed(worker.key, kind.value.session);
      case "objectOperations":
        return this.#host.objects(worker, kind.value);
      case "objectOwnerClosed":
        return this.#host.ownerClosed(worker.key, kind.value.owner);
      case "checkpoint":
        return this.#checkpointed(worker, kind.value);
      case "workerReady":
        worker.ready = true;
        if (worker.lead !== undefined) return worker.lead.ready();
        return this.#host.feed({ type: "worker-ready", worker: worker.key });
      case "workerJoined":
        worker.joined = true;
        if (worker.lead !== undefined) throw new ProtocolError("a worker that runs a process has no pool to join");
        return this.#host.feed({ type: "worker-joined", worker: worker.key });
      case undefined:
        return;
      default:
        return unreachable(kind);
    }
  }

  /** The core hears of it when its payloads are complete; values that come in parts go on as they arrive. */
  #returned(worker: WorkerRecord, message: ChunkReturned): void {
    const { outcome } = message;
    const chunk = this.#host.chunk(message.assignment as Assignment);
    const kept = areKept(outcome);
    const values = valuesOf(outcome);
    const valuesFlow = values === undefined ? undefined : worker.inflow.open(values, kept);
    const failure = outcome?.$case === "error" ? outcome.value.failure : undefined;
    const userError = failure?.kind?.$case === "userError" ? worker.inflow.open(failure.kind.value, true) : undefined;
    if (chunk?.worker !== worker) return; // finished already, or of an earlier session and the number is another's
    checkOutcome(outcome, chunk);
    const open = valuesFlow?.state === "open" && !kept;
    const relay = open ? this.#host.announce(chunk, worker, message, valuesFlow) : undefined;
    const done = (): void => {
      chunk.returned = { message, values: valuesFlow, userError, relay };
      this.#host.feed(answerOf(message, worker.key, chunk));
    };
    if (isWhole(valuesFlow) && isWhole(userError)) return done(); // nearly always: nothing has to wait
    const flows = [valuesFlow, userError].filter((flow) => flow !== undefined);
    whenEnded(flows, (aborted) => (aborted ? relay?.end(true) : done()));
  }

  /** Of the item that runs: what is said of others is void. */
  #checkpointed(worker: WorkerRecord, { assignment, offset, state: header }: CheckpointSaid): void {
    const state = worker.inflow.open(header, true);
    if (state.size > CHECKPOINT_BYTES_MAX)
      throw new ProtocolError(`a checkpoint has ${state.size} bytes, ${CHECKPOINT_BYTES_MAX} are possible`);
    const chunk = this.#host.chunk(assignment as Assignment);
    if (chunk?.worker !== worker) return;
    const first = chunk.assign.span?.offset ?? 0;
    if (offset < first || offset >= first + itemsOf(chunk))
      throw new ProtocolError(`a worker has a checkpoint of item ${offset}, which it was not given`);
    whenEnded([state], (aborted) => {
      const isHere = !aborted && this.#host.chunk(chunk.assignment) === chunk;
      if (isHere && chunk.worker === worker) this.#host.checkpointed(chunk, { offset, state });
    });
  }

  #exited(key: WorkerKey, exit: WorkerExit): void {
    const worker = this.#records.get(key);
    if (worker === undefined) return;
    worker.exit = exit;
    this.#counts.ended(worker);
    this.#host.gone(key);
    worker.inflow.abort();
    if (worker.lead !== undefined) {
      worker.lead.exited(worker.offence === undefined ? exit : { ...exit, fault: worker.offence });
      this.#records.delete(key);
      return;
    }
    const mark =
      exit.mark === null ? null : { assignment: exit.mark.assignment as Assignment, offset: exit.mark.offset };
    this.#host.feed({ type: "worker-exited", worker: key, mark, fault: worker.ready ? undefined : startFault(exit) });
    this.#records.delete(key);
  }
}

function isWhole(flow: PayloadFlow | undefined): boolean {
  return flow === undefined || flow.state === "complete";
}

/** What the core is told of an answer. */
function answerOf({ outcome, runMicros, rssBytes }: ChunkReturned, worker: WorkerKey, chunk: ChunkRecord): Input {
  const { assignment } = chunk;
  if (outcome?.$case === "initFailure") return { type: "init-failed", worker, assignment };
  const skipped = outcome?.$case === "skipped";
  const { share, grains } = progressOf(outcome, chunk);
  return { type: "chunk-returned", worker, assignment, skipped, runMs: runMicros / 1_000, share, grains, rssBytes };
}

/** Why a worker that was never ready is gone. */
export function startFault(exit: WorkerExit): string {
  if (exit.fault !== undefined) return exit.fault;
  const how = exit.signal === null ? `exited with code ${exit.exitCode}` : `was killed by ${exit.signal}`;
  const tail = exit.stderrTail === "" ? "" : `: ${exit.stderrTail.slice(-500)}`;
  return `a worker process ${how} before it was ready${tail}`;
}
